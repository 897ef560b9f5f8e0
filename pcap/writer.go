package pcap

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
)

// ErrDatagram says that a datagram cannot be written: its addresses are of two
// families or missing, or it is longer than IP allows.
var ErrDatagram = errors.New("pcap: datagram cannot be written")

// Format is the form of a capture.
type Format uint8

const (
	Classic Format = iota // classic pcap
	NG                    // pcapng
)

// Lengths of the headers that are written, and of the longest payload.
const (
	etherLen   = 14
	ip4Len     = 20
	ip6Len     = 40
	udpLen     = 8
	payloadMax = datagramMax - ip4Len - udpLen
)

// Writer writes datagrams as Ethernet frames with time stamps in nanoseconds. IP
// and UDP headers are made anew, checksums and all; the Ethernet addresses of
// hosts are made of the last bytes of their IP addresses. Not for concurrent use.
type Writer struct {
	w      io.Writer
	format Format
	buf    []byte // of one frame, reused
}

// NewWriter writes the head of a capture.
func NewWriter(w io.Writer, f Format) (*Writer, error) {
	le := binary.LittleEndian
	var b []byte
	if f == NG {
		b = le.AppendUint32(b, ngSection)
		b = le.AppendUint32(b, 28)
		b = le.AppendUint32(b, ngByteOrder)
		b = le.AppendUint32(b, 1)          // version 1.0
		b = le.AppendUint64(b, ^uint64(0)) // length not told
		b = le.AppendUint32(b, 28)
		b = le.AppendUint32(b, ngInterface)
		b = le.AppendUint32(b, 32)
		b = le.AppendUint32(b, linkEthernet)
		b = le.AppendUint32(b, frameLenMax)
		b = append(b, ngOptResolution, 0, 1, 0, 9, 0, 0, 0)
		b = le.AppendUint32(b, ngOptEnd)
		b = le.AppendUint32(b, 32)
	} else {
		b = le.AppendUint32(b, classicNanos)
		b = le.AppendUint32(b, 2|4<<16) // version 2.4
		b = le.AppendUint64(b, 0)
		b = le.AppendUint32(b, frameLenMax)
		b = le.AppendUint32(b, linkEthernet)
	}
	if _, err := w.Write(b); err != nil {
		return nil, err
	}
	return &Writer{w: w, format: f}, nil
}

// Write writes one datagram with a single call of the io.Writer. It fails with
// [ErrDatagram], wrapped, and writes nothing then, or with an error of the
// io.Writer. Of d it uses Time, Src, Dst and Payload.
func (w *Writer) Write(d Datagram) error {
	src, dst := d.Src.Addr().Unmap(), d.Dst.Addr().Unmap()
	if !src.IsValid() || src.BitLen() != dst.BitLen() {
		return fmt.Errorf("%w: from %v to %v", ErrDatagram, d.Src, d.Dst)
	}
	if len(d.Payload) > payloadMax {
		return fmt.Errorf("%w: %d bytes", ErrDatagram, len(d.Payload))
	}
	le := binary.LittleEndian
	size := uint32(etherLen + ip4Len + udpLen + len(d.Payload))
	if src.Is6() {
		size += ip6Len - ip4Len
	}
	ns := d.Time.UnixNano()
	if d.Time.IsZero() {
		ns = 0
	}
	b := w.buf[:0]
	blockLen := 32 + (size+3)&^3
	if w.format == NG {
		b = le.AppendUint32(b, ngEnhanced)
		b = le.AppendUint32(b, blockLen)
		b = le.AppendUint32(b, 0)
		b = le.AppendUint32(b, uint32(uint64(ns)>>32))
		b = le.AppendUint32(b, uint32(ns))
	} else {
		b = le.AppendUint32(b, uint32(ns/1e9))
		b = le.AppendUint32(b, uint32(ns%1e9))
	}
	b = le.AppendUint32(b, size)
	b = le.AppendUint32(b, size)
	b = appendFrame(b, src, dst, d)
	if w.format == NG {
		for len(b) < int(blockLen)-4 {
			b = append(b, 0)
		}
		b = le.AppendUint32(b, blockLen)
	}
	w.buf = b
	_, err := w.w.Write(b)
	return err
}

// appendFrame appends d from its Ethernet header on.
func appendFrame(b []byte, src, dst netip.Addr, d Datagram) []byte {
	be := binary.BigEndian
	n := udpLen + len(d.Payload)
	b = appendMAC(b, dst)
	b = appendMAC(b, src)
	if src.Is4() {
		b = be.AppendUint16(b, etherIPv4)
		at := len(b)
		b = append(b, 0x45, 0)
		b = be.AppendUint16(b, uint16(ip4Len+n))
		b = append(b, 0, 0, 0, 0, 64, protoUDP, 0, 0)
		b = append(append(b, src.AsSlice()...), dst.AsSlice()...)
		be.PutUint16(b[at+10:], ^fold(sum(b[at:])))
	} else {
		b = be.AppendUint16(b, etherIPv6)
		b = append(b, 0x60, 0, 0, 0)
		b = be.AppendUint16(b, uint16(n))
		b = append(b, protoUDP, 64)
		b = append(append(b, src.AsSlice()...), dst.AsSlice()...)
	}
	at := len(b)
	b = be.AppendUint16(b, d.Src.Port())
	b = be.AppendUint16(b, d.Dst.Port())
	b = be.AppendUint16(b, uint16(n))
	b = append(b, 0, 0)
	b = append(b, d.Payload...)
	check := ^fold(sum(src.AsSlice()) + sum(dst.AsSlice()) + protoUDP + uint64(n) + sum(b[at:]))
	if check == 0 {
		check = 0xffff // 0 would mean that there is none
	}
	be.PutUint16(b[at+6:], check)
	return b
}

// appendMAC appends the Ethernet address of a multicast group, or one made up for
// a host.
func appendMAC(b []byte, a netip.Addr) []byte {
	x := a.AsSlice()
	low := x[len(x)-4:]
	switch {
	case a.IsMulticast() && a.Is4():
		return append(b, 1, 0, 0x5e, low[1]&0x7f, low[2], low[3])
	case a.IsMulticast():
		return append(append(b, 0x33, 0x33), low...)
	}
	return append(append(b, 2, 0), low...)
}

// sum adds 16-bit words in network order.
func sum(b []byte) (s uint64) {
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
