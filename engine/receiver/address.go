package receiver

import (
	"net/netip"

	"uftp/engine/clock"
	"uftp/engine/machine"
	"uftp/wire"
)

// fromSender reports whether a message in clear from this address counts: it is the sender's
// (with any port), or with Roaming any.
func (s *session) fromSender(from netip.AddrPort) bool {
	return s.r.cfg.Roaming || s.sentFrom(from)
}

// sentFrom reports whether from is the address of the ANNOUNCE, or the second one of the
// sender.
func (s *session) sentFrom(from netip.AddrPort) bool {
	return sameAddr(from, s.info.From) || s.twoAddrs && s.secondAddr == from.Addr()
}

// hasSecondAddr reports whether a host that announces from this address may send to the
// private group from another one. An IPv6 host sends to groups of its link from its link-local
// address, and to wider groups from a global one if it has any.
func hasSecondAddr(from, private netip.Addr) bool {
	return private.Is6() && private.IsMulticast() && from.Is6() && !from.Is4In6() && linkLocalGroup(private) != from.IsLinkLocalUnicast()
}

// linkLocalGroup reports whether packets to an IPv6 group stay on their link.
func linkLocalGroup(group netip.Addr) bool {
	return group.IsLinkLocalMulticast() || group.IsInterfaceLocalMulticast()
}

// mayBeSecond reports whether from can be the second address of the session's sender.
func (s *session) mayBeSecond(from netip.Addr) bool {
	return s.twoAddrs && from.Is6() && !from.Is4In6() && from.IsLinkLocalUnicast() != s.info.From.Addr().IsLinkLocalUnicast()
}

// gotFromOtherAddr takes a message in clear from an address that is not the sender's. If the
// sender may have a second address, it becomes known when it confirms our registration.
func (s *session) gotFromOtherAddr(now clock.Time, from netip.AddrPort, h wire.Header, msg []byte) machine.Verdict {
	if s.phase != Registering || !s.mayBeSecond(from.Addr()) || !s.r.knownServer(h.Src, from.Addr()) || !s.r.confirms(h, msg) {
		return drop(machine.DropSource)
	}
	s.secondAddr = from.Addr()
	v := s.gotMessage(now, h, msg)
	if s.phase == Registering {
		s.secondAddr = netip.Addr{} // refused for another reason
	}
	return v
}

// confirms reports whether a message confirms our registration.
func (r *Receiver) confirms(h wire.Header, msg []byte) bool {
	switch h.Func {
	case wire.FuncRegConf:
		x, err := wire.ParseHostList(msg)
		return err == nil && x.Func == h.Func && x.Hosts.Contains(r.cfg.UID)
	case wire.FuncFileInfo:
		x, err := wire.ParseFileInfo(h.Version, msg)
		return err == nil && x.FileID != 0 && x.Hosts.Contains(r.cfg.UID)
	}
	return false
}

// sameAddr compares addresses without ports: a restarted sender has a new port, and some
// address translators change it. The zone of a link-local address counts: on another link the
// same address belongs to another host.
func sameAddr(a, b netip.AddrPort) bool { return a.Addr().Unmap() == b.Addr().Unmap() }
