package sender

import (
	"fmt"
	"net/netip"
	"time"

	"uftp/engine/clock"
	"uftp/engine/group"
	"uftp/engine/machine"
	"uftp/wire"
)

// The announce phase (docs/protocol.md, "Announce phase").

// announceRound queues the messages of one cycle.
func (s *Sender) announceRound() {
	s.cycle.attempt++
	if s.dialect.Encrypted() {
		s.queue(round{fn: wire.FuncKeyInfo, number: s.cycle.attempt})
		s.reg.keysSoon = false
	}
	s.confirmRegisters(s.cycle.attempt)
	if !s.closed || s.in(Mute) > 0 {
		s.announce()
	}
	s.timers.SetWhenSent(timerCycle)
	if s.dialect.Encrypted() && s.answersAtOnce() {
		s.timers.SetWhenSent(timerKeys)
	}
}

func (s *Sender) announce() {
	quiet := s.cycle.attempt > s.cfg.Robust && s.cycle.attempt%longRoundReported != 0
	s.queue(round{fn: wire.FuncAnnounce, number: s.cycle.attempt, bare: !s.closed, quiet: quiet})
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
		Time:      wire.Stamp(now.Micros()),
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
	s.dialect.FillAnnounce(&m)
	return m.Append(s.dialect.Version(), b)
}

// Rounds of registration after the first Robust ones are a second apart at least, and more if
// many hosts are missing, so that their list takes little of the rate.
const (
	longRound         = time.Second
	longRoundEach     = time.Millisecond // for each host on the list
	longRoundReported = 60               // one in so many is reported
)

// aliveShare is the part of their patience after which clients that only wait, for others or
// for a file, hear from the sender. They may wait for long, so a few lost packets in a row
// must do no harm.
const aliveShare = 8

// answersAtOnce reports whether a client that registers is answered at once instead of with
// the next round: registration may end before its rounds are used up, or long after.
func (s *Sender) answersAtOnce() bool {
	return s.cfg.RegisterWait > 0 || s.cfg.RegisterCount > 0 || s.cfg.RegisterQuiet > 0
}

// allIn reports whether registration waits for no more clients.
func (s *Sender) allIn() bool {
	enough := s.cfg.RegisterCount > 0 && s.in(Active) >= s.cfg.RegisterCount
	if !enough && (!s.closed || s.in(Mute) > 0) {
		return false
	}
	// The keys may be under way. Where registration may last for hours, it does not wait for
	// clients that do not acknowledge them.
	return s.in(Registered) == 0 || s.answersAtOnce() && !s.keying()
}

// endsByTimer reports whether a timer ends registration, and not the number of rounds.
func (s *Sender) endsByTimer() bool {
	return s.cfg.RegisterWait > 0 || s.timers.Armed(timerQuiet)
}

func (s *Sender) stepAnnounce(now clock.Time) progress {
	if s.answersAtOnce() && s.in(Active) > 0 && !s.cycle.late && !s.reg.over {
		s.timers.Set(timerAlive, s.rounds.sentAt.Add(s.silence(aliveShare)))
	}
	switch {
	case s.cycle.late || s.allIn():
		return s.stepAllIn(now)
	case s.reg.over:
		return s.stepOver(now)
	case s.timers.Due(timerWait, now): // time first: no messages can delay it
		s.endTime(now)
	case s.timers.Due(timerQuiet, now):
		if s.cycle.attempt <= s.cfg.Robust {
			s.reports.must(Notice{RegistrationCut})
		}
		s.endTime(now)
	case s.timers.Due(timerCycle, now):
		s.updateGRTT()
		if s.cycle.attempt < s.cfg.Robust || s.endsByTimer() {
			s.announceRound()
		} else {
			s.endTime(now)
		}
	case s.keysNow():
		s.keyInfoNow(now)
	case s.answersAtOnce() && s.unconfirmed > 0:
		// With the measured GRTT, and at once.
		s.updateGRTT()
		s.confirmRegisters(s.cycle.attempt + 1)
	case s.timers.Due(timerKeys, now):
		if s.keying() {
			s.updateGRTT()
			s.keyInfoAgain()
		}
	case s.timers.Due(timerAlive, now):
		s.sendAlive()
	default:
		return waiting
	}
	return moved
}

// keyInfoAgain repeats KEYINFO to all that wait for it, when no round is due yet.
func (s *Sender) keyInfoAgain() {
	s.queue(round{fn: wire.FuncKeyInfo, number: s.cycle.attempt})
	s.timers.SetWhenSent(timerKeys)
}

