package engine

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"uftp/crypto/handshake"
	"uftp/engine/machine"
	"uftp/engine/netio"
	"uftp/engine/receiver"
	"uftp/engine/sender"
	"uftp/engine/store"
	"uftp/wire"
)

// pair is a receiver and what a sender to it needs, over loopback.
type pair struct {
	t      testing.TB
	dest   string
	src    string
	port   uint16
	stop   context.CancelFunc
	done   chan error
	mu     sync.Mutex
	events []machine.Event // of the receiver

	rx, tx *fakeConn // of a link, see startLinked
}

// report takes the events of the receiver.
func (p *pair) report(_ time.Time, ev machine.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.events = append(p.events, ev)
}

// startReceiver runs a receiver on a free port until the test ends.
func startReceiver(t testing.TB, change func(*ReceiveConfig)) *pair {
	t.Helper()
	if testing.Short() {
		t.Skip("uses sockets")
	}
	p := &pair{t: t, dest: t.TempDir(), src: t.TempDir(), done: make(chan error, 1)}
	cfg := ReceiveConfig{
		Receiver: receiver.Config{UID: 0x7F000001, MaxSessions: 4},
		Net:      netio.Config{RcvBuf: 4 << 20, SndBuf: 1 << 20},
		Sink:     store.SinkConfig{Dests: []string{p.dest}},
	}
	if change != nil {
		change(&cfg)
	}
	ready := make(chan struct{})
	cfg.Ready = func() { close(ready) }
	ctx, stop := context.WithCancel(context.Background())
	p.stop = stop
	go func() {
		p.done <- Receive(ctx, cfg, p.report)
	}()
	t.Cleanup(func() { stop(); p.wait() })
	select {
	case <-ready:
	case err := <-p.done:
		t.Fatal(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, ev := range p.events {
		if o, ok := ev.(Opened); ok {
			p.port = o.Port
		}
	}
	for p.port == 0 {
		p.mu.Unlock()
		time.Sleep(time.Millisecond)
		p.mu.Lock()
		for _, ev := range p.events {
			if o, ok := ev.(Opened); ok {
				p.port = o.Port
			}
		}
	}
	return p
}

// wait returns when the receiver has ended.
func (p *pair) wait() {
	if p.done == nil {
		return
	}
	select {
	case err := <-p.done:
		p.done = nil
		if err != nil {
			p.t.Error("receiver:", err)
		}
	case <-time.After(patience):
		p.t.Error("the receiver does not stop")
	}
}

// has reports whether the receiver reported an event that match accepts.
func (p *pair) has(match func(machine.Event) bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, ev := range p.events {
		if match(ev) {
			return true
		}
	}
	return false
}

// await waits until the receiver has reported an event that match accepts.
func (p *pair) await(what string, match func(machine.Event) bool) {
	p.t.Helper()
	for limit := time.Now().Add(30 * time.Second); !p.has(match); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(limit) {
			p.t.Fatalf("the receiver does not report %s", what)
		}
	}
}

// config returns a sender's configuration for the operands, unicast to the pair.
func (p *pair) config(rate int64, block int, operands ...string) SendConfig {
	to := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), p.port)
	return SendConfig{
		Session: sender.Config{
			UID: 0x7F000002, Public: to, Private: to, Unicast: true,
			BlockSize: block, Robust: 50, Rate: rate, LowerLayers: 28,
			// Patient, R·G is 5 s: on a busy machine neither end must look lost to the other.
			GRTT: 100 * time.Millisecond, MinGRTT: 100 * time.Millisecond, MaxGRTT: 15 * time.Second,
			RegisterCount: 1, MaxNAKPct: 100, MaxNAKCount: 1, MaxPasses: 65535,
		},
		Net:  netio.Config{RcvBuf: 1 << 20, SndBuf: 1 << 20},
		Walk: store.WalkConfig{Operands: operands},
	}
}

// file makes a source file of random bytes.
func (p *pair) file(name string, size int) string {
	p.t.Helper()
	path := filepath.Join(p.src, name)
	b := make([]byte, size)
	rng := rand.NewChaCha8([32]byte{byte(size)})
	rng.Read(b)
	if err := os.WriteFile(path, b, 0o644); err != nil {
		p.t.Fatal(err)
	}
	return path
}

func hashFile(t testing.TB, path string) string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Error(err)
		return ""
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		t.Error(err)
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

func (p *pair) wantSame(names ...string) {
	p.t.Helper()
	for _, n := range names {
		if hashFile(p.t, filepath.Join(p.src, n)) != hashFile(p.t, filepath.Join(p.dest, n)) {
			p.t.Errorf("%s did not arrive as it was sent", n)
		}
	}
}

