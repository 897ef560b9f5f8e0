package receiver

import (
	"uftp/engine/clock"
	"uftp/engine/machine"
	"uftp/wire"
)

// gotAbort takes ABORT, which counts in every phase (v4-receiver.md section 9).
func (r *Receiver) gotAbort(now clock.Time, s *session, msg []byte) machine.Drop {
	x, err := wire.ParseAbort(msg)
	if err != nil {
		return machine.DropMalformed
	}
	switch {
	case x.Host == r.cfg.UID:
	case x.Host != 0:
		return machine.DropNotForUs
	case x.Flags&wire.AbortCurrentFile != 0 && s.phase == MidGroup:
		return machine.DropNotForUs // about a file that we have finished or never had
	}
	r.emit(GotAbort{Session: s.info, Text: string(x.Text)})
	r.end(now, s, EndAborted)
	return machine.DropNone
}

// abort ends a session on our own account and tells the sender why.
func (r *Receiver) abort(now clock.Time, s *session, text string, why EndReason) {
	if !s.ended { // else the sender, or a newer instance, has ended it already
		it := r.packet(s, wire.FuncAbort)
		it.text = text
		r.push(it)
		r.emit(SentAbort{Session: s.info, Text: text})
	}
	r.end(now, s, why)
}
