package engine

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"uftp/crypto/handshake"
	"uftp/engine/machine"
	"uftp/engine/receiver"
	"uftp/engine/sender"
	"uftp/engine/tap"
)

// hang is something that does not return until the test lets it go.
type hang struct {
	after int32 // so many calls go through
	calls atomic.Int32
	in    chan struct{} // a call hangs
	free  chan struct{}
}

func newHang(after int32) *hang {
	return &hang{after: after, in: make(chan struct{}, 1), free: make(chan struct{})}
}

func (h *hang) call() {
	if h.calls.Add(1) <= h.after {
		return
	}
	select {
	case h.in <- struct{}{}:
	default:
	}
	<-h.free
}

// wantLimit wants a run to end within what StopLimit promises.
func wantLimit[T any](t *testing.T, who string, done <-chan T) (got T) {
	t.Helper()
	began := time.Now()
	select {
	case got = <-done:
		if d := time.Since(began); d > StopLimit {
			t.Errorf("%s took %v to end, want at most %v", who, d, StopLimit)
		}
	case <-time.After(10 * StopLimit):
		t.Fatalf("%s does not end", who)
	}
	return got
}

// TestStopSenderWhileSomethingHangs: a signal ends Send within its limit whatever hangs.
// Receivers hear of it while the socket works, and the user while the terminal does.
func TestStopSenderWhileSomethingHangs(t *testing.T) {
	const names = 3 // files of the session
	for _, c := range []struct {
		what  string
		after int32 // calls that go through
		place func(cfg *SendConfig, h *hang)
		mute  bool // no receiver knows of the session
		deaf  bool // the user hears nothing

	}{
		{what: "the first read", place: func(cfg *SendConfig, h *hang) { cfg.holdDisk = h.call }},
		{what: "a read in the middle", after: 10, place: func(cfg *SendConfig, h *hang) { cfg.holdDisk = h.call }},
		{what: "the walk, at its start", place: func(cfg *SendConfig, h *hang) { cfg.holdWalk = h.call }, mute: true},
		{what: "the walk, at the next file", after: 2, place: func(cfg *SendConfig, h *hang) { cfg.holdWalk = h.call }},
		{what: "opening the capture", place: func(cfg *SendConfig, h *hang) { cfg.holdCapture = h.call }, mute: true, deaf: true},
		{what: "writing the capture", after: 1, place: func(cfg *SendConfig, h *hang) { cfg.holdCapture = h.call }},
		{what: "the reporter", after: 10, deaf: true},
	} {
		for _, workers := range []int{0, 2} {
			for _, suite := range []*handshake.Suite{nil, &sealSuites[0]} {
				inBubble(t, fmt.Sprintf("%s, %d workers, sealed %v", c.what, workers, suite != nil), func(t *testing.T) {
					p := startLinked(t, nil)
					var files []string
					for i := range names {
						files = append(files, p.file(fmt.Sprint("f", i), 20<<20))
					}
					cfg := p.config(5e6, 1300, files...)
					cfg.Workers = workers
					if suite != nil {
						cfg.Session.Group = sealGroup
						cfg.Session.Dialect, _ = security(t, *suite)
					}
					h := newHang(c.after)
					if strings.HasSuffix(c.what, "capture") {
						cfg.Capture = capturedTo(filepath.Join(t.TempDir(), "tx"), 100e6, 2)
					}
					var left atomic.Bool
					report := func(_ time.Time, ev machine.Event) {
						switch ev.(type) {
						case LeftBehind, tap.Failed:
							left.Store(true)
						}
						if c.place == nil {
							h.call()
						}
					}
					if c.place != nil {
						c.place(&cfg, h)
					}
					ctx, cancel := context.WithCancel(context.Background())
					done := p.sendAside(ctx, cfg, report)
					<-h.in
					time.Sleep(100 * time.Millisecond) // whatever else can go on does
					cancel()
					if res := wantLimit(t, "Send", done); res.Exit != sender.ExitSignal {
						t.Errorf("exit %d, want %d", res.Exit, sender.ExitSignal)
					}
					if heard := p.has(isQuit); !c.mute && !heard {
						t.Error("the receiver did not hear that the sender quit")
					}
					if !c.deaf && !left.Load() {
						t.Error("the user did not hear that something hangs")
					}
					close(h.free)
					synctest.Wait() // now all ends that was left behind, or the bubble says so
				})
			}
		}
	}
}

// isQuit accepts the ABORT of a sender that was stopped.
func isQuit(ev machine.Event) bool {
	a, ok := ev.(receiver.GotAbort)
	return ok && strings.Contains(a.Text, "quit")
}

