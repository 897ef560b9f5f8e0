package wire

import "encoding/binary"

// FILESEG and PARITY carry data. Their headers have the same layout: function, length, file
// ID, four bytes that say what the data is, and TFMCC_DATA_INFO in a session with congestion
// control.

// Limits of the fields of PARITY.
const (
	MaxSpans  = 1 << 12 // spans of a file
	MaxParity = 1 << 20 // parity blocks of a span
)

// Parity is a parity block of a span of a file (extension X1).
type Parity struct {
	FileID uint16
	Span   uint16 // below MaxSpans
	Number uint32 // below MaxParity
	HasCC  bool
	CC     TFMCCData // valid when HasCC
	Data   []byte
}

// DataHeaderLen returns the bytes between common header and data of a packet in clear that
// carries data; cc: with TFMCC_DATA_INFO.
func DataHeaderLen(cc bool) int {
	if cc {
		return FileSegLen + tfmccDataLen
	}
	return FileSegLen
}

// PutDataHeader writes the message header of a packet that carries data into the first
// DataHeaderLen(cc != nil) bytes of msg. what is a PlaceOf or a ParityOf.
func PutDataHeader(msg []byte, f Func, fileID uint16, what uint32, cc *TFMCCData) {
	n := DataHeaderLen(cc != nil)
	msg = msg[:n:n]
	msg[0], msg[1] = byte(f), byte(n/4)
	binary.BigEndian.PutUint16(msg[2:], fileID)
	binary.BigEndian.PutUint32(msg[4:], what)
	if cc != nil {
		cc.append(msg[:FileSegLen])
	}
}

// PlaceOf says what a FILESEG carries: a block of a section.
func PlaceOf(section, block uint16) uint32 { return uint32(section)<<16 | uint32(block) }

// ParityOf says what a PARITY carries: a parity block of a span.
func ParityOf(span uint16, number uint32) uint32 {
	if span >= MaxSpans || number >= MaxParity {
		panic("wire: span or number of a parity block out of range")
	}
	return uint32(span)<<20 | number
}

// ParseParity reads PARITY. Whether span and number are those of the file, and the data is as
// long as a block, is not checked.
func ParseParity(msg []byte) (x Parity, err error) {
	hdr, body, err := split(msg, FuncParity, FileSegLen)
	if err != nil {
		return x, err
	}
	ext, err := extension(hdr, FileSegLen, ExtTFMCCData, tfmccDataLen)
	if err != nil {
		return x, err
	}
	what := binary.BigEndian.Uint32(hdr[4:])
	x.FileID, x.Data = binary.BigEndian.Uint16(hdr[2:]), body
	x.Span, x.Number = uint16(what/MaxParity), what%MaxParity
	if ext != nil {
		x.HasCC, x.CC = true, parseTFMCCData(ext)
	}
	return x, nil
}

// Append appends the message.
func (x *Parity) Append(b []byte) []byte {
	var hdr [FileSegLen + tfmccDataLen]byte
	var cc *TFMCCData
	if x.HasCC {
		cc = &x.CC
	}
	PutDataHeader(hdr[:], FuncParity, x.FileID, ParityOf(x.Span, x.Number), cc)
	b = append(b, hdr[:DataHeaderLen(x.HasCC)]...)
	return append(b, x.Data...)
}
