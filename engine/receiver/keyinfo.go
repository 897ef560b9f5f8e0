package receiver

import (
	"net/netip"

	"uftp/crypto/handshake"
	"uftp/engine/clock"
	"uftp/engine/machine"
	"uftp/wire"
)

// gotSealed takes an ENCRYPTED datagram of an encrypted session. A counter that
// came before is refused unopened: that costs nothing. u is what an Unsealer has made
// of it.
func (r *Receiver) gotSealed(now clock.Time, from netip.AddrPort, s *session, h wire.Header, pkt []byte, u Unsealed) machine.Verdict {
	if d := s.sec.refuse(pkt); d != machine.DropNone {
		return drop(d)
	}
	if u.keys != 0 {
		if u.msg == nil || u.keys != s.sec.number { // tried with those of a session that is over
			return drop(machine.DropSealed)
		}
		return r.gotOpened(now, s, h, u.msg, counterOf(pkt))
	}
	if !r.mayOpen(now, from, s) {
		return drop(machine.DropLimit)
	}
	settled := s.sec.settled
	msg, ctr, err := s.sec.open(pkt, r.echo(h))
	if err != nil && s.sec.signed != nil {
		s.sec.signed.failed(s.sentFrom(from))
	}
	if !settled && s.sec.settled {
		if s.mayMove(from.Addr()) {
			s.second = from.Addr()
		}
		s.due[retryTimer] = clock.Never
		s.win.start(h.Seq - 1)
		r.proved(s)
		r.emit(keyed(s))
		r.supersede(now, s)
	}
	if err != nil {
		return drop(machine.DropSealed)
	}
	return r.gotOpened(now, s, h, msg, ctr)
}

// gotOpened takes what an authentic ENCRYPTED datagram held. Only here, where it has
// proved to be new, too, it may change anything.
func (r *Receiver) gotOpened(now clock.Time, s *session, h wire.Header, msg []byte, ctr uint64) machine.Verdict {
	switch {
	case !sendersOwn(msg, r.echo(h)): // its counter says nothing about the sender's
		return drop(machine.DropFunction)
	case !s.sec.replay.Mark(ctr):
		return drop(machine.DropReplay)
	}
	h.Func = wire.Func(msg[0])
	return r.gotMessage(now, s, h, msg)
}

// gotClear takes a message in clear that belongs to an encrypted session
// (v4-wire.md section 10). None of them is authentic: ANNOUNCE, KEYINFO and, before
// there are keys, ABORT count only if they come from the address of the session. The
// first two change the round trip time only until there are keys: a longer one until they are proved, because until
// then a sender of which a slow receiver was heard has no other way to say so. The
// sequence window is none of their business.
func (r *Receiver) gotClear(now clock.Time, from netip.AddrPort, s *session, h wire.Header, msg []byte) machine.Drop {
	if r.full() {
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
	case r.fromSender(from, s):
	case h.Func == wire.FuncKeyInfo && !s.sec.settled && s.mayMove(from.Addr()):
	default:
		return machine.DropSource
	}
	if h.Func == wire.FuncAbort {
		return r.gotAbort(now, s, h.Seq, msg)
	}
	s.spoke = now
	if h.GRTT != s.grttCode && (!s.sec.keyed() || !s.sec.settled && h.GRTT > s.grttCode) {
		r.setGRTT(s, h.GRTT)
	}
	if s.phase.unconfirmed() {
		s.alive(now)
	}
	if h.Func == wire.FuncKeyInfo {
		return r.gotKeyInfo(now, s, h.Src, msg)
	}
	if s.phase != MidGroup {
		return machine.DropPhase
	}
	s.alive(now)
	r.missed(now, s, msg)
	return machine.DropNone
}

// gotKeyInfo takes KEYINFO: the first one that opens confirms the registration;
// each is answered with the keys it gave. Nobody knows who made it, so until the
// first sealed packet of the sender shows which keys are right, others may follow,
// and unlike the stock receiver we do not end the session over one that does not
// open. If no better one comes, the registration times out.
func (r *Receiver) gotKeyInfo(now clock.Time, s *session, src wire.UID, msg []byte) machine.Drop {
	if s.phase != Registering && s.phase != MidGroup {
		return machine.DropPhase
	}
	x, err := wire.ParseKeyInfo(s.version, msg)
	if err != nil {
		return machine.DropMalformed
	}
	entry := entryOf(&x, r.cfg.UID)
	c := s.sec
	if c.keyed() {
		s.alive(now)
	}
	if entry == nil {
		return machine.DropNotForUs
	}
	keys := c.current
	if !c.settled {
		candidate, err := c.client.TryKeyInfo(src, x.Counter, entry)
		if err == nil {
			keys, err = c.take(now, candidate)
		}
		if err != nil {
			c.bad = true
			return machine.DropSealed
		}
	}
	r.step(s, GotKeyInfo)
	if s.phase == Registering {
		r.confirm(now, s)
	}
	it := r.packet(s, wire.FuncKeyInfoAck)
	it.keys = keys
	r.push(it)
	r.step(s, KeyInfoAckSent)
	return machine.DropNone
}

// entryOf returns the entry of KEYINFO for a host, nil if there is none.
func entryOf(x *wire.KeyInfo, uid wire.UID) []byte {
	for i := range x.Len() {
		if u, entry := x.At(i); u == uid {
			return entry
		}
	}
	return nil
}

// keyed describes the protection that a session has now.
func keyed(s *session) Keyed {
	c := s.sec.client
	k := Keyed{Session: s.info, Suite: c.Suite(), Server: c.ServerKey(), ClientAuth: c.ClientAuth()}
	k.Strength, k.Weak = c.Strength()
	return k
}

// Secrets returns what opens the packets of a session, for a key log. ok is false
// if there is no such session or it has no keys.
func (r *Receiver) Secrets(id SessionID) (s Secrets, ok bool) {
	se := r.find(id.Group, id.Instance)
	if se == nil || se.sec == nil || !se.sec.settled {
		return s, false
	}
	c := se.sec.client
	return Secrets{Suite: c.Suite(), ServerRandom: c.ServerRandom(), GroupMaster: c.GroupMaster()}, true
}

// Secrets is what all packets of a session can be opened with.
type Secrets struct {
	Suite        handshake.Suite
	ServerRandom [wire.RandomLen]byte
	GroupMaster  [handshake.MasterLen]byte
}
