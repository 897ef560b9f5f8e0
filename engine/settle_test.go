package engine

import (
	"context"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"uftp/engine/machine"
	"uftp/engine/receiver"
	"uftp/engine/sender"
)

// withTemp has a receiver collect files in a temporary directory, which it returns.
func withTemp(t *testing.T) (temp string, change func(*ReceiveConfig)) {
	temp = filepath.Join(t.TempDir(), "temp")
	if err := os.Mkdir(temp, 0o755); err != nil {
		t.Fatal(err)
	}
	return temp, func(cfg *ReceiveConfig) {
		cfg.Sink.Temp, cfg.Receiver.Restart = temp, true
		cfg.Receiver.CheckpointEvery = 50 * time.Millisecond
	}
}

// wantDone wants a session that ended well on both sides.
func wantDone(t *testing.T, res SendResult, events []machine.Event) {
	t.Helper()
	if res.Exit != sender.ExitOK || len(res.States) != 1 || res.States[0] != sender.Done {
		t.Errorf("exit %d, states %v, want 0 and done: %v", res.Exit, res.States, events)
	}
}

// TestTempTransfer: files in a temporary directory are moved when the session has ended.
// The sender hears that it ended well, and nothing is left.
func TestTempTransfer(t *testing.T) {
	temp, change := withTemp(t)
	p := startReceiver(t, change)
	res, events := send(t, context.Background(), p.config(60e6, 1300, p.file("a", 500_000), p.file("b", 0)))
	wantDone(t, res, events)
	p.await("what was moved", func(ev machine.Event) bool { m, ok := ev.(Moved); return ok && len(m.Paths) == 2 })
	p.wantSame("a", "b")
	if left, err := os.ReadDir(temp); err != nil || len(left) != 0 {
		t.Errorf("%v, %v, want nothing left", left, err)
	}
}

// TestSettleOvertakes: a session begins, gets a file without data and ends while the
// disk is busy with the data of another one.
func TestSettleOvertakes(t *testing.T) {
	_, change := withTemp(t)
	release := make(chan struct{})
	var held atomic.Bool
	p := startReceiver(t, func(cfg *ReceiveConfig) {
		change(cfg)
		cfg.CacheBytes = 1
		cfg.holdDisk = func() { held.Store(true); <-release }
	})
	big := p.config(40e6, 8000, p.file("big", 6<<20))
	small := p.config(40e6, 8000, p.file("empty", 0))
	small.Session.UID++
	ended := make(chan SendResult, 1)
	go func() {
		res, err := Send(context.Background(), big, nil)
		if err != nil {
			t.Error(err)
		}
		ended <- res
	}()
	for limit := time.Now().Add(30 * time.Second); !held.Load(); time.Sleep(time.Millisecond) {
		if time.Now().After(limit) {
			t.Error("nothing was written")
			break
		}
	}
	res, events := send(t, context.Background(), small)
	wantDone(t, res, events)
	select {
	case res := <-ended:
		t.Errorf("the session with data ended first: %+v", res.SessionEnded)
	default:
	}
	close(release)
	wantDone(t, <-ended, nil)
	over := func(ev machine.Event) bool { e, ok := ev.(receiver.SessionEnded); return ok && !e.OK }
	if p.has(over) {
		t.Error("a session did not end well")
	}
}
