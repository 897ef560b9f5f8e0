package ring

import (
	"fmt"
	"sync"
	"testing"
)

type slot struct{ pos, a, b uint64 }

// pass sends n slots through three stages with W middle workers and checks order and ownership.
func pass(t testing.TB, slots, workers int, n uint64) {
	r := New[slot](slots, nil, 1, workers, 1)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			h := r.Hand(1, w)
			for h.Pos() < n {
				if !h.Ready() {
					<-h.Wake()
					continue
				}
				s := h.Slot()
				if s.pos != h.Pos() {
					t.Errorf("worker %d got slot %d at position %d", w, s.pos, h.Pos())
				}
				s.b = s.a * 3
				h.Done(1)
			}
		})
	}
	wg.Go(func() {
		h := r.Hand(2, 0)
		for h.Pos() < n {
			if !h.Ready() {
				<-h.Wake()
				continue
			}
			k := 1
			for k < 4 && h.Ahead(k) {
				k++
			}
			for i := range k {
				p := h.Pos() + uint64(i)
				if s := h.Peek(i); s.pos != p || s.b != 3*(p+7) {
					t.Errorf("slot %d holds %+v", p, *s)
				}
			}
			h.Done(k)
		}
	})
	h := r.Hand(0, 0)
	for h.Pos() < n {
		if !h.Ready() {
			<-h.Wake()
			continue
		}
		*h.Slot() = slot{pos: h.Pos(), a: h.Pos() + 7}
		h.Done(1)
	}
	wg.Wait()
	if !h.Idle() {
		t.Error("all slots came back, Idle must say so")
	}
}

func TestOrder(t *testing.T) {
	for _, c := range []struct{ slots, workers int }{{1, 1}, {2, 1}, {8, 1}, {8, 2}, {7, 3}, {3, 5}, {64, 4}} {
		pass(t, c.slots, c.workers, 5000)
	}
}

func TestFullRingGivesNothing(t *testing.T) {
	r := New[slot](3, nil, 1, 1)
	in, out := r.Hand(0, 0), r.Hand(1, 0)
	for i := range 3 {
		if !in.Ready() {
			t.Fatalf("slot %d of 3 must be free", i)
		}
		in.Done(1)
	}
	if in.Ready() {
		t.Fatal("a full ring must not give a slot")
	}
	if in.Idle() {
		t.Fatal("three slots are under way, the ring is not idle")
	}
	out.Done(1)
	if !in.Ready() || in.Ahead(1) {
		t.Fatal("one slot came back, exactly one must be free")
	}
}

func TestHandDoesNotAllocate(t *testing.T) {
	r := New[slot](4, nil, 1, 1)
	in, out := r.Hand(0, 0), r.Hand(1, 0)
	if a := testing.AllocsPerRun(100, func() {
		if in.Ready() {
			in.Done(1)
		}
		if out.Ready() {
			out.Done(1)
		}
	}); a != 0 {
		t.Errorf("%v allocations, want none", a)
	}
}

// BenchmarkPass takes slots through three stages, the middle one with one or two workers.
func BenchmarkPass(b *testing.B) {
	for _, workers := range []int{1, 2} {
		b.Run(fmt.Sprintf("workers=%d", workers), func(b *testing.B) {
			b.ReportAllocs()
			pass(b, 64, workers, uint64(b.N))
		})
	}
}

func TestCrowded(t *testing.T) {
	r := New[slot](4, nil, 1, 1)
	in, out := r.Hand(0, 0), r.Hand(1, 0)
	for i, want := range []bool{false, false, true, true} {
		in.Done(1)
		if got := out.Crowded(); got != want {
			t.Errorf("%d of 4 slots wait: crowded is %v, want %v", i+1, got, want)
		}
	}
	out.Pass(1)
	select {
	case <-in.Wake():
		t.Error("Pass must wake nobody")
	default:
	}
	out.Pass(1)
	if out.Crowded() {
		t.Error("2 of 4 are not more than half")
	}
	out.WakeNext()
	select {
	case <-in.Wake():
	default:
		t.Error("WakeNext must wake the stage that waits for the slots")
	}
}

func TestWakeNextWakesWhoHasWork(t *testing.T) {
	r := New[slot](8, nil, 1, 3, 1)
	in := r.Hand(0, 0)
	for _, c := range []struct {
		passed int
		want   string
	}{
		{1, "0"}, {1, "1"}, {0, ""}, {2, "02"}, {3, "012"}, {1, "1"},
	} {
		in.Pass(c.passed)
		in.WakeNext()
		woken := ""
		for w := range 3 {
			select {
			case <-r.Hand(1, w).Wake():
				woken += fmt.Sprint(w)
			default:
			}
		}
		if woken != c.want {
			t.Errorf("%d slots more: woke %q, want %q", c.passed, woken, c.want)
		}
	}
	// Which of several workers makes a slot ready for the last stage depends on the others.
	r.Hand(1, 1).Done(1)
	select {
	case <-r.Hand(2, 0).Wake():
	default:
		t.Error("a worker must wake the next stage")
	}
}

// TestHeld: what a stage holds back is what came to it and was not finished behind it,
// with one worker behind it and with several.
func TestHeld(t *testing.T) {
	for _, behind := range []int{1, 3} {
		r := New[slot](8, nil, 1, 1, behind, 1)
		first, h := r.Hand(0, 0), r.Hand(1, 0)
		want := func(held int, followed uint64, why string) {
			t.Helper()
			if h.Held() != held || h.Followed() != followed {
				t.Fatalf("%d workers, %s: %d held, followed to %d, want %d and %d", behind, why, h.Held(), h.Followed(), held, followed)
			}
		}
		want(0, 0, "at the start")
		first.Done(5)
		want(5, 0, "five have come")
		h.Done(4)
		want(5, 0, "four were passed on, and nobody has finished them")
		for i := range 3 {
			r.Hand(2, i%behind).Done(1)
		}
		want(2, 3, "three were finished")
		first.Done(3)
		want(5, 3, "three more have come")
	}
}

// TestUsed follows a slot through three stages: it is in use until the last one frees it.
func TestUsed(t *testing.T) {
	r := New[slot](4, nil, 1, 1, 1)
	for i, step := range []struct{ stage, want int }{{0, 1}, {0, 2}, {1, 2}, {2, 1}, {1, 1}, {2, 0}} {
		r.Hand(step.stage, 0).Done(1)
		if got := r.Used(); got != step.want {
			t.Errorf("step %d: %d slots in use, want %d", i, got, step.want)
		}
	}
}
