package receiver

import (
	"uftp/engine/clock"
	"uftp/engine/machine"
	"uftp/engine/seal"
	"uftp/wire"
)

// gotSealed takes an ENCRYPTED datagram of an encrypted session. One whose counter came before is
// refused unopened. m is the mark of an Unsealer.
func (s *session) gotSealed(now clock.Time, d *machine.Datagram, h wire.Header, m seal.Mark) machine.Verdict {
	if why := s.dialect.Refuse(d.Data); why != machine.DropNone {
		return drop(why)
	}
	if m.Key != 0 {
		if m.Msg == nil || m.Key != s.keyNumber { // keys of a session that is over
			return drop(machine.DropSealed)
		}
		return s.gotOpened(now, d, h, m.Msg)
	}
	if s.dialect.Signed() && !s.fails.allows(now, s.sentFrom(d.From), s.r.sessions) {
		return drop(machine.DropLimit)
	}
	proved := s.dialect.Proved()
	msg, err := s.dialect.Open(d.Data, s.r.mayBeOurs(h))
	if err != nil {
		s.fails.book(now, s.dialect.FailureCostUs(), s.sentFrom(d.From))
	}
	if !proved && s.dialect.Proved() {
		if s.mayBeSecond(d.From.Addr()) {
			s.secondAddr = d.From.Addr()
		}
		s.due[retryTimer] = clock.Never
		s.win.start(h.Seq - 1)
		s.keysProved()
		s.r.emit(keyed(s))
		s.r.supersede(now, s)
	}
	if err != nil {
		return drop(machine.DropSealed)
	}
	return s.gotOpened(now, d, h, msg)
}

// gotOpened takes the message of an authentic ENCRYPTED datagram. It changes nothing before its
// counter has proved to be new.
func (s *session) gotOpened(now clock.Time, d *machine.Datagram, h wire.Header, msg []byte) machine.Verdict {
	if why := s.dialect.Take(d.Data, msg, s.r.mayBeOurs(h)); why != machine.DropNone {
		return drop(why)
	}
	h.Func = wire.Func(msg[0])
	return s.gotMessage(now, h, msg)
}

// gotClear takes a message in clear of an encrypted session. None of them is authentic. ANNOUNCE,
// KEYINFO and, before there are keys, ABORT count if they come from the sender's address. The
// first two change GRTT until there are keys. Until the keys are proved they may still raise it:
// a sender that has met a slower receiver has no other way to say so. None of them moves the
// window of sequence numbers.
func (s *session) gotClear(now clock.Time, d *machine.Datagram, h wire.Header, msg []byte) machine.Drop {
	if s.r.full() {
		return machine.DropLimit
	}
	if why := s.dialect.TakesClear(h.Func); why != machine.DropNone {
		return why
	}
	switch {
	case s.fromSender(d.From):
	case h.Func == wire.FuncKeyInfo && !s.dialect.Proved() && s.mayBeSecond(d.From.Addr()):
	default:
		return machine.DropSource
	}
	if h.Func == wire.FuncAbort {
		return s.gotAbort(now, h.Seq, msg)
	}
	s.heardAt = now
	if h.GRTT != s.grttCode && (!s.dialect.Keyed() || !s.dialect.Proved() && h.GRTT > s.grttCode) {
		s.setGRTT(h.GRTT)
	}
	if s.phase.unconfirmed() {
		s.restartIdle(now)
	}
	if h.Func == wire.FuncKeyInfo {
		return s.gotKeyInfo(now, d.Data)
	}
	if s.phase != MidGroup {
		return machine.DropPhase
	}
	s.restartIdle(now)
	s.announcedAgain(now, msg)
	return machine.DropNone
}

// mayBeOurs reports whether a packet may be one of ours that somebody sent back: receivers write
// no GRTT, senders always do.
func (r *Receiver) mayBeOurs(h wire.Header) bool { return h.Src == r.cfg.UID && h.GRTT == 0 }
