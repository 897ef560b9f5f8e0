package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"

	"uftp/engine/block"
)

// The record of a partial file: first the layout of the stock daemon, 64-bit little-endian
// (docs/protocol.md, "Receiver's record"), then a part of our own, which stock daemons do not read:
//
//	offset    size        field
//	0         8           "uftp-st1"
//	8         4           time stamp as sent, s
//	12        4           block size, bytes
//	16        8           file size, bytes
//	24        4           blocks
//	28        4           sections
//	32        2+n         name as sent
//	          2+n         name of the data, relative to the session's directory
//	          blocks/8+1  bit i = block i is missing, least significant first
//	          4           CRC-32C of all before, the stock part included
//
// While the data have their temporary name, the stock part is all zero, which is the record of a
// session that was interrupted between files. A stock daemon would look for the data under the
// final name.
const (
	stockHeader = 336
	stockName   = 300
	ownFixed    = 32
	ownMagic    = "uftp-st1"
)

var (
	errRecordShort = errors.New("shorter than it says")
	errRecordSum   = errors.New("checksum is wrong")
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// record is the record of a partial file.
type record struct {
	name      string
	size      int64
	blocks    int
	sections  int
	missing   block.Set
	own       bool   // it is ours: blockSize is known
	mtime     uint32 // s; a stock record has none: the data have it, see findData
	blockSize int    // bytes
	temp      string // the data, relative to the session's directory; "" = under the final name only
	final     bool   // data may be under the final name
}

// matches reports whether r belongs to the file of req. If the sender gives no time, a stock
// record has none to compare.
func (r *record) matches(req Request) bool {
	l := &req.Layout
	return r.name == req.Name && r.size == req.Size && r.blocks == l.Blocks && r.sections == l.Sections &&
		(r.mtime == req.MTime || !r.own && req.MTime == 0) && (!r.own || r.blockSize == l.BlockSize)
}

// encodeRecord appends the record of req, whose data have the name temp. With final a stock daemon
// can read it. The zero Request means "interrupted between files".
func encodeRecord(b []byte, req Request, temp string, missing *block.Set, final bool) []byte {
	start := len(b)
	l := &req.Layout
	le := binary.LittleEndian
	b = append(b, make([]byte, stockHeader)...)
	if final {
		h := b[start:]
		le.PutUint32(h[0:], uint32(l.Blocks))
		le.PutUint32(h[4:], uint32(l.Sections))
		le.PutUint64(h[8:], uint64(req.Size))
		copy(h[16:16+stockName], req.Name)
		for i := range l.Blocks {
			b = append(b, flag(missing.Has(i)))
		}
		for i := range l.Sections {
			b = append(b, flag(missing.CountRange(l.First(i), l.SectionBlocks(i)) == 0))
		}
	}
	b = append(b, ownMagic...)
	b = le.AppendUint32(b, req.MTime)
	b = le.AppendUint32(b, uint32(l.BlockSize))
	b = le.AppendUint64(b, uint64(req.Size))
	b = le.AppendUint32(b, uint32(l.Blocks))
	b = le.AppendUint32(b, uint32(l.Sections))
	b = appendText(b, req.Name)
	b = appendText(b, temp)
	b = missing.AppendBitmap(b, 0, l.Blocks)
	return le.AppendUint32(b, crc32.Checksum(b[start:], castagnoli))
}

func flag(v bool) byte {
	if v {
		return 1
	}
	return 0
}

func appendText(b []byte, s string) []byte {
	return append(binary.LittleEndian.AppendUint16(b, uint16(len(s))), s...)
}

// decodeRecord reads a record of ours or of a stock daemon; nil means that it is about no file. It
// does not look at any file. Its memory is bounded by an eighth of data plus the names.
func decodeRecord(data []byte) (*record, error) {
	if len(data) < stockHeader {
		return nil, errRecordShort
	}
	le := binary.LittleEndian
	blocks, sections := int64(le.Uint32(data)), int64(le.Uint32(data[4:]))
	if int64(len(data)) < stockHeader+blocks+sections {
		return nil, errRecordShort
	}
	name, _, _ := bytes.Cut(data[16:16+stockName], []byte{0})
	r := &record{
		name:     string(name),
		size:     int64(le.Uint64(data[8:])),
		blocks:   int(blocks),
		sections: int(sections),
		final:    blocks > 0,
	}
	own := data[stockHeader+blocks+sections:]
	if len(own) >= len(ownMagic) && string(own[:len(ownMagic)]) == ownMagic {
		if err := r.decodeOwn(data, own); err != nil {
			return nil, err
		}
	} else {
		r.missing.Reset(r.blocks, false)
		for i, m := range data[stockHeader : stockHeader+blocks] {
			if m != 0 {
				r.missing.Add(i)
			}
		}
	}
	if r.name == "" || r.blocks <= 0 || r.sections <= 0 || r.size <= 0 {
		return nil, nil
	}
	return r, nil
}

// decodeOwn reads our part of data, which is own.
func (r *record) decodeOwn(data, own []byte) error {
	le := binary.LittleEndian
	if len(own) < ownFixed+2+2+1+4 {
		return errRecordShort
	}
	sum := len(data) - 4
	if crc32.Checksum(data[:sum], castagnoli) != le.Uint32(data[sum:]) {
		return errRecordSum
	}
	own = own[:len(own)-4]
	r.own = true
	r.mtime = le.Uint32(own[8:])
	r.blockSize = int(le.Uint32(own[12:]))
	r.size = int64(le.Uint64(own[16:]))
	blocks := int64(le.Uint32(own[24:]))
	r.sections = int(le.Uint32(own[28:]))
	rest := own[ownFixed:]
	var ok1, ok2 bool
	r.name, rest, ok1 = cutText(rest)
	r.temp, rest, ok2 = cutText(rest)
	if !ok1 || !ok2 || int64(len(rest)) != blocks/8+1 || int(blocks) < 0 {
		return errRecordShort
	}
	r.blocks = int(blocks)
	r.missing.Reset(r.blocks, false)
	r.missing.Merge(rest, 0, r.blocks)
	return nil
}

func cutText(b []byte) (s string, rest []byte, ok bool) {
	if len(b) < 2 {
		return "", nil, false
	}
	n := int(binary.LittleEndian.Uint16(b))
	if b = b[2:]; len(b) < n {
		return "", nil, false
	}
	return string(b[:n]), b[n:], true
}
