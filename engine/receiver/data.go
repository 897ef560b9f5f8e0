package receiver

import (
	"time"

	"uftp/engine/clock"
	"uftp/engine/machine"
	"uftp/wire"
)

// gotFileSeg takes a block (v4-receiver.md section 5). Nothing here allocates.
func (r *Receiver) gotFileSeg(now clock.Time, s *session, msg []byte, newest bool) machine.Verdict {
	switch s.phase {
	case Receiving:
	case MidGroup, Opening, Closing:
		s.alive(now)
		return drop(machine.DropPhase)
	default:
		return drop(machine.DropPhase)
	}
	x, err := wire.ParseFileSeg(msg)
	if err != nil {
		return drop(machine.DropMalformed)
	}
	if x.FileID != s.info.FileID {
		return drop(machine.DropFile)
	}
	f := &s.file
	l := &f.req.Layout
	i, ok := l.Index(int(x.Section), int(x.Block))
	if !ok {
		return drop(machine.DropRange)
	}
	// A stock sender whose source grows fills the last block; the file stays as
	// long as it was announced.
	size := l.Len(i)
	if len(x.Data) < size || len(x.Data) > l.BlockSize {
		return drop(machine.DropRange)
	}
	s.alive(now)
	f.data = true
	if newest {
		r.follow(now, s, int(x.Section))
	}
	if r.noRoom && f.missing.Has(i) {
		return drop(machine.DropNoRoom)
	}
	if !f.missing.Remove(i) {
		return drop(machine.DropDuplicate)
	}
	if !f.stored || s.waits != nil {
		r.proves(now, s)
	}
	if f.missing.Count() == 0 {
		r.whole(now, s)
	}
	return machine.Verdict{Store: machine.Store{Ref: f.req.Ref, Offset: l.Offset(i), Data: x.Data[:size]}}
}

// NoRoom tells whether the host can store blocks. While it cannot, those that are
// missing are refused: sessions go on, and the blocks are asked for again.
func (r *Receiver) NoRoom(yes bool) { r.noRoom = yes }

// Patience is how long the host may leave packets unread without harm to a session: two
// GRTT of the quickest one, for a sender asks every three, and at least 10 ms.
func (r *Receiver) Patience() time.Duration {
	least := timeoutMax
	for i := range r.slots {
		if s := &r.slots[i]; s.phase != Free {
			least = min(least, 2*s.grtt, s.idle/2)
		}
	}
	return max(least, patienceMin)
}

// whole asks the host to finish the file: every block has been handed out.
func (r *Receiver) whole(now clock.Time, s *session) {
	f := &s.file
	f.done = f.done || f.nak.asked // a DONE whose answer was due in a moment
	r.step(s, FileWhole)
	r.enter(now, s, Closing)
	r.emit(Close{Session: s.info, Ref: f.req.Ref})
}

// StoreFailed tells that a block could not be written, and why, in words for the sender. The
// session cannot go on: asking for the block again would not help, and a Close that is under
// way would finish a file with a hole.
func (r *Receiver) StoreFailed(now clock.Time, ref machine.FileRef, errText string) {
	s := r.byRef(ref)
	if s == nil {
		return
	}
	s.file.failed = true
	r.abort(now, s, s.file.req.Name+": "+errText, EndRefused)
}
