package sender

import (
	"time"

	"uftp/wire"
)

// The word of a longer GRTT. Receivers give up after max(1 s, R·G) in silence, with
// the G that they heard last. When somebody slow comes, G and with it the wait
// between rounds can grow beyond that at once, and who loses the one message that
// says so would give up before the next. So it is said again while the old patience
// lasts; these messages count as no round.

const (
	// wordCount is how often a longer GRTT is repeated. All of them leave in the
	// first half of the time that receivers wait.
	repeatCount = 2
	// wordFrom is the part by which that time must have grown. Up to there two
	// rounds fit into the old one, since R is 10 at least.
	repeatFrom = 4
)

// words is what is still to be said of a longer GRTT.
type repeats struct {
	left int
	gap  time.Duration
}

// begin has a GRTT repeated that has grown, to receivers with so much patience.
func (w *repeats) begin(patience time.Duration) {
	gap := patience / 4
	if w.left > 0 { // some may not even have heard the value before
		gap = min(gap, w.gap)
	}
	w.left, w.gap = repeatCount, gap
}

// patience is how long receivers may hear nothing before they give up.
func (s *Sender) patience() time.Duration {
	return max(time.Second, time.Duration(s.cfg.Robust)*s.advertised())
}

// armRepeat starts the wait for the next word, if there is one, behind what the
// phase says now: that carries the value too.
func (s *Sender) armRepeat() {
	if s.grtt.repeats.left > 0 {
		s.timers.SetWhenSent(timerRepeat)
	}
}

// repeatGRTT says the present GRTT again with what the phase has to say anyway. While
// data flows every packet does.
func (s *Sender) repeatGRTT() {
	s.grtt.repeats.left--
	s.armRepeat()
	switch s.phase {
	case Announcing:
		// Who has keys believes only what is sealed.
		if s.sec == nil && !s.cycle.late && (!s.closed || s.in(Mute) > 0) {
			s.announce()
		} else {
			s.keepAlive()
		}
	case BetweenFiles:
		s.keepAlive()
	case FileInfo:
		s.queue(round{fn: wire.FuncFileInfo, number: s.cycle.attempt})
	case Data:
		if !s.pass.walking {
			s.queue(round{fn: wire.FuncDone, number: s.cycle.attempt, bare: true})
		}
	case Finishing:
		s.queue(round{fn: wire.FuncDone, number: s.cycle.attempt})
	}
}
