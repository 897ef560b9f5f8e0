package receiver

import (
	"net/netip"
	"testing"
)

// TestServerAddress: a listed sender is known by its address, through any interface unless a
// zone was listed.
func TestServerAddress(t *testing.T) {
	for _, tt := range []struct {
		listed, from string
		want         bool
	}{
		{"10.0.0.1", "10.0.0.1", true}, {"10.0.0.1", "::ffff:10.0.0.1", true}, {"::ffff:10.0.0.1", "10.0.0.1", true}, {"10.0.0.1", "10.0.0.2", false},
		{"fe80::1", "fe80::1%e0", true}, {"fe80::1%e0", "fe80::1%e0", true}, {"fe80::1%e0", "fe80::1%e1", false}, {"fe80::1%e0", "fe80::1", false},
		{"fe80::1", "fe80::2%e0", false}, {"fd88::1", "fd88::1", true},
	} {
		s := Server{Addr: netip.MustParseAddr(tt.listed)}
		if got := s.at(netip.MustParseAddr(tt.from)); got != tt.want {
			t.Errorf("listed %s, from %s: %v, want %v", tt.listed, tt.from, got, tt.want)
		}
	}
}
