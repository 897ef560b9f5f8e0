package receiver

import (
	"uftp/engine/block"
	"uftp/engine/clock"
	"uftp/engine/machine"
	"uftp/wire"
)

// gotAbort takes ABORT, which counts in every phase (docs/protocol.md, "Receiver aborts").
func (s *session) gotAbort(now clock.Time, seq uint16, msg []byte) machine.Drop {
	x, err := wire.ParseAbort(msg)
	if err != nil {
		return machine.DropMalformed
	}
	if x.Host != 0 && x.Host != s.r.cfg.UID {
		return machine.DropNotForUs
	}
	if x.Flags&wire.AbortCurrentFile != 0 {
		f := &s.file
		switch s.phase {
		case MidGroup, Closing:
			s.files++                   // if we never had it, the sender wants it so
			return machine.DropNotForUs // a file that we have finished or never had
		case Opening, Receiving:
			if !f.data && int16(seq-f.seq) < 0 {
				return machine.DropSequence // it names no file, and is older than this one
			}
			if s.phase == Opening {
				f.givenUp, f.givenUpText = true, string(x.Text) // as soon as the host has answered
			} else {
				s.giveUpFile(now, string(x.Text))
			}
			return machine.DropNone
		}
	}
	s.r.emit(GotAbort{Session: s.info, Text: string(x.Text)})
	s.end(now, EndAborted)
	return machine.DropNone
}

// giveUpFile drops the file that is being received because the sender cannot go on with it.
// The session goes on with the next files.
func (s *session) giveUpFile(now clock.Time, text string) {
	f := &s.file
	all := f.missing // the memory goes with it
	all.Reset(all.Len(), true)
	f.missing = block.Set{}
	s.r.emit(Abandon{Session: s.info, Ref: f.req.Ref, Missing: &all})
	s.finished = finished{id: s.info.FileID, status: wire.StatusRejected}
	s.files++
	s.r.emit(FileEnded{Session: s.info, Request: f.req, Status: wire.StatusRejected, Text: "given up by the sender: " + text})
	s.enter(now, MidGroup)
}

// abort ends a session and says why in an ABORT.
func (s *session) abort(now clock.Time, text string, why EndReason) {
	if !s.ended { // the sender or a newer instance may have ended it already
		s.say(wire.FuncAbort, abortText(text))
		s.r.emit(SentAbort{Session: s.info, Text: text})
	}
	s.end(now, why)
}

// abortText is an ABORT with this text.
type abortText string

func (m abortText) appendTo(b []byte, _ *item, _ clock.Time) ([]byte, bool) {
	x := wire.Abort{Text: []byte(m)}
	return x.Append(b), false
}
