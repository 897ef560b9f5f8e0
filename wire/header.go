package wire

import (
	"encoding/binary"
	"errors"
)

// The errors of parsers. Callers compare them with ==.
var (
	ErrShort     = errors.New("wire: packet shorter than its lengths say")
	ErrVersion   = errors.New("wire: not protocol version 4")
	ErrFunc      = errors.New("wire: function byte names another message")
	ErrHeaderLen = errors.New("wire: header length does not fit the fields it must hold")
	ErrExtension = errors.New("wire: extension length does not fit its contents")
)

// headerLenMax is the longest message header that the length byte can express, bytes.
const headerLenMax = 255 * 4

// ParseHeader splits a datagram into its common header and its message. It fails
// with [ErrShort] below 20 bytes and with [ErrVersion] on a version that is not
// built; callers drop both in silence. For [FuncEncrypted] the message is what
// [ParseEncrypted] takes, for every other function what the parser of that function
// takes.
func ParseHeader(p []byte) (h Header, msg []byte, err error) {
	if len(p) == 0 {
		return h, nil, ErrShort
	}
	if !Version(p[0]).known() {
		return h, nil, ErrVersion
	}
	if len(p) < MinDatagram {
		return h, nil, ErrShort
	}
	return Header{
		Version:   Version(p[0]),
		Func:      Func(p[1]),
		Seq:       binary.BigEndian.Uint16(p[2:]),
		Src:       UID(binary.BigEndian.Uint32(p[4:])),
		Group:     binary.BigEndian.Uint32(p[8:]),
		Instance:  p[12],
		GRTT:      p[13],
		GroupSize: p[14],
	}, p[HeaderLen:], nil
}

// Append appends the 16 bytes of the common header.
func (h Header) Append(b []byte) []byte {
	var p [HeaderLen]byte
	h.Put(p[:])
	return append(b, p[:]...)
}

// Put writes the 16 bytes of the common header to the start of p.
func (h *Header) Put(p []byte) {
	p = p[:HeaderLen:HeaderLen]
	p[0], p[1] = byte(h.Version), byte(h.Func)
	binary.BigEndian.PutUint16(p[2:], h.Seq)
	binary.BigEndian.PutUint32(p[4:], uint32(h.Src))
	binary.BigEndian.PutUint32(p[8:], h.Group)
	p[12], p[13], p[14], p[15] = h.Instance, h.GRTT, h.GroupSize, 0
}

// PutSeq sets the sequence number of the datagram p, at least 4 bytes.
func PutSeq(p []byte, seq uint16) { binary.BigEndian.PutUint16(p[2:4], seq) }

// How many entries a datagram of a session holds at most (docs/protocol.md,
// "Framing"). A full list fills a block; the header comes on top of it.

// MaxUIDs returns the longest UID list of one datagram.
func MaxUIDs(blockSize int) int { return blockSize / 4 }

// MaxKeyInfoItems returns the most entries of one KEYINFO.
func MaxKeyInfoItems(blockSize int) int { return blockSize / KeyInfoItemLen }

// MaxCCItems returns the most items of one CONG_CTRL.
func MaxCCItems(blockSize int) int { return blockSize / CCItemLen }

// split checks the framing of message f (docs/protocol.md, "Framing") and cuts it into
// header and body. The header has at least fixed bytes.
func split(msg []byte, f Func, fixed int) (hdr, body []byte, err error) {
	if len(msg) < 2 {
		return nil, nil, ErrShort
	}
	if Func(msg[0]) != f {
		return nil, nil, ErrFunc
	}
	n := 4 * int(msg[1])
	if n > len(msg) {
		return nil, nil, ErrShort
	}
	if n < fixed {
		return nil, nil, ErrHeaderLen
	}
	return msg[:n:n], msg[n:], nil
}

// splitIn is split for a message whose layout depends on the version.
func splitIn(v Version, msg []byte, f Func, fixed int) (hdr, body []byte, err error) {
	if !v.known() {
		return nil, nil, ErrVersion
	}
	return split(msg, f, fixed)
}

// extension returns the first extension of hdr, behind the first fixed bytes, if it
// has type t; nil if there is none or it has another type. It must have at least size
// bytes.
func extension(hdr []byte, fixed int, t Ext, size int) ([]byte, error) {
	if len(hdr) <= fixed || Ext(hdr[fixed]) != t {
		return nil, nil
	}
	// A header is whole words, so the length byte is there.
	n := 4 * int(hdr[fixed+1])
	if n < size || n > len(hdr)-fixed {
		return nil, ErrExtension
	}
	return hdr[fixed : fixed+n], nil
}

// words returns the length byte of a header of n bytes, rounded up to words.
func words(n int) byte {
	if n > headerLenMax {
		panic("wire: message header longer than 255 words")
	}
	return byte((n + 3) / 4)
}

// pad appends zeros until the message that starts at b[start] is whole words.
func pad(b []byte, start int) []byte {
	for (len(b)-start)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

// appendFixed appends src, cut or filled with zeros to n bytes.
func appendFixed(b, src []byte, n int) []byte {
	if len(src) > n {
		src = src[:n]
	}
	b = append(b, src...)
	for range n - len(src) {
		b = append(b, 0)
	}
	return b
}

// untilNUL returns s up to its first NUL.
func untilNUL(s []byte) []byte {
	for i, c := range s {
		if c == 0 {
			return s[:i]
		}
	}
	return s
}
