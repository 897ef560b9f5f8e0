package receiver

import (
	"uftp/crypto/handshake"
	"uftp/engine/clock"
	"uftp/engine/machine"
	"uftp/wire"
)

// gotKeyInfo takes KEYINFO. The first one that opens confirms the registration; each gets a
// KEYINFO_ACK under its own keys. KEYINFO is not signed. So until the first sealed packet of
// the sender shows which keys are right, others may follow, and one that does not open does
// not end the session. If no right one comes, the registration times out.
func (s *session) gotKeyInfo(now clock.Time, pkt []byte) machine.Drop {
	if s.phase != Registering && s.phase != MidGroup {
		return machine.DropPhase
	}
	repeats := s.dialect.Keyed()
	keys, why := s.dialect.TakeKeyInfo(now, s.r.cfg.UID, pkt)
	if repeats && why != machine.DropMalformed {
		s.restartIdle(now)
	}
	if why != machine.DropNone {
		return why
	}
	s.step(GotKeyInfo)
	if s.phase == Registering {
		s.confirm(now)
	}
	s.sayWith(keys, wire.FuncKeyInfoAck, keyInfoAck(keys.Verify()))
	s.step(KeyInfoAckSent)
	return machine.DropNone
}

type keyInfoAck []byte

func (m keyInfoAck) appendTo(b []byte, it *item, _ clock.Time) ([]byte, bool) {
	x := wire.KeyInfoAck{Verify: m}
	return x.Append(it.head.Version, b), false
}

// keyed describes the protection of a session.
func keyed(s *session) Keyed {
	c := s.dialect.Handshake()
	k := Keyed{Session: s.info, Suite: c.Suite(), Server: c.ServerKey(), ClientAuth: c.ClientAuth()}
	k.Strength, k.Weak = c.Strength()
	return k
}

// Secrets returns what opens the packets of a session, for a key log. ok is false if there is
// no such session, or its keys are not proved.
func (r *Receiver) Secrets(id SessionID) (s Secrets, ok bool) {
	se := r.find(id.Group, id.Instance)
	if se == nil || !se.dialect.Encrypted() || !se.dialect.Proved() {
		return s, false
	}
	c := se.dialect.Handshake()
	return Secrets{Suite: c.Suite(), ServerRandom: c.ServerRandom(), GroupMaster: c.GroupMaster()}, true
}

// Secrets opens all packets of a session.
type Secrets struct {
	Suite        handshake.Suite
	ServerRandom [wire.RandomLen]byte
	GroupMaster  [handshake.MasterLen]byte
}
