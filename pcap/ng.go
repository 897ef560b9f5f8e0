package pcap

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/bits"
	"time"
)

// Block types of pcapng (draft-ietf-opsawg-pcapng). The type of a section header
// reads the same in both byte orders.
const (
	ngSection   = 0x0a0d0d0a
	ngInterface = 1
	ngPacketOld = 2
	ngSimple    = 3
	ngEnhanced  = 6

	ngStatistics = 5 // written, not read
)

const (
	ngByteOrder     = 0x1a2b3c4d
	ngOptEnd        = 0
	ngOptResolution = 9
	ngOptOffset     = 14

	ngOptApplication = 4 // of a section
	ngOptFlags       = 2 // of a packet; the lowest two bits are a Way
	ngOptDropCount   = 4 // of a packet
	ngOptSeen        = 4 // of statistics
	ngOptLost        = 5 // of statistics

	// ngInterfacesMax bounds the interfaces of one section.
	ngInterfacesMax = 4096
)

// ngIface holds the properties of an interface that its packets need.
type ngIface struct {
	link      uint16
	snap      uint32
	perSecond uint64 // units of a time stamp, at least 1
	offset    int64  // seconds to add
}

// ngReader reads the frames of a pcapng stream, which consists of blocks:
// type, length, body padded to words, length again.
type ngReader struct {
	r      *source
	order  binary.ByteOrder
	ifaces []ngIface
	body   []byte // of the present block, reused
}

func (n *ngReader) next() (Frame, error) {
	for {
		typ, err := n.readBlock()
		if err != nil {
			return Frame{}, err
		}
		b := n.body
		switch typ {
		case ngInterface:
			if err := n.addInterface(b); err != nil {
				return Frame{}, err
			}
		case ngEnhanced, ngPacketOld:
			if len(b) < 20 {
				return Frame{}, ngError("packet block of %d bytes", len(b))
			}
			id := n.order.Uint32(b)
			if typ == ngPacketOld {
				id = uint32(n.order.Uint16(b)) // the other half counts drops
			}
			if uint64(id) >= uint64(len(n.ifaces)) {
				return Frame{}, ngError("packet of unknown interface %d", id)
			}
			ifc := &n.ifaces[id]
			if !knownLink(ifc.link) {
				return Frame{}, fmt.Errorf("%w: %d", ErrLinkType, ifc.link)
			}
			size := n.order.Uint32(b[12:])
			if uint64(size) > uint64(len(b)-20) {
				return Frame{}, ngError("packet of %d bytes in a block of %d", size, len(b))
			}
			stamp := uint64(n.order.Uint32(b[4:]))<<32 | uint64(n.order.Uint32(b[8:]))
			return Frame{Time: ifc.time(stamp), Link: ifc.link, Data: b[20 : 20+size]}, nil
		case ngSimple:
			if len(b) < 4 || len(n.ifaces) == 0 {
				return Frame{}, ngError("simple packet block of %d bytes", len(b))
			}
			if !knownLink(n.ifaces[0].link) {
				return Frame{}, fmt.Errorf("%w: %d", ErrLinkType, n.ifaces[0].link)
			}
			// The captured length is not given: it is the least of three bounds.
			size := min(int64(n.order.Uint32(b)), int64(len(b)-4))
			if snap := n.ifaces[0].snap; snap != 0 {
				size = min(size, int64(snap))
			}
			return Frame{Link: n.ifaces[0].link, Data: b[4 : 4+size]}, nil
		}
	}
}

// readBlock reads the next interface or packet block into body and returns its type. It
// handles section headers and skips all other blocks.
func (n *ngReader) readBlock() (typ uint32, err error) {
	for {
		n.r.mark()
		var head [12]byte
		if _, err := io.ReadFull(n.r, head[:8]); err != nil {
			return 0, err // io.EOF only at a block boundary
		}
		done := uint32(8) // bytes of the block read so far
		if binary.LittleEndian.Uint32(head[:]) == ngSection {
			if _, err := io.ReadFull(n.r, head[8:]); err != nil {
				return 0, cut(err)
			}
			done = 12
			switch uint32(ngByteOrder) {
			case binary.LittleEndian.Uint32(head[8:]):
				n.order = binary.LittleEndian
			case binary.BigEndian.Uint32(head[8:]):
				n.order = binary.BigEndian
			default:
				return 0, ngError("section with byte order %x", head[8:])
			}
			n.ifaces = n.ifaces[:0]
		}
		typ = n.order.Uint32(head[:])
		size := n.order.Uint32(head[4:])
		if size < done+4 || size%4 != 0 {
			return 0, ngError("block length %d", size)
		}

		switch typ {
		case ngInterface, ngEnhanced, ngPacketOld, ngSimple:
			if size > frameLenMax {
				return 0, ngError("block length %d", size)
			}
			if cap(n.body) < int(size) {
				n.body = make([]byte, size)
			}
			n.body = n.body[:size-done]
			if _, err := io.ReadFull(n.r, n.body); err != nil {
				return 0, cut(err)
			}
			tail := len(n.body) - 4
			if again := n.order.Uint32(n.body[tail:]); again != size {
				return 0, ngError("block length %d at its start and %d at its end", size, again)
			}
			n.body = n.body[:tail]
			return typ, nil
		}
		if _, err := io.CopyN(io.Discard, n.r, int64(size-done)); err != nil {
			return 0, cut(err)
		}
	}
}

// addInterface reads the body of an interface description.
func (n *ngReader) addInterface(b []byte) error {
	if len(b) < 8 || len(n.ifaces) == ngInterfacesMax {
		return ngError("interface %d", len(n.ifaces))
	}
	ifc := ngIface{link: n.order.Uint16(b), snap: n.order.Uint32(b[4:]), perSecond: 1e6}
	for b = b[8:]; len(b) >= 4; {
		code, size := n.order.Uint16(b), int(n.order.Uint16(b[2:]))
		if code == ngOptEnd {
			break
		}
		b = b[4:]
		padded := (size + 3) &^ 3
		if padded > len(b) {
			return ngError("option of %d bytes", size)
		}
		switch {
		case code == ngOptResolution && size == 1:
			per, ok := resolution(b[0])
			if !ok {
				return ngError("time resolution %#x", b[0])
			}
			ifc.perSecond = per
		case code == ngOptOffset && size == 8:
			ifc.offset = int64(n.order.Uint64(b))
		}
		b = b[padded:]
	}
	n.ifaces = append(n.ifaces, ifc)
	return nil
}

// resolution returns the units per second of a time stamp: a negative power of
// ten, or of two if the high bit is set. It refuses resolutions for which a second has more
// units than 64 bits can hold.
func resolution(code byte) (uint64, bool) {
	if code&0x80 != 0 {
		e := code & 0x7f
		return 1 << (e & 63), e < 64
	}
	if code > 19 {
		return 0, false
	}
	per := uint64(1)
	for range code {
		per *= 10
	}
	return per, true
}

// time returns the moment of a stamp.
func (ifc *ngIface) time(stamp uint64) time.Time {
	sec, frac := stamp/ifc.perSecond, stamp%ifc.perSecond
	hi, lo := bits.Mul64(frac, 1e9) // frac may have 63 bits
	ns, _ := bits.Div64(hi, lo, ifc.perSecond)
	return time.Unix(int64(sec)+ifc.offset, int64(ns)).UTC()
}

func ngError(format string, args ...any) error {
	return fmt.Errorf("%w: pcapng: %s", ErrFormat, fmt.Sprintf(format, args...))
}
