package main

import (
	"encoding/binary"
	"errors"
)

// The kernel passes on frames as its own stack made them: several in one, and with
// unfinished checksums, because it leaves both to the network card. A header before each
// frame describes this: struct virtio_net_hdr, in the byte order of the machine. Here
// super-frames are cut as the card would do it, so the link gets the frames that a line
// would carry. Unfinished checksums are carried on as they are, with their header.

const vnetLen = 10 // bytes of the header

const (
	vnetNeedsCsum = 1 // flags: the checksum from csumStart on belongs at csumStart+csumOffset

	gsoNone  = 0
	gsoTCP4  = 1
	gsoTCP6  = 4
	gsoUDP   = 5 // UDP_SEGMENT: datagrams of one size
	gsoECN   = 0x80
	tcpFIN   = 0x01
	tcpPSH   = 0x08
	tcpCWR   = 0x80
	protoTCP = 6
	protoUDP = 17
)

// errSegment reports a super-frame of a kind that cannot be cut.
var errSegment = errors.New("super-frame of an unknown kind")

// vnet is the header before a frame.
type vnet struct {
	flags, gso            uint8
	size                  uint16 // payload of a segment
	csumStart, csumOffset uint16
}

func getVnet(b []byte) vnet {
	return vnet{flags: b[0], gso: b[1] &^ gsoECN, size: binary.NativeEndian.Uint16(b[4:]),
		csumStart: binary.NativeEndian.Uint16(b[6:]), csumOffset: binary.NativeEndian.Uint16(b[8:])}
}

// putVnet writes the header of a frame that must not be cut.
func putVnet(b []byte, v vnet) {
	clear(b[:vnetLen])
	if v.flags&vnetNeedsCsum != 0 {
		b[0] = vnetNeedsCsum
		binary.NativeEndian.PutUint16(b[6:], v.csumStart)
		binary.NativeEndian.PutUint16(b[8:], v.csumOffset)
	}
}

// cutter cuts one super-frame into frames; an ordinary frame gives one. While more, call
// cut once for each copy, then step.
type cutter struct {
	frame  []byte
	v      vnet // of an ordinary frame
	l3, l4 int
	head   int // bytes of all headers
	gso    uint8
	six    bool
	size   int // payload of a segment
	next   int // offset of the next segment's payload
	index  int
}

// start prepares for a frame with its header v.
func (c *cutter) start(frame []byte, v vnet) error {
	if v.gso == gsoNone {
		*c = cutter{frame: frame, v: v, size: len(frame)}
		return nil
	}
	*c = cutter{frame: frame, gso: v.gso, size: int(v.size)}
	if v.size == 0 || len(frame) < 34 {
		return errSegment
	}
	c.l3 = 14
	kind := binary.BigEndian.Uint16(frame[12:])
	for kind == 0x8100 || kind == 0x88a8 {
		c.l3 += 4
		if len(frame) < c.l3+20 {
			return errSegment
		}
		kind = binary.BigEndian.Uint16(frame[c.l3-2:])
	}
	proto := byte(0)
	switch kind {
	case 0x0800:
		c.l4, proto = c.l3+int(frame[c.l3]&15)*4, frame[c.l3+9]
	case 0x86dd:
		// With extension headers only the kernel's checksum offset shows where the
		// transport header begins.
		c.six = true
		c.l4, proto = c.l3+40, protoTCP
		if c.gso == gsoUDP {
			proto = protoUDP
		}
	}
	if v.flags&vnetNeedsCsum != 0 {
		c.l4 = int(v.csumStart)
	}
	if c.l4 < c.l3+20 || len(frame) < c.l4+8 {
		return errSegment
	}
	switch {
	case proto == protoTCP && (c.gso == gsoTCP4 && !c.six || c.gso == gsoTCP6 && c.six):
		if len(frame) < c.l4+20 {
			return errSegment
		}
		c.head = c.l4 + int(frame[c.l4+12]>>4)*4
		if c.head < c.l4+20 {
			return errSegment
		}
	case proto == protoUDP && c.gso == gsoUDP:
		c.head = c.l4 + 8
	default:
		return errSegment
	}
	if c.head >= len(frame) {
		return errSegment
	}
	c.next = c.head
	return nil
}

