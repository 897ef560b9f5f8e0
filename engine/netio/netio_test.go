package netio

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// variants are the ways a Conn can work; every test of behaviour runs over all.
func variants() map[string]Config {
	v := map[string]Config{"portable": {Portable: true}}
	if runtime.GOOS == "linux" {
		v["batch"] = Config{}
		v["batch plain"] = Config{NoGSO: true, NoGRO: true}
		v["batch single"] = Config{NoBatch: true}
	}
	return v
}

func listen(t testing.TB, cfg Config) Conn {
	t.Helper()
	if testing.Short() {
		t.Skip("uses sockets")
	}
	c, err := Listen(cfg)
	if err != nil {
		t.Fatalf("Listen(%+v): %v", cfg, err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func slots(n, size int) []RxSlot {
	s := make([]RxSlot, n)
	for i := range s {
		s[i].Buf = make([]byte, size)
	}
	return s
}

type datagram struct {
	from netip.AddrPort
	tos  uint8
	data []byte
}

// collect reads until n datagrams have come or nothing comes for the patience given.
func collect(t testing.TB, c Conn, n int, patience time.Duration) (got []datagram) {
	t.Helper()
	s := slots(8, SlotBytes)
	for len(got) < n {
		c.SetReadDeadline(time.Now().Add(patience))
		k, err := c.ReadBatch(s)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return got
		}
		if err != nil {
			t.Fatalf("ReadBatch: %v", err)
		}
		for _, x := range s[:k] {
			seg := x.Seg
			if seg == 0 {
				seg = x.N
			}
			for b := x.Buf[:x.N]; ; {
				one := b[:min(seg, len(b))]
				got = append(got, datagram{x.From, x.TOS, bytes.Clone(one)})
				if b = b[len(one):]; len(b) == 0 {
					break
				}
			}
		}
	}
	return got
}

const (
	soon    = 30 * time.Second       // for what must come, on however busy a machine
	silence = 150 * time.Millisecond // for what must not
)

func send(t testing.TB, c Conn, trains ...TxTrain) {
	t.Helper()
	if n, err := c.WriteBatch(trains); err != nil || n != len(trains) {
		t.Fatalf("WriteBatch sent %d of %d: %v", n, len(trains), err)
	}
}

func to(addr string, c Conn) netip.AddrPort {
	return netip.AddrPortFrom(netip.MustParseAddr(addr), c.LocalPort())
}

func pattern(n int, seed uint64) []byte {
	b := make([]byte, n)
	r := rand.NewPCG(seed, uint64(n))
	for i := range b {
		b[i] = byte(r.Uint64())
	}
	return b
}

// split cuts a train as the network must show it.
func split(tr TxTrain) (list [][]byte) {
	seg := tr.Seg
	if seg <= 0 {
		seg = len(tr.Buf)
	}
	for b := tr.Buf; ; {
		one := b[:min(seg, len(b))]
		list = append(list, one)
		if b = b[len(one):]; len(b) == 0 {
			return list
		}
	}
}

// TestMarks sends trains with each ECN mark in turn: every datagram must arrive with its
// own, also if the kernel joins them.
func TestMarks(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows does not report the traffic class")
	}
	for name, cfg := range variants() {
		for _, f := range []struct {
			why, addr string
			v6        bool
		}{
			{"IPv4", "127.0.0.1", false},
			{"IPv6", "::1", true},
			{"IPv4 on a socket for both", "127.0.0.1", true},
		} {
			t.Run(f.why+"/"+name, func(t *testing.T) {
				if f.v6 && f.addr == "127.0.0.1" && runtime.GOOS != "linux" {
					t.Skip("the system reports the traffic class of IPv6 only")
				}
				cfg.IPv6, cfg.RcvBuf = f.v6, 1<<20
				rx := listen(t, cfg)
				var tx [4]Conn
				for mark := range tx {
					cfg.TOS = mark
					tx[mark] = listen(t, cfg)
				}
				const rounds, segs = 5, 3
				for range rounds {
					for mark, c := range tx {
						send(t, c, TxTrain{Buf: bytes.Repeat([]byte{byte(mark)}, segs*1000), Seg: 1000, To: to(f.addr, rx)})
					}
				}
				got := collect(t, rx, rounds*segs*len(tx), soon)
				if len(got) != rounds*segs*len(tx) {
					t.Fatalf("%d datagrams arrived, want %d", len(got), rounds*segs*len(tx))
				}
				for _, d := range got {
					if d.tos != d.data[0] {
						t.Fatalf("a datagram sent with mark %d arrived with traffic class %#x", d.data[0], d.tos)
					}
				}
			})
		}
	}
}

// TestTrainsArriveAsDatagrams sends the same trains from every variant to
// every variant, over every family, and expects the same datagrams each time.
func TestTrainsArriveAsDatagrams(t *testing.T) {
	families := []struct {
		name, addr string
		tx6, rx6   bool
	}{
		{"IPv4", "127.0.0.1", false, false},
		{"IPv6", "::1", true, true},
		{"IPv4 between dual-stack sockets", "127.0.0.1", true, true},
		{"IPv4 to dual-stack", "127.0.0.1", false, true},
		{"IPv4-mapped destination", "::ffff:127.0.0.1", true, false},
	}
	shapes := []struct{ n, seg int }{
		{1, 0}, {1324, 0}, {8824, 8824}, {9000, 10000}, // single
		{0, 0},                                                    // an empty datagram
		{MaxTrainBytes, 0},                                        // the largest
		{2000, 1000}, {2001, 1000}, {1001, 1000}, {5, 1}, {64, 1}, // trains, even and uneven
		{64 * 1000, 1000}, {63*1023 + 1, 1023}, {7 * 8824, 8824},
		{MaxTrainBytes, 1324},
	}
	for txName, txCfg := range variants() {
		for rxName, rxCfg := range variants() {
			for _, f := range families {
				t.Run(fmt.Sprintf("%s/%s to %s", f.name, txName, rxName), func(t *testing.T) {
					txCfg.IPv6, rxCfg.IPv6 = f.tx6, f.rx6
					txCfg.TOS, rxCfg.RcvBuf = 0xb8|2, 4<<20
					tx, rx := listen(t, txCfg), listen(t, rxCfg)
					for i, s := range shapes {
						// Two at once, so that a message behind a train is met too.
						trains := []TxTrain{
							{Buf: pattern(s.n, uint64(i)), Seg: s.seg, To: to(f.addr, rx)},
							{Buf: pattern(77, uint64(i)), To: to(f.addr, rx)},
						}
						want := append(split(trains[0]), split(trains[1])...)
						send(t, tx, trains...)
						got := collect(t, rx, len(want), soon)
						if len(got) != len(want) {
							t.Fatalf("train of %d bytes by %d: %d datagrams arrived, want %d", s.n, s.seg, len(got), len(want))
						}
						for j, d := range got {
							if !bytes.Equal(d.data, want[j]) {
								t.Fatalf("train of %d bytes by %d: datagram %d differs (%d bytes, want %d)", s.n, s.seg, j, len(d.data), len(want[j]))
							}
							if d.from.Port() != tx.LocalPort() || d.from.Addr() != netip.MustParseAddr(f.addr).Unmap() {
								t.Fatalf("source %v, want %s port %d, never mapped", d.from, f.addr, tx.LocalPort())
							}
							if runtime.GOOS != "windows" && d.tos != 0xb8|2 {
								t.Fatalf("traffic class %#x, want the sender's whole byte 0xba", d.tos)
							}
						}
					}
					if rx.Stats().RxDatagrams != tx.Stats().TxDatagrams || rx.Stats().RxBytes != tx.Stats().TxBytes {
						t.Errorf("counters differ: sent %+v, received %+v", tx.Stats(), rx.Stats())
					}
				})
			}
		}
	}
}

func TestTrainRefused(t *testing.T) {
	cases := []struct {
		name  string
		train TxTrain
		want  error
	}{
		{"more than 64 segments", TxTrain{Buf: make([]byte, 65), Seg: 1, To: netip.MustParseAddrPort("127.0.0.1:9")}, ErrTrain},
		{"more bytes than a datagram holds", TxTrain{Buf: make([]byte, MaxTrainBytes+1), Seg: 2000, To: netip.MustParseAddrPort("127.0.0.1:9")}, ErrTrain},
		{"a datagram too large for IPv4", TxTrain{Buf: make([]byte, MaxTrainBytes+1), To: netip.MustParseAddrPort("127.0.0.1:9")}, syscall.EMSGSIZE},
		{"IPv6 destination on an IPv4 socket", TxTrain{Buf: []byte{1}, To: netip.MustParseAddrPort("[::1]:9")}, ErrFamily},
		{"no destination", TxTrain{Buf: []byte{1}}, ErrFamily},
	}
	for name, cfg := range variants() {
		for _, c := range cases {
			t.Run(name+"/"+c.name, func(t *testing.T) {
				tx, rx := listen(t, cfg), listen(t, cfg)
				good := TxTrain{Buf: []byte("good"), To: to("127.0.0.1", rx)}
				n, err := tx.WriteBatch([]TxTrain{good, good, c.train, good})
				if n != 2 || !errors.Is(err, c.want) {
					t.Fatalf("got %d, %v; want the two trains before it sent and %v", n, err, c.want)
				}
				if got := collect(t, rx, 2, soon); len(got) != 2 {
					t.Fatalf("%d datagrams arrived, want those before the refused one", len(got))
				}
				send(t, tx, good)
				if runtime.GOOS == "linux" && cfg == (Config{}) && (!tx.Caps().GSO || tx.Stats().GSOFallbacks != 0) {
					t.Errorf("GSO went off, though cutting was not to blame")
				}
			})
		}
	}
}

// TestPortZero: the kernel answers EINVAL to a train to port 0, which looks
// like a refusal to cut; the plain try fails too, so GSO must stay on.
func TestPortZero(t *testing.T) {
	for name, cfg := range variants() {
		t.Run(name, func(t *testing.T) {
			tx := listen(t, cfg)
			before := tx.Caps().GSO
			n, err := tx.WriteBatch([]TxTrain{{Buf: make([]byte, 100), Seg: 50, To: netip.MustParseAddrPort("127.0.0.1:0")}})
			if n != 0 || err == nil {
				t.Fatalf("got %d, %v; want an error", n, err)
			}
			if tx.Caps().GSO != before || tx.Stats().GSOFallbacks != 0 {
				t.Errorf("GSO went off over a bad destination")
			}
		})
	}
}

func TestTruncated(t *testing.T) {
	for name, cfg := range variants() {
		t.Run(name, func(t *testing.T) {
			tx, rx := listen(t, cfg), listen(t, cfg)
			send(t, tx, TxTrain{Buf: pattern(100, 1), To: to("127.0.0.1", rx)}, TxTrain{Buf: pattern(40, 2), To: to("127.0.0.1", rx)})
			rx.SetReadDeadline(time.Now().Add(soon))
			s := slots(1, 60)
			if _, err := rx.ReadBatch(s); err != nil || s[0].N != 60 || !s[0].Truncated {
				t.Fatalf("%+v, %v: want the first 60 bytes and Truncated", s[0], err)
			}
			if _, err := rx.ReadBatch(s); err != nil || s[0].N != 40 || s[0].Truncated {
				t.Fatalf("%+v, %v: want the next datagram whole", s[0], err)
			}
			if rx.Stats().Truncated != 1 {
				t.Errorf("Stats.Truncated = %d, want 1", rx.Stats().Truncated)
			}
		})
	}
}

func TestDeadline(t *testing.T) {
	for name, cfg := range variants() {
		t.Run(name, func(t *testing.T) {
			rx := listen(t, cfg)
			s := slots(1, 100)
			rx.SetReadDeadline(time.Now().Add(30 * time.Millisecond))
			if n, err := rx.ReadBatch(s); n != 0 || err != os.ErrDeadlineExceeded {
				t.Fatalf("got %d, %v; want os.ErrDeadlineExceeded itself", n, err)
			}
			done := make(chan error, 1)
			rx.SetReadDeadline(time.Time{})
			go func() { _, err := rx.ReadBatch(s); done <- err }()
			time.Sleep(20 * time.Millisecond)
			rx.SetReadDeadline(time.Now())
			if err := <-done; err != os.ErrDeadlineExceeded {
				t.Fatalf("a deadline set while ReadBatch waits gave %v", err)
			}
			rx.SetReadDeadline(time.Time{})
			send(t, rx, TxTrain{Buf: []byte{1}, To: to("127.0.0.1", rx)})
			if n, err := rx.ReadBatch(s); n != 1 || err != nil {
				t.Fatalf("after lifting the deadline: %d, %v; want the datagram", n, err)
			}
			if n, err := rx.ReadBatch(nil); n != 0 || err != nil {
				t.Fatalf("no slots: %d, %v; want 0 at once", n, err)
			}
		})
	}
}

func TestCloseWakesReader(t *testing.T) {
	for name, cfg := range variants() {
		t.Run(name, func(t *testing.T) {
			c := listen(t, cfg)
			done := make(chan error, 1)
			go func() { _, err := c.ReadBatch(slots(1, 100)); done <- err }()
			time.Sleep(20 * time.Millisecond)
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
			select {
			case err := <-done:
				if err != net.ErrClosed {
					t.Fatalf("the waiting ReadBatch returned %v, want net.ErrClosed itself", err)
				}
			case <-time.After(soon):
				t.Fatal("Close did not wake ReadBatch")
			}
			if _, err := c.WriteBatch([]TxTrain{{Buf: []byte{1}, To: netip.MustParseAddrPort("127.0.0.1:9")}}); err != net.ErrClosed {
				t.Errorf("WriteBatch after Close: %v", err)
			}
			group := netip.MustParseAddr("230.1.2.3")
			if err := c.Join(group, Interface{}, nil); !errors.Is(err, net.ErrClosed) {
				t.Errorf("Join after Close: %v", err)
			}
			if err := c.Close(); err != net.ErrClosed {
				t.Errorf("second Close: %v", err)
			}
			c.Stats() // must still answer
		})
	}
}

func TestSecondBindFails(t *testing.T) {
	for _, first6 := range []bool{false, true} {
		for _, second6 := range []bool{false, true} {
			c := listen(t, Config{IPv6: first6})
			_, err := Listen(Config{IPv6: second6, Port: c.LocalPort()})
			if !errors.Is(err, syscall.EADDRINUSE) {
				t.Errorf("IPv6=%v, then IPv6=%v on one port: %v, want EADDRINUSE", first6, second6, err)
			}
		}
	}
}

func TestConfigRange(t *testing.T) {
	for _, cfg := range []Config{{TTL: -1}, {TTL: 256}, {TOS: -1}, {TOS: 256}, {RcvBuf: -1}, {SndBuf: -1}} {
		if c, err := Listen(cfg); err == nil {
			c.Close()
			t.Errorf("Listen(%+v) succeeded, want an error", cfg)
		}
	}
}

func TestBuffersTellWhatWasGranted(t *testing.T) {
	c := listen(t, Config{RcvBuf: 100 << 10, SndBuf: 120 << 10})
	if caps := c.Caps(); caps.RcvBuf != 100<<10 || caps.SndBuf != 120<<10 {
		t.Errorf("granted %d and %d, want the 102400 and 122880 asked for", caps.RcvBuf, caps.SndBuf)
	}
	if caps := listen(t, Config{}).Caps(); caps.RcvBuf <= 0 || caps.SndBuf <= 0 {
		t.Errorf("defaults reported as %d and %d", caps.RcvBuf, caps.SndBuf)
	}
}

func loopback(t testing.TB) Interface {
	t.Helper()
	list, err := Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range list {
		if i.Loopback && i.Addr.Is4() {
			return i
		}
	}
	t.Fatal("no loopback interface with an IPv4 address")
	return Interface{}
}

// IPv6 multicast has no route on loopback; the namespaces of the Linux tests show it.
func TestMulticastOnLoopback(t *testing.T) {
	lo := loopback(t)
	for name, cfg := range variants() {
		for _, v6 := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/IPv6=%v", name, v6), func(t *testing.T) {
				cfg.IPv6, cfg.MulticastIf, cfg.TTL = v6, &lo, 3
				tx, rx := listen(t, cfg), listen(t, cfg)
				group := netip.MustParseAddr("230.77.4.1")
				if err := rx.Join(group, lo, nil); err != nil {
					t.Fatal(err)
				}
				send(t, tx, TxTrain{Buf: []byte("hello"), To: netip.AddrPortFrom(group, rx.LocalPort())})
				got := collect(t, rx, 1, soon)
				if len(got) != 1 || string(got[0].data) != "hello" {
					t.Fatalf("got %v, want one datagram", got)
				}
				if err := rx.Leave(group, lo, nil); err != nil {
					t.Fatal(err)
				}
			})
		}
	}
}

