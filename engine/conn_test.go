package engine

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"uftp/engine/machine"
	"uftp/engine/netio"
	"uftp/engine/receiver"
	"uftp/engine/sender"
	"uftp/engine/store"
	"uftp/wire"
)

// fakeConn is a socket whose far end is the test.
type fakeConn struct {
	in     chan netio.RxSlot // what arrives
	fail   chan error        // what ReadBatch returns instead
	stuck  chan struct{}     // WriteBatch says here that it waits for Close
	write  func(bytes int)   // called for every WriteBatch; may take long
	peer   *fakeConn         // gets what is written, if it has room for it
	addr   netip.AddrPort    // ours, as the peer sees it
	first  func()            // called before the first FILESEG leaves; may be nil
	data   sync.Once
	closed chan struct{}
	once   sync.Once

	drops atomic.Uint64 // for want of room

	mu   sync.Mutex
	sent [][]byte

	join, leave func(netip.Addr, netio.Interface) error
}

func newFakeConn() *fakeConn {
	return &fakeConn{in: make(chan netio.RxSlot, 64), fail: make(chan error, 64), closed: make(chan struct{})}
}

func (c *fakeConn) ReadBatch(slots []netio.RxSlot) (int, error) {
	put := func(i int, s netio.RxSlot) {
		slots[i].N = copy(slots[i].Buf, s.Buf)
		slots[i].Seg, slots[i].From, slots[i].Truncated = s.Seg, s.From, false
		slots[i].To, slots[i].TOS = s.To, s.TOS
	}
	select {
	case s := <-c.in:
		put(0, s)
		for n := 1; n < len(slots); n++ {
			select {
			case s := <-c.in:
				put(n, s)
			default:
				return n, nil
			}
		}
		return len(slots), nil
	case err := <-c.fail:
		return 0, err
	case <-c.closed:
		return 0, net.ErrClosed
	}
}

func (c *fakeConn) WriteBatch(trains []netio.TxTrain) (int, error) {
	if c.stuck != nil {
		select {
		case c.stuck <- struct{}{}:
		default: // said before
		}
		<-c.closed
		return 0, net.ErrClosed
	}
	if c.write != nil {
		n := 0
		for _, t := range trains {
			n += len(t.Buf)
		}
		c.write(n)
	}
	if c.peer != nil {
		for _, t := range trains {
			if c.first != nil && isData(t.Buf) {
				c.data.Do(c.first)
			}
			if t.To != c.peer.addr && !t.To.Addr().IsMulticast() {
				continue // for somebody else
			}
			select {
			case <-c.closed:
				return 0, net.ErrClosed
			case c.peer.in <- netio.RxSlot{Buf: bytes.Clone(t.Buf), Seg: t.Seg, From: c.addr}:
			default:
				c.peer.drops.Add(1)
			}
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range trains {
		if c.peer != nil && isData(t.Buf) {
			continue // the peer has it
		}
		step := t.Seg
		if step == 0 {
			step = len(t.Buf)
		}
		for at := 0; at < len(t.Buf); at += step {
			c.sent = append(c.sent, append([]byte(nil), t.Buf[at:min(at+step, len(t.Buf))]...))
		}
	}
	return len(trains), nil
}

// isData reports whether a train is one of FILESEG: sealed, nothing else is as long.
func isData(train []byte) bool {
	h, _, err := wire.ParseHeader(train)
	return err == nil && (h.Func == wire.FuncFileSeg || h.Func == wire.FuncEncrypted && len(train) > 1200)
}

func (c *fakeConn) Join(g netip.Addr, i netio.Interface, _ []netip.Addr) error {
	if c.join != nil {
		return c.join(g, i)
	}
	return nil
}
func (c *fakeConn) Leave(g netip.Addr, i netio.Interface, _ []netip.Addr) error {
	if c.leave != nil {
		return c.leave(g, i)
	}
	return nil
}
func (c *fakeConn) SetReadDeadline(time.Time) error { return nil }
func (c *fakeConn) LocalPort() uint16               { return 1044 }
func (c *fakeConn) Stats() netio.Stats              { return netio.Stats{KernelDrops: c.drops.Load()} }
func (c *fakeConn) Caps() netio.Caps {
	return netio.Caps{GRO: true, GSO: true, MaxTrainBytes: netio.MaxTrainBytes, MaxSegs: netio.MaxTrainSegs}
}
func (c *fakeConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return nil
}

// count returns how many datagrams of a function were sent so far.
func (c *fakeConn) count(fn wire.Func) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.sent {
		if h, _, err := wire.ParseHeader(p); err == nil && h.Func == fn {
			n++
		}
	}
	return n
}

// patience is for what must happen, on however busy a machine.
const patience = time.Minute

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("never: " + what)
		}
	}
}

