package sender

import (
	"time"

	"uftp/wire"
)

// Repeating a GRTT that has grown. Receivers give up after max(1 s, R·G) of silence, with the G
// that they heard last. When a slow client registers, G and with it the wait between rounds can
// grow beyond that at once. A receiver that loses the one message with the new G would give up
// before the next. So the sender repeats G while the old patience lasts. These messages do not
// count as rounds.

const (
	// repeatCount is how often a longer GRTT is repeated. All of these messages leave in the
	// first half of the time that receivers wait.
	repeatCount = 2
	// repeatFrom: a GRTT is repeated if that time has grown by more than one part in so many.
	// If it has grown by less, two rounds fit into the old one, since R is 10 at least.
	repeatFrom = 4
)

// repeats are the messages about a longer GRTT that have not left yet.
type repeats struct {
	left int
	gap  time.Duration
}

// begin starts to repeat a GRTT that has grown, to receivers with so much patience.
func (r *repeats) begin(patience time.Duration) {
	gap := patience / 4
	if r.left > 0 { // some may not even have heard the value before
		gap = min(gap, r.gap)
	}
	r.left, r.gap = repeatCount, gap
}

// patience is how long receivers may hear nothing before they give up.
func (s *Sender) patience() time.Duration {
	return max(time.Second, time.Duration(s.cfg.Robust)*s.advertised())
}

// armRepeat starts the wait for the next repetition, if there is one, after the messages that
// wait now: those carry the value too.
func (s *Sender) armRepeat() {
	if s.grtt.repeats.left > 0 {
		s.timers.SetWhenSent(timerRepeat)
	}
}

// repeatGRTT sends the present GRTT again with a message of the phase. While data flows every
// packet carries it.
func (s *Sender) repeatGRTT() {
	s.grtt.repeats.left--
	s.armRepeat()
	switch s.phase {
	case Announcing:
		// Clients that have keys believe only sealed messages.
		if !s.dialect.Encrypted() && !s.cycle.late && (!s.closed || s.in(Mute) > 0) {
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
