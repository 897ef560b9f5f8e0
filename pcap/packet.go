package pcap

import (
	"encoding/binary"
	"errors"
	"net/netip"
)

// Why a frame yields nothing.
var (
	errOther  = errors.New("pcap: not UDP over IP")
	errBroken = errors.New("pcap: frame is cut or contradicts itself")
)

// Ether types and IP protocols that are followed.
const (
	etherIPv4 = 0x0800
	etherIPv6 = 0x86dd
	etherVLAN = 0x8100
	etherQinQ = 0x88a8

	protoHopByHop = 0
	protoUDP      = 17
	protoRouting  = 43
	protoFragment = 44
	protoDestOpts = 60
)

// packet is what IP says about a UDP datagram or a part of one.
type packet struct {
	src, dst netip.Addr
	payload  []byte // from the UDP header on, or the part from offset on

	fragment bool
	id       uint32
	offset   int  // bytes
	more     bool // not the last part
}

func parseIPv4(b []byte) (p packet, err error) {
	if len(b) < 20 || b[0]>>4 != 4 {
		return p, errBroken
	}
	head, total := int(b[0]&15)*4, int(binary.BigEndian.Uint16(b[2:]))
	if head < 20 || total < head || total > len(b) {
		return p, errBroken
	}
	if b[9] != protoUDP {
		return p, errOther
	}
	p.src = netip.AddrFrom4([4]byte(b[12:]))
	p.dst = netip.AddrFrom4([4]byte(b[16:]))
	p.payload = b[head:total]
	frag := binary.BigEndian.Uint16(b[6:])
	p.id = uint32(binary.BigEndian.Uint16(b[4:]))
	p.more = frag&0x2000 != 0
	p.offset = int(frag&0x1fff) * 8
	p.fragment = p.more || p.offset != 0
	return p, nil
}

func parseIPv6(b []byte) (p packet, err error) {
	if len(b) < 40 || b[0]>>4 != 6 {
		return p, errBroken
	}
	size := int(binary.BigEndian.Uint16(b[4:]))
	if size > len(b)-40 {
		return p, errBroken
	}
	p.src = netip.AddrFrom16([16]byte(b[8:]))
	p.dst = netip.AddrFrom16([16]byte(b[24:]))
	next := b[6]
	b = b[40 : 40+size]
	for {
		switch next {
		case protoUDP:
			p.payload = b
			return p, nil
		case protoHopByHop, protoRouting, protoDestOpts:
			if len(b) < 8 {
				return p, errBroken
			}
			n := 8 + 8*int(b[1])
			if n > len(b) {
				return p, errBroken
			}
			next, b = b[0], b[n:]
		case protoFragment:
			if len(b) < 8 || p.fragment {
				return p, errBroken
			}
			frag := binary.BigEndian.Uint16(b[2:])
			p.id = binary.BigEndian.Uint32(b[4:])
			p.more = frag&1 != 0
			p.offset = int(frag &^ 7)
			p.fragment = p.more || p.offset != 0 // else a lone part that is the whole
			next, b = b[0], b[8:]
			if p.fragment {
				// Only the first part starts with the headers that follow, and a
				// sender of UDP puts none there.
				if next != protoUDP {
					return p, errOther
				}
				p.payload = b
				return p, nil
			}
		default:
			return p, errOther
		}
	}
}

// parseUDP splits a whole datagram.
func parseUDP(b []byte) (src, dst uint16, payload []byte, ok bool) {
	if len(b) < 8 {
		return 0, 0, nil, false
	}
	n := int(binary.BigEndian.Uint16(b[4:]))
	if n < 8 || n > len(b) {
		return 0, 0, nil, false
	}
	return binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:]), b[8:n], true
}
