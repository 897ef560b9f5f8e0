package receiver

import (
	"uftp/engine/clock"
	"uftp/engine/machine"
	"uftp/wire"
)

// doneClosing takes a DONE that lists us while the host is finishing the file. COMPLETE
// answers it when the disk has the file. A sender waits for R rounds of 3·GRTT, which may be
// half a second, and a disk may need longer. So after a quarter of these rounds a STATUS asks
// for the last block again: the sender starts another pass, of one block, and counts its
// rounds from the start.
func (s *session) doneClosing(now clock.Time) {
	f := &s.file
	f.done = true
	f.rounds++
	if f.rounds >= max(1, s.robust/4) && f.req.Layout.Blocks > 0 {
		f.rounds = 0
		s.arm(nakTimer, now, s.grtt) // unless Closed comes before
	}
}

// closed ends a file that the host has finished. COMPLETE answers the DONE that came meanwhile,
// or the next one; with errText it says that the file was rejected.
func (s *session) closed(now clock.Time, errText string) {
	f := &s.file
	s.finished = finished{id: s.info.FileID, status: f.status}
	if errText != "" {
		s.finished.status = wire.StatusRejected
	}
	if f.done && !s.ended {
		s.sendComplete(s.finished)
	}
	s.files++
	s.r.emit(FileEnded{Session: s.info, Request: f.req, Status: s.finished.status, Text: errText})
	s.enter(now, MidGroup)
	if s.ended {
		s.end(now, s.reason)
	}
}

// sendComplete sends COMPLETE. The zero value is that for the session.
func (s *session) sendComplete(f finished) {
	s.say(wire.FuncComplete, f)
	s.step(CompleteSent)
}

// doneGroup takes the DONE with file ID 0 that ends the session. It is ignored while a file is
// under way: the sender must not believe that all is well.
func (s *session) doneGroup(now clock.Time, listed bool) machine.Drop {
	r := s.r
	if s.phase != MidGroup {
		if listed {
			s.noteLack()
		}
		return machine.DropPhase
	}
	s.finished = finished{}
	s.info.FileID = 0
	s.restartIdle(now)
	if !listed {
		return machine.DropNotForUs
	}
	r.emit(GotDone{Session: s.info, Group: true})
	s.step(GroupDone)
	if s.files == 0 || s.missedFile {
		s.noteLack()
	}
	if r.cfg.Restart {
		if r.settles++; r.settles == 0 {
			r.settles = 1
		}
		s.settling = r.settles
	}
	s.enter(now, Completing)
	if r.cfg.Restart {
		r.emit(Settle{Session: s.info, Number: s.settling})
		return machine.DropNone
	}
	s.sendComplete(finished{})
	return machine.DropNone
}

// noteLack reports, once a session, that the sender believes to have sent us more than has
// arrived: somebody else must have answered in our name.
func (s *session) noteLack() {
	switch {
	case s.lacks:
		return
	case s.files == 0:
		s.step(NothingCame)
	default:
		s.step(NotAllCame)
	}
	s.lacks = true
}

// settled says COMPLETE for the session, since the host has recorded its end, or aborts it.
func (s *session) settled(now clock.Time, errText string) {
	if errText != "" {
		s.abort(now, errText, EndRefused)
		return
	}
	s.settling = 0
	s.sendComplete(finished{})
	s.awaitConf(now) // the limit counts from this COMPLETE
}

// gotDoneConf takes DONE_CONF.
func (s *session) gotDoneConf(now clock.Time, msg []byte) machine.Drop {
	if s.phase == MidGroup {
		s.restartIdle(now)
	}
	x, err := wire.ParseHostList(msg)
	ours := err == nil && x.Func == wire.FuncDoneConf && x.Hosts.Contains(s.r.cfg.UID)
	switch s.phase {
	case MidGroup:
		if ours && (s.files == 0 || s.missedFile) {
			s.noteLack()
		}
		return machine.DropNone
	case Opening, Receiving, Closing:
		if ours {
			s.noteLack()
		}
		return machine.DropPhase
	case Completing:
	default:
		return machine.DropPhase
	}
	switch {
	case err != nil || x.Func != wire.FuncDoneConf:
		return machine.DropMalformed
	case !ours:
		return machine.DropNotForUs
	}
	s.step(GroupConfirmed)
	s.end(now, EndConfirmed)
	return machine.DropNone
}
