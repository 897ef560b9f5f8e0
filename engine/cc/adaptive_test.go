package cc

import (
	"testing"
	"time"

	"uftp/engine/block"
	"uftp/engine/clock"
)

// session walks over a file of one section with an Adaptive, in invented time.
type session struct {
	t         *testing.T
	a         *Adaptive
	now       clock.Time
	layout    block.Layout
	need      block.Set
	next      int
	group     Group
	receivers []Receiver
	asked     []int // the place of each question
}

const ms = time.Millisecond

// newSession begins a walk over n blocks that starts at 1000 blocks/s.
func newSession(t *testing.T, n, receivers int) *session {
	t.Helper()
	s := &session{t: t, now: begin, group: Group{GRTT: 10 * ms, Open: receivers}, receivers: make([]Receiver, receivers)}
	s.a = NewAdaptive(AdaptiveConfig{Start: 1_000_000, MaxLoss: DefaultMaxLoss, Packet: 1000})
	var err error
	if s.layout, err = block.NewLayout(int64(n)*8000, 8000); err != nil || s.layout.Sections != 1 {
		t.Fatalf("%d sections, %v", s.layout.Sections, err)
	}
	s.need.Reset(n, true)
	s.a.Start(s.now, s.group, &s.layout, &s.need)
	return s
}

// send lets d pass.
func (s *session) send(d time.Duration) {
	for end := s.now.Add(d); s.now < end && s.next < s.layout.Blocks; {
		section := 0
		if s.next == 0 {
			section = -1
		}
		if s.a.Ask(s.now, s.group, s.next, section) {
			s.asked = append(s.asked, s.next)
		}
		s.need.Remove(s.next)
		s.a.Planned([]uint32{uint32(s.next)})
		s.next++
		s.now = s.now.Add(time.Duration(1e12 / s.a.Rate()))
		s.a.Departed(s.now, s.group, 1)
	}
}

// question sends until the law has asked, and until that can have been answered. It returns
// the place of the question.
func (s *session) question() int {
	s.t.Helper()
	n := len(s.asked)
	for range 1000 {
		if s.send(ms); len(s.asked) > n {
			s.send(12 * ms)
			return s.asked[n]
		}
	}
	s.t.Fatal("no question in a second")
	return 0
}

// lacks is a STATUS that lacks the blocks for which f is true, and all from upTo on.
func (s *session) lacks(upTo int, f func(i int) bool) Status {
	naks := make([]byte, block.NAKBytes(s.layout.Blocks))
	for i := range s.layout.Blocks {
		if i >= upTo || f(i) {
			naks[i/8] |= 1 << (i % 8)
		}
	}
	return Status{NAKs: naks, Sending: true}
}

func (s *session) answer(i int, st Status) Verdict {
	return s.a.Answer(s.now, s.group, &s.receivers[i], st)
}

func none(int) bool   { return false }
func half(i int) bool { return i%2 == 1 }

func TestAdaptiveFollowsAnswers(t *testing.T) {
	s := newSession(t, 20_000, 2)
	upTo := s.question()
	if v := s.answer(0, s.lacks(upTo, none)); !v.Taken || v.Blocks != upTo || v.RTT != 0 {
		t.Errorf("the answer to the question at %d gives %+v", upTo, v)
	}
	if s.send(2 * ms); s.a.Rate() != 1_000_000 {
		t.Errorf("rate %d before everybody has answered", s.a.Rate())
	}
	s.answer(1, s.lacks(upTo, none))
	if s.send(2 * ms); s.a.Rate() != 1_500_000 || s.a.Loss() != 0 {
		t.Errorf("rate %d, loss %.2f after nothing was lost, want half more", s.a.Rate(), s.a.Loss())
	}
	upTo = s.question()
	// One answer that leaves no doubt is enough, from the receiver that has lost most.
	if v := s.answer(0, s.lacks(upTo, half)); !v.Taken || v.Blocks != (upTo-1)&^1+1 {
		t.Errorf("the answer to the question at %d gives %+v, want it to reach to the last block that came", upTo, v)
	}
	if s.send(2 * ms); s.a.Rate() > 750_000 || s.a.Rate() < 375_000 || s.a.Loss() < 0.4 {
		t.Errorf("rate %d, loss %.2f after half was lost at 1500000, want a little less than half", s.a.Rate(), s.a.Loss())
	}
}

