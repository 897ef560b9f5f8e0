package receiver

import (
	"uftp/engine/clock"
	"uftp/engine/machine"
	"uftp/wire"
)

// gotFileSeg takes a block (docs/protocol.md, "Data and NAKs"). Nothing here allocates.
func (s *session) gotFileSeg(now clock.Time, msg []byte, newest bool) machine.Verdict {
	switch s.phase {
	case Receiving:
	case MidGroup, Opening, Closing:
		s.restartIdle(now)
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
	// A stock sender whose source grows fills the last block. The file stays as long as it
	// was announced.
	size := l.Len(i)
	if len(x.Data) < size || len(x.Data) > l.BlockSize {
		return drop(machine.DropRange)
	}
	s.restartIdle(now)
	f.data = true
	if newest {
		s.follow(now, int(x.Section))
	}
	if s.r.noRoom && f.missing.Has(i) {
		return drop(machine.DropNoRoom)
	}
	if !f.missing.Remove(i) {
		return drop(machine.DropDuplicate)
	}
	if !f.stored || s.waitsAt != nil {
		s.noteStored(now)
	}
	if f.missing.Count() == 0 {
		s.completeFile(now)
	}
	return machine.Verdict{Store: machine.Store{Ref: f.req.Ref, Offset: l.Offset(i), Data: x.Data[:size]}}
}

// noteStored notes the first stored block of a file, or the first one after a silence: the
// sender does more than promise.
func (s *session) noteStored(now clock.Time) {
	s.stored, s.file.stored = true, true
	s.r.setWaiting(s, false)
	s.setIdle()
	s.restartIdle(now)
}

// completeFile asks the host to finish the file: every block has been handed out.
func (s *session) completeFile(now clock.Time) {
	f := &s.file
	f.done = f.done || f.nak.asked // the answer to that DONE has not left
	s.step(FileWhole)
	s.enter(now, Closing)
	s.r.emit(Close{Session: s.info, Ref: f.req.Ref})
}
