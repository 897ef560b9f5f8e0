package receiver

import (
	"time"

	"uftp/crypto/handshake"
	"uftp/engine/clock"
	"uftp/wire"
)

// Bounds of the timers.
const (
	// timeoutMin is the floor of every give-up timer (v4-receiver.md section 2.3).
	timeoutMin = time.Second

	// timeoutMax is their ceiling: GRTT and robust factor come from whoever sends
	// an ANNOUNCE, and up to 1000 s times 255 they would hold a slot for days.
	timeoutMax = time.Hour
	// grttMin is what a smaller GRTT counts as. Senders count a round trip below
	// 1 ms as 1 ms too, and a header that says 1 µs must not make us send a
	// REGISTER every 4 µs.
	grttMin = time.Millisecond
	// patienceMin is the floor of Patience.
	patienceMin = 10 * time.Millisecond
	// grttStep is how much GRTT must change to be taken over.
	grttStep = time.Millisecond
)

// timer names the timers of a session.
type timer uint8

const (
	retryTimer      timer = iota // REGISTER or the COMPLETE of the group again; while Joining: the limit itself
	idleTimer                    // nothing heard
	nakTimer                     // STATUS
	checkpointTimer              // Checkpoint
	numTimers       = int(checkpointTimer) + 1
)

// awaitConf sets the timers of a COMPLETE for the session.
func (s *session) awaitConf(now clock.Time) {
	s.limit = now.Add(s.patience())
	s.arm(retryTimer, now, s.resendGap())
	s.start[idleTimer] = now
	if !s.stored && s.settling == 0 {
		s.arm(idleTimer, now, promiseMax)
	}
}

// stopTimers stops all timers.
func (s *session) stopTimers() {
	for t := range s.due {
		s.due[t] = clock.Never
	}
}

// resendGap is the time after which REGISTER or the COMPLETE of the group is sent again.
func (s *session) resendGap() time.Duration { return 4 * s.grtt }

// patience is the length of the limits of registration and completion.
func (s *session) patience() time.Duration {
	return min(max(timeoutMin, time.Duration(s.robust)*s.resendGap()), timeoutMax)
}

// arm sets a timer.
func (s *session) arm(t timer, now clock.Time, d time.Duration) {
	s.start[t] = now
	s.due[t] = now.Add(d)
	s.r.wake = clock.Min(s.r.wake, s.due[t])
}

// restartIdle restarts the idle timer if the phase has one. The machine's wake-up is
// only a lower bound, so there is nothing else to move: this is on the data path.
func (s *session) restartIdle(now clock.Time) {
	if s.due[idleTimer] != clock.Never {
		s.start[idleTimer] = now
		s.due[idleTimer] = now + clock.Time(s.idle)
	}
}

// setGRTT takes over the GRTT of a header if it changed enough, and moves what
// runs: a deadline is the start plus the new length.
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

// setIdle sets the length of the idle timer: what GRTT and robust factor ask for, and less
// while the session, or the file that is open, has stored nothing. Registering has a limit
// of its own.
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

// expire acts on a timer that ran out.
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

// idleExpired gives up a session whose sender was not heard.
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

// giveUpRegistration gives up a registration.
func (s *session) giveUpRegistration(now clock.Time) {
	text := "Registration unconfirmed"
	if s.dialect.BadKeyInfo() {
		text = string(handshake.ErrGroupMaster)
	}
	s.step(Unconfirmed)
	s.abort(now, text, EndTimeout)
}

// retryExpired repeats REGISTER or the COMPLETE of the group, or gives up. The limit is
// looked at here only, as the stock receiver does it.
func (s *session) retryExpired(now clock.Time) {
	late := now >= s.limit && s.settling == 0 // while the host settles it is not the sender who is late
	switch {
	case s.phase == Completing && late:
		s.step(Unfinished)
		s.end(now, EndUnconfirmed)
	case s.phase == Completing:
		if s.settling == 0 {
			s.sendComplete(finished{})
		}
		s.arm(retryTimer, now, s.resendGap())
	case s.phase == MidGroup: // KEYINFO came, and nothing that proves it
		s.sendRegister(now)
		s.due[retryTimer] = clock.Never // until the sender asks again
	case late:
		s.giveUpRegistration(now)
	default:
		s.sendRegister(now)
	}
}

// Patience is how long the host may leave packets unread without harm to a session: two
// GRTT of the quickest one, for a sender asks every three, and at least 10 ms.
func (r *Receiver) Patience() time.Duration {
	least := timeoutMax
	for i := range r.slots {
		if s := &r.slots[i]; s.phase != Free {
			least = min(least, 2*s.grtt, s.idle/2)
		}
	}
	return max(least, patienceMin)
}
