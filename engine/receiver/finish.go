package receiver

import (
	"uftp/engine/clock"
	"uftp/engine/machine"
	"uftp/wire"
)

// doneClosing takes a DONE that lists us while the host is finishing the file.
// It is answered once the disk has it. A sender waits for R rounds of 3·GRTT,
// which may be half a second, and a disk may need longer: so after a quarter of
// its patience the sender gets a STATUS that asks for the last block again. That
// makes it start another pass of one block and count its rounds from the start.
func (r *Receiver) doneClosing(now clock.Time, s *session) {
	f := &s.file
	f.done = true
	f.rounds++
	if f.rounds >= max(1, s.robust/4) && f.req.Layout.Blocks > 0 {
		f.rounds = 0
		r.arm(s, nakTimer, now, s.grtt) // a Closed until then makes it unnecessary
	}
}

// Closed answers a Close. Only now is the file received: COMPLETE goes out for
// the DONE that came meanwhile, or for the next one. With errText the host has
// thrown the file away, and the sender hears that it was rejected.
func (r *Receiver) Closed(now clock.Time, ref machine.FileRef, errText string) {
	s := r.byRef(ref)
	if s == nil || s.phase != Closing {
		return
	}
	f := &s.file
	s.finished = finished{id: s.info.FileID, status: f.status}
	if errText != "" {
		s.finished.status = wire.StatusRejected
	}
	if f.done && !s.ended {
		r.complete(s, s.finished)
	}
	s.files++
	r.emit(FileEnded{Session: s.info, Request: f.req, Status: s.finished.status, Text: errText})
	r.enter(now, s, MidGroup)
	if s.ended {
		r.end(now, s, s.reason)
	}
}

// complete sends COMPLETE. The zero answer is that for the session.
func (r *Receiver) complete(s *session, f finished) {
	it := r.packet(s, wire.FuncComplete)
	it.answer = f
	r.push(it)
	r.step(s, CompleteSent)
}

// doneGroup takes the DONE with file ID 0 that ends the session. A file that is
// under way makes it void: the sender must not hear that all is well.
func (r *Receiver) doneGroup(now clock.Time, s *session, listed bool) machine.Drop {
	if s.phase != MidGroup {
		if listed {
			r.doubt(s)
		}
		return machine.DropPhase
	}
	s.finished = finished{}
	s.info.FileID = 0
	s.alive(now)
	if !listed {
		return machine.DropNotForUs
	}
	r.emit(GotDone{Session: s.info, Group: true})
	r.step(s, GroupDone)
	if s.files == 0 || s.lacks {
		r.doubt(s)
	}
	if r.cfg.Restart {
		if r.settles++; r.settles == 0 {
			r.settles = 1
		}
		s.settling = r.settles
	}
	r.enter(now, s, Completing)
	if r.cfg.Restart {
		r.emit(Settle{Session: s.info, Number: s.settling})
		return machine.DropNone
	}
	r.complete(s, finished{})
	return machine.DropNone
}

// doubt reports, once a session, that its sender holds it for received here and it is not:
// somebody else must have answered in our name.
func (r *Receiver) doubt(s *session) {
	switch {
	case s.doubted:
		return
	case s.files == 0:
		r.step(s, NothingCame)
	default:
		r.step(s, NotAllCame)
	}
	s.doubted = true
}

// Settled answers the Settle of that number: now the sender may hear that the session is
// whole. errText is why it cannot be, "" if it is; then the session ends without.
func (r *Receiver) Settled(now clock.Time, id SessionID, number uint32, errText string) {
	s := &r.slots[id.Slot]
	if s.phase != Completing || s.settling != number {
		return // that session is history
	}
	if errText != "" {
		r.abort(now, s, errText, EndRefused)
		return
	}
	s.settling = 0
	r.complete(s, finished{})
	r.awaitConf(now, s) // the limit is that of what is said from now on
}

// gotDoneConf takes DONE_CONF.
func (r *Receiver) gotDoneConf(now clock.Time, s *session, msg []byte) machine.Drop {
	if s.phase == MidGroup {
		s.alive(now)
	}
	x, err := wire.ParseHostList(msg)
	ours := err == nil && x.Func == wire.FuncDoneConf && x.Hosts.Contains(r.cfg.UID)
	switch s.phase {
	case MidGroup:
		if ours && (s.files == 0 || s.lacks) {
			r.doubt(s)
		}
		return machine.DropNone
	case Opening, Receiving, Closing:
		if ours {
			r.doubt(s)
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
	r.step(s, GroupConfirmed)
	r.end(now, s, EndConfirmed)
	return machine.DropNone
}