func TestJoinErrors(t *testing.T) {
	lo := loopback(t)
	c := listen(t, Config{})
	group, a, b := netip.MustParseAddr("232.77.1.1"), netip.MustParseAddr("10.1.1.1"), netip.MustParseAddr("10.1.1.2")
	if err := c.Join(netip.MustParseAddr("10.1.2.3"), lo, nil); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("unicast group: %v, want EINVAL", err)
	}
	if err := c.Join(netip.MustParseAddr("ff15::1"), lo, nil); !errors.Is(err, ErrFamily) {
		t.Errorf("IPv6 group on an IPv4 socket: %v", err)
	}
	if err := c.Join(netip.Addr{}, lo, nil); !errors.Is(err, ErrFamily) {
		t.Errorf("no group: %v", err)
	}
	if err := c.Join(group, lo, []netip.Addr{a, netip.MustParseAddr("::1")}); !errors.Is(err, ErrFamily) {
		t.Errorf("IPv6 source of an IPv4 group: %v", err)
	}
	if err := c.Leave(group, lo, []netip.Addr{a}); !errors.Is(err, ErrNotJoined) {
		t.Errorf("the failed Join left %v joined", a)
	}
	if err := c.Join(group, lo, []netip.Addr{a}); err != nil {
		t.Fatal(err)
	}
	if err := c.Join(group, lo, nil); !errors.Is(err, ErrMixedSources) {
		t.Errorf("any-source after source-specific: %v", err)
	}
	if err := c.Leave(group, lo, []netip.Addr{a, b}); !errors.Is(err, ErrNotJoined) {
		t.Errorf("leaving a source that was not joined: %v", err)
	}
	if err := c.Join(group, lo, nil); err != nil {
		t.Errorf("the other source was not left: %v", err)
	}
	if err := c.Join(group, Interface{Name: "nio-none", Index: 1 << 30}, nil); err == nil || !strings.Contains(err.Error(), "nio-none") {
		t.Errorf("interface that does not exist: %v, want an error that names it", err)
	}
}

