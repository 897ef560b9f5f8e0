package receiver

import (
	"net/netip"

	"uftp/engine/clock"
	"uftp/engine/machine"
	"uftp/wire"
)

// gotSealed takes an ENCRYPTED datagram of an encrypted session. A counter that
// came before is refused unopened: that costs nothing. u is what an Unsealer has made
// of it.
func (s *session) gotSealed(now clock.Time, d *machine.Datagram, h wire.Header, u Unsealed) machine.Verdict {
	if why := s.dialect.Refuse(d.Data); why != machine.DropNone {
		return drop(why)
	}
	if u.keys != 0 {
		if u.msg == nil || u.keys != s.keyNumber { // tried with those of a session that is over
			return drop(machine.DropSealed)
		}
		return s.gotOpened(now, d, h, u.msg)
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

// gotOpened takes what an authentic ENCRYPTED datagram held. Only here, where it has
// proved to be new, too, it may change anything.
func (s *session) gotOpened(now clock.Time, d *machine.Datagram, h wire.Header, msg []byte) machine.Verdict {
	if why := s.dialect.Take(d.Data, msg, s.r.mayBeOurs(h)); why != machine.DropNone {
		return drop(why)
	}
	h.Func = wire.Func(msg[0])
	return s.gotMessage(now, h, msg)
}

// gotClear takes a message in clear that belongs to an encrypted session
// (v4-wire.md section 10). None of them is authentic: ANNOUNCE, KEYINFO and, before
// there are keys, ABORT count only if they come from the address of the session. The
// first two change the round trip time only until there are keys: a longer one until they are proved, because until
// then a sender of which a slow receiver was heard has no other way to say so. The
// sequence window is none of their business.
func (s *session) gotClear(now clock.Time, from netip.AddrPort, h wire.Header, msg []byte) machine.Drop {
	if s.r.full() {
		return machine.DropLimit
	}
	if why := s.dialect.TakesClear(h.Func); why != machine.DropNone {
		return why
	}
	switch {
	case s.fromSender(from):
	case h.Func == wire.FuncKeyInfo && !s.dialect.Proved() && s.mayBeSecond(from.Addr()):
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
		return s.gotKeyInfo(now, h.Src, msg)
	}
	if s.phase != MidGroup {
		return machine.DropPhase
	}
	s.restartIdle(now)
	s.announcedAgain(now, msg)
	return machine.DropNone
}

// mayBeOurs reports whether a packet that came may be one of ours: receivers have no
// round trip time to tell, and senders always have.
func (r *Receiver) mayBeOurs(h wire.Header) bool { return h.Src == r.cfg.UID && h.GRTT == 0 }