func TestAdaptiveIgnores(t *testing.T) {
	for _, c := range []struct {
		why string
		do  func(s *session, upTo int) Verdict
	}{
		{"a STATUS of another section", func(s *session, upTo int) Verdict {
			st := s.lacks(upTo, half)
			st.Section = 1
			return s.answer(0, st)
		}},
		{"a STATUS before anybody can have answered", func(s *session, upTo int) Verdict {
			s.now = s.now.Add(-10 * ms)
			return s.answer(0, s.lacks(upTo, half))
		}},
		{"the second one of a receiver", func(s *session, upTo int) Verdict {
			s.answer(0, s.lacks(upTo, none))
			return s.answer(0, s.lacks(upTo, half))
		}},
		{"one of a receiver that nothing of the epoch has reached", func(s *session, upTo int) Verdict {
			return s.answer(0, s.lacks(0, none))
		}},
	} {
		t.Run(c.why, func(t *testing.T) {
			s := newSession(t, 20_000, 2)
			if v := c.do(s, s.question()); v != (Verdict{}) || s.a.lost > 0 {
				t.Errorf("it gives %+v, %d blocks count as lost", v, s.a.lost)
			}
		})
	}
}

// TestLossOfTheFirstEpoch: what is lost in the first section before the first question counts.
func TestLossOfTheFirstEpoch(t *testing.T) {
	s := newSession(t, 20_000, 1)
	s.answer(0, s.lacks(s.question(), half))
	if s.send(2 * ms); s.a.Rate() > 500_000 || s.a.Loss() < 0.4 {
		t.Errorf("rate %d, loss %.2f after half of the first epoch was lost at 1000000", s.a.Rate(), s.a.Loss())
	}
}

// TestAdaptiveLateAnswer: an answer that takes longer than two GRTT had queues in its way.
func TestAdaptiveLateAnswer(t *testing.T) {
	for _, c := range []struct {
		took time.Duration
		want time.Duration
	}{{20 * ms, 0}, {21 * ms, 11 * ms}} {
		s := newSession(t, 20_000, 1)
		upTo := s.question()
		s.now = s.a.left.Add(c.took)
		if v := s.answer(0, s.lacks(upTo, none)); v.RTT != c.want || s.a.queues != (c.want > 0) {
			t.Errorf("an answer after %v gives a round trip time of %v, want %v", c.took, v.RTT, c.want)
		}
	}
}

// TestLossOfAnOddEpoch: an epoch may begin at any block; what was lost before it does not count
// as lost in it.
func TestLossOfAnOddEpoch(t *testing.T) {
	for _, from := range []int{8, 9, 13, 15} {
		s := newSession(t, 400, 1)
		for i := range 64 {
			s.a.walked.Add(i)
		}
		s.a.epoch++
		s.a.from = from
		s.a.Lacks(&s.receivers[0], s.lacks(400, func(i int) bool { return i < from || i == 20 || i == 21 }))
		if s.a.lost != 2 {
			t.Errorf("from block %d: %d blocks count as lost, want 2", from, s.a.lost)
		}
	}
}

func TestAdaptiveAllocatesNothing(t *testing.T) {
	s := newSession(t, 60_000, 1)
	upTo := s.question()
	st, blocks := s.lacks(upTo, half), []uint32{1, 2, 3}
	var law Controller = s.a
	if n := testing.AllocsPerRun(100, func() {
		s.receivers[0] = Receiver{}
		if !law.Answer(s.now, s.group, &s.receivers[0], st).Taken {
			t.Fatal("an answer was not taken")
		}
		law.Planned(blocks)
		law.Departed(s.now, s.group, 1)
		law.Ask(s.now, s.group, s.next, 0)
		law.Lacks(&s.receivers[0], st)
	}); n != 0 {
		t.Errorf("a law allocates %v times, want 0", n)
	}
}
