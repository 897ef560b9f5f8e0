package sender

import (
	"strings"
	"testing"
	"time"

	"uftp/engine/cc"
	"uftp/engine/clock"
	"uftp/engine/machine"
	"uftp/wire"
)

// adaptive starts at 1000 blocks/s.
func adaptive(c *Config) {
	c.Rate, c.Lookahead = 1_052_000, 0
	c.Adapt = Adapt{On: true, MaxLoss: DefaultMaxLoss}
}

// asked advances to the next question of an adaptive sender and returns its place.
func (r *rig) asked() (upTo int) {
	r.t.Helper()
	n := len(r.questions)
	for range 5000 {
		if len(r.questions) > n {
			return r.questions[n]
		}
		r.advance(ms)
	}
	r.t.Fatal("no question in 5 s")
	return 0
}

// lacks is a STATUS for section 0 that lacks some blocks, and all from number from on.
func (r *rig) lacks(u wire.UID, from int, blocks ...int) []byte {
	for i := from; i < r.s.file.layout.SectionBlocks(0); i++ {
		blocks = append(blocks, i)
	}
	return r.statusOf(u, 1, 0, blocks...)
}

// rate returns the rate that trains leave at.
func (r *rig) rate() int64 { return r.s.Stats().Rate }

// due returns until when answers to a question that leaves now are awaited.
func (r *rig) due() clock.Time { return r.now.Add(4*r.s.advertised() + 100*ms) }

func every(n, of int) (list []int) {
	for i := 0; i < of; i += n {
		list = append(list, i)
	}
	return list
}

func TestRateFollowsAnswers(t *testing.T) {
	r := begin(t, adaptive, 4_000_000, 1, 2)
	upTo := r.asked()
	if said := r.said(); !strings.HasSuffix(said, "DONE f1 s0 []") {
		t.Errorf("said %q, want a question that lists nobody at the end", said)
	}
	r.advance(12 * ms)
	start := r.rate()
	r.wantDrop("the answer of one", r.deliver(1, r.lacks(1, upTo)), machine.DropNone)
	if r.rate() != start {
		t.Error("the rate changed before everybody has answered")
	}
	r.deliver(2, r.lacks(2, upTo))
	r.advance(2 * ms)
	if got := r.rate(); got != start*3/2 {
		t.Errorf("rate %d after nothing was lost at %d, want half more", got, start)
	}
	r.wantState("a client that has answered is asked again at the end of the pass", 1, Active)
	if e := want[RateChanged](r, "it is reported"); e.Rate != start*3/2 || e.Loss != 0 {
		t.Errorf("reported %+v", e)
	}

	upTo = r.asked()
	r.advance(12 * ms)
	before := r.rate()
	lost := every(2, upTo)
	r.deliver(1, r.lacks(1, upTo, lost...))
	r.advance(2 * ms)
	if got := r.rate(); got >= before/2 || got < before/4 {
		t.Errorf("rate %d after half was lost at %d, want a little less than half", got, before)
	}
	if !r.s.pass.need.Has(lost[len(lost)-1]) || r.s.pass.need.Has(1) {
		t.Error("want that what was lost is sent again, and no more")
	}
	if !r.s.pass.need.Has(upTo+50) || r.s.pass.need.CountRange(0, r.s.pass.next) != len(lost) {
		t.Errorf("%d blocks before the walk are needed, want the %d of the answer before the question", r.s.pass.need.CountRange(0, r.s.pass.next), len(lost))
	}
}

func TestAnswersThatDoNotCount(t *testing.T) {
	for _, c := range []struct {
		why string
		do  func(r *rig, upTo int) machine.Drop
	}{
		{"from another host with the UID of a client", func(r *rig, upTo int) machine.Drop {
			r.advance(12 * ms)
			return r.deliverFrom(addr(9), r.lacks(1, 0))
		}},
		{"before anybody can have answered", func(r *rig, upTo int) machine.Drop {
			return r.deliver(1, r.lacks(1, upTo, every(2, upTo)...))
		}},
		{"from a client that nothing of the epoch has reached", func(r *rig, upTo int) machine.Drop {
			r.advance(12 * ms)
			return r.deliver(1, r.lacks(1, 0))
		}},
		{"the second one", func(r *rig, upTo int) machine.Drop {
			r.advance(12 * ms)
			r.deliver(1, r.lacks(1, upTo))
			return r.deliver(1, r.lacks(1, upTo, every(2, upTo)...))
		}},
	} {
		t.Run(c.why, func(t *testing.T) {
			r := begin(t, adaptive, 4_000_000, 1, 2)
			upTo := r.asked()
			rate := r.rate()
			if d := c.do(r, upTo); d != machine.DropPhase && d != machine.DropSource {
				t.Errorf("it was %q", d)
			}
			if n := r.s.pass.need.CountRange(0, r.s.pass.next); n > 0 {
				t.Errorf("%d blocks are sent again", n)
			}
			r.advance(2 * ms)
			if r.rate() < rate {
				t.Errorf("rate fell from %d to %d", rate, r.rate())
			}
		})
	}
}

