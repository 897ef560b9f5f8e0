package engine

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"uftp/engine/disk"
	"uftp/engine/machine"
	"uftp/engine/sender"
)

// TestDiskBehind: a disk that takes nothing for a while costs neither the session nor a
// byte. Blocks without room are dropped and come again.
func TestDiskBehind(t *testing.T) {
	for _, workers := range []int{0, 2} {
		inBubble(t, fmt.Sprint(workers, " workers"), func(t *testing.T) {
			release := make(chan struct{})
			p := startLinked(t, func(cfg *ReceiveConfig) {
				cfg.CacheBytes = 1 // the least there is: 2 MiB
				cfg.Workers = workers
				cfg.holdDisk = func() { <-release }
			})
			cfg := p.config(60e6, 8000, p.file("f", 8<<20))
			ended := p.sendAside(context.Background(), cfg, nil)
			p.await("what was dropped for want of room", func(ev machine.Event) bool {
				d, ok := ev.(Dropped)
				return ok && d.Reason == machine.DropNoRoom
			})
			close(release)
			if res := <-ended; res.Exit != sender.ExitOK {
				t.Errorf("exit %d, want 0: %+v", res.Exit, res.SessionEnded)
			}
			p.wantSame("f")
			for _, state := range []disk.State{disk.Behind, disk.Back} {
				p.await(fmt.Sprint("state ", state), func(ev machine.Event) bool { d, ok := ev.(disk.Lag); return ok && d.State == state })
			}
		})
	}
}

// TestSourceStalls: while the sender's disk delivers nothing, receivers get signs of life,
// for longer than they wait for data.
func TestSourceStalls(t *testing.T) {
	for _, workers := range []int{0, 2} {
		inBubble(t, fmt.Sprint(workers, " workers"), func(t *testing.T) {
			p := startLinked(t, nil)
			cfg := p.config(60e6, 1300, p.file("f", 2<<20))
			cfg.Session.GRTT, cfg.Session.MinGRTT, cfg.Session.Robust = 100*time.Millisecond, 100*time.Millisecond, 20
			cfg.Workers = workers
			const wait = 2 * time.Second // of receivers: 20 GRTT
			var reads atomic.Int32
			cfg.holdDisk = func() {
				if reads.Add(1) == 10 {
					time.Sleep(5 * wait)
				}
			}
			if res, events := p.send(context.Background(), cfg, nil); res.Exit != sender.ExitOK || res.Stats.Elapsed < 5*wait {
				t.Errorf("exit %d after %v, want 0 in spite of the stall: %v", res.Exit, res.Stats.Elapsed, events)
			}
			p.wantSame("f")
		})
	}
}