func send(t testing.TB, ctx context.Context, cfg SendConfig) (SendResult, []machine.Event) {
	t.Helper()
	var events []machine.Event
	res, err := Send(ctx, cfg, func(_ time.Time, ev machine.Event) { events = append(events, ev) })
	if err != nil {
		t.Fatal(err)
	}
	return res, events
}

// sendWith is send, in clear, that calls once at the first data: the receiver takes the
// file by then, and nothing of it has left.
func sendWith(t testing.TB, ctx context.Context, cfg SendConfig, once func()) (SendResult, []machine.Event) {
	t.Helper()
	cfg.Net.Destinations = cfg.Capture.Files.Path != ""
	conn, err := netio.Listen(cfg.Net)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var events []machine.Event
	res, err := sendOn(ctx, cfg, &gate{Conn: conn, first: once}, func(_ time.Time, ev machine.Event) { events = append(events, ev) })
	if err != nil {
		t.Fatal(err)
	}
	return res, events
}

// gate is a socket that calls first before the first FILESEG leaves.
type gate struct {
	netio.Conn
	first func()
	once  sync.Once
}

func (g *gate) WriteBatch(trains []netio.TxTrain) (int, error) {
	for _, tr := range trains {
		if h, _, err := wire.ParseHeader(tr.Buf); err == nil && h.Func == wire.FuncFileSeg {
			g.once.Do(g.first)
		}
	}
	return g.Conn.WriteBatch(trains)
}

func TestTransfer(t *testing.T) {
	for _, c := range []struct {
		name  string
		block int
		net   netio.Config
		work  int
	}{
		{"joined datagrams", 1300, netio.Config{}, 0},
		{"jumbo blocks", 8800, netio.Config{}, 0},
		{"workers", 1300, netio.Config{}, 3},
		{"plain datagrams", 1300, netio.Config{NoGSO: true, NoGRO: true}, 0},
		{"portable", 1300, netio.Config{Portable: true}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := startReceiver(t, func(cfg *ReceiveConfig) {
				c.net.RcvBuf, c.net.SndBuf = cfg.Net.RcvBuf, cfg.Net.SndBuf
				cfg.Net = c.net
			})
			cfg := p.config(40e6, c.block, p.file("big", 6_000_001), p.file("empty", 0), p.file("one", 1), p.file("exact", 3*c.block))
			c.net.RcvBuf, c.net.SndBuf = cfg.Net.RcvBuf, cfg.Net.SndBuf
			cfg.Net, cfg.Workers = c.net, c.work
			res, events := send(t, context.Background(), cfg)
			if res.Exit != sender.ExitOK {
				t.Fatalf("exit %d, want 0: %v", res.Exit, events)
			}
			p.wantSame("big", "empty", "one", "exact")
		})
	}
}

// TestSmallFileIsQuick shows the early end of registration: one known receiver, 1 KB.
func TestSmallFileIsQuick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := startLinked(t, nil)
		cfg := p.config(1e6, 1300, p.file("small", 1000))
		cfg.Session.GRTT, cfg.Session.MinGRTT = 15*time.Second, 10*time.Millisecond
		res, _ := p.send(context.Background(), cfg, nil)
		p.wantSame("small")
		if res.Stats.Elapsed > 100*time.Millisecond {
			t.Errorf("1 KB to a known receiver took %v; stock's registration alone takes a minute", res.Stats.Elapsed)
		}
	})
}

func TestStopSender(t *testing.T) {
	for _, workers := range []int{0, 2} {
		inBubble(t, fmt.Sprint(workers, " workers"), func(t *testing.T) {
			p := startLinked(t, nil)
			ctx, cancel := context.WithCancel(context.Background())
			cfg := p.config(200e3, 1300, p.file("long", 50<<20)) // minutes
			cfg.Workers = workers
			var began time.Time
			p.onData(func() { began = time.Now(); cancel() })
			res, _ := p.send(ctx, cfg, nil)
			if res.Exit != sender.ExitSignal {
				t.Errorf("exit %d, want %d after a signal", res.Exit, sender.ExitSignal)
			}
			if d := time.Since(began); d > 100*time.Millisecond {
				t.Errorf("stopping took %v, want no wait for data that is of no use any more", d)
			}
			p.await("that the sender quit", func(ev machine.Event) bool {
				a, ok := ev.(receiver.GotAbort)
				return ok && strings.Contains(a.Text, "quit")
			})
			p.stop()
			p.wait()
			if left, _ := os.ReadDir(p.dest); len(left) != 0 {
				t.Errorf("an aborted session must leave nothing, found %v", left)
			}
		})
	}
}

