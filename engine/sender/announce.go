package sender

import (
	"fmt"
	"net/netip"

	"uftp/engine/clock"
	"uftp/engine/group"
	"uftp/engine/machine"
	"uftp/wire"
)

// The announce phase (v4-sender.md section 4).

// announceRound sends the set of one cycle.
func (s *Sender) announceRound() {
	s.attempt++
	if s.sec != nil {
		s.queue(round{fn: wire.FuncKeyInfo, number: s.attempt})
		s.hurry = false
	}
	s.confirmRegisters(s.attempt)
	if !s.closed || s.in(Mute) > 0 {
		s.announce()
	}
	s.armWhenSent(timerCycle)
}

func (s *Sender) announce() {
	s.queue(round{fn: wire.FuncAnnounce, number: s.attempt, bare: !s.closed})
}

// confirmRegisters answers those that registered since the last time.
func (s *Sender) confirmRegisters(number int) {
	if s.unconfirmed > 0 {
		s.queue(round{fn: wire.FuncRegConf, number: number})
	}
}

func (s *Sender) appendAnnounce(now clock.Time, b []byte) []byte {
	m := wire.Announce{
		Robust:    uint8(s.cfg.Robust),
		CC:        wire.CCNone,
		BlockSize: uint16(s.cfg.BlockSize),
		Time:      now.Stamp(),
	}
	if s.cfg.Sync {
		m.Flags |= wire.AnnounceSync
	}
	if s.cfg.Preview {
		m.Flags |= wire.AnnounceSync | wire.AnnouncePreview
	}
	if a := s.cfg.Public.Addr(); a.Is6() && !a.Is4In6() {
		m.Flags |= wire.AnnounceIPv6
	}
	if !s.cfg.Unicast {
		m.Public, m.Private = s.cfg.Public.Addr().WithZone(""), s.cfg.Private.Addr().WithZone("")
	}
	if s.sec != nil {
		m.Enc, m.HasEnc = s.sec.enc, true
	}
	return m.Append(b)
}

// early reports whether registration may end before its rounds are used up.
func (s *Sender) early() bool {
	return !s.closed && (s.cfg.RegisterCount > 0 || s.cfg.RegisterQuiet > 0)
}

// allIn reports whether nobody is waited for any more.
func (s *Sender) allIn() bool {
	if s.in(Registered) > 0 {
		return false // the keys are under way
	}
	if s.closed {
		return s.in(Mute) == 0
	}
	return s.cfg.RegisterCount > 0 && s.in(Active) >= s.cfg.RegisterCount
}

func (s *Sender) stepAnnounce(now clock.Time) progress {
	switch {
	case s.late || s.allIn():
		return s.stepAllIn(now)
	case s.keysNow():
		s.keyInfoNow(now)
		return moved
	case s.early() && s.unconfirmed > 0:
		// Who waits for few wants them soon: with the measured GRTT, and at once.
		s.updateGRTT()
		s.confirmRegisters(s.attempt + 1)
		return moved
	case s.timers.Due(timerQuiet, now):
		if s.keying() {
			s.timers.Set(timerQuiet, now.Add(s.length(timerCycle)))
			return moved
		}
		s.reports.must(Notice{RegistrationCut})
		s.endAnnounce(now)
		return moved
	case s.timers.Due(timerCycle, now):
		s.updateGRTT()
		switch {
		case s.attempt < s.cfg.Robust:
			s.announceRound()
		case s.unconfirmed > 0:
			s.confirmRegisters(s.attempt + 1)
			s.timers.Set(timerCycle, now) // look again when it has left
		case s.attempt < 2*s.cfg.Robust && s.keying():
			// Who came in the last rounds gets as many chances as the others.
			s.attempt++
			s.queue(round{fn: wire.FuncKeyInfo, number: s.attempt})
			s.armWhenSent(timerCycle)
		default:
			s.endAnnounce(now)
		}
		return moved
	}
	return waiting
}

// stepAllIn confirms at once and then waits 1·G for those that did not hear it.
func (s *Sender) stepAllIn(now clock.Time) progress {
	if !s.late {
		s.late = true
		s.timers.Stop(timerCycle)
		s.timers.Stop(timerQuiet)
		s.updateGRTT()
		if s.closed {
			s.report(Notice{LateRegisters})
		}
		s.armWhenSent(timerLate)
		s.confirmRegisters(s.attempt + 1)
		return moved
	}
	switch {
	case s.confirmsLate(now):
		s.updateGRTT()
		s.armWhenSent(timerLate)
		s.confirmRegisters(s.attempt + 1)
		return moved
	case s.hurry && s.lates < s.cfg.Robust:
		// A client was started again.
		s.lates++
		s.keyInfoNow(now)
		s.armWhenSent(timerLate)
		return moved
	case s.in(Active) == 0 || s.timers.Due(timerLate, now):
		if !s.closed {
			s.reports.must(Notice{RegistrationCut})
		}
		s.endAnnounce(now)
		return moved
	}
	return waiting
}

