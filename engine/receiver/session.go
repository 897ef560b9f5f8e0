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
	r       *Receiver
	info    Session
	phase   Phase
	dialect *dialect.Client
	seq     uint16 // of our next packet

	// From ANNOUNCE.
	robust    int
	blockSize int
	sync      bool
	preview   bool
	twoAddrs  bool       // the sender may send to the private group from another address
	private   netip.Addr // group to join; not valid if there is none
	member    membership

	// From the packets of the sender.
	win        window
	secondAddr netip.Addr    // of the sender, with twoAddrs; not valid before it is known
	grttCode   uint8         // of its newest packet
	grtt       time.Duration // in use, at least grttMin
	echo       echo          // of its newest stamp
	heardAt    clock.Time    // any message of it that counts
	contested  clock.Time    // when another sender last asked for the group; 0 = never

	// Timers.
	idle  time.Duration         // length of the idle timer
	limit clock.Time            // Joining, Registering, Completing: when to give up
	start [numTimers]clock.Time // when it was set
	due   [numTimers]clock.Time // Never = off

	// Encryption.
	keyNumber uint64     // of the proved keys among all of this machine, from 1; 0 = none
	fails     failBudget // for wrong signatures, if each packet has one

	// Files.
	file       file     // valid in Opening, Receiving, Closing
	finished   finished // the last file that has an answer
	asking     statuses // in the queue
	files      int      // that have an answer, or that the sender gave up
	missedFile bool     // the sender asked for an answer about a file that it never announced to us
	lacks      bool     // the sender believes that more has arrived here than has
	naks       int64    // blocks asked for

	// The end.
	settling uint32 // Completing: number of the Settle that COMPLETE waits for; 0 = none
	ended    bool   // the end waits for Opened or Closed
	reason   EndReason

	// Shares of what sessions have in common.
	stored   bool  // a block was stored
	waitsAt  *host // where admission counts the session as waiting; nil if it does not
	reserved int   // blocks of the largest file so far, booked in Receiver.blocks
	held     int   // those of them that have memory

	// The host still owes this to the slot, whichever session uses it.
	joins       int             // Joins without answer
	missingCopy *block.Set      // that Checkpoint hands out
	copyRef     machine.FileRef // not 0: the host has missingCopy, for this file
}

// file is the file that is being received.
type file struct {
	req          Request
	status       wire.CompleteStatus // of COMPLETE when all blocks are here
	partial      bool                // part of it was here before
	data         bool                // a block has arrived
	stored       bool                // a missing block has arrived
	seq          uint16              // newest packet when it was announced
	givenUp      bool                // Opening: the sender cannot go on with it,
	givenUpText  string              // and says why
	failed       bool                // a write failed: missing can no longer be trusted
	missing      block.Set           // over no blocks before Opened, so that an announced size costs no memory
	checkpointed int                 // missing blocks at the last Checkpoint
	nak          nak
	done         bool // a DONE that lists us waits for an answer
	doneSection  int  // Opening: section of that DONE
	rounds       int  // Closing: DONEs that list us since the last STATUS
}

// finished is the COMPLETE that answers a FILEINFO or a DONE, also a repeated one. id 0 is none.
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

// echo is a stamp of the sender that goes back to it.
type echo struct {
	stamp wire.Stamp
	at    clock.Time // of its arrival
}

func (e echo) aged(now clock.Time) wire.Stamp { return age(e.stamp, now.Sub(e.at)) }

// age returns the stamp to send back after d. The sender subtracts it from its clock and gets
// the round trip without the time that it was here.
func age(s wire.Stamp, d time.Duration) wire.Stamp {
	return s + wire.Stamp(max(d, 0)/time.Microsecond)
}

// enter changes the phase and sets its timers (docs/protocol.md, "Receiver phases"). Opening and
// Closing have no idle timer: there the host owes an answer, not the sender.
func (s *session) enter(now clock.Time, p Phase) {
	s.phase = p
	s.stopTimers()
	s.setIdle()
	switch p {
	case Joining:
		s.limit = now.Add(s.confirmLimit())
		s.arm(retryTimer, now, s.confirmLimit())
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

// end ends a session. While the host owes an answer about a file the end waits for it: only then
// we know what is here, and whether the file has its final name.
func (s *session) end(now clock.Time, why EndReason) {
	r := s.r
	r.unsealer.Remove(s.info.Group, s.info.Instance)
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

// forget frees the slot. It keeps what the host owes, and our sequence number, which packets in
// the queue still use.
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
