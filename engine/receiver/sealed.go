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
	if why := s.sec.refuse(d.Data); why != machine.DropNone {
		return drop(why)
	}
	if u.keys != 0 {
		if u.msg == nil || u.keys != s.sec.number { // tried with those of a session that is over
			return drop(machine.DropSealed)
		}
		return s.gotOpened(now, h, u.msg, counterOf(d.Data))
	}
	if !s.mayOpen(now, d.From) {
		return drop(machine.DropLimit)
	}
	settled := s.sec.settled
	msg, ctr, err := s.sec.open(d.Data, s.r.mayBeOurs(h))
	if err != nil && s.sec.signed != nil {
		s.sec.signed.bookFailure(now, s.sentFrom(d.From))
	}
	if !settled && s.sec.settled {
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
	return s.gotOpened(now, h, msg, ctr)
}

// gotOpened takes what an authentic ENCRYPTED datagram held. Only here, where it has
// proved to be new, too, it may change anything.
func (s *session) gotOpened(now clock.Time, h wire.Header, msg []byte, ctr uint64) machine.Verdict {
	switch {
	case !sentBySenders(msg, s.r.mayBeOurs(h)): // its counter says nothing about the sender's
		return drop(machine.DropFunction)
	case !s.sec.replay.Mark(ctr):
		return drop(machine.DropReplay)
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
	switch h.Func {
	case wire.FuncAnnounce, wire.FuncKeyInfo:
	case wire.FuncAbort:
		if s.sec.keyed() {
			return machine.DropClear
		}
	case wire.FuncRegConf:
		return machine.DropPhase // for receivers behind a proxy
	default:
		return machine.DropClear
	}
	switch {
	case s.fromSender(from):
	case h.Func == wire.FuncKeyInfo && !s.sec.settled && s.mayBeSecond(from.Addr()):
	default:
		return machine.DropSource
	}
	if h.Func == wire.FuncAbort {
		return s.gotAbort(now, h.Seq, msg)
	}
	s.heardAt = now
	if h.GRTT != s.grttCode && (!s.sec.keyed() || !s.sec.settled && h.GRTT > s.grttCode) {
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
