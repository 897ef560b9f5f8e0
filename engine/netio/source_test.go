package netio

import (
	"net/netip"
	"os"
	"runtime"
	"testing"
	"time"
)

// TestDestinations sends to a group and to a host: the receiver must know which,
// and Source the address that the receiver sees.
func TestDestinations(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows does not report destinations (doc.go)")
	}
	lo := loopback(t)
	group4 := "230.77.4.2"
	for name, cfg := range variants() {
		for _, x := range []struct {
			why string
			v6  bool
			to  string
		}{
			{"IPv4 host", false, "127.0.0.1"},
			{"another address of the host", false, "127.0.0.3"},
			{"IPv4 group", false, group4},
			{"IPv6 host", true, "::1"},
			{"IPv4 host on a socket for both", true, "127.0.0.1"},
			{"IPv4 group on a socket for both", true, group4},
		} {
			t.Run(name+"/"+x.why, func(t *testing.T) {
				addr := netip.MustParseAddr(x.to)
				cfg.IPv6, cfg.MulticastIf, cfg.Destinations = x.v6, &lo, true
				tx, rx := listen(t, cfg), listen(t, cfg)
				dest := netip.AddrPortFrom(addr, rx.LocalPort())
				if addr.IsMulticast() {
					if err := rx.Join(addr, lo, nil); err != nil {
						t.Fatal(err)
					}
				}
				source, err := Source(cfg, dest)
				if err != nil {
					t.Fatal(err)
				}
				checkDestination(t, tx, rx, dest, source)
			})
		}
	}
}

// checkDestination sends a train and compares the addresses in the slots with its destination and
// source.
func checkDestination(t *testing.T, tx, rx Conn, dest netip.AddrPort, source netip.Addr) {
	t.Helper()
	buf := pattern(5*1324, 1)
	send(t, tx, TxTrain{Buf: buf, Seg: 1324, To: dest})
	s := slots(8, SlotBytes)
	rx.SetReadDeadline(time.Now().Add(soon))
	for got := 0; got < len(buf); {
		n, err := rx.ReadBatch(s)
		if err != nil {
			t.Fatal(err)
		}
		for i := range s[:n] {
			got += s[i].N
			if s[i].To != dest.Addr() {
				t.Errorf("slot sent to %v, want %v", s[i].To, dest.Addr())
			}
			if s[i].From.Addr().WithZone("") != source {
				t.Errorf("from %v, Source says %v", s[i].From, source)
			}
		}
	}
}

func TestDestinationsAreNotAskedFor(t *testing.T) {
	for name, cfg := range variants() {
		t.Run(name, func(t *testing.T) {
			tx, rx := listen(t, cfg), listen(t, cfg)
			send(t, tx, TxTrain{Buf: []byte("x"), To: to("127.0.0.1", rx)})
			s := slots(1, 100)
			rx.SetReadDeadline(time.Now().Add(soon))
			if _, err := rx.ReadBatch(s); err != nil {
				t.Fatal(err)
			}
			if s[0].To.IsValid() {
				t.Errorf("sent to %v, want the zero Addr", s[0].To)
			}
		})
	}
}

func TestSourceErrors(t *testing.T) {
	for _, x := range []struct {
		why string
		v6  bool
		to  string
	}{
		{"IPv6 from a socket for IPv4", false, "[::1]:1044"},
		{"a zone that does not exist", true, "[fe80::1%nowhere]:1044"},
	} {
		if a, err := Source(Config{IPv6: x.v6}, netip.MustParseAddrPort(x.to)); err == nil {
			t.Errorf("%s: %v, want an error", x.why, a)
		}
	}
	if a, err := Source(Config{}, netip.AddrPort{}); err == nil {
		t.Errorf("no address: %v, want an error", a)
	}
	if fds, err := os.ReadDir("/proc/self/fd"); err == nil {
		for range 10 {
			Source(Config{}, netip.MustParseAddrPort("127.0.0.1:1044"))
			Source(Config{}, netip.MustParseAddrPort("[::1]:1044"))
		}
		if again, _ := os.ReadDir("/proc/self/fd"); len(again) > len(fds) {
			t.Errorf("%d descriptors, %d before: sockets are left open", len(again), len(fds))
		}
	}
}