func TestStopReceiver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := startLinked(t, nil)
		cfg := p.config(200e3, 1300, p.file("long", 50<<20)) // minutes
		p.onData(p.stop)
		res, events := p.send(context.Background(), cfg, nil)
		if res.Exit != sender.ExitNoFile {
			t.Errorf("exit %d, want %d when the only receiver leaves", res.Exit, sender.ExitNoFile)
		}
		reported := false
		for _, ev := range events {
			if a, ok := ev.(sender.GotAbort); ok && a.Text == "Client shutting down" {
				reported = true
			}
		}
		if !reported {
			t.Error("a receiver that is stopped must send an ABORT")
		}
	})
}

// TestSourceShrinks truncates the file while it is being sent.
func TestSourceShrinks(t *testing.T) {
	p := startReceiver(t, nil)
	path := p.file("shrinking", 4<<20)
	cfg := p.config(2e6, 1300, path)
	res, events := sendWith(t, context.Background(), cfg, func() { os.Truncate(path, 100_000) })
	if res.Exit != sender.ExitNoFile {
		t.Errorf("exit %d, want %d for a file that cannot be finished", res.Exit, sender.ExitNoFile)
	}
	failed := false
	for _, ev := range events {
		if _, ok := ev.(SourceFailed); ok {
			failed = true
		}
	}
	if !failed {
		t.Error("the user must hear which file shrank")
	}
	if _, err := os.Stat(filepath.Join(p.dest, "shrinking")); err == nil {
		t.Error("a file that never came whole must not appear")
	}
}

// TestSlowReporter shows that a reporter that hangs does not hold up the data: it goes
// on only when the file is there.
func TestSlowReporter(t *testing.T) {
	p := startReceiver(t, nil)
	cfg := p.config(20e6, 1300, p.file("data", 2_000_000))
	cfg.Trace = true
	hang := make(chan struct{})
	seen := 0
	go func() {
		defer close(hang)
		stored := func(ev machine.Event) bool { _, ok := ev.(Stored); return ok }
		for end := time.Now().Add(patience); !p.has(stored); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				t.Error("the file does not arrive while the reporter hangs")
				return
			}
		}
	}()
	res, err := Send(context.Background(), cfg, func(time.Time, machine.Event) { seen++; <-hang })
	if err != nil || res.Exit != sender.ExitOK {
		t.Fatalf("exit %d, %v", res.Exit, err)
	}
	p.wantSame("data")
	if seen < 1000 {
		t.Errorf("%d reports seen after the hang, want most of them", seen)
	}
}

// TestHostileDatagrams throws garbage at both ends of a running transfer, with the group,
// the instance and the UIDs of the session: random messages, and those of the session with
// bits changed, cut and repeated. In clear it comes from a stranger's address. In an
// encrypted session it comes from those of the two ends as well, once the keys are proved.
func TestHostileDatagrams(t *testing.T) {
	const group = sealGroup
	stranger := netip.MustParseAddrPort("10.6.6.6:666")
	for _, c := range []struct {
		name  string
		suite *handshake.Suite
		from  [2]netip.AddrPort // at the receiver, at the sender
	}{
		{"in clear", nil, [2]netip.AddrPort{stranger, stranger}},
		{"sealed, from a stranger", &sealSuites[0], [2]netip.AddrPort{stranger, stranger}},
		{"sealed, from the peers", &sealSuites[0], [2]netip.AddrPort{txAddr, rxAddr}},
	} {
		inBubble(t, c.name, func(t *testing.T) {
			p := startLinked(t, func(cfg *ReceiveConfig) { cfg.Receiver.MakeKeys = true })
			cfg := p.config(1e6, 1300, p.file("data", 3_000_000))
			cfg.Session.Group = group
			if c.suite != nil {
				cfg.Session.Dialect, _ = security(t, *c.suite)
			}
			rng := rand.New(rand.NewPCG(3, 4))
			// garbage returns a datagram that says it is from uid, heard said some before.
			garbage := func(uid wire.UID, heard *fakeConn) []byte {
				if n := heard.sentCount(); n > 0 && rng.IntN(2) == 0 {
					b := bytes.Clone(heard.sentAt(rng.IntN(n)))
					switch rng.IntN(3) {
					case 0:
						b = b[:rng.IntN(len(b))]
					case 1:
						b[rng.IntN(len(b))] ^= 1 << rng.IntN(8)
					}
					return b
				}
				h := wire.Header{
					Version: wire.Version4, Func: wire.Func(1 + rng.IntN(23)), Seq: uint16(rng.Uint32()), Src: uid, Group: group,
					GRTT: byte(rng.Uint32()),
				}
				b := h.Append(nil)
				for range rng.IntN(200) {
					b = append(b, byte(rng.Uint32()))
				}
				return b
			}
			stop := make(chan struct{})
			var thrown sync.WaitGroup
			p.onData(func() {
				thrown.Go(func() {
					for i := 0; ; i++ {
						select {
						case <-stop:
							return
						case <-time.After(200 * time.Microsecond):
						}
						to, b := p.rx, garbage(cfg.Session.UID, p.tx)
						if i%2 == 1 {
							to, b = p.tx, garbage(0x7F000001, p.rx)
						}
						select {
						case to.in <- netio.RxSlot{Buf: b, From: c.from[i%2]}:
						default: // there is no room
						}
					}
				})
			})
			res, events := p.send(context.Background(), cfg, nil)
			close(stop)
			thrown.Wait()
			if res.Exit != sender.ExitOK {
				t.Errorf("exit %d, want 0 in spite of garbage: %+v", res.Exit, events[max(0, len(events)-12):])
			}
			p.wantSame("data")
			p.stop()
			p.wait()
			// Both ends have looked at it as at messages of this session.
			for who, events := range map[string][]machine.Event{"sender": events, "receiver": p.events} {
				refused := map[machine.Drop]int64{}
				for _, ev := range events {
					if d, ok := ev.(Dropped); ok {
						refused[d.Reason] += d.Count
					}
				}
				total := int64(0)
				for r, n := range refused {
					if r != machine.DropGroup && r != machine.DropVersion {
						total += n
					}
				}
				if total < 1000 {
					t.Errorf("%s refused %v, want thousands for what they say in the session", who, refused)
				}
			}
		})
	}
}

