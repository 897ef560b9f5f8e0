package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"

	"uftp/engine/block"
)

// The record of a partial file. First the layout of the stock daemon, 64-bit
// little-endian (v4-receiver.md section 8), then a part of our own, which stock
// daemons do not read:
//
//	offset    size        field
//	0         8           "uftp-st1"
//	8         4           time stamp as sent, s
//	12        4           block size, bytes
//	16        8           file size, bytes
//	24        4           blocks
//	28        4           sections
//	32        2+n         name as sent
//	          2+n         name of the data, below the directory of the group
//	          blocks/8+1  bit i = block i is missing, least significant first
//	          4           CRC-32C of all before, the stock part included
//
// If the data are under their temporary name, the stock part is the header of a
// session that was cut between files, all zero: a stock daemon would look for the
// data under the final name.
const (
	stockHeader = 336
	stockName   = 300
	ownFixed    = 32
	ownMagic    = "uftp-st1"
)

var (
	errStateShort = errors.New("shorter than it says")
	errStateSum   = errors.New("checksum is wrong")
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// record is a partial file as an instance left it.
type record struct {
	name      string
	size      int64
	blocks    int
	sections  int
	missing   block.Set
	own       bool   // we wrote it: blockSize is known
	mtime     uint32 // s; a stock daemon gives it to the data, see secure
	blockSize int    // bytes
	temp      string // data, below the directory of the group; "" = under the final name only
	final     bool   // data may be under the final name
}

// matches reports whether req announces the file that r is a part of. A sender
// that gives no time stamp to a stock daemon leaves none to compare.
func (r *record) matches(req Request) bool {
	l := &req.Layout
	return r.name == req.Name && r.size == req.Size && r.blocks == l.Blocks && r.sections == l.Sections &&
		(r.mtime == req.MTime || !r.own && req.MTime == 0) && (!r.own || r.blockSize == l.BlockSize)
}

// encodeState appends the record of req, data being under the name temp. With
// final a stock daemon can read it. The zero Request is "cut between files".
func encodeState(b []byte, req Request, temp string, missing *block.Set, final bool) []byte {
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

// decodeState reads a record, ours or a stock daemon's; nil if it tells of no file.
// What it says is not checked against any file. It takes memory of at most an
// eighth of data more than what the names need.
func decodeState(data []byte) (*record, error) {
	if len(data) < stockHeader {
		return nil, errStateShort
	}
	le := binary.LittleEndian
	blocks, sections := int64(le.Uint32(data)), int64(le.Uint32(data[4:]))
	if int64(len(data)) < stockHeader+blocks+sections {
		return nil, errStateShort
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

// decodeOwn reads our part, own, of data.
func (r *record) decodeOwn(data, own []byte) error {
	le := binary.LittleEndian
	if len(own) < ownFixed+2+2+1+4 {
		return errStateShort
	}
	sum := len(data) - 4
	if crc32.Checksum(data[:sum], castagnoli) != le.Uint32(data[sum:]) {
		return errStateSum
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
		return errStateShort
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
