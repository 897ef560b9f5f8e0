package sender

import (
	"net/netip"

	"uftp/engine/clock"
	"uftp/wire"
)

// Addresses of clients. The UID of a client is no secret, and two hosts may have the same:
// messages with a UID count only if they come from the host that has registered with it. So a
// stranger cannot send COMPLETE for others, and two receivers with one UID are found, of which
// each would take the sender's answers to the other for its own.
//
// This holds for messages in clear. A sealed message proves only that its sender is a member of
// the group, whose members all have the same keys. So its address is checked as well, unless
// each packet bears the client's own signature.

// maxPerAddress is how many clients of an open group one IPv4 address, or one /64 of IPv6, can
// register: enough for the hosts behind a translator of addresses, and few enough that a host
// that invents UIDs leaves room for others.
const maxPerAddress = 1000

const (
	sharedUID  = "UID is in use by another receiver"
	tooManyOne = "too many receivers at one address"
)

// sameHost compares addresses without ports, which translators of addresses change. The zone of
// a link-local address is its interface: on another link the address is another host's.
func sameHost(a, b netip.AddrPort) bool { return a.Addr().Unmap() == b.Addr().Unmap() }

// isUID reports whether a UID is the IPv4 address that a message comes from, as the UIDs of
// receivers are by default. Other hosts cannot send from there.
func isUID(from netip.AddrPort, uid wire.UID) bool {
	a := from.Addr().Unmap()
	return a.Is4() && wire.AddrUID(a) == uid
}

// fromClient reports whether a message from there can be c's, as far as addresses say.
func (s *Sender) fromClient(from netip.AddrPort, c *client) bool {
	return s.cfg.Roaming || sameHost(from, c.addr)
}

// foreign reports whether a message with the UID of client i comes from another host than the
// client. The first host stays the client; the other one is sent an ABORT, unless the message
// is one itself. Hosts behind one address differ by their ports: a port may change once, but
// when both are heard in turn there are two hosts.
func (s *Sender) foreign(now clock.Time, from netip.AddrPort, fn wire.Func, i int) bool {
	c := s.roster.At(i)
	switch {
	case s.cfg.Roaming || !c.addr.IsValid():
		return false
	case !sameHost(from, c.addr):
	case from.Port() == c.addr.Port():
		if c.otherPort != 0 && !c.sharesAddr {
			c.sharesAddr = true
			s.reportShared(i, netip.AddrPortFrom(c.addr.Addr(), c.otherPort))
		}
		return false
	case !c.sharesAddr:
		c.otherPort = from.Port()
		return false
	}
	if fn == wire.FuncAbort { // of the other host that gives up, or forged
		s.refuse(now, fn, i, "not from the address it registered from")
		return true
	}
	s.rejectOther(now, from, i)
	return true
}

// checkRepeat remembers the latest message of client i and reports when its sequence number
// comes again with another message. Then two hosts share UID, address and port. They cannot be
// told apart, but the user should know. The number 0 proves nothing: a host that was started
// again begins with it.
func (s *Sender) checkRepeat(from netip.AddrPort, i int, seq uint16, msg []byte) {
	c := s.roster.At(i)
	const head = 24 // of a message: what distinguishes it
	sum := uint32(2166136261)
	for _, b := range msg[:min(len(msg), head)] {
		sum = (sum ^ uint32(b)) * 16777619 // FNV-1a
	}
	if seq != 0 && c.heardSeq == seq && c.heardSum != sum && !s.cfg.Roaming {
		s.reportShared(i, from)
	}
	c.heardSeq, c.heardSum = seq, sum
}

// rejectOther sends an ABORT to a host whose UID another one has, and reports it. The ABORT is
// in clear only: a sealed one would be valid for the first host as well, and the other host
// could pass it on.
func (s *Sender) rejectOther(now clock.Time, other netip.AddrPort, i int) {
	s.reportShared(i, other)
	s.rejectHost(now, other, s.roster.UID(i), sharedUID)
}

// reportShared reports once that another host answers as client i.
func (s *Sender) reportShared(i int, other netip.AddrPort) {
	c := s.roster.At(i)
	if c.sharedReported {
		return
	}
	c.sharedReported = true
	s.reports.must(SharedUID{Client: s.client(i), First: c.addr, Second: other})
}

// settleAt makes from the address of c.
func (c *client) settleAt(from netip.AddrPort) {
	c.addr, c.otherPort, c.sharesAddr = from, 0, false
}

// hasRoom reports whether one more client of an open group may register from there.
func (s *Sender) hasRoom(from netip.AddrPort) bool {
	return s.perAddress[addressBlock(from)] < maxPerAddress
}

// countAddress counts a client that registered from there.
func (s *Sender) countAddress(from netip.AddrPort) {
	if s.perAddress == nil {
		s.perAddress = make(map[netip.Prefix]int) // never ranged over
	}
	s.perAddress[addressBlock(from)]++
}

// addressBlock returns the range of addresses around from that one host can choose from.
func addressBlock(from netip.AddrPort) netip.Prefix {
	a := from.Addr().Unmap().WithZone("")
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits)
	return p
}
