package receiver

import (
	"testing"
	"time"

	"uftp/engine/block"
	"uftp/engine/clock"
	"uftp/wire"
)

const oneG = 10528 * time.Microsecond // code10ms decoded, rounded up

// sections announces a file of n full sections with 8-block... 64-byte blocks of 512 blocks a section.
func (w *world) receiveSections(n int) *block.Layout {
	w.t.Helper()
	w.toMidGroup(func(a *wire.Announce) { a.BlockSize = 64 })
	q := w.toReceiving(1, int64(n)*512*64)
	if q.Layout.Sections != n || q.Layout.SectionBlocks(0) != 512 {
		w.t.Fatalf("layout %+v", q.Layout)
	}
	return &q.Layout
}

// all sends the blocks of a section but those named.
func (w *world) all(l *block.Layout, section int, but ...int) {
	w.t.Helper()
next:
	for b := range l.SectionBlocks(section) {
		for _, x := range but {
			if x == b {
				continue next
			}
		}
		w.data(1, l, section, b)
	}
}

func TestBitmapExample(t *testing.T) {
	// docs/protocol.md, "NAK bitmap": missing 2,5,6,7,8 of 10 → e4 01.
	w := newWorld(t)
	w.toMidGroup()
	q := w.toReceiving(1, 10000)
	for _, b := range []int{0, 1, 3, 4, 9} {
		w.data(1, &q.Layout, 0, b)
	}
	w.done(1, 0, us)
	w.advance(oneG - time.Millisecond)
	w.wantSilence("STATUS goes out 1 G after the DONE")
	w.advance(time.Millisecond)
	w.wantStatus(0, "e401", "1 G after the DONE")
	w.wantSilence("one section, one STATUS")
	if e := event[SentStatus](w, "it is reported"); e.NAKs != 5 || e.Section != 0 {
		t.Fatalf("%+v", e)
	}
	w.advance(900 * time.Millisecond)
	w.wantSilence("the timer fires once")
}

func TestSectionsThatEnded(t *testing.T) {
	t.Run("a later section shows it, 1 G later", func(t *testing.T) {
		w := newWorld(t)
		l := w.receiveSections(4)
		w.all(l, 0, 3, 7)
		w.advance(20 * time.Millisecond)
		w.wantSilence("section 0 may still be under way")
		w.data(1, l, 1, 0)
		w.advance(oneG - time.Millisecond)
		w.wantSilence("1 G is not over")
		w.advance(time.Millisecond)
		w.wantStatuses("section 0 ended", 0)
		w.advance(20 * time.Millisecond)
		w.wantSilence("once")
	})
	t.Run("a section that ends while the timer runs is asked for with it", func(t *testing.T) {
		w := newWorld(t)
		l := w.receiveSections(4)
		w.data(1, l, 0, 0)
		w.data(1, l, 1, 0)
		w.advance(oneG / 2)
		w.data(1, l, 2, 0)
		w.advance(oneG / 2)
		w.wantStatuses("0 and 1 ended", 0, 1)
		w.data(1, l, 3, 0)
		w.advance(oneG)
		w.wantStatuses("only what ended since", 2)
	})
	t.Run("whole sections are not mentioned", func(t *testing.T) {
		w := newWorld(t)
		l := w.receiveSections(4)
		w.all(l, 0)
		w.all(l, 1, 511)
		w.all(l, 2)
		w.data(1, l, 3, 0)
		w.advance(oneG)
		w.wantStatuses("only section 1 has a gap", 1)
	})
	t.Run("a late packet does not count as progress", func(t *testing.T) {
		w := newWorld(t)
		l := w.receiveSections(4)
		w.data(1, l, 1, 0)
		w.advance(oneG)
		w.wantStatuses("section 0 ended", 0)
		w.seq -= 3
		w.data(1, l, 3, 0) // older than the newest by its number
		w.advance(2 * oneG)
		w.wantSilence("section 3 in an old packet")
	})
}

