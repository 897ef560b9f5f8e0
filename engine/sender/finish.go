package sender

import (
	"time"

	"uftp/engine/clock"
	"uftp/engine/machine"
	"uftp/wire"
)

// The completion phase (docs/protocol.md, "Completion phase").

// finishLeast is how long receivers are asked at least. They may have to move many files on a
// slow disk before they can answer, and on a fast network Robust rounds take less time.
// Rounds after those are finishGap apart at least.
const (
	finishLeast = 10 * time.Second
	finishGap   = 200 * time.Millisecond
)

func (s *Sender) startFinishing(now clock.Time) {
	s.complete, s.finishFrom = true, now
	for i := range s.roster.Len() {
		if c := s.roster.At(i); !c.state.Failed() {
			s.setState(c, Active)
		}
	}
	s.finishRound()
}

// finishRound confirms those that have completed and asks the others.
func (s *Sender) finishRound() {
	s.cycle.attempt++
	if s.unconfirmed > 0 {
		s.queue(round{fn: wire.FuncDoneConf, number: s.cycle.attempt})
	}
	s.queue(round{fn: wire.FuncDone, number: s.cycle.attempt})
	s.timers.SetWhenSent(timerCycle)
}

func (s *Sender) stepFinishing(now clock.Time) progress {
	switch {
	case s.unfinished() == 0:
		return s.stepLinger(now)
	case s.timers.Due(timerCycle, now):
		s.updateGRTT()
		if s.cycle.attempt < s.cfg.Robust || now < s.finishFrom.Add(finishLeast) {
			s.finishRound()
		} else {
			s.lose(Active, LostComplete)
		}
		return moved
	}
	return waiting
}

// stepLinger confirms the last clients and stays for 5·G. A receiver that did not hear DONE_CONF
// asks again every 4·G. DONE_CONF is sent twice, because a receiver that waits for it in vain
// moves its files to their place only much later.
func (s *Sender) stepLinger(now clock.Time) progress {
	if !s.cycle.late {
		s.cycle.late = true
		s.timers.Stop(timerCycle)
		if s.in(Done) > 0 {
			s.report(Notice{LateCompletions})
			s.confirmCompletions()
			s.timers.SetWhenSent(timerAgain)
		}
		return moved
	}
	switch {
	case s.confirmsLate(now):
		s.confirmCompletions()
	case s.timers.Due(timerAgain, now):
		s.queue(round{fn: wire.FuncDoneConf, number: s.cycle.attempt + 2, all: true})
	case s.in(Done) == 0 || s.timers.Due(timerLinger, now):
		s.reports.must(Notice{GroupComplete})
		s.end(now, s.doneExit())
	default:
		return waiting
	}
	return moved
}

func (s *Sender) confirmCompletions() {
	s.queue(round{fn: wire.FuncDoneConf, number: s.cycle.attempt + 1})
	s.timers.SetWhenSent(timerLinger)
}

// handleGroupComplete takes a COMPLETE of client i in the completion phase.
func (s *Sender) handleGroupComplete(i int, m *wire.Complete) machine.Drop {
	if m.FileID != 0 {
		return machine.DropFile
	}
	c := s.roster.At(i)
	repeat := c.state == Done
	c.givenUp = false
	if !repeat {
		s.setState(c, Done)
	}
	s.unconfirm(c)
	s.reportHeard(Heard{Func: wire.FuncComplete, Client: s.client(i), Repeat: repeat, Status: m.Status})
	return machine.DropNone
}
