package receiver

import (
	"uftp/engine/block"
	"uftp/engine/clock"
)

// checkpoint hands out a copy of the missing set, unless the host still has the last one or
// no block has arrived since.
func (s *session) checkpoint(now clock.Time) {
	s.arm(checkpointTimer, now, s.r.cfg.CheckpointEvery)
	f := &s.file
	if s.copyRef != 0 || f.missing.Count() == f.checkpointed {
		return
	}
	f.checkpointed = f.missing.Count()
	if s.missingCopy == nil {
		s.missingCopy = new(block.Set)
	}
	s.missingCopy.CopyFrom(&f.missing)
	s.copyRef = f.req.Ref
	s.r.emit(Checkpoint{Session: s.info, Ref: s.copyRef, Missing: s.missingCopy})
}
