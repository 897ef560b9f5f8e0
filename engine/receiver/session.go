package receiver

import (
	"net/netip"
	"time"

	"uftp/engine/block"
	"uftp/engine/clock"
	"uftp/engine/dialect"
	"uftp/engine/machine"
	"uftp/wire"
)

// session is one slot of a Receiver. It is free while its phase is Free.
type session struct {
	r *Receiver

	info    Session
	phase   Phase
	dialect *dialect.Client

	// from ANNOUNCE
	robust     int
	blockSize  int
	sync       bool
	preview    bool
	private    netip.Addr // group to be a member of; not valid when there is nothing to join
	member     membership
	twoAddrs   bool       // the private group is out of the reach of the address that announced it
	secondAddr netip.Addr // the sender's other address, then; not valid before it is known

	grttCode uint8         // as last heard
	grtt     time.Duration // as last taken over, at least grttMin
	idle     time.Duration // length of the idle timer at this GRTT
	win      window
	seq      uint16     // of our next packet
	echo     echo       // of the last stamp
	limit    clock.Time // Joining, Registering, Completing: when to give up

	heardAt   clock.Time // when the sender was heard, whatever it said
	contested clock.Time // when another sender last asked for the group; 0 = never

	keyNumber uint64     // of the proved keys among all that this machine ever had, from 1; 0 in clear
	fails     failBudget // of its signatures, if packets have some

	start [numTimers]clock.Time // when it was set
	due   [numTimers]clock.Time // Never = off

	file     file     // valid in Opening, Receiving, Closing
	finished finished // last file that has an answer
	settling uint32   // Completing: number of the Settle that COMPLETE waits for; 0 = none
	ended    bool     // the end waits for Opened or Closed
	reason   EndReason

	files      int  // that got an answer, or that the sender gave up
	missedFile bool // the sender asked for an answer about a file that never came
	lacks      bool // the sender holds more for received than is here

	stored  bool  // a block was stored
	waitsAt *host // counted in admission there; nil: not

	reserved int   // blocks of the largest file so far: this much of the budget is ours
	held     int   // so many of them have memory
	naks     int64 // blocks asked for
	asking   statuses

	// What the host still owes to the slot, whichever session has it.
	joins       int             // Joins without answer
	missingCopy *block.Set      // the copy that Checkpoint hands out
	copyRef     machine.FileRef // not 0: the host has missingCopy, on behalf of this file
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
	givenUpText  string              // that it gave it up
	failed       bool                // a write failed: missing can no longer be trusted
	missing      block.Set           // blocks not here yet; over none until Opened, so an announced size costs no memory
	checkpointed int                 // missing blocks at the last Checkpoint
	nak          nak
	done         bool // a DONE that lists us waits for an answer
	doneSection  int  // Opening: section of that DONE
	rounds       int  // Closing: DONEs that list us since the last sign of life
}

// finished is the COMPLETE that a repeated FILEINFO or DONE gets. id 0 is none.
type finished struct {
	id       uint16
	status   wire.CompleteStatus
	space    uint64
	hasSpace bool
}

func (f finished) appendTo(b []byte, _ *item, _ clock.Time) ([]byte, bool) {
	x := wire.Complete{FileID: f.id, Status: f.status, HasSpace: f.hasSpace, FreeSpace: f.space}
	return x.Append(b), false
}

// echo is a stamp of the sender, which goes back to it.
type echo struct {
	stamp wire.Stamp
	at    clock.Time // when it came
}

func (e echo) aged(now clock.Time) wire.Stamp { return age(e.stamp, now.Sub(e.at)) }

// age returns the stamp to echo after d: the sender subtracts it from its clock and gets
// the round trip without the time we held it.
func age(s wire.Stamp, d time.Duration) wire.Stamp {
	return s + wire.Stamp(max(d, 0)/time.Microsecond)
}

// enter changes the phase and sets the timers that belong to it
// (v4-receiver.md section 2.3). Opening and Closing have no idle timer: there
// it is the host who owes an answer, not the sender.
func (s *session) enter(now clock.Time, p Phase) {
	s.phase = p
	s.stopTimers()
	s.setIdle()
	switch p {
	case Joining:
		s.limit = now.Add(s.patience())
		s.arm(retryTimer, now, s.patience())
		s.arm(idleTimer, now, s.idle)
	case Registering:
		s.arm(retryTimer, now, s.resendGap())
		s.arm(idleTimer, now, s.idle)
	case MidGroup:
		s.arm(idleTimer, now, s.idle)
	case Receiving:
		s.arm(idleTimer, now, s.idle)
		if s.r.cfg.Restart && s.r.cfg.CheckpointEvery > 0 {
			s.arm(checkpointTimer, now, s.r.cfg.CheckpointEvery)
		}
	case Completing:
		s.awaitConf(now)
	}
}

// end closes a session. While the host owes an answer about a file the end waits
// for it: only then it is known what is here, and whether a file that was whole
// has become one.
func (s *session) end(now clock.Time, why EndReason) {
	r := s.r
	r.unsealer.drop(key(s.info.Group, s.info.Instance))
	if s.ended {
		why = s.reason
	}
	f := &s.file
	switch s.phase {
	case Opening, Closing:
		if s.phase == Opening || !f.failed {
			s.ended, s.reason = true, why
			s.stopTimers()
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
	s.leave()
	r.emit(SessionEnded{Session: s.info, OK: why == EndConfirmed || why == EndUnconfirmed, Lacks: s.lacks, Reason: why})
	r.forget(s)
}

// forget frees the slot. What the host owes stays with it, and so does our
// sequence number, which packets in the queue go on counting.
func (r *Receiver) forget(s *session) {
	r.setWaiting(s, false)
	delete(r.index, key(s.info.Group, s.info.Instance))
	r.recent, r.recentKey = nil, 0
	r.blocks -= int64(s.reserved)
	r.sessions--
	s.dialect.Release()
	kept := session{r: r, seq: s.seq, joins: s.joins}
	if s.copyRef != 0 {
		kept.missingCopy, kept.copyRef = s.missingCopy, s.copyRef
	}
	*s = kept
}
