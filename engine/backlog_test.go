package engine

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"uftp/engine/clock"
	"uftp/engine/machine"
	"uftp/engine/sender"
)

// TestDiskBehind: a disk that takes nothing for a while costs neither the session nor a
// byte. What has no room is dropped and comes again.
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
			for _, state := range []DiskState{DiskBehind, DiskBack} {
				p.await(fmt.Sprint("state ", state), func(ev machine.Event) bool { d, ok := ev.(Disk); return ok && d.State == state })
			}
		})
	}
}

// TestSourceStalls: while the sender's disk gives nothing, receivers hear that the
// session lives, for longer than they wait for data.
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
			if res, events := p.send(context.Background(), cfg, nil); res.Exit != sender.ExitOK || res.Elapsed < 5*wait {
				t.Errorf("exit %d after %v, want 0 in spite of the stall: %v", res.Exit, res.Elapsed, events)
			}
			p.wantSame("f")
		})
	}
}

// TestBacklog follows a backlog by the clock: reading aside begins when the patience is
// over, ends when half of the ring is free, and ends when the disk is dead.
func TestBacklog(t *testing.T) {
	const slots, patience = 32, 20 * time.Millisecond
	b := newBacklog(slots)
	now := clock.Time(0)
	look := func(after time.Duration, held int, pos uint64, aside bool, next time.Duration, say string, why string) {
		t.Helper()
		now = now.Add(after)
		ev, tell := b.look(now, held, pos, patience)
		want := clock.Never
		if next >= 0 {
			want = now.Add(next)
		}
		if b.aside != aside || b.next != want {
			t.Fatalf("%s: aside %v, next look at %v; want %v and %v", why, b.aside, b.next, aside, want)
		}
		said := ""
		if tell {
			said = map[DiskState]string{DiskBehind: "behind", DiskStuck: "stuck", DiskBack: "back"}[ev.State]
		}
		if said != say {
			t.Fatalf("%s: said %q, want %q", why, said, say)
		}
	}
	const never = -1
	look(0, 0, 0, false, never, "", "nothing has come")
	look(time.Hour, slots-1, 0, false, never, "", "one slot is free")
	look(0, slots, 0, false, patience, "", "the ring is full")
	look(patience-1, slots-4, 4, false, 1, "", "the disk goes on, slowly")
	look(1, slots, 4, true, stallMax-1, "behind", "the patience is over")
	look(time.Second, slots/2, 20, true, stallMax, "", "half of the ring is still taken")
	look(stallMax-1, slots, 21, true, stallMax, "", "the disk goes on, very slowly")
	look(time.Second, slots/2-1, 40, false, never, "back", "the disk has caught up")
	look(time.Second, slots-1, 40, false, never, "", "no backlog")
	look(0, slots, 40, false, patience, "", "full again")
	look(patience-1, slots/2-1, 60, false, never, "", "caught up before anybody was told")
	look(0, slots, 60, false, patience, "", "full a third time")
	look(patience, slots, 60, true, stallMax-patience, "behind", "patience is over again")
	look(stallMax-patience, slots, 60, false, never, "stuck", "the disk is dead")
	look(time.Hour, slots, 60, false, never, "", "and stays so")
	look(time.Second, slots, 61, true, stallMax, "", "until it is not")
	look(time.Second, 0, 93, false, never, "back", "and all is well")
}