// sendOnFake runs a sender of one small file to group 7 on c.
func sendOnFake(t *testing.T, ctx context.Context, c *fakeConn, change func(*SendConfig)) <-chan SendResult {
	t.Helper()
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, make([]byte, 3000), 0o644); err != nil {
		t.Fatal(err)
	}
	to := netip.MustParseAddrPort("230.4.4.1:1044")
	cfg := SendConfig{
		Session: sender.Config{
			UID: 0x99, Group: 7, Public: to, Private: to, BlockSize: 1300, Robust: 50, Rate: 1e7, LowerLayers: 28,
			// As in pair.config: the test must be there before registration ends.
			GRTT: 100 * time.Millisecond, MinGRTT: 100 * time.Millisecond, MaxGRTT: 15 * time.Second,
			MaxNAKPct: 100, MaxNAKCount: 1, MaxPasses: 10,
		},
		Walk: store.WalkConfig{Operands: []string{path}},
	}
	cfg.shortSleep = time.Sleep
	if change != nil {
		change(&cfg)
	}
	done := make(chan SendResult, 1)
	go func() {
		res, err := sendOn(ctx, cfg, c, nil)
		if err != nil {
			t.Error(err)
		}
		done <- res
	}()
	return done
}

// message returns a datagram of receiver uid to group 7.
func message(uid wire.UID, fn wire.Func, m any) []byte {
	b := wire.Header{Version: wire.Version4, Func: fn, Src: uid, Group: 7}.Append(nil)
	if m, ok := m.(interface {
		Append(wire.Version, []byte) []byte
	}); ok {
		return m.Append(wire.Version4, b)
	}
	return m.(interface{ Append([]byte) []byte }).Append(b)
}

// TestJoinedControlMessages lets the kernel join messages of several receivers behind one
// address: each datagram must count by itself.
func TestJoinedControlMessages(t *testing.T) {
	c := newFakeConn()
	ctx, cancel := context.WithCancel(context.Background())
	done := sendOnFake(t, ctx, c, func(cfg *SendConfig) { cfg.Session.RegisterCount = 3 })
	eventually(t, "ANNOUNCE", func() bool { return c.count(wire.FuncAnnounce) > 0 })
	var run []byte
	seg := 0
	for uid := range wire.UID(3) {
		p := message(uid+1, wire.FuncRegister, &wire.Register{})
		run, seg = append(run, p...), len(p)
	}
	c.in <- netio.RxSlot{Buf: run, Seg: seg, From: netip.MustParseAddrPort("10.0.0.1:1044")}
	eventually(t, "FILEINFO, which needs all three", func() bool { return c.count(wire.FuncFileInfo) > 0 })
	cancel()
	res := <-done
	if len(res.Clients) != 3 {
		t.Errorf("%d receivers registered, want 3: %v", len(res.Clients), res.Clients)
	}
}

// TestReadErrorsAreSurvived fails some reads; what comes afterwards still counts.
func TestReadErrorsAreSurvived(t *testing.T) {
	c := newFakeConn()
	ctx, cancel := context.WithCancel(context.Background())
	done := sendOnFake(t, ctx, c, func(cfg *SendConfig) { cfg.Session.RegisterCount = 1 })
	for range 3 {
		c.fail <- errors.New("out of memory")
	}
	eventually(t, "the errors read", func() bool { return len(c.fail) == 0 })
	c.in <- netio.RxSlot{Buf: message(1, wire.FuncRegister, &wire.Register{}), From: netip.MustParseAddrPort("10.0.0.1:1044")}
	eventually(t, "FILEINFO", func() bool { return c.count(wire.FuncFileInfo) > 0 })
	cancel()
	<-done
}

// TestStopWithStuckSocket cancels a sender whose socket takes nothing.
func TestStopWithStuckSocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newFakeConn()
		c.stuck = make(chan struct{}, 1)
		ctx, cancel := context.WithCancel(context.Background())
		done := sendOnFake(t, ctx, c, nil)
		<-c.stuck
		cancel()
		if res := wantLimit(t, "Send", done); res.Exit != sender.ExitSignal {
			t.Errorf("exit %d, want %d", res.Exit, sender.ExitSignal)
		}
	})
}

