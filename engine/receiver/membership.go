package receiver

import (
	"net/netip"
)

// membership of a session's private group. All sessions of one group share what
// one of them asked the host for.
type membership uint8

const (
	noMember membership = iota // nothing to join, or waiting for another session's Join
	asked                      // this session's Join is under way
	member
)

// isPublic reports whether a is joined for good.
func (r *Receiver) isPublic(a netip.Addr) bool {
	for _, p := range r.cfg.Public {
		if p == a {
			return true
		}
	}
	return false
}

// sharer returns another session of the same private group, one that is or asks
// to be a member before one that waits.
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

// leave gives up the membership of a session that ends, unless others need it. A Join that is still under way is taken back and asked for
// anew by the next in line, so the host never has two for one group.
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