// TestNoGoroutineLeft runs sessions and counts what stays behind.
func TestNoGoroutineLeft(t *testing.T) {
	before := runtime.NumGoroutine()
	for range 2 {
		p := startReceiver(t, nil)
		res, _ := send(t, context.Background(), p.config(20e6, 1300, p.file("f", 100_000), p.file("g", 1)))
		if res.Exit != sender.ExitOK {
			t.Fatalf("exit %d", res.Exit)
		}
		p.stop()
		p.wait()
	}
	for deadline := time.Now().Add(patience); runtime.NumGoroutine() > before; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			buf := make([]byte, 1<<16)
			t.Fatalf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), before, bytes.TrimSpace(buf[:runtime.Stack(buf, true)]))
		}
	}
}

// TestDataPathDoesNotAllocate sends a short and a long file and compares: what the
// additional packets cost must not contain allocations, in either direction.
func TestDataPathDoesNotAllocate(t *testing.T) {
	for _, c := range []struct {
		name    string
		suite   *handshake.Suite // nil: in clear
		workers int
		rate    int64 // bytes a second; what is lost is asked for, and reported
		long    int   // bytes
	}{
		{"in clear", nil, 0, 60e6, 60 << 20},
		{"sealed", &sealSuites[0], 0, 30e6, 40 << 20},
		{"sealed, with workers", &sealSuites[1], 2, 30e6, 40 << 20},
	} {
		t.Run(c.name, func(t *testing.T) {
			cost := func(size int) (mallocs uint64, packets int64) {
				p := startReceiver(t, func(cfg *ReceiveConfig) { cfg.Workers = c.workers })
				cfg := p.config(c.rate, 1300, p.file("f", size))
				cfg.Workers = c.workers
				if c.suite != nil {
					cfg.Session.Group = sealGroup
					cfg.Session.Dialect, _ = security(t, *c.suite)
				}
				var a, b runtime.MemStats
				runtime.ReadMemStats(&a)
				res, _ := send(t, context.Background(), cfg)
				runtime.ReadMemStats(&b)
				if res.Exit != sender.ExitOK {
					t.Fatalf("exit %d", res.Exit)
				}
				p.stop()
				p.wait()
				return b.Mallocs - a.Mallocs, res.Counters.DataPackets
			}
			wantNoAllocations(t, c.long, cost)
		})
	}
}

