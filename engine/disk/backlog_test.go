package disk

import (
	"testing"
	"time"

	"uftp/engine/clock"
)

// TestBacklog follows a backlog by the clock: reading on begins when the patience is
// over, ends when half of the ring is free, and ends when the disk is dead.
func TestBacklog(t *testing.T) {
	const slots, patience = 32, 20 * time.Millisecond
	b := newBacklog(slots)
	now := clock.Time(0)
	look := func(after time.Duration, held int, pos uint64, overflow bool, next time.Duration, say string, why string) {
		t.Helper()
		now = now.Add(after)
		ev, report := b.look(now, held, pos, patience)
		want := clock.Never
		if next >= 0 {
			want = now.Add(next)
		}
		if b.overflow != overflow || b.next != want {
			t.Fatalf("%s: overflow %v, next look at %v; want %v and %v", why, b.overflow, b.next, overflow, want)
		}
		said := ""
		if report {
			said = map[State]string{Behind: "behind", Stuck: "stuck", Back: "back"}[ev.State]
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
	look(1, slots, 4, true, StallMax-1, "behind", "the patience is over")
	look(time.Second, slots/2, 20, true, StallMax, "", "half of the ring is still taken")
	look(StallMax-1, slots, 21, true, StallMax, "", "the disk goes on, very slowly")
	look(time.Second, slots/2-1, 40, false, never, "back", "the disk has caught up")
	look(time.Second, slots-1, 40, false, never, "", "no backlog")
	look(0, slots, 40, false, patience, "", "full again")
	look(patience-1, slots/2-1, 60, false, never, "", "caught up before it was reported")
	look(0, slots, 60, false, patience, "", "full a third time")
	look(patience, slots, 60, true, StallMax-patience, "behind", "patience is over again")
	look(StallMax-patience, slots, 60, false, never, "stuck", "the disk is dead")
	look(time.Hour, slots, 60, false, never, "", "and stays so")
	look(time.Second, slots, 61, true, StallMax, "", "until it is not")
	look(time.Second, 0, 93, false, never, "back", "and all is well")
}
