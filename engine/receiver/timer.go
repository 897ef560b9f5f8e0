package receiver

import (
	"time"

	"uftp/crypto/handshake"
	"uftp/engine/clock"
	"uftp/wire"
)

// Bounds of the timers.
const (
	// timeoutMin and timeoutMax bound every limit (docs/protocol.md, "Timers"). GRTT and
	// robust factor come from whoever sends an ANNOUNCE: with 1000 s and 255 they would hold
	// a slot for days.
	timeoutMin = time.Second
	timeoutMax = time.Hour
	// grttMin replaces a smaller GRTT. Senders count a round trip below 1 ms as 1 ms too, and
	// a header that says 1 µs must not make us send a REGISTER every 4 µs.
	grttMin = time.Millisecond
	// grttStep is how much GRTT must change before it is used.
	grttStep = time.Millisecond
	// patienceMin is the floor of Patience.
	patienceMin = 10 * time.Millisecond
)

// timer names the timers of a session.
type timer uint8

const (
	retryTimer      timer = iota // send REGISTER or the COMPLETE of the session again; Joining: the limit
	idleTimer                    // the sender is silent
	nakTimer                     // send STATUS
	checkpointTimer              // hand out a Checkpoint
	numTimers       = int(checkpointTimer) + 1
)

// awaitConf sets the timers that wait for DONE_CONF.
func (s *session) awaitConf(now clock.Time) {
	s.limit = now.Add(s.confirmLimit())
	s.arm(retryTimer, now, s.resendGap())
	s.start[idleTimer] = now
	if !s.stored && s.settling == 0 {
		s.arm(idleTimer, now, promiseMax)
	}
}

func (s *session) stopTimers() {
	for t := range s.due {
		s.due[t] = clock.Never
	}
}

// resendGap is the time after which REGISTER or the COMPLETE of the session is sent again.
func (s *session) resendGap() time.Duration { return 4 * s.grtt }

// confirmLimit is how long the sender has to confirm a registration or the session.
func (s *session) confirmLimit() time.Duration {
	return min(max(timeoutMin, time.Duration(s.robust)*s.resendGap()), timeoutMax)
}

func (s *session) arm(t timer, now clock.Time, d time.Duration) {
	s.start[t] = now
	s.due[t] = now.Add(d)
	s.r.wake = clock.Min(s.r.wake, s.due[t])
}

// restartIdle restarts the idle timer if the phase has one. It leaves Receiver.wake too early,
// which does no harm and spares the data path the search.
func (s *session) restartIdle(now clock.Time) {
	if s.due[idleTimer] != clock.Never {
		s.start[idleTimer] = now
		s.due[idleTimer] = now + clock.Time(s.idle)
	}
}

// setGRTT uses the GRTT of a header if it has changed enough, and moves the timers that run:
// each expires its new length after its start.
func (s *session) setGRTT(code uint8) {
	s.grttCode = code
	g := max(grttMin, clock.Seconds(wire.DecodeGRTT(code)))
	if d := g - s.grtt; s.grtt != 0 && d <= grttStep && d >= -grttStep {
		return
	}
	s.grtt = g
	s.setIdle()
	switch s.phase {
	case Registering, Completing:
		s.arm(retryTimer, s.start[retryTimer], s.resendGap())
	case MidGroup, Receiving:
		s.arm(idleTimer, s.start[idleTimer], s.idle)
	}
}

// setIdle sets the length of the idle timer: by GRTT and robust factor, and less while the
// session, or the file that is open, has stored nothing. Registration has its own limit as well.
func (s *session) setIdle() {
	s.idle = min(max(timeoutMin, time.Duration(s.robust)*s.grtt), timeoutMax)
	switch {
	case s.phase.unconfirmed():
		s.idle = promiseMax
	case s.phase == Receiving && !s.file.stored:
		s.idle = min(s.idle, openMax)
	case !s.stored:
		s.idle = min(s.idle, promiseMax)
	}
}

// expire acts on a timer that has expired.
func (s *session) expire(now clock.Time, t timer) {
	s.due[t] = clock.Never
	switch t {
	case retryTimer:
		s.retryExpired(now)
	case idleTimer:
		s.idleExpired(now)
	case nakTimer:
		s.nakDue(now)
	case checkpointTimer:
		s.checkpoint(now)
	}
}

// idleExpired gives up a session whose sender is silent.
func (s *session) idleExpired(now clock.Time) {
	switch {
	case s.phase.unconfirmed():
		s.giveUpRegistration(now)
	case s.phase == Completing:
		s.step(Unfinished)
		s.end(now, EndUnconfirmed)
	default:
		s.step(TimedOut)
		s.abort(now, "Transfer timed out", EndTimeout)
	}
}

func (s *session) giveUpRegistration(now clock.Time) {
	text := "Registration unconfirmed"
	if s.dialect.BadKeyInfo() {
		text = string(handshake.ErrGroupMaster)
	}
	s.step(Unconfirmed)
	s.abort(now, text, EndTimeout)
}

// retryExpired repeats REGISTER or the COMPLETE of the session, or gives up. Only here the limit
// is checked, as stock does it.
func (s *session) retryExpired(now clock.Time) {
	late := now >= s.limit && s.settling == 0 // during a Settle the host is late, not the sender
	switch {
	case s.phase == Completing && late:
		s.step(Unfinished)
		s.end(now, EndUnconfirmed)
	case s.phase == Completing:
		if s.settling == 0 {
			s.sendComplete(finished{})
		}
		s.arm(retryTimer, now, s.resendGap())
	case s.phase == MidGroup: // KEYINFO came, but nothing has proved it
		s.sendRegister(now)
		s.due[retryTimer] = clock.Never // until the sender asks again
	case late:
		s.giveUpRegistration(now)
	default:
		s.sendRegister(now)
	}
}

// Patience is how long the host may leave packets unread without harm to a session: two GRTT of
// the quickest one, since a sender asks every three, and at least 10 ms.
func (r *Receiver) Patience() time.Duration {
	least := timeoutMax
	for i := range r.slots {
		if s := &r.slots[i]; s.phase != Free {
			least = min(least, 2*s.grtt, s.idle/2)
		}
	}
	return max(least, patienceMin)
}
