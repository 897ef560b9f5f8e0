package sender

import (
	"net/netip"

	"uftp/engine/clock"
	"uftp/wire"
)

// Where clients live. The UID of a client is no secret, and not always its own: what
// comes under it counts only from the host that has registered. That keeps strangers
// from saying COMPLETE for others, and finds two receivers that have one UID, of which
// one would take the other's answers for its own.
//
// It concerns what comes in clear. What is sealed proves that it comes from a member of
// the group, which has the same keys as all others; so it counts only from there, too,
// unless each packet bears the client's own signature.

// maxPerAddress is how many clients of an open group one IPv4 address, or one /64 of
// IPv6, can register: enough for what lies behind a translator of addresses, and few
// enough that who makes up UIDs leaves room for others.
const maxPerAddress = 1000

const (
	sharedUID  = "UID is in use by another receiver"
	tooManyOne = "too many receivers at one address"
)

// sameHost compares addresses without ports, which translators of addresses change. A
// link-local address has its interface as zone: on another link it is another host's.
func sameHost(a, b netip.AddrPort) bool { return a.Addr().Unmap() == b.Addr().Unmap() }

// isUID reports whether a UID is the IPv4 address that a message comes from, as the UIDs of
// receivers are by default. Others cannot write from there.
func isUID(from netip.AddrPort, uid wire.UID) bool {
	a := from.Addr().Unmap()
	return a.Is4() && wire.AddrUID(a) == uid
}

// fromClient reports whether what comes from there can be c's, as far as addresses say.
func (s *Sender) fromClient(from netip.AddrPort, c *client) bool {
	return s.cfg.Roaming || sameHost(from, c.addr)
}

// foreign reports whether a message under the UID of client i comes from another host
// than the client. That one is told, unless it has just said that it goes; who was first
// stays. Hosts behind one address differ by their ports: a port may change, but when both
// speak in turn there are two.
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
	if fn == wire.FuncAbort { // of a twin that gives up, or forged
		s.refuse(now, fn, i, "not from the address it registered from")
		return true
	}
	s.rejectOther(now, from, i)
	return true
}

// checkRepeat notes what client i has said last and reports when the same number comes again
// with another message. A host that was started again begins at 0, so that number tells
// nothing; two hosts that share address and port, as those that share a port do, count
// alike. They cannot be kept apart, but the user should know.
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

// rejectOther tells a host that another one has its UID, and the user. It does so in clear
// only: a sealed ABORT is as good for the first, and whoever gets it could hand it on.
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

// settleAt notes that c lives there.
func (c *client) settleAt(from netip.AddrPort) {
	c.addr, c.otherPort, c.sharesAddr = from, 0, false
}

// hasRoom reports whether one more client may register from there, in an open group.
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

// addressBlock is what one host can give itself as many addresses of as it likes.
func addressBlock(from netip.AddrPort) netip.Prefix {
	a := from.Addr().Unmap().WithZone("")
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits)
	return p
}