// sendAlive queues a sign of life for clients that are in and wait for others. Their patience
// goes by the measured GRTT, so it may end long before the next round. While rounds are
// numbered the message is an ANNOUNCE: a host that was late need not wait for the next round.
func (s *Sender) sendAlive() {
	canAnnounce := s.cycle.attempt <= s.cfg.Robust && (!s.closed || s.in(Mute) > 0)
	if canAnnounce {
		s.queue(round{fn: wire.FuncAnnounce, bare: !s.closed, quiet: true})
	}
	if !canAnnounce || s.dialect.Encrypted() { // clients that have keys believe only sealed messages
		s.queue(round{fn: wire.FuncDone, bare: true, quiet: true})
	}
}

// stopRounds stops the timers of registration.
func (s *Sender) stopRounds() {
	for _, t := range []int{timerCycle, timerQuiet, timerWait, timerKeys, timerAlive} {
		s.timers.Stop(t)
	}
}

// endTime ends the time for registration.
func (s *Sender) endTime(now clock.Time) {
	s.reg.over, s.cycle.lateConfirms, s.reg.extraKeyInfos = true, 0, 0
	s.stopRounds()
	s.timers.Set(timerCycle, now)
}

// stepOver confirms clients that came in the last moments, and sends KEYINFO to those that came
// so late that their keys are under way, as often as the others got it.
func (s *Sender) stepOver(now clock.Time) progress {
	extra := s.cfg.Robust
	if s.reg.begun {
		extra = 1
	}
	switch {
	case s.unconfirmed > 0 && s.cycle.lateConfirms < s.cfg.Robust:
		s.cycle.lateConfirms++
		s.updateGRTT()
		s.confirmRegisters(s.cycle.attempt + 1)
		return moved
	case !s.timers.Due(timerCycle, now):
		return waiting
	case s.reg.extraKeyInfos < extra && s.keying():
		s.reg.extraKeyInfos++
		s.cycle.attempt++
		s.updateGRTT()
		s.queue(round{fn: wire.FuncKeyInfo, number: s.cycle.attempt})
		s.timers.SetWhenSent(timerCycle)
		return moved
	}
	s.endAnnounce(now)
	return moved
}

// Begin ends the time for registration now, if any client is registered.
func (s *Sender) Begin(now clock.Time) {
	if s.phase == Ended || s.quit.wanted {
		return
	}
	s.input(now)
	switch {
	case s.phase != Announcing || s.reg.over || s.cycle.late:
		s.report(Notice{BegunAlready})
	case s.in(Active)+s.in(Registered) == 0:
		s.report(Notice{NobodyToBegin})
	default:
		s.reg.begun = true
		s.reports.must(Notice{BegunByUser})
		s.endTime(now)
	}
}