func TestOldAnswerTellsOfQueues(t *testing.T) {
	r := begin(t, adaptive, 4_000_000, 1)
	first := r.asked()
	second := r.asked() // nobody has answered
	if second <= first {
		t.Fatalf("questions at %d and %d", first, second)
	}
	before := r.s.advertised()
	r.advance(20 * ms)
	r.deliver(1, r.lacks(1, first))
	if n := r.s.pass.need.CountRange(0, r.s.pass.next); n > 0 {
		t.Errorf("%d blocks that are in a queue are sent again", n)
	}
	if got := r.s.advertised(); got < 4*before {
		t.Errorf("GRTT %v after an answer that took more than 100 ms, want it to grow from %v", got, before)
	}
}

func TestLateAnswerAtTheEndOfThePass(t *testing.T) {
	r := begin(t, adaptive, 1_500_000, 1)
	r.asked()
	due := r.due()
	r.untilPassEnds()
	r.until("answers are late", func() bool { return r.now > due })
	r.wantDrop("the answer to DONE", r.deliver(1, r.lacks(1, 1490)), machine.DropNone)
	r.wantState("it counts", 1, ActiveNAK)
	if got := r.s.pass.need.Count(); got != 10 {
		t.Errorf("%d blocks are needed, want the 10 at the end", got)
	}
}

// TestAnswersToTheEndOfThePass: what a receiver says to DONE is counted whatever it has got
// since the last question, and its age is not the question's.
func TestAnswersToTheEndOfThePass(t *testing.T) {
	for _, c := range []struct {
		why  string
		wait time.Duration // after the pass
		from func(asking, upTo int) int
	}{
		{"all since the question before is lost, at once", ms, func(asking, _ int) int { return asking }},
		{"all since the question before is lost", 15 * ms, func(asking, _ int) int { return asking }},
		{"all of the file is lost", 15 * ms, func(int, int) int { return 0 }},
		{"all since the question is lost", 15 * ms, func(_, upTo int) int { return upTo }},
		{"all since soon after the question is lost", 15 * ms, func(_, upTo int) int { return upTo + 10 }},
		{"one block is lost", 15 * ms, func(int, int) int { return 149 }},
	} {
		t.Run(c.why, func(t *testing.T) {
			r := begin(t, adaptive, 150_000, 1, 2)
			upTo := r.asked()
			r.advance(12 * ms)
			r.deliver(1, r.lacks(1, upTo))
			asking := r.place // with the last answer the next epoch begins
			r.deliver(2, r.lacks(2, upTo))
			upTo = r.asked()
			due := r.due()
			r.untilPassEnds()
			from := c.from(asking, upTo)
			r.advance(c.wait)
			before := r.s.advertised()
			if r.now >= due {
				t.Fatalf("%v is too late to be taken for the answer to the question", r.now.Sub(due))
			}
			r.wantDrop("the answer to DONE", r.deliver(1, r.lacks(1, from)), machine.DropNone)
			r.wantState("it counts", 1, ActiveNAK)
			if got := r.needed(); got != 150-from {
				t.Errorf("%d blocks are needed, want the %d that it lacks", got, 150-from)
			}
			r.forget()
			r.complete(2, 1, wire.StatusNormal)
			r.advance(3 * ms)
			want[PassStarted](r, "all have answered: the next pass does not wait")
			if got := r.s.advertised(); got != before {
				t.Errorf("GRTT %v, want it to stay %v", got, before)
			}
		})
	}
}

// TestTotalLossIsNoQueue: a client that has answered the question before, and now has nothing of
// the epoch, has lost all of it.
func TestTotalLossIsNoQueue(t *testing.T) {
	r := begin(t, adaptive, 4_000_000, 1)
	upTo := r.asked()
	r.advance(12 * ms)
	r.deliver(1, r.lacks(1, upTo))
	next := r.asked()
	before, rate := r.s.advertised(), r.rate()
	r.advance(12 * ms)
	r.wantDrop("the answer", r.deliver(1, r.lacks(1, upTo)), machine.DropNone)
	r.advance(2 * ms)
	if got := r.s.advertised(); got != before {
		t.Errorf("GRTT %v, want it to stay %v", got, before)
	}
	if r.rate() >= rate {
		t.Errorf("rate %d after everything was lost at %d", r.rate(), rate)
	}
	if n := r.s.pass.need.CountRange(0, next); n != next-upTo {
		t.Errorf("%d blocks before the question are sent again, want the %d lost ones", n, next-upTo)
	}
}

func TestAdaptAllocatesNothing(t *testing.T) {
	r := begin(t, adaptive, 40_000_000, 1)
	upTo := r.asked()
	m, err := wire.ParseStatus(wire.Version4, r.lacks(1, upTo, every(3, upTo)...)[wire.HeaderLen:])
	if err != nil {
		t.Fatal(err)
	}
	c := r.s.roster.At(0)
	taken, before := true, c.cc
	if n := testing.AllocsPerRun(100, func() {
		c.cc = before
		taken = taken && r.s.answersLaw(r.now.Add(20*ms), c, cc.Status{NAKs: m.NAKs})
	}); n != 0 || !taken {
		t.Errorf("an answer, taken %v, allocates %v times, want 0", taken, n)
	}
}
