package receiver

import (
	"uftp/crypto/identity"
	"uftp/engine/clock"
	"uftp/engine/machine"
)

// Answers of the host to what Poll gave, and what it says unasked. They find the session,
// which may be over, and hand it the answer.

// Joined answers the oldest Join of id's slot, for every session that waits for
// it. errText is empty when it worked; otherwise the host is not a member.
func (r *Receiver) Joined(now clock.Time, id SessionID, errText string) {
	s := &r.slots[id.Slot]
	s.joins--
	if s.joins > 0 || s.member != asked {
		return // that session is history
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

// Closed answers a Close. With errText the host has thrown the file away.
func (r *Receiver) Closed(now clock.Time, ref machine.FileRef, errText string) {
	if s := r.byRef(ref); s != nil && s.phase == Closing {
		s.closed(now, errText)
	}
}

// Settled answers the Settle of that number. errText says why what the session received
// cannot be made safe, "" if it is safe; its sender hears errText.
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

// StoreFailed tells that a block could not be written, and why, in words for the sender. The
// session cannot go on: asking for the block again would not help, and a Close that is under
// way would finish a file with a hole.
func (r *Receiver) StoreFailed(now clock.Time, ref machine.FileRef, errText string) {
	s := r.byRef(ref)
	if s == nil {
		return
	}
	s.file.failed = true
	s.abort(now, s.file.req.Name+": "+errText, EndRefused)
}

// NoRoom tells whether the host can store blocks. While it cannot, those that are
// missing are refused: sessions go on, and the blocks are asked for again.
func (r *Receiver) NoRoom(yes bool) { r.noRoom = yes }

// KeyMade answers a KeyWanted; key is nil if it could not be made, and may be
// asked for again.
func (r *Receiver) KeyMade(key *identity.PrivateKey) {
	r.made.rsaAsked = false
	switch {
	case key == nil:
		return
	case r.stopped: // there is nobody to show it to
		key.Wipe()
		return
	}
	r.made.rsa = true
	r.own = append(r.own, key)
	r.emit(HaveKey{key.Public()})
}
