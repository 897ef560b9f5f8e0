package wire

import (
	"net/netip"
	"testing"
)

func TestAddrUID(t *testing.T) {
	tests := []struct {
		addr string
		want UID
	}{
		{"10.88.0.1", 0x0A580001}, {"fd88::1", 0x01000000}, {"fd88::100", 0x00010000}, {"fd88::102:304", 0x04030201}, {"::ffff:10.88.0.1", 0x0A580001},
	}
	for _, tt := range tests {
		if got := AddrUID(netip.MustParseAddr(tt.addr)); got != tt.want {
			t.Errorf("AddrUID(%s) = %v, want %v", tt.addr, got, tt.want)
		}
	}
}