// length is that of the next frame; there must be one.
func (c *cutter) length() int { return c.head + min(c.size, len(c.frame)-c.next) }

// cut writes the next frame to dst, which has room for its length, and returns its
// header.
func (c *cutter) cut(dst []byte) (v vnet) {
	n := c.length()
	if c.gso == gsoNone {
		copy(dst, c.frame)
		return c.v
	}
	end := c.next + n - c.head
	copy(dst, c.frame[:c.head])
	copy(dst[c.head:n], c.frame[c.next:end])
	first, last, offset := c.index == 0, end == len(c.frame), c.next-c.head

	ip := dst[c.l3:c.l4]
	var sum uint32 // of the pseudo header
	if c.six {
		binary.BigEndian.PutUint16(ip[4:], uint16(n-c.l3-40))
		sum = add(0, ip[8:40])
	} else {
		binary.BigEndian.PutUint16(ip[2:], uint16(n-c.l3))
		binary.BigEndian.PutUint16(ip[4:], binary.BigEndian.Uint16(ip[4:])+uint16(c.index))
		ip[10], ip[11] = 0, 0
		binary.BigEndian.PutUint16(ip[10:], ^fold(add(0, ip)))
		sum = add(0, ip[12:20])
	}
	sum += uint32(n - c.l4)
	l4 := dst[c.l4:n]
	v = vnet{flags: vnetNeedsCsum, csumStart: uint16(c.l4)}
	if c.gso == gsoUDP {
		binary.BigEndian.PutUint16(l4[4:], uint16(len(l4)))
		v.csumOffset = 6
		sum += protoUDP
	} else {
		binary.BigEndian.PutUint32(l4[4:], binary.BigEndian.Uint32(l4[4:])+uint32(offset))
		if !last {
			l4[13] &^= tcpFIN | tcpPSH
		}
		if !first {
			l4[13] &^= tcpCWR
		}
		v.csumOffset = 16
		sum += protoTCP
	}
	binary.BigEndian.PutUint16(l4[v.csumOffset:], fold(sum))
	return v
}

// step goes to the next frame.
func (c *cutter) step() {
	c.next += c.length() - c.head
	c.index++
}

func (c *cutter) more() bool { return c.next < len(c.frame) }

// finish computes the checksum that v leaves to the card. A frame that is damaged later
// needs it before: else the checksum would cover the damage.
func finish(frame []byte, v vnet) vnet {
	at := int(v.csumStart) + int(v.csumOffset)
	if v.flags&vnetNeedsCsum == 0 || at+2 > len(frame) || int(v.csumStart) >= len(frame) {
		return vnet{}
	}
	sum := ^fold(add(0, frame[v.csumStart:]))
	if sum == 0 && v.csumOffset == 6 {
		sum = 0xffff // UDP: 0 would mean no checksum
	}
	binary.BigEndian.PutUint16(frame[at:], sum)
	return vnet{}
}

// add adds 16-bit words to a ones' complement sum, which must be folded before it
// has taken 128 KiB.
func add(sum uint32, b []byte) uint32 {
	for ; len(b) >= 2; b = b[2:] {
		sum += uint32(b[0])<<8 | uint32(b[1])
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	return sum
}

func fold(sum uint32) uint16 {
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	return uint16(sum)
}

// tagLen is the length of an 802.1Q tag.
const tagLen = 4

// insertTag puts a VLAN tag behind the addresses of a frame that starts at
// buf[tagLen:], which then starts at buf[0].
func insertTag(buf []byte, v vnet, tpid, tci uint16) vnet {
	copy(buf, buf[tagLen:tagLen+12])
	binary.BigEndian.PutUint16(buf[12:], tpid)
	binary.BigEndian.PutUint16(buf[14:], tci)
	v.csumStart += tagLen
	return v
}