func TestPassThatBeginsEarly(t *testing.T) {
	w := newWorld(t)
	l := w.receiveSections(4)
	w.all(l, 0, 3)
	w.all(l, 1)
	w.all(l, 2, 5, 6)
	w.all(l, 3, 7)
	w.advance(oneG)
	w.wantStatuses("0 and 2 ended with gaps", 0, 2)
	w.done(1, 3, other)
	w.advance(oneG / 2)
	w.data(1, l, 0, 3)
	w.data(1, l, 2, 5) // the sender did not wait for our answer
	w.advance(oneG / 2)
	w.wantStatuses("the section that DONE was for, not that which the new pass is in", 3)
	w.data(1, l, 3, 7)
	w.advance(2 * oneG)
	w.wantStatuses("that ended with a gap in the new pass", 2)
}

func TestDoneForOthers(t *testing.T) {
	w := newWorld(t)
	l := w.receiveSections(3)
	w.data(1, l, 1, 0)
	w.advance(oneG)
	w.wantStatuses("section 0 ended", 0)
	w.data(1, l, 2, 0)
	w.done(1, 2, other)
	w.advance(oneG)
	w.wantStatuses("the sender has heard of section 0, the others are new", 1, 2)
	w.done(1, 2, other)
	w.done(1, 2)
	w.advance(2 * oneG)
	w.wantSilence("a DONE for others that says nothing new")
}

func TestDoneForUs(t *testing.T) {
	t.Run("everything with gaps, also what was said before", func(t *testing.T) {
		// The sender has heard nothing in this pass.
		w := newWorld(t)
		l := w.receiveSections(3)
		w.data(1, l, 0, 0)
		w.data(1, l, 1, 0)
		w.data(1, l, 2, 0)
		w.advance(oneG)
		w.wantStatuses("0 and 1 ended", 0, 1)
		w.done(1, 2, us)
		w.advance(oneG)
		w.wantStatuses("all three", 0, 1, 2)
		w.done(1, 2, us)
		w.advance(oneG)
		w.wantStatuses("again: nothing was heard", 0, 1, 2)
	})
	t.Run("one answer for many DONEs within 1 G", func(t *testing.T) {
		w := newWorld(t)
		l := w.receiveSections(2)
		w.data(1, l, 0, 0)
		for range 50 {
			w.done(1, 1, us)
		}
		w.advance(oneG)
		w.wantStatuses("one per section", 0, 1)
		w.advance(50 * time.Millisecond)
		w.wantSilence("and timer")
	})
	t.Run("a section that the file does not have", func(t *testing.T) {
		w := newWorld(t)
		w.receiveSections(2)
		w.done(1, 65535, us)
		w.advance(oneG)
		w.wantStatuses("the file has two", 0, 1)
	})
	t.Run("a DONE while the timer of a section runs", func(t *testing.T) {
		w := newWorld(t)
		l := w.receiveSections(3)
		w.data(1, l, 1, 0)
		w.advance(oneG / 2)
		w.done(1, 2, us)
		w.advance(oneG / 2)
		w.wantStatuses("at the time of the first", 0, 1, 2)
		w.advance(50 * time.Millisecond)
		w.wantSilence("that was all")
	})
}

func TestNextPass(t *testing.T) {
	w := newWorld(t)
	l := w.receiveSections(3)
	w.all(l, 0, 5, 6)
	w.all(l, 1, 9)
	w.all(l, 2, 0)
	w.advance(oneG)
	w.wantStatuses("while the first pass runs", 0, 1)
	w.done(1, 2, other) // we have been heard
	w.advance(oneG)
	w.wantStatuses("the last section", 2)
	// Second pass: 0.5 is lost again.
	w.data(1, l, 0, 6)
	w.advance(2 * oneG)
	w.wantSilence("section 0 may go on")
	w.data(1, l, 1, 9)
	w.advance(oneG)
	w.wantStatus(0, "20"+string(repeat("00", 64)), "block 5 is missing still")
	w.wantSilence("section 1 is whole")
	w.data(1, l, 2, 0)
	w.done(1, 2, other)
	w.advance(oneG)
	w.wantSilence("nothing else is missing")
	w.data(1, l, 0, 5)
	w.wantPhase(Closing)
}

func repeat(s string, n int) []byte {
	var b []byte
	for range n {
		b = append(b, s...)
	}
	return b
}

func TestWholeBeforeTheTimer(t *testing.T) {
	w := newWorld(t)
	w.toMidGroup()
	q := w.toReceiving(1, 2000)
	w.data(1, &q.Layout, 0, 1)
	w.done(1, 0, us)
	w.data(1, &q.Layout, 0, 0) // overtaken by the DONE
	w.closed("")
	w.wantComplete(1, wire.StatusNormal, "the DONE is answered without another one")
	w.advance(2 * oneG)
	w.wantSilence("no STATUS")
}