// stepAllIn confirms at once and then waits 1·G for clients that did not hear it.
func (s *Sender) stepAllIn(now clock.Time) progress {
	if !s.cycle.late {
		s.cycle.late, s.cycle.lateConfirms = true, 0
		s.stopRounds()
		s.updateGRTT()
		if s.closed {
			s.report(Notice{LateRegisters})
		}
		s.timers.SetWhenSent(timerLate)
		s.confirmRegisters(s.cycle.attempt + 1)
		return moved
	}
	switch {
	case s.confirmsLate(now):
		s.updateGRTT()
		s.timers.SetWhenSent(timerLate)
		s.confirmRegisters(s.cycle.attempt + 1)
		return moved
	case s.reg.keysSoon && s.cycle.lateConfirms < s.cfg.Robust:
		// A client was started again.
		s.cycle.lateConfirms++
		s.keyInfoNow(now)
		s.timers.SetWhenSent(timerLate)
		return moved
	case s.in(Active) == 0 || s.timers.Due(timerLate, now):
		if !s.closed || s.in(Mute) > 0 {
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
		s.abortAll(0, "A client dropped out, aborting all")
		s.failUnfinished(Aborted)
	}
	e := Connected{}
	for i := range s.roster.Len() {
		c := s.roster.At(i)
		if c.left && c.state == Mute {
			s.setState(c, Aborted)
		}
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

// maxReturns is how often a client that has aborted before the end of registration may
// register again: it did not hear the sender any more, or was started anew.
const maxReturns = 50

const (
	noProxies  = "proxies are not supported yet"
	notInList  = "Not in host list"
	badMessage = "Invalid message size"
)

// handleRegister takes a REGISTER of client i.
func (s *Sender) handleRegister(now clock.Time, from netip.AddrPort, i int, msg []byte) machine.Drop {
	m, err := wire.ParseRegister(s.dialect.Version(), msg)
	if err != nil {
		return s.badRegister(now, from, s.roster.UID(i), wire.FuncRegister, err)
	}
	c := s.roster.At(i)
	if s.phase == Announcing && c.state == Aborted && c.returns < maxReturns {
		c.returns++ // it is alive, and has missed nothing yet
		s.setState(c, Mute)
	}
	encrypted := s.dialect.Encrypted()
	switch {
	case c.proxy || len(m.Clients) > 0:
		s.refuseOnce(now, wire.FuncRegister, i, noProxies)
		return machine.DropFunction
	case encrypted && s.phase == Announcing && (!c.state.Failed() || c.state == Mute):
		return s.registerKeys(now, from, i, &m)
	case s.phase == Announcing && c.state == Mute:
		s.register(now, from, i, &m)
		return machine.DropNone
	case (s.phase == Announcing || s.phase == BetweenFiles && !encrypted) && c.state == Active:
		s.unconfirm(c)
	case c.state == Mute:
		s.refuseOnce(now, wire.FuncRegister, i, "registration is over")
		s.rejectHost(now, from, s.roster.UID(i), "Registration is over")
		return machine.DropPhase
	case c.state.Failed():
		// It gives up by itself when its time is up. Like the stock sender this one does not
		// answer: after an ABORT it would register anew with the next ANNOUNCE.
		s.refuseOnce(now, wire.FuncRegister, i, fmt.Sprintf("invalid message: it is %v, and out of this session", c.state))
		return machine.DropPhase
	case s.phase == Data || s.phase == Finishing || encrypted:
		s.refuseOnce(now, wire.FuncRegister, i, "invalid message")
		return machine.DropPhase
	}
	if s.cfg.Roaming && !encrypted {
		c.settleAt(from)
	}
	// It has not heard REG_CONF. Once a file is announced, FILEINFO takes its place.
	s.report(Heard{Func: wire.FuncRegister, Client: s.client(i), Repeat: true, RTT: s.measure(now, c, m.Time)})
	return machine.DropNone
}

// registerStranger takes a REGISTER of a UID that an open group does not know yet.
func (s *Sender) registerStranger(now clock.Time, from netip.AddrPort, uid wire.UID, msg []byte) machine.Drop {
	m, err := wire.ParseRegister(s.dialect.Version(), msg)
	if err != nil {
		return s.badRegister(now, from, uid, wire.FuncRegister, err)
	}
	if len(m.Clients) > 0 {
		s.refuseStranger(now, wire.FuncRegister, uid, noProxies)
		s.rejectHost(now, from, uid, noProxies)
		return machine.DropFunction
	}
	if !s.hasRoom(from) {
		s.refuseStranger(now, wire.FuncRegister, uid, tooManyOne)
		s.rejectHost(now, from, uid, "Max destinations exceeded")
		return machine.DropLimit
	}
	n := new(start)
	if s.dialect.Encrypted() && s.roster.Len() < MaxClients {
		if d := s.deriveKeys(now, from, n, &m); d != machine.DropNone {
			s.refuseStranger(now, wire.FuncRegister, uid, badPremaster(d))
			return d
		}
	}
	i, err := s.roster.Add(uid, client{confirmed: true})
	if err == group.ErrFull {
		s.refuseStranger(now, wire.FuncRegister, uid, "too many clients")
		s.rejectHost(now, from, uid, "Max destinations exceeded")
		return machine.DropLimit
	}
	s.countAddress(from)
	c := s.roster.At(i)
	c.name = uid.String()
	s.count[kind(c)][Mute]++
	if !s.dialect.Encrypted() {
		s.register(now, from, i, &m)
	} else {
		c.keys = newMember()
		s.restartQuiet(now, c)
		rtt := s.registerRTT(now, from, c, s.takePeer(c, n), &m)
		s.reports.must(Heard{Func: wire.FuncRegister, Client: s.client(i), RTT: rtt})
		s.checkReady(c)
	}
	return machine.DropNone
}

// restartQuiet starts the wait for more clients again, since c has come.
func (s *Sender) restartQuiet(now clock.Time, c *client) {
	if s.cfg.RegisterQuiet > 0 && c.returns == 0 && !s.reg.over {
		s.timers.Set(timerQuiet, now.Add(s.cfg.RegisterQuiet))
	}
}

// register lets client i in.
func (s *Sender) register(now clock.Time, from netip.AddrPort, i int, m *wire.Register) {
	c := s.roster.At(i)
	c.settleAt(from)
	c.left = false
	s.restartQuiet(now, c)
	s.setState(c, Active)
	s.unconfirm(c)
	s.reports.must(Heard{Func: wire.FuncRegister, Client: s.client(i), RTT: s.measure(now, c, m.Time)})
}

// badRegister answers a REGISTER or CLIENT_KEY that cannot be read.
func (s *Sender) badRegister(now clock.Time, from netip.AddrPort, uid wire.UID, fn wire.Func, err error) machine.Drop {
	if err != wire.ErrFunc {
		s.refuseStranger(now, fn, uid, "invalid message size")
		s.rejectHost(now, from, uid, badMessage)
	}
	return machine.DropMalformed
}
