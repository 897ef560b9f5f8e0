package pcap

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"net/netip"
	"time"
)

// ErrDatagram says that a datagram cannot be written: its addresses are of two
// families or missing, or it is longer than IP allows.
var ErrDatagram = errors.New("pcap: datagram cannot be written")

// Datagram is one UDP datagram of a capture.
type Datagram struct {
	Time     time.Time // of its last frame; zero when the capture does not say
	Frame    int       // number of its last frame in the capture, from 1
	Offset   int64     // of that frame's record in the capture (unpacked if that was packed), bytes
	Src, Dst netip.AddrPort
	Payload  []byte // never shared, the caller may keep and change it
}

// Format is the form of a capture.
type Format uint8

const (
	Classic Format = iota // classic pcap
	NG                    // pcapng
)

// Way is the direction of a datagram at the host where a capture was taken.
type Way uint8

const (
	WayUnknown Way = iota
	Inbound
	Outbound
)

// Meta are further properties of a captured datagram. Way and Lost are written in pcapng
// only.
type Meta struct {
	Way  Way
	Lost uint64 // datagrams that the capture missed between the one before and this one
	TOS  uint8  // traffic class
	TTL  uint8  // hop limit; 0 stands for 64
}

// Lengths of the headers that are written, and of the longest payload.
const (
	etherLen   = 14
	ip4Len     = 20
	ip6Len     = 40
	udpLen     = 8
	payloadMax = 0xffff - ip4Len - udpLen
	ttlDefault = 64
)

// Numbers in those headers.
const (
	etherIPv4 = 0x0800
	etherIPv6 = 0x86dd
	protoUDP  = 17
)

// RecordMax bounds what [Encoder.AppendDatagram] appends to a capture, bytes: the
// head of a record and its options, headers, the longest payload, padding.
const RecordMax = 32 + 28 + etherLen + ip6Len + udpLen + payloadMax + 3

// Encoder makes the bytes of a capture: one head, then datagrams, with time stamps
// in nanoseconds. It makes IP and UDP headers of its own, with checksums. It keeps
// nothing, and appending to a slice that is long enough allocates nothing.
type Encoder struct {
	Format Format
	// Raw makes frames begin with the IP header. Otherwise they are Ethernet, with
	// addresses of hosts made of the last bytes of their IP addresses.
	Raw         bool
	Application string // the name of the program, for pcapng; empty: not written
}

func (e *Encoder) link() uint32 {
	if e.Raw {
		return LinkRaw
	}
	return LinkEthernet
}

// AppendHead appends the head of a capture.
func (e *Encoder) AppendHead(b []byte) []byte {
	le := binary.LittleEndian
	if e.Format == Classic {
		b = le.AppendUint32(b, classicNanos)
		b = le.AppendUint32(b, 2|4<<16) // version 2.4
		b = le.AppendUint64(b, 0)
		b = le.AppendUint32(b, frameLenMax)
		return le.AppendUint32(b, e.link())
	}
	b, at := beginBlock(b, ngSection)
	b = le.AppendUint32(b, ngByteOrder)
	b = le.AppendUint32(b, 1)          // version 1.0
	b = le.AppendUint64(b, ^uint64(0)) // length not given
	if e.Application != "" {
		text := e.Application[:min(len(e.Application), applicationMax)]
		b = le.AppendUint16(b, ngOptApplication)
		b = le.AppendUint16(b, uint16(len(text)))
		b = pad(append(b, text...), at)
		b = le.AppendUint32(b, ngOptEnd)
	}
	b = endBlock(b, at)

	b, at = beginBlock(b, ngInterface)
	b = le.AppendUint32(b, e.link())
	b = le.AppendUint32(b, frameLenMax)
	b = append(b, ngOptResolution, 0, 1, 0, 9, 0, 0, 0)
	b = le.AppendUint32(b, ngOptEnd)
	return endBlock(b, at)
}

// applicationMax bounds the name of the application, bytes.
const applicationMax = 200

// AppendDatagram appends one datagram. It fails with [ErrDatagram], wrapped, and
// appends nothing then. Of d it uses Time, Src, Dst and Payload.
func (e *Encoder) AppendDatagram(b []byte, d *Datagram, m *Meta) ([]byte, error) {
	src, dst := d.Src.Addr().Unmap(), d.Dst.Addr().Unmap()
	if !src.IsValid() || src.BitLen() != dst.BitLen() {
		return b, fmt.Errorf("%w: from %v to %v", ErrDatagram, d.Src, d.Dst)
	}
	if len(d.Payload) > payloadMax {
		return b, fmt.Errorf("%w: %d bytes", ErrDatagram, len(d.Payload))
	}
	le := binary.LittleEndian
	size := uint32(ip4Len + udpLen + len(d.Payload))
	if src.Is6() {
		size += ip6Len - ip4Len
	}
	if !e.Raw {
		size += etherLen
	}
	ns := d.Time.UnixNano()
	if d.Time.IsZero() {
		ns = 0
	}
	if e.Format == Classic {
		b = le.AppendUint32(b, uint32(ns/1e9))
		b = le.AppendUint32(b, uint32(ns%1e9))
		b = le.AppendUint32(b, size)
		b = le.AppendUint32(b, size)
		return e.appendFrame(b, src, dst, d, m), nil
	}
	b, at := beginBlock(b, ngEnhanced)
	b = le.AppendUint32(b, 0) // the interface
	b = appendStamp(b, ns)
	b = le.AppendUint32(b, size)
	b = le.AppendUint32(b, size)
	b = pad(e.appendFrame(b, src, dst, d, m), at)
	if m.Way != WayUnknown {
		b = append(b, ngOptFlags, 0, 4, 0)
		b = le.AppendUint32(b, uint32(m.Way)) // numbered as in the format
	}
	if m.Lost > 0 {
		b = append(b, ngOptDropCount, 0, 8, 0)
		b = le.AppendUint64(b, m.Lost)
	}
	if m.Way != WayUnknown || m.Lost > 0 {
		b = le.AppendUint32(b, ngOptEnd)
	}
	return endBlock(b, at), nil
}