// receiveOnFake runs a receiver on c.
func receiveOnFake(t testing.TB, ctx context.Context, c *fakeConn, change func(*ReceiveConfig), report Reporter) <-chan error {
	t.Helper()
	cfg := ReceiveConfig{
		Receiver: receiver.Config{UID: 1, MaxSessions: 4, Public: []netip.Addr{netip.MustParseAddr("230.4.4.1")}},
		Sink:     store.SinkConfig{Dests: []string{t.TempDir()}},
	}
	host := newFakeHost(
		netio.Interface{Name: "one", Index: 1, Addr: netip.MustParseAddr("10.0.0.1")},
		netio.Interface{Name: "two", Index: 2, Addr: netip.MustParseAddr("10.0.1.1")})
	cfg.interfaces = host.survey
	if change != nil {
		change(&cfg)
	}
	sink, err := store.NewSink(cfg.Sink)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- receiveOn(ctx, cfg, sink, c, report) }()
	return done
}

// announce returns an ANNOUNCE of sender 0x99 for group 7.
func announce() []byte {
	h := wire.Header{Version: wire.Version4, Func: wire.FuncAnnounce, Src: 0x99, Group: 7, GRTT: wire.EncodeGRTT(0.05)}
	m := wire.Announce{Robust: 20, BlockSize: 1300, Public: netip.MustParseAddr("230.4.4.1"), Private: netip.MustParseAddr("230.5.5.5")}
	return m.Append(wire.Version4, h.Append(nil))
}

// TestOneInterfaceGone loses one of two interfaces: sessions through the other go on.
func TestOneInterfaceGone(t *testing.T) {
	c := newFakeConn()
	var mu sync.Mutex
	gone, joined := false, 0
	c.join = func(_ netip.Addr, i netio.Interface) error {
		mu.Lock()
		defer mu.Unlock()
		if gone && i.Index == 2 {
			return errors.New("no such device")
		}
		joined++
		return nil
	}
	var notes []string
	ctx, cancel := context.WithCancel(context.Background())
	done := receiveOnFake(t, ctx, c, nil, func(_ time.Time, ev machine.Event) {
		if n, ok := ev.(Note); ok {
			mu.Lock()
			notes = append(notes, n.Text)
			mu.Unlock()
		}
	})
	eventually(t, "the public group is joined through both", func() bool {
		mu.Lock()
		defer mu.Unlock()
		gone = joined == 2
		return gone
	})
	c.in <- netio.RxSlot{Buf: announce(), From: netip.MustParseAddrPort("10.0.0.9:5000")}
	eventually(t, "REGISTER through the interface that is left", func() bool { return c.count(wire.FuncRegister) > 0 })
	if n := c.count(wire.FuncAbort); n > 0 {
		t.Errorf("%d ABORTs sent, want none", n)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(notes) == 0 {
		t.Error("the user must hear which interface failed")
	}
}

// TestNoBurstAfterAStall stops the way out for 100 ms: trains that were planned in that
// time must not leave all at once.
func TestNoBurstAfterAStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rate = 10e6
		c := newFakeConn()
		var start, end time.Time
		after := 0 // bytes in the 20 ms after the stall
		total := 0
		c.write = func(n int) {
			switch total += n; {
			case start.IsZero() && total > rate/20:
				start = time.Now()
				time.Sleep(100 * time.Millisecond)
				end = time.Now()
			case !end.IsZero() && time.Since(end) < 20*time.Millisecond:
				after += n
			}
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := sendOnFake(t, ctx, c, func(cfg *SendConfig) {
			cfg.Session.RegisterCount, cfg.Session.Rate = 1, rate
			big := filepath.Join(t.TempDir(), "big")
			if err := os.WriteFile(big, make([]byte, 4<<20), 0o644); err != nil {
				t.Fatal(err)
			}
			cfg.Walk.Operands = []string{big}
		})
		from := netip.MustParseAddrPort("10.0.0.1:1044")
		c.in <- netio.RxSlot{Buf: message(1, wire.FuncRegister, &wire.Register{}), From: from}
		eventually(t, "FILEINFO", func() bool { return c.count(wire.FuncFileInfo) > 0 })
		c.in <- netio.RxSlot{Buf: message(1, wire.FuncFileInfoAck, &wire.FileInfoAck{FileID: 1}), From: from}
		eventually(t, "the data, up to DONE", func() bool { return c.count(wire.FuncDone) > 0 })
		cancel()
		<-done
		if start.IsZero() {
			t.Fatal("no stall")
		}
		if limit := int(rate * 0.035); after > limit {
			t.Errorf("%d bytes left in the 20 ms after a stall, want at most %d: the rate allows 200000", after, limit)
		}
	})
}
