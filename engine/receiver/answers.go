package receiver

import (
	"uftp/crypto/identity"
	"uftp/engine/clock"
	"uftp/engine/machine"
)

// The host answers the requests of Poll, and reports things unasked. An answer goes to its session,
// unless that is over.

// Joined answers the oldest Join of id's slot, for every session of the group that waits for
// it. errText says why the host could not join, "" if it has.
func (r *Receiver) Joined(now clock.Time, id SessionID, errText string) {
	s := &r.slots[id.Slot]
	s.joins--
	if s.joins > 0 || s.member != asked {
		return // that session is over
	}
	s.member = noMember
	r.joinFailed = errText != ""
	group := s.private
	for i := range r.slots {
		o := &r.slots[i]
		if o.phase != Joining || o.private != group {
			continue
		}
		if errText != "" {
			o.abort(now, "Error joining multicast group: "+errText, EndRefused)
			continue
		}
		o.member = member
		o.registerFirst(now)
	}
}

// Opened answers an Open request.
func (r *Receiver) Opened(now clock.Time, ref machine.FileRef, o Opened) {
	if s := r.byRef(ref); s != nil && s.phase == Opening {
		s.opened(now, o)
	}
}

// Closed answers a Close. errText says why the host has thrown the file away, "" if the file
// stands under its final name.
func (r *Receiver) Closed(now clock.Time, ref machine.FileRef, errText string) {
	if s := r.byRef(ref); s != nil && s.phase == Closing {
		s.closed(now, errText)
	}
}

// Settled answers the Settle of that number. errText says why the host could not record the
// end of the session, "" if it has; the sender hears it.
func (r *Receiver) Settled(now clock.Time, id SessionID, number uint32, errText string) {
	if s := &r.slots[id.Slot]; s.phase == Completing && s.settling == number {
		s.settled(now, errText)
	}
}

// CheckpointDone gives back the set of a Checkpoint.
func (r *Receiver) CheckpointDone(now clock.Time, ref machine.FileRef) {
	for i := range r.slots {
		s := &r.slots[i]
		if s.copyRef != ref || ref == 0 {
			continue
		}
		s.copyRef = 0
		if s.phase == Free {
			s.missingCopy = nil
		}
		return
	}
}

// StoreFailed reports a block that could not be written; the sender hears errText. The session
// cannot go on: another copy of the block would not help, and a Close that is under way would
// finish a file with a hole.
func (r *Receiver) StoreFailed(now clock.Time, ref machine.FileRef, errText string) {
	s := r.byRef(ref)
	if s == nil {
		return
	}
	s.file.failed = true
	s.abort(now, s.file.req.Name+": "+errText, EndRefused)
}

// NoRoom says whether the host can store blocks now. While it cannot, missing blocks are refused
// and asked for again later.
func (r *Receiver) NoRoom(yes bool) { r.noRoom = yes }

// KeyMade answers a KeyWanted. key is nil if the host could not make it; then the next sender
// that needs one asks again.
func (r *Receiver) KeyMade(key *identity.PrivateKey) {
	r.made.rsaAsked = false
	switch {
	case key == nil:
		return
	case r.stopped: // nobody will see it
		key.Wipe()
		return
	}
	r.made.rsa = true
	r.own = append(r.own, key)
	r.emit(HaveKey{key.Public()})
}
