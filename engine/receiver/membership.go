package receiver

import (
	"net/netip"
)

// membership of a session in its private group. All sessions of one group share the Join of one
// of them.
type membership uint8

const (
	noMember membership = iota // nothing to join, or another session's Join is under way
	asked                      // this session's Join is under way
	member
)

// isPublic reports whether the host has joined a itself.
func (r *Receiver) isPublic(a netip.Addr) bool {
	for _, p := range r.cfg.Public {
		if p == a {
			return true
		}
	}
	return false
}

// sharer returns another session of the same private group, nil if there is none; one that has
// joined or asked for it rather than one that waits.
func (r *Receiver) sharer(s *session) *session {
	var found *session
	for i := range r.slots {
		o := &r.slots[i]
		if o == s || o.phase == Free || o.private != s.private {
			continue
		}
		if o.member != noMember {
			return o
		}
		found = o
	}
	return found
}

func (s *session) join() {
	s.member = asked
	s.joins++
	s.r.emit(Join{Session: s.info, Group: s.private})
}

// leave ends the membership of a session that ends, unless others need it. If the session's Join
// is still under way, it leaves all the same and another session joins anew, so that the host
// never has two Joins for one group.
func (s *session) leave() {
	if s.member == noMember {
		return
	}
	other := s.r.sharer(s)
	if other == nil || s.member == asked {
		s.r.emit(Leave{Session: s.info, Group: s.private})
	}
	if other != nil && s.member == asked {
		other.join()
	}
}
