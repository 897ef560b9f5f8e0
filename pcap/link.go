package pcap

import "encoding/binary"

// Link types understood, as numbered in both formats. Some systems write the
// number of raw IP as 12 or 14 into classic captures.
const (
	linkNull     = 0   // BSD loopback, address family in the byte order of the writer
	linkEthernet = 1   //
	linkRawBSD   = 12  // raw IP
	linkRawOpen  = 14  // raw IP
	linkRaw      = 101 // raw IP
	linkLoop     = 108 // OpenBSD loopback, address family in network order
	linkSLL      = 113 // Linux cooked
	linkIPv4     = 228
	linkIPv6     = 229
	linkSLL2     = 276 // Linux cooked, version 2
)

func knownLink(link uint16) bool {
	switch link {
	case linkNull, linkEthernet, linkRawBSD, linkRawOpen, linkRaw, linkLoop, linkSLL, linkIPv4, linkIPv6, linkSLL2:
		return true
	}
	return false
}

// parseFrame takes a frame of a known link type apart down to UDP. Padding behind
// the IP packet is cut off.
func parseFrame(link uint16, b []byte) (packet, error) {
	// Length of the link header, and where in it the Ether type stands.
	head, typeAt := 0, 0
	switch link {
	case linkEthernet:
		head, typeAt = 14, 12
	case linkSLL:
		head, typeAt = 16, 14
	case linkSLL2:
		head, typeAt = 20, 0
	case linkNull, linkLoop:
		if len(b) < 4 {
			return packet{}, errBroken
		}
		return parseFamily(b)
	default:
		return parseRaw(b)
	}
	if len(b) < head {
		return packet{}, errBroken
	}
	return parseEther(binary.BigEndian.Uint16(b[typeAt:]), b[head:])
}

// parseEther goes on behind an Ether type: VLAN tags, then IP.
func parseEther(typ uint16, b []byte) (packet, error) {
	for typ == etherVLAN || typ == etherQinQ {
		if len(b) < 4 {
			return packet{}, errBroken
		}
		typ = binary.BigEndian.Uint16(b[2:])
		b = b[4:]
	}
	switch typ {
	case etherIPv4:
		return parseIPv4(b)
	case etherIPv6:
		return parseIPv6(b)
	}
	return packet{}, errOther
}

// parseFamily reads a loopback frame: 4 bytes of address family, then IP. All
// families are below 256, which tells the byte order. IPv6 has another number on
// every system.
func parseFamily(b []byte) (packet, error) {
	family := binary.LittleEndian.Uint32(b)
	if family > 0xffff {
		family = binary.BigEndian.Uint32(b)
	}
	switch family {
	case 2:
		return parseIPv4(b[4:])
	case 10, 24, 28, 30:
		return parseIPv6(b[4:])
	}
	return packet{}, errOther
}

// parseRaw reads a frame that begins with IP.
func parseRaw(b []byte) (packet, error) {
	if len(b) == 0 {
		return packet{}, errBroken
	}
	switch b[0] >> 4 {
	case 4:
		return parseIPv4(b)
	case 6:
		return parseIPv6(b)
	}
	return packet{}, errOther
}