func TestStatusBursts(t *testing.T) {
	w := newWorld(t)
	l := w.receiveSections(150)
	w.done(1, 149, us)
	start := w.now
	w.advance(oneG)
	w.data(1, l, 0, 3) // arrives between two bursts
	w.advance(20 * time.Millisecond)
	at := map[clock.Time]int{}
	for s := range 150 {
		at[w.packets[0].at]++
		w.wantStatus(s, "", "every section once, in order")
	}
	w.wantSilence("every section once")
	if len(at) != 3 {
		t.Fatalf("%d bursts, want 64, 64 and 22", len(at))
	}
	for when, n := range at {
		if n > statusBurst || when.Sub(start) > 2*oneG {
			t.Fatalf("%d STATUS after %v", n, when.Sub(start))
		}
	}
}

// A DONE that comes between two bursts has its answer after the last.
func TestDoneBetweenBursts(t *testing.T) {
	w := newWorld(t)
	w.receiveSections(70)
	w.done(1, 69, us)
	w.advance(oneG)
	if len(w.packets) != statusBurst {
		t.Fatalf("%d STATUS, want a burst", len(w.packets))
	}
	w.done(1, 69, us)
	w.forgetPackets()
	w.advance(oneG / 4)
	w.wantStatuses("the rest", 64, 65, 66, 67, 68, 69)
	w.advance(oneG - time.Millisecond)
	w.wantSilence("1 G is not over")
	w.advance(time.Millisecond)
	if len(w.packets) != statusBurst {
		t.Fatalf("%d STATUS for the second DONE", len(w.packets))
	}
}

func TestResumed(t *testing.T) {
	missing := func(n int, which ...int) *block.Set {
		var s block.Set
		s.Reset(n, false)
		for _, i := range which {
			s.Add(i)
		}
		return &s
	}
	restart := func(c *Config) { c.Restart = true }
	t.Run("asks at once", func(t *testing.T) {
		w := newWorld(t, restart)
		w.instance = 1
		w.toMidGroup()
		w.fileInfo(1, 10000)
		q := w.opened(Opened{Action: Receive, Partial: true, Missing: missing(10, 4, 9)})
		if !q.Resume {
			t.Fatal("the request has to say that older instances left something")
		}
		w.wantAck(1, true, "part is here")
		w.done(1, 0, us)
		w.wantStatus(0, "1002", "without waiting 1 G")
		w.done(1, 0, us)
		w.advance(oneG)
		w.wantStatus(0, "1002", "again, the first was lost")
		w.data(1, &q.Layout, 0, 4)
		w.done(1, 0, us)
		w.wantSilence("a block came: 1 G as usual")
		w.data(1, &q.Layout, 0, 9)
		w.closed("")
		w.wantComplete(1, wire.StatusNormal, "whole")
	})
	t.Run("nothing missing", func(t *testing.T) {
		w := newWorld(t, restart)
		w.instance = 1
		w.toMidGroup()
		w.fileInfo(1, 10000)
		w.opened(Opened{Action: Receive, Partial: true, Status: wire.StatusOverwrite, Missing: missing(10)})
		w.wantAck(1, true, "all of it is here")
		w.wantPhase(Closing)
		w.done(1, 0, us)
		w.closed("")
		w.wantComplete(1, wire.StatusOverwrite, "no block was needed")
	})
	t.Run("a set about something else is not believed", func(t *testing.T) {
		w := newWorld(t, restart)
		w.instance = 1
		w.toMidGroup()
		w.fileInfo(1, 10000)
		w.opened(Opened{Action: Receive, Partial: true, Missing: missing(9, 4)})
		if n := w.missing(); n != 10 {
			t.Fatalf("%d blocks missing, want all", n)
		}
	})
	t.Run("without a temporary directory a restart is an ordinary session", func(t *testing.T) {
		w := newWorld(t)
		w.instance = 1
		w.toMidGroup()
		w.fileInfo(1, 10000)
		if q := event[Open](w, "open").Request; q.Resume {
			t.Fatal("there is nothing to resume from")
		}
	})
}