func (s *Sender) endAnnounce(now clock.Time) {
	s.updateGRTT()
	s.grtt.NextPhase()
	s.lose(Registered, LostRegister)
	nobody := s.in(Active) == 0
	dropped := s.cfg.QuitOnError && s.failed() > 0
	if dropped && !nobody {
		s.shoutAbort(0, "A client dropped out, aborting all")
		s.failUnfinished(Aborted)
	}
	e := Connected{}
	for i := range s.roster.Len() {
		c := s.roster.At(i)
		s.confirm(c) // FILEINFO does it for those who did not hear us
		e.Clients = append(e.Clients, s.client(i))
		e.OK = append(e.OK, c.state == Active)
	}
	s.reports.must(e)
	switch {
	case nobody:
		s.reports.must(Notice{AnnounceTimedOut})
		s.end(now, ExitNobody)
	case dropped:
		s.end(now, ExitNobody)
	default:
		s.enter(now, BetweenFiles)
	}
}

const (
	noProxies  = "proxies are not supported yet"
	notInList  = "Not in host list"
	badMessage = "Invalid message size"
)

// handleRegister takes a REGISTER of client i.
func (s *Sender) handleRegister(now clock.Time, from netip.AddrPort, i int, msg []byte) machine.Drop {
	m, err := wire.ParseRegister(msg)
	if err != nil {
		return s.badRegister(now, from, s.roster.UID(i), wire.FuncRegister, err)
	}
	c := s.roster.At(i)
	switch {
	case c.proxy || len(m.Clients) > 0:
		s.refuseOnce(now, wire.FuncRegister, i, noProxies)
		return machine.DropFunction
	case s.sec != nil && s.phase == Announcing && (!c.state.Failed() || c.state == Mute):
		return s.registerKeys(now, from, i, &m)
	case s.phase == Announcing && c.state == Mute:
		s.register(now, from, i, &m)
		return machine.DropNone
	case s.phase == Announcing && c.state == Active:
		s.unconfirm(c)
	case c.state == Mute:
		s.refuseOnce(now, wire.FuncRegister, i, "registration is over")
		s.deny(now, from, s.roster.UID(i), "Registration is over")
		return machine.DropPhase
	case c.state.Failed():
		// It goes on until its own time is up: like the stock sender we do not answer,
		// since an ABORT would have it register anew with the next ANNOUNCE.
		s.refuseOnce(now, wire.FuncRegister, i, fmt.Sprintf("invalid message: it is %v, and out of this session", c.state))
		return machine.DropPhase
	case s.phase == Data || s.phase == Finishing || s.sec != nil:
		s.refuseOnce(now, wire.FuncRegister, i, "invalid message")
		return machine.DropPhase
	}
	// It has not heard our REG_CONF. After the announce phase FILEINFO stands for it.
	s.report(Heard{Func: wire.FuncRegister, Client: s.client(i), Repeat: true, RTT: s.measure(now, c, m.Time)})
	return machine.DropNone
}

// registerStranger takes a REGISTER of a UID that an open group does not know yet.
func (s *Sender) registerStranger(now clock.Time, from netip.AddrPort, uid wire.UID, msg []byte) machine.Drop {
	m, err := wire.ParseRegister(msg)
	if err != nil {
		return s.badRegister(now, from, uid, wire.FuncRegister, err)
	}
	if len(m.Clients) > 0 {
		s.refuseStranger(now, wire.FuncRegister, uid, noProxies)
		s.deny(now, from, uid, noProxies)
		return machine.DropFunction
	}
	n := new(start)
	if s.sec != nil && s.roster.Len() < MaxClients {
		if d := s.agree(now, from, n, &m); d != machine.DropNone {
			s.refuseStranger(now, wire.FuncRegister, uid, badPremaster(d))
			return d
		}
	}
	i, err := s.roster.Add(uid, client{confirmed: true})
	if err == group.ErrFull {
		s.refuseStranger(now, wire.FuncRegister, uid, "too many clients")
		s.deny(now, from, uid, "Max destinations exceeded")
		return machine.DropLimit
	}
	c := s.roster.At(i)
	c.name = uid.String()
	s.count[kind(c)][Mute]++
	if s.sec == nil {
		s.register(now, from, i, &m)
	} else {
		c.keys = newMember()
		rtt := s.registerRTT(now, from, c, s.takePeer(c, n), &m)
		s.reports.must(Heard{Func: wire.FuncRegister, Client: s.client(i), RTT: rtt})
		s.checkReady(c)
	}
	if s.cfg.RegisterQuiet > 0 {
		s.timers.Set(timerQuiet, now.Add(s.cfg.RegisterQuiet))
	}
	return machine.DropNone
}

// register lets client i in.
func (s *Sender) register(now clock.Time, from netip.AddrPort, i int, m *wire.Register) {
	c := s.roster.At(i)
	c.addr = from
	s.setState(c, Active)
	s.unconfirm(c)
	s.reports.must(Heard{Func: wire.FuncRegister, Client: s.client(i), RTT: s.measure(now, c, m.Time)})
}

// badRegister answers a REGISTER or CLIENT_KEY that cannot be read.
func (s *Sender) badRegister(now clock.Time, from netip.AddrPort, uid wire.UID, fn wire.Func, err error) machine.Drop {
	if err != wire.ErrFunc {
		s.refuseStranger(now, fn, uid, "invalid message size")
		s.deny(now, from, uid, badMessage)
	}
	return machine.DropMalformed
}