// TestStopReceiverWhileSomethingHangs: a signal ends Receive within its limit whatever
// hangs, and the sender hears of it.
func TestStopReceiverWhileSomethingHangs(t *testing.T) {
	for _, c := range []struct {
		what   string
		after  int32
		place  func(cfg *ReceiveConfig, h *hang)
		sealed bool
		mute   bool // no session began
		deaf   bool // the user hears nothing
	}{
		{what: "the first write", place: func(cfg *ReceiveConfig, h *hang) { cfg.holdDisk = h.call }},
		{what: "a write in the middle", after: 10, place: func(cfg *ReceiveConfig, h *hang) { cfg.holdDisk = h.call }},
		{what: "opening a file", place: func(cfg *ReceiveConfig, h *hang) { cfg.holdRequest = h.call }},
		{what: "giving a file up", after: 1, place: func(cfg *ReceiveConfig, h *hang) { cfg.holdRequest = h.call }},
		{what: "the key log", sealed: true, place: func(cfg *ReceiveConfig, h *hang) {
			cfg.KeyLog = func(receiver.Session, receiver.Secrets) { h.call() }
		}},
		{what: "opening the capture", place: func(cfg *ReceiveConfig, h *hang) { cfg.holdCapture = h.call }, mute: true, deaf: true},
		{what: "writing the capture", after: 1, place: func(cfg *ReceiveConfig, h *hang) { cfg.holdCapture = h.call }},
		{what: "getting ready", place: func(cfg *ReceiveConfig, h *hang) { cfg.Ready = h.call }, mute: true, deaf: true},
		{what: "the reporter", after: 3, deaf: true},
	} {
		for _, workers := range []int{0, 2} {
			inBubble(t, fmt.Sprintf("%s, %d workers", c.what, workers), func(t *testing.T) {
				h := newHang(c.after)
				var left atomic.Bool
				p := newLinked(t)
				ctx, stop := context.WithCancel(context.Background())
				done := p.receiveAside(ctx, func(cfg *ReceiveConfig) {
					cfg.Workers = workers
					cfg.Receiver.MakeKeys = c.sealed
					if strings.HasSuffix(c.what, "capture") {
						cfg.Capture = capturedTo(filepath.Join(t.TempDir(), "rx"), 100e6, 2)
					}
					if c.place != nil {
						c.place(cfg, h)
					}
				}, func(_ time.Time, ev machine.Event) {
					switch ev.(type) {
					case LeftBehind, tap.Failed:
						left.Store(true)
					}
					if c.place == nil {
						h.call()
					}
				})
				cfg := p.config(5e6, 1300, p.file("f", 20<<20))
				cfg.Session.RegisterCount = 1
				if c.sealed {
					cfg.Session.Group = sealGroup
					cfg.Session.Dialect, _ = security(t, sealSuites[0])
				}
				var heard atomic.Bool
				sctx, cancel := context.WithCancel(context.Background())
				sent := p.sendAside(sctx, cfg, func(_ time.Time, ev machine.Event) {
					if a, ok := ev.(sender.GotAbort); ok && a.Text == "Client shutting down" {
						heard.Store(true)
					}
				})
				if c.what == "giving a file up" { // this hangs at the end only
					eventually(t, "the file is opened", func() bool { return h.calls.Load() == c.after })
				} else {
					<-h.in
				}
				time.Sleep(100 * time.Millisecond)
				stop()
				if err := wantLimit(t, "Receive", done); err != nil {
					t.Error(err)
				}
				cancel()
				<-sent
				if !c.mute && !heard.Load() {
					t.Error("the sender did not hear that the receiver quit")
				}
				if !c.deaf && !left.Load() {
					t.Error("the user did not hear that something hangs")
				}
				close(h.free)
				synctest.Wait() // now all ends that was left behind, or the bubble says so
				list, err := os.ReadDir(p.dest)
				if err != nil {
					t.Error(err)
				}
				if c.what == "opening a file" && len(list) > 0 {
					t.Errorf("what was left behind made %v", list)
				}
			})
		}
	}
}

// TestEndWithHangingReporter: a session that is over ends within the same limit, though
// nobody hears about it.
func TestEndWithHangingReporter(t *testing.T) {
	inBubble(t, "sender", func(t *testing.T) {
		p := startLinked(t, nil)
		h := newHang(0)
		var reports atomic.Int32
		done := p.sendAside(context.Background(), p.config(60e6, 1300, p.file("f", 1000)), func(time.Time, machine.Event) {
			reports.Add(1)
			h.call()
		})
		<-h.in
		if res := wantLimit(t, "Send", done); res.Exit != sender.ExitOK {
			t.Errorf("exit %d, want 0", res.Exit)
		}
		p.wantSame("f")
		close(h.free)
		synctest.Wait() // now all ends that was left behind, or the bubble says so
		if n := reports.Load(); n != 1 {
			t.Errorf("%d reports, want none after the one that hung: nobody expects them any more", n)
		}
	})
}
