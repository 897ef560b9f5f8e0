package receiver

import (
	"uftp/engine/block"
	"uftp/engine/clock"
	"uftp/engine/machine"
	"uftp/wire"
)

// gotAbort takes ABORT, which counts in every phase (v4-receiver.md section 9).
func (r *Receiver) gotAbort(now clock.Time, s *session, seq uint16, msg []byte) machine.Drop {
	x, err := wire.ParseAbort(msg)
	if err != nil {
		return machine.DropMalformed
	}
	if x.Host != 0 && x.Host != r.cfg.UID {
		return machine.DropNotForUs
	}
	if x.Flags&wire.AbortCurrentFile != 0 {
		f := &s.file
		switch s.phase {
		case MidGroup, Closing:
			s.files++                   // if we never had it, that is the sender's will
			return machine.DropNotForUs // about a file that we have finished or never had
		case Opening, Receiving:
			if !f.data && int16(seq-f.seq) < 0 {
				return machine.DropSequence // about the file before: it names none
			}
			if s.phase == Opening {
				f.givenUp, f.why = true, string(x.Text) // when the host has answered
			} else {
				r.giveUpFile(now, s, string(x.Text))
			}
			return machine.DropNone
		}
	}
	r.emit(GotAbort{Session: s.info, Text: string(x.Text)})
	r.end(now, s, EndAborted)
	return machine.DropNone
}

// giveUpFile drops the file that is being received, for the sender cannot go on with it. The
// session stays for those that follow; a stock receiver ends it, and loses them.
func (r *Receiver) giveUpFile(now clock.Time, s *session, text string) {
	f := &s.file
	all := f.missing // the memory goes with it
	all.Reset(all.Len(), true)
	f.missing = block.Set{}
	r.emit(Abandon{Session: s.info, Ref: f.req.Ref, Missing: &all})
	s.finished = finished{id: s.info.FileID, status: wire.StatusRejected}
	s.files++
	r.emit(FileEnded{Session: s.info, Request: f.req, Status: wire.StatusRejected, Text: "given up by the sender: " + text})
	r.enter(now, s, MidGroup)
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
