package sender

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"uftp/wire"
)

// stalls answers each pass over a file of 200 blocks for client 1, as lacking says by the
// number of the pass, until the client is out or limit passes are over. Client 2 has all.
// It returns the passes and the time that this took.
func (r *rig) stalls(limit int, lacking func(pass int) []int) (passes int, took time.Duration) {
	r.t.Helper()
	start := r.now
	for passes = 1; passes <= limit; passes++ {
		r.untilPassEnds()
		r.status(1, 1, 0, lacking(passes)...)
		r.untilNextPass()
		if r.s.phase != Data {
			return passes, r.now.Sub(start)
		}
	}
	return passes, r.now.Sub(start)
}

func upTo(n int) (list []int) {
	for i := range n {
		list = append(list, i)
	}
	return list
}

func stallAfter(n int) func(*Config) {
	return func(c *Config) { fast(c); c.MinGRTT = 40 * ms; c.StallPasses = n } // passes of 10 ms
}

// TestNoProgress: a client that does not lack fewer and fewer blocks is aborted, whatever it
// sends, and the others go on.
func TestNoProgress(t *testing.T) {
	for _, c := range []struct {
		why     string
		after   int
		lacking func(pass int) []int
		most    int // passes
		most2   time.Duration
	}{
		{"one block for ever", 20, func(int) []int { return []int{3} }, 5000, StallLeast + time.Second},
		{"another block each time", 20, func(p int) []int { return []int{p % 200} }, 5000, StallLeast + time.Second},
		{"all blocks for ever", 20, func(int) []int { return upTo(200) }, 5000, StallLeast + time.Second},
		{"one less each time, of many", 20, func(p int) []int { return upTo(max(1, 200-p/8)) }, 9000, StallLeast + 25*time.Second},
		{"now few, now many", 20, func(p int) []int { return upTo(1 + p%2*150) }, 5000, StallLeast + 2*time.Second},
		{"few, then ever more", 20, func(p int) []int { return upTo(min(200, p)) }, 5000, StallLeast + time.Second},
		{"few passes only are allowed", 3, func(int) []int { return []int{3} }, 5000, StallLeast + time.Second},
		{"many passes", 5000, func(int) []int { return []int{3} }, 5002, time.Hour},
		{"the last block, at once", 20, func(int) []int { return []int{199} }, 5000, StallLeast + time.Second},
	} {
		t.Run(c.why, func(t *testing.T) {
			r := begin(t, stallAfter(c.after), 200_000, 1, 2)
			r.untilPassEnds()
			r.complete(2, 1, wire.StatusNormal)
			passes, took := r.stalls(c.most+1, c.lacking)
			if passes > c.most || took > c.most2 {
				t.Errorf("aborted after %d passes in %v, want %d and %v at most", passes, took, c.most, c.most2)
			}
			if passes <= c.after || took < StallLeast {
				t.Errorf("aborted after %d passes in %v, want more than %d and %v", passes, took, c.after, StallLeast)
			}
			r.advance(ms)
			r.wantPhase("the next file begins", BetweenFiles)
			r.wantState("out", 1, Aborted)
			r.wantState("in", 2, Done)
			if e := want[Stalled](r, "it is reported"); e.Client.UID != 1 || e.Passes < c.after || e.Lacks != len(c.lacking(passes)) {
				t.Errorf("reported %+v", e)
			}
			if said := r.said(); !strings.Contains(said, "ABORT 1 No progress in too many passes") {
				t.Errorf("the client gets no ABORT with the reason")
			}
		})
	}
}

// TestProgress: a client that lacks fewer blocks is kept, however slow it is; without a limit all
// are.
func TestProgress(t *testing.T) {
	for _, c := range []struct {
		why     string
		after   int
		passes  int
		lacking func(pass int) []int
	}{
		{"a quarter less in each 19 passes", 20, 300, func(p int) []int {
			n := 200
			for range p / 19 {
				n -= max(1, (n+3)/4)
			}
			return upTo(max(1, n))
		}},
		{"no limit", 0, 5000, func(int) []int { return []int{3} }},
	} {
		t.Run(c.why, func(t *testing.T) {
			r := begin(t, stallAfter(c.after), 200_000, 1, 2)
			r.untilPassEnds()
			r.complete(2, 1, wire.StatusNormal)
			if passes, took := r.stalls(c.passes, c.lacking); passes <= c.passes {
				t.Errorf("aborted after %d passes in %v", passes, took)
			}
		})
	}
}

// TestClosingIsNoStall: receivers that wait for their disk ask for the last block, late.
func TestClosingIsNoStall(t *testing.T) {
	r := begin(t, stallAfter(20), 200_000, 1)
	start := r.now
	for r.s.phase == Data && r.now.Sub(start) < time.Hour {
		r.untilPassEnds()
		for r.s.cycle.attempt < max(1, r.cfg.Robust/4) {
			r.advance(ms)
		}
		r.status(1, 1, 0, 199)
		r.untilNextPass()
	}
	if took := r.now.Sub(start); took < closingWait || took > closingWait+time.Second {
		t.Errorf("aborted after %v, want %v", took, closingWait)
	}
}

// TestOthersDoNotRepeatForTheStalled: what a client that is dropped lacked is not sent again
// to those that lack something else.
func TestOthersDoNotRepeatForTheStalled(t *testing.T) {
	r := begin(t, stallAfter(20), 200_000, 1, 2)
	for {
		r.untilPassEnds()
		r.status(1, 1, 0, upTo(150)...)
		r.status(2, 1, 0, 199-int(r.now.Sub(r.start)/(2*time.Second)), 7) // it goes on somehow
		if i, _ := r.s.roster.Find(2); r.now.Sub(r.start) > 8*time.Second {
			r.s.roster.At(i).stall.since = 0
		}
		r.forget()
		r.untilNextPass()
		if _, ok := got[Stalled](r); ok {
			break
		}
		if r.now.Sub(r.start) > time.Minute {
			t.Fatal("nobody is dropped")
		}
	}
	r.wantState("out", 1, Aborted)
	r.untilPassEnds()
	if len(r.planned) > 0 {
		t.Errorf("%d trains for a client that is out", len(r.planned))
	}
	r.advance(ms)
	r.status(2, 1, 0, 7)
	r.forget()
	r.advance(100 * ms)
	if len(r.planned) != 1 || r.planned[0].N != 1 || r.planned[0].Block[0] != 7 {
		t.Errorf("planned %+v, want block 7", r.planned)
	}
}

// TestNoDataIsReported: a receiver that gets nothing of several passes is reported once.
func TestNoDataIsReported(t *testing.T) {
	for _, c := range []struct {
		blocks, after int
	}{{200, 3}, {12, 3}, {4, 3}, {3, 4}, {1, 12}} {
		t.Run(fmt.Sprint(c.blocks, " blocks"), func(t *testing.T) {
			r := begin(t, stallAfter(20), int64(c.blocks)*1000, 1)
			lost := func(int) []int { return upTo(c.blocks) }
			r.stalls(c.after-1, lost)
			wantNone[NoData](r, "it may have been chance")
			r.stalls(1, lost)
			if e := want[NoData](r, "now it was not"); e.Passes != c.after || e.PacketBytes != 1052 || e.Client.UID != 1 {
				t.Errorf("reported %+v", e)
			}
			r.forget()
			r.stalls(5, lost)
			wantNone[NoData](r, "once")
		})
	}
}
