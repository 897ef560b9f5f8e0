package receiver

import (
	"net/netip"

	"uftp/crypto/identity"
	"uftp/wire"
)

// Server is one allowed sender.
type Server struct {
	UID         wire.UID
	Addr        netip.Addr
	Fingerprint *identity.Fingerprint // of its key, in encrypted sessions; nil = any
}

// at says whether from is the address of s: through any interface, unless it was listed with
// a zone.
func (s *Server) at(from netip.Addr) bool {
	want, from := s.Addr.Unmap(), from.Unmap()
	if want.Zone() == "" {
		from = from.WithZone("")
	}
	return want == from
}

// knownAddr reports whether a sender may have this address at all. To a list of
// servers no other address gets an answer: its packets would not have come in
// through a source-specific membership either.
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

// knownServer is knownAddr for address and UID together.
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

// fingerprint returns which key a sender must have whose key is seen, nil if any
// will do: one that is listed goes before that. One that is in no line of the list gets a fingerprint that is nobody's:
// so it is refused at the place of the checks where stock refuses it.
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
