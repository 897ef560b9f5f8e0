package receiver

import (
	"uftp/engine/clock"
	"uftp/engine/machine"
	"uftp/wire"
)

// registerFirst sends the first REGISTER. The limit of the registration still counts from the
// ANNOUNCE.
func (s *session) registerFirst(now clock.Time) {
	s.enter(now, Registering)
	s.sendRegister(now)
}

// sendRegister sends REGISTER and sets the timer for the next one.
func (s *session) sendRegister(now clock.Time) {
	s.say(wire.FuncRegister, register{s.echo})
	s.step(RegisterSent)
	if s.dialect.ShowsKey() {
		s.say(wire.FuncClientKey, clientKey{})
		s.step(ClientKeySent)
	}
	s.arm(retryTimer, now, s.resendGap())
}

type register struct{ echo echo }

func (m register) appendTo(b []byte, it *item, now clock.Time) ([]byte, bool) {
	x := wire.Register{Time: m.echo.aged(now)}
	if !it.dialect.FillRegister(&x) {
		return nil, false // the handshake is over
	}
	return x.Append(it.head.Version, b), false
}

type clientKey struct{}

func (clientKey) appendTo(b []byte, it *item, _ clock.Time) ([]byte, bool) {
	x, err := it.dialect.Handshake().ClientKey()
	if err != nil {
		return nil, false
	}
	return x.Append(b), false
}

// gotRegConf takes REG_CONF.
func (s *session) gotRegConf(now clock.Time, msg []byte) machine.Drop {
	switch s.phase {
	case MidGroup:
		s.restartIdle(now)
		return machine.DropNone
	case Registering:
	default:
		return machine.DropPhase
	}
	x, err := wire.ParseHostList(msg)
	if err != nil || x.Func != wire.FuncRegConf {
		return machine.DropMalformed
	}
	if !x.Hosts.Contains(s.r.cfg.UID) {
		return machine.DropNotForUs
	}
	s.confirm(now)
	return machine.DropNone
}

// confirm ends the registration. In an encrypted session announcedAgain may resume it.
func (s *session) confirm(now clock.Time) {
	s.enter(now, MidGroup)
	if s.dialect.Proved() {
		s.step(Confirmed)
		s.r.supersede(now, s)
	}
}

// announcedAgain takes an ANNOUNCE that comes after KEYINFO. That KEYINFO may be a stranger's,
// and our REGISTER lost: then the sender still asks for us. So REGISTER is repeated until a
// sealed packet has proved the keys, but seldom after an ANNOUNCE to everybody, which may be
// meant for others.
func (s *session) announcedAgain(now clock.Time, msg []byte) {
	a, err := wire.ParseAnnounce(s.dialect.Version(), msg)
	if err != nil || s.dialect.Proved() || s.due[retryTimer] != clock.Never || now >= s.limit {
		return
	}
	switch {
	case len(a.Hosts) < 4:
		s.arm(retryTimer, now, 6*s.resendGap())
	case a.Hosts.Contains(s.r.cfg.UID):
		s.arm(retryTimer, now, s.resendGap())
	}
}
