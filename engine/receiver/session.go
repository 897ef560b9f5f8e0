package receiver

import (
	"net/netip"
	"time"

	"uftp/crypto/handshake"
	"uftp/engine/block"
	"uftp/engine/clock"
	"uftp/engine/machine"
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

// membership of a session's private group. All sessions of one group share what
// one of them asked the host for.
type membership uint8

const (
	noMember membership = iota // nothing to join, or waiting for another session's Join
	asked                      // this session's Join is under way
	member
)

// session is one slot. The zero session is free.
type session struct {
	info    Session
	version wire.Version
	phase   Phase

	// from ANNOUNCE
	robust    int
	blockSize int
	sync      bool
	preview   bool
	private   netip.Addr // group to be a member of; not valid when there is nothing to join
	member    membership
	moves     bool       // the private group is out of the reach of the address that announced it
	second    netip.Addr // the sender's other address, then; not valid before it is known

	grttCode uint8         // as last heard
	grtt     time.Duration // as last taken over, at least grttMin
	idle     time.Duration // length of the idle timer at this GRTT
	win      window
	seq      uint16     // of our next packet
	stamp    wire.Stamp // last stamp of the sender, and when it came
	heard    clock.Time
	limit    clock.Time // Joining, Registering, Completing: when to give up

	spoke     clock.Time // when the sender was heard, whatever it said
	contested clock.Time // when another sender last asked for the group; 0 = never

	sec *secrets // nil in a clear session

	start [numTimers]clock.Time // when it was set
	due   [numTimers]clock.Time // Never = off

	file     file     // valid in Opening, Receiving, Closing
	finished finished // last file that has an answer
	settling uint32   // Completing: number of the Settle that COMPLETE waits for; 0 = none
	ended    bool     // the end waits for Opened or Closed
	reason   EndReason

	files   int  // that got an answer, or that the sender gave up
	lacks   bool // the sender asked for an answer about a file that never came
	doubted bool // the sender holds more for received than is here

	stored bool  // a block was stored
	waits  *host // counted in crowd there; nil: not

	reserved int   // blocks of the largest file so far: this much of the budget is ours
	held     int   // so many of them have memory
	naks     int64 // blocks asked for

	// What the host still owes to the slot, whichever session has it.
	joins int             // Joins without answer
	spare *block.Set      // the copy that Checkpoint hands out
	lent  machine.FileRef // not 0: the host has spare, on behalf of this file
}

// file is what is being received.
type file struct {
	req          Request
	status       wire.CompleteStatus // to answer once it is whole
	partial      bool                // part of it was here before
	data         bool                // a block came
	stored       bool                // a block was new
	seq          uint16              // newest packet when it was announced
	givenUp      bool                // Opening: the sender cannot go on with it
	why          string              // that it gave it up
	failed       bool                // a write failed: missing can no longer be trusted
	missing      block.Set           // blocks not here yet; over none until Opened, so an announced size costs no memory
	checkpointed int                 // missing blocks at the last Checkpoint
	nak          nak
	done         bool // a DONE that lists us waits for an answer
	doneSection  int  // Opening: section of that DONE
	rounds       int  // Closing: DONEs that list us since the last sign of life
}

// finished is the answer that a repeated FILEINFO or DONE gets. id 0 is none.
type finished struct {
	id       uint16
	status   wire.CompleteStatus
	space    uint64
	hasSpace bool
}

// enter changes the phase and sets the timers that belong to it
// (v4-receiver.md section 2.3). Opening and Closing have no idle timer: there
// it is the host who owes an answer, not the sender.
func (r *Receiver) enter(now clock.Time, s *session, p Phase) {
	s.phase = p
	s.quiet()
	s.setIdle()
	switch p {
	case Joining:
		s.limit = now.Add(s.patience())
		r.arm(s, retryTimer, now, s.patience())
		r.arm(s, idleTimer, now, s.idle)
	case Registering:
		r.arm(s, retryTimer, now, 4*s.grtt)
		r.arm(s, idleTimer, now, s.idle)
	case MidGroup:
		r.arm(s, idleTimer, now, s.idle)
	case Receiving:
		r.arm(s, idleTimer, now, s.idle)
		if r.cfg.Restart && r.cfg.CheckpointEvery > 0 {
			r.arm(s, checkpointTimer, now, r.cfg.CheckpointEvery)
		}
	case Completing:
		r.awaitConf(now, s)
	}
}

// awaitConf sets the timers of a COMPLETE for the session.
func (r *Receiver) awaitConf(now clock.Time, s *session) {
	s.limit = now.Add(s.patience())
	r.arm(s, retryTimer, now, 4*s.grtt)
	s.start[idleTimer] = now
	if !s.stored && s.settling == 0 {
		r.arm(s, idleTimer, now, promiseMax)
	}
}

// quiet stops all timers.
func (s *session) quiet() {
	for t := range s.due {
		s.due[t] = clock.Never
	}
}

// patience is the length of the limits of registration and completion.
func (s *session) patience() time.Duration {
	return min(max(timeoutMin, 4*time.Duration(s.robust)*s.grtt), timeoutMax)
}

// arm sets a timer.
func (r *Receiver) arm(s *session, t timer, now clock.Time, d time.Duration) {
	s.start[t] = now
	s.due[t] = now.Add(d)
	r.wake = clock.Min(r.wake, s.due[t])
}

// alive restarts the idle timer if the phase has one. The machine's wake-up is
// only a lower bound, so there is nothing else to move: this is on the data path.
func (s *session) alive(now clock.Time) {
	if s.due[idleTimer] != clock.Never {
		s.start[idleTimer] = now
		s.due[idleTimer] = now + clock.Time(s.idle)
	}
}

// setGRTT takes over the GRTT of a header if it changed enough, and moves what
// runs: a deadline is the start plus the new length.
func (r *Receiver) setGRTT(s *session, code uint8) {
	s.grttCode = code
	g := max(grttMin, clock.Seconds(wire.DecodeGRTT(code)))
	if d := g - s.grtt; s.grtt != 0 && d <= grttStep && d >= -grttStep {
		return
	}
	s.grtt = g
	s.setIdle()
	switch s.phase {
	case Registering, Completing:
		r.arm(s, retryTimer, s.start[retryTimer], 4*g)
	case MidGroup, Receiving:
		r.arm(s, idleTimer, s.start[idleTimer], s.idle)
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

// proves takes the first block of a file that is stored, and the first after a silence: the
// sender does more than promise.
func (r *Receiver) proves(now clock.Time, s *session) {
	s.stored, s.file.stored = true, true
	r.wait(s, false)
	s.setIdle()
	s.alive(now)
}

// expire acts on a timer that ran out.
func (r *Receiver) expire(now clock.Time, s *session, t timer) {
	s.due[t] = clock.Never
	switch t {
	case retryTimer:
		r.retry(now, s)
	case idleTimer:
		r.silent(now, s)
	case nakTimer:
		r.nakDue(now, s)
	case checkpointTimer:
		r.checkpoint(now, s)
	}
}

// silent gives up a session whose sender was not heard.
func (r *Receiver) silent(now clock.Time, s *session) {
	switch {
	case s.phase.unconfirmed():
		r.unconfirmed(now, s)
	case s.phase == Completing:
		r.step(s, Unfinished)
		r.end(now, s, EndUnconfirmed)
	default:
		r.step(s, TimedOut)
		r.abort(now, s, "Transfer timed out", EndTimeout)
	}
}

// unconfirmed gives up a registration.
func (r *Receiver) unconfirmed(now clock.Time, s *session) {
	text := "Registration unconfirmed"
	if s.sec != nil && s.sec.bad {
		text = string(handshake.ErrGroupMaster)
	}
	r.step(s, Unconfirmed)
	r.abort(now, s, text, EndTimeout)
}

// retry repeats REGISTER or the COMPLETE of the group, or gives up. The limit is
// looked at here only, as the stock receiver does it.
func (r *Receiver) retry(now clock.Time, s *session) {
	late := now >= s.limit && s.settling == 0 // while the host settles it is not the sender who is late
	switch {
	case s.phase == Completing && late:
		r.step(s, Unfinished)
		r.end(now, s, EndUnconfirmed)
	case s.phase == Completing:
		if s.settling == 0 {
			r.complete(s, finished{})
		}
		r.arm(s, retryTimer, now, 4*s.grtt)
	case s.phase == MidGroup: // KEYINFO came, and nothing that proves it
		r.register(now, s)
		s.due[retryTimer] = clock.Never // until the sender asks again
	case late:
		r.unconfirmed(now, s)
	default:
		r.register(now, s)
	}
}

// end closes a session. While the host owes an answer about a file the end waits
// for it: only then it is known what is here, and whether a file that was whole
// has become one.
func (r *Receiver) end(now clock.Time, s *session, why EndReason) {
	r.unsealer.drop(key(s.info.Group, s.info.Instance))
	if s.ended {
		why = s.reason
	}
	f := &s.file
	switch s.phase {
	case Opening, Closing:
		if s.phase == Opening || !f.failed {
			s.ended, s.reason = true, why
			s.quiet()
			return
		}
		fallthrough
	case Receiving:
		if f.failed {
			f.missing.Reset(f.missing.Len(), true)
		}
		missing := f.missing // the memory goes with it
		r.emit(Abandon{Session: s.info, Ref: f.req.Ref, Missing: &missing})
	}
	r.leave(s)
	r.emit(SessionEnded{Session: s.info, OK: why == EndConfirmed || why == EndUnconfirmed, Lacks: s.doubted, Reason: why})
	r.forget(s)
}

// forget frees the slot. What the host owes stays with it, and so does our
// sequence number, which packets in the queue go on counting.
func (r *Receiver) forget(s *session) {
	r.wait(s, false)
	delete(r.index, key(s.info.Group, s.info.Instance))
	r.recent, r.recentKey = nil, 0
	r.blocks -= int64(s.reserved)
	r.sessions--
	if s.sec != nil {
		s.sec.release()
	}
	kept := session{seq: s.seq, joins: s.joins}
	if s.lent != 0 {
		kept.spare, kept.lent = s.spare, s.lent
	}
	*s = kept
}