func TestRetryBudget(t *testing.T) {
	var c counters
	var r retry
	for i := range transientMax {
		if !r.again(&c, syscall.ECONNREFUSED) {
			t.Fatalf("gave up after %d reports", i)
		}
	}
	if r.again(&c, syscall.ECONNREFUSED) || c.transient.Load() != transientMax {
		t.Errorf("no end to ICMP reports, or miscounted: %d", c.transient.Load())
	}
	start := time.Now()
	for r.again(&c, syscall.ENOBUFS) {
	}
	if c.noBufs.Load() != noBufsTries || time.Since(start) < 40*time.Millisecond {
		t.Errorf("ENOBUFS tried %d times in %v", c.noBufs.Load(), time.Since(start))
	}
	for _, e := range []syscall.Errno{syscall.EPERM, syscall.ENETUNREACH, syscall.EINVAL} {
		if new(retry).again(&c, e) {
			t.Errorf("%v is the caller's to judge", e)
		}
	}
}

// TestNoAllocation holds for both implementations: the standard library's
// calls for netip addresses allocate nothing either.
func TestNoAllocation(t *testing.T) {
	for name, cfg := range variants() {
		for _, v6 := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/IPv6=%v", name, v6), func(t *testing.T) {
				cfg.IPv6 = v6
				host := "127.0.0.1"
				if v6 {
					host = "::1"
				}
				cfg.Destinations = true // the dearest case
				tx, rx := listen(t, cfg), listen(t, cfg)
				checkNoAllocation(t, tx, rx, to(host, rx))
			})
		}
	}
}

