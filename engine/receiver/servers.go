package receiver

import (
	"net/netip"

	"uftp/crypto/identity"
	"uftp/wire"
)

// Server is a sender that may announce sessions.
type Server struct {
	UID         wire.UID
	Addr        netip.Addr
	Fingerprint *identity.Fingerprint // of its key, in encrypted sessions; nil = any
}

// at reports whether from is the address of s: on any interface, unless s has a zone.
func (s *Server) at(from netip.Addr) bool {
	want, from := s.Addr.Unmap(), from.Unmap()
	if want.Zone() == "" {
		from = from.WithZone("")
	}
	return want == from
}

// knownAddr reports whether a sender may have this address. With a list of servers other
// addresses get no answer: through a source-specific membership their packets would not have
// arrived either.
func (r *Receiver) knownAddr(from netip.Addr) bool {
	if len(r.cfg.Servers) == 0 {
		return true
	}
	for _, s := range r.cfg.Servers {
		if s.at(from) {
			return true
		}
	}
	return false
}

// knownServer reports whether one line of the list has this UID and this address.
func (r *Receiver) knownServer(uid wire.UID, from netip.Addr) bool {
	if len(r.cfg.Servers) == 0 {
		return true
	}
	for _, s := range r.cfg.Servers {
		if s.UID == uid && s.at(from) {
			return true
		}
	}
	return false
}

// sourceSpecific reports whether a is a source-specific multicast group: 232/8 or ff3x::.
func sourceSpecific(a netip.Addr) bool {
	if a.Is4() {
		return a.As4()[0] == 232
	}
	b := a.As16()
	return b[0] == 0xff && b[1]>>4 == 3
}

// fingerprint returns the fingerprint that a sender must have whose key is seen, nil if any will
// do. A line that lists this key comes before one without fingerprint. A sender that is in no
// line gets a fingerprint that no key has, so that the handshake refuses it at the same check as
// stock does.
func (r *Receiver) fingerprint(uid wire.UID, from netip.Addr, seen identity.Fingerprint) *identity.Fingerprint {
	want, open := new(identity.Fingerprint), false
	for _, s := range r.cfg.Servers {
		switch {
		case s.UID != uid || !s.at(from):
		case s.Fingerprint == nil:
			open = true
		case *s.Fingerprint == seen:
			return s.Fingerprint
		default:
			want = s.Fingerprint
		}
	}
	if open {
		return nil
	}
	return want
}