// AppendStatistics appends how many datagrams there were since the capture began,
// and how many of them it missed. In a classic capture there is no place for that.
func (e *Encoder) AppendStatistics(b []byte, at time.Time, seen, lost uint64) []byte {
	if e.Format == Classic {
		return b
	}
	le := binary.LittleEndian
	b, from := beginBlock(b, ngStatistics)
	b = le.AppendUint32(b, 0) // the interface
	b = appendStamp(b, at.UnixNano())
	b = append(b, ngOptSeen, 0, 8, 0)
	b = le.AppendUint64(b, seen)
	b = append(b, ngOptLost, 0, 8, 0)
	b = le.AppendUint64(b, lost)
	b = le.AppendUint32(b, ngOptEnd)
	return endBlock(b, from)
}

// beginBlock appends the head of a block of pcapng; endBlock needs the place.
func beginBlock(b []byte, typ uint32) (more []byte, at int) {
	at = len(b)
	b = binary.LittleEndian.AppendUint32(b, typ)
	return append(b, 0, 0, 0, 0), at
}

// endBlock writes the length of the block that began at a place.
func endBlock(b []byte, at int) []byte {
	n := uint32(len(b) + 4 - at)
	binary.LittleEndian.PutUint32(b[at+4:], n)
	return binary.LittleEndian.AppendUint32(b, n)
}

// pad fills up the word, counted from a place.
func pad(b []byte, at int) []byte {
	for (len(b)-at)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

// appendStamp appends a time in the order of pcapng: the upper half comes first.
func appendStamp(b []byte, ns int64) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(uint64(ns)>>32))
	return binary.LittleEndian.AppendUint32(b, uint32(ns))
}

// appendFrame appends d from its first header on.
func (e *Encoder) appendFrame(b []byte, src, dst netip.Addr, d *Datagram, m *Meta) []byte {
	be := binary.BigEndian
	n := udpLen + len(d.Payload)
	ttl := m.TTL
	if ttl == 0 {
		ttl = ttlDefault
	}
	if !e.Raw {
		typ := uint16(etherIPv4)
		if src.Is6() {
			typ = etherIPv6
		}
		b = be.AppendUint16(appendMAC(appendMAC(b, dst), src), typ)
	}
	var addrs uint64 // sum of both
	if src.Is4() {
		s, t := src.As4(), dst.As4()
		at := len(b)
		b = append(b, 0x45, m.TOS)
		b = be.AppendUint16(b, uint16(ip4Len+n))
		b = append(b, 0, 0, 0, 0, ttl, protoUDP, 0, 0)
		b = append(append(b, s[:]...), t[:]...)
		be.PutUint16(b[at+10:], ^fold(sum(b[at:])))
		addrs = sum(b[at+12:])
	} else {
		s, t := src.As16(), dst.As16()
		b = append(b, 0x60|m.TOS>>4, m.TOS<<4, 0, 0)
		b = be.AppendUint16(b, uint16(n))
		b = append(b, protoUDP, ttl)
		at := len(b)
		b = append(append(b, s[:]...), t[:]...)
		addrs = sum(b[at:])
	}
	at := len(b)
	b = be.AppendUint16(b, d.Src.Port())
	b = be.AppendUint16(b, d.Dst.Port())
	b = be.AppendUint16(b, uint16(n))
	b = append(b, 0, 0)
	b = append(b, d.Payload...)
	check := ^fold(addrs + protoUDP + uint64(n) + sum(b[at:]))
	if check == 0 {
		check = 0xffff // 0 would mean no checksum
	}
	be.PutUint16(b[at+6:], check)
	return b
}

// appendMAC appends the Ethernet address of a multicast group, or one made up for
// a host.
func appendMAC(b []byte, a netip.Addr) []byte {
	x := a.As16() // ends in an IPv4 address
	low := x[12:]
	switch {
	case a.IsMulticast() && a.Is4():
		return append(b, 1, 0, 0x5e, low[1]&0x7f, low[2], low[3])
	case a.IsMulticast():
		return append(append(b, 0x33, 0x33), low...)
	}
	return append(append(b, 2, 0), low...)
}

// sum adds 16-bit words in network order; fold makes their ones' complement sum of the
// result.
func sum(b []byte) (s uint64) {
	// Several words at a time: 2^16 ≡ 1, so a carry out of the top is added at the bottom.
	be := binary.BigEndian
	var carry uint64
	for ; len(b) >= 32; b = b[32:] {
		s, carry = bits.Add64(s, be.Uint64(b), carry)
		s, carry = bits.Add64(s, be.Uint64(b[8:]), carry)
		s, carry = bits.Add64(s, be.Uint64(b[16:]), carry)
		s, carry = bits.Add64(s, be.Uint64(b[24:]), carry)
	}
	for ; len(b) >= 8; b = b[8:] {
		s, carry = bits.Add64(s, be.Uint64(b), carry)
	}
	s = s>>32 + s&0xffffffff + carry
	for ; len(b) >= 2; b = b[2:] {
		s += uint64(b[0])<<8 | uint64(b[1])
	}
	if len(b) == 1 {
		s += uint64(b[0]) << 8
	}
	return s
}

// fold makes a checksum of a sum.
func fold(s uint64) uint16 {
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}