// wantNoAllocations compares what a short file costs with one of long bytes.
func wantNoAllocations(t *testing.T, long int, cost func(size int) (mallocs uint64, packets int64)) {
	t.Helper()
	// How often a receiver looks at the interfaces of the host depends on time alone.
	look := testing.AllocsPerRun(3, func() { netio.Survey() })
	run := func(size int) (allocs, packets int64) {
		began := time.Now()
		m, p := cost(size)
		return int64(m) - int64(look)*int64(time.Since(began)/lookEvery), p
	}
	run(1 << 20) // warm up
	// Passes, timers of the runtime and the like may allocate now and then; a
	// packet, or even one in a hundred, may not. What a busy machine loses is
	// asked for and reported, which allocates: then it is tried again.
	const limit = 0.005
	per := 1.0
	for try := 0; try < 4 && per > limit; try++ {
		m1, p1 := run(1 << 20)
		m2, p2 := run(long)
		per = float64(m2-m1) / float64(p2-p1)
		t.Logf("%d allocations for %d packets, %d for %d: %.5f a packet", m1, p1, m2, p2, per)
	}
	if per > limit {
		t.Errorf("%.4f allocations per additional data packet, want none", per)
	}
}

// TestFilesBehindOneThatShrinks: a file that shrinks does not arrive, which is reported once
// with the reason, and the files behind it do.
func TestFilesBehindOneThatShrinks(t *testing.T) {
	for _, temp := range []bool{false, true} {
		for _, workers := range []int{0, 2} {
			t.Run(fmt.Sprintf("temp %v, %d workers", temp, workers), func(t *testing.T) {
				p := startReceiver(t, func(c *ReceiveConfig) {
					if temp {
						c.Sink.Temp, c.Receiver.Restart = t.TempDir(), true
					}
				})
				path := p.file("shrinking", 4<<20)
				cfg := p.config(4e6, 1300, p.file("before", 0), path, p.file("behind", 50_000), p.file("last", 5000))
				cfg.Workers = workers
				res, events := sendWith(t, context.Background(), cfg, func() { os.Truncate(path, 100_000) })
				if res.Exit != sender.ExitNoFile {
					t.Errorf("exit %d, want %d: one file reached nobody", res.Exit, sender.ExitNoFile)
				}
				p.wantSame("before", "behind", "last")
				if _, err := os.Stat(filepath.Join(p.dest, "shrinking")); err == nil {
					t.Error("a file that never came whole is there")
				}
				reported := 0
				for _, ev := range events {
					if f, ok := ev.(SourceFailed); ok && strings.Contains(f.Path, "shrinking") {
						reported++
					}
					if x, ok := ev.(NotTried); ok {
						t.Errorf("reported %+v", x)
					}
				}
				if reported != 1 {
					t.Errorf("reported %d times that the file shrank, want once", reported)
				}
			})
		}
	}
}

// TestNotTried: a session that ends early names the files that are left.
func TestNotTried(t *testing.T) {
	p := startReceiver(t, nil)
	cfg := p.config(2e6, 1300, p.file("first", 4<<20), p.file("second", 5000), p.file("third", 5000))
	cfg.Session.QuitOnError = true
	_, events := sendWith(t, context.Background(), cfg, func() { p.stop() })
	var left []string
	for _, ev := range events {
		if x, ok := ev.(NotTried); ok {
			left = append(left, filepath.Base(x.Path))
		}
	}
	if strings.Join(left, " ") != "second third" {
		t.Errorf("not tried: %q, want the second and the third", left)
	}
}

// awaitOpen waits until this process has a file open, where the system shows that.
func awaitOpen(t testing.TB, path string) {
	t.Helper()
	const fds = "/proc/self/fd"
	if _, err := os.Stat(fds); err != nil {
		return
	}
	for limit := time.Now().Add(time.Minute); time.Now().Before(limit); time.Sleep(time.Millisecond) {
		list, _ := os.ReadDir(fds)
		for _, e := range list {
			if to, err := os.Readlink(filepath.Join(fds, e.Name())); err == nil && to == path {
				return
			}
		}
	}
	t.Errorf("%s was not opened within a minute", path)
}

// TestSourceShrinksBeforeItsTurn truncates the second file while the first is sent:
// it is left out, and everything else arrives.
func TestSourceShrinksBeforeItsTurn(t *testing.T) {
	p := startReceiver(t, nil)
	second := p.file("second", 1<<20)
	cfg := p.config(2e6, 1300, p.file("first", 2<<20), second, p.file("third", 5000))
	res, events := sendWith(t, context.Background(), cfg, func() {
		awaitOpen(t, second) // before that the walk would find it short, and nothing is wrong
		os.Truncate(second, 1000)
	})
	if res.Exit != sender.ExitOK {
		t.Errorf("exit %d, want 0", res.Exit)
	}
	p.wantSame("first", "third")
	reported := 0
	for _, ev := range events {
		if f, ok := ev.(SourceFailed); ok && strings.Contains(f.Path, "second") {
			reported++
		}
	}
	if reported != 1 {
		t.Errorf("reported %d times that the second file shrank, want once", reported)
	}
}