func checkNoAllocation(t *testing.T, tx, rx Conn, dest netip.AddrPort) {
	t.Helper()
	buf := pattern(6*1324, 9)
	trains := []TxTrain{{Buf: buf, Seg: 1324, To: dest}, {Buf: buf[:1324], To: dest}}
	s := slots(8, SlotBytes)
	rx.SetReadDeadline(time.Now().Add(soon))
	var failed error
	allocs := testing.AllocsPerRun(100, func() {
		if _, err := tx.WriteBatch(trains); err != nil {
			failed = err
		}
		for got := 0; got < len(buf)+1324 && failed == nil; {
			n, err := rx.ReadBatch(s)
			if err != nil {
				failed = err
			}
			for i := range s[:n] {
				got += s[i].N
			}
		}
	})
	if failed != nil {
		t.Fatal(failed)
	}
	if allocs != 0 {
		t.Errorf("%v allocations for a batch out and in, want 0", allocs)
	}
}

func TestSharePort(t *testing.T) {
	a, err := Listen(Config{SharePort: true})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	b, err := Listen(Config{Port: a.LocalPort(), SharePort: true})
	if err != nil {
		t.Fatalf("a second socket that shares the port must bind: %v", err)
	}
	b.Close()
	if c, err := Listen(Config{Port: a.LocalPort()}); err == nil {
		c.Close()
		t.Error("a socket that does not share must not bind a shared port")
	}
}
