// Package block cuts a file into blocks of one size and sections of whole blocks
// (docs/protocol.md, "Sections and blocks"), and keeps sets of blocks: those that a
// sender still has to send, or that a receiver still lacks.
//
// It is arithmetic and bits; packets and files are for others. A [Layout] allocates
// nothing, a [Set] only when [Set.Reset] makes it larger than it was.
package block

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"
)

// Limits of the layout.
const (
	MaxSections   = 65535
	maxPerSection = 65536
)

// ErrTooLarge is the error for a file that needs more sections than 16 bits count.
var ErrTooLarge = errors.New("file too large for this block size")

// Layout is how one file of Size bytes is cut into blocks of BlockSize bytes.
// The first BigSections sections have SmallBlocks+1 blocks, the others SmallBlocks.
type Layout struct {
	Size        int64
	BlockSize   int
	Blocks      int // in the whole file
	Sections    int
	SmallBlocks int // blocks of a small section
	BigSections int // number of sections with one block more
}

// MaxSize is the largest file that blocks of blockSize bytes can carry.
func MaxSize(blockSize int) int64 {
	n := int64(MaxSections) * int64(min(8*blockSize, maxPerSection))
	return min(n, 1<<32-1, math.MaxInt) * int64(blockSize) // MaxInt matters on 32-bit machines
}

// NewLayout cuts size bytes, 0 <= size < 2^48, into blocks of blockSize bytes.
func NewLayout(size int64, blockSize int) (Layout, error) {
	l := Layout{Size: size, BlockSize: blockSize}
	if size < 0 || blockSize <= 0 {
		return l, fmt.Errorf("layout of %d bytes in blocks of %d bytes is impossible", size, blockSize)
	}
	if size > MaxSize(blockSize) {
		return l, fmt.Errorf("%w: %d bytes, at most %d with %d-byte blocks", ErrTooLarge, size, MaxSize(blockSize), blockSize)
	}
	if size == 0 {
		return l, nil
	}
	b := int64(blockSize)
	limit := min(8*blockSize, maxPerSection)
	l.Blocks = int((size + b - 1) / b)
	l.Sections = (l.Blocks + limit - 1) / limit
	l.SmallBlocks = l.Blocks / l.Sections
	l.BigSections = l.Blocks % l.Sections
	return l, nil
}

// SectionBlocks returns the number of blocks of section s, 0 <= s < Sections.
func (l *Layout) SectionBlocks(s int) int {
	if s < l.BigSections {
		return l.SmallBlocks + 1
	}
	return l.SmallBlocks
}

// First returns the index of the first block of section s, 0 <= s <= Sections.
func (l *Layout) First(s int) int {
	return s*l.SmallBlocks + min(s, l.BigSections)
}

// Section returns the section of block i, 0 <= i < Blocks, and its place in it.
func (l *Layout) Section(i int) (section, inSection int) {
	big := l.SmallBlocks + 1
	if border := l.BigSections * big; i >= border {
		i -= border
		return l.BigSections + i/l.SmallBlocks, i % l.SmallBlocks
	}
	return i / big, i % big
}

// Index returns the block at place b of section s; ok is false when the file has none there.
func (l *Layout) Index(s, b int) (i int, ok bool) {
	if s < 0 || s >= l.Sections || b < 0 || b >= l.SectionBlocks(s) {
		return 0, false
	}
	return l.First(s) + b, true
}

// Offset returns the place of block i in the file, bytes.
func (l *Layout) Offset(i int) int64 { return int64(i) * int64(l.BlockSize) }

// Len returns the length of block i, bytes: BlockSize for all but the last.
func (l *Layout) Len(i int) int {
	if i == l.Blocks-1 {
		return int((l.Size-1)%int64(l.BlockSize)) + 1
	}
	return l.BlockSize
}

// NAKBytes returns the length of the bitmap that a receiver sends for a section of n blocks.
func NAKBytes(n int) int { return n/8 + 1 }

// Set is a set of block indexes of one file.
// The zero Set is empty and holds nothing; Reset sizes it.
type Set struct {
	words []uint64
	n     int // blocks
	count int // bits set
}

// Reset makes s a set over blocks 0..n-1, all in it when full. It keeps the memory it has.
func (s *Set) Reset(n int, full bool) {
	w := (n + 63) / 64
	if cap(s.words) < w {
		s.words = make([]uint64, w)
	}
	s.words = s.words[:w]
	s.n = n
	if !full {
		clear(s.words)
		s.count = 0
		return
	}
	for i := range s.words {
		s.words[i] = ^uint64(0)
	}
	if r := n % 64; r != 0 {
		s.words[w-1] = 1<<r - 1
	}
	s.count = n
}

// Len returns the number of blocks the set is over, Count how many are in it.
func (s *Set) Len() int   { return s.n }
func (s *Set) Count() int { return s.count }

// Has reports whether block i is in the set; i must be below Len.
func (s *Set) Has(i int) bool { return s.words[i>>6]&(1<<(i&63)) != 0 }

// Add puts block i in and reports whether it was not there before.
func (s *Set) Add(i int) bool {
	w, m := &s.words[i>>6], uint64(1)<<(i&63)
	if *w&m != 0 {
		return false
	}
	*w |= m
	s.count++
	return true
}

// Remove takes block i out and reports whether it was there.
func (s *Set) Remove(i int) bool {
	w, m := &s.words[i>>6], uint64(1)<<(i&63)
	if *w&m == 0 {
		return false
	}
	*w &^= m
	s.count--
	return true
}

// Next returns the first block >= i in the set, or Len when there is none.
func (s *Set) Next(i int) int {
	if i >= s.n {
		return s.n
	}
	w := i >> 6
	x := s.words[w] >> (i & 63) << (i & 63)
	for x == 0 {
		w++
		if w == len(s.words) {
			return s.n
		}
		x = s.words[w]
	}
	return w<<6 + bits.TrailingZeros64(x)
}

// bitsAt returns bits p..p+63 of the set, zeros past the end.
func (s *Set) bitsAt(p int) uint64 {
	w, sh := p>>6, p&63
	if w >= len(s.words) {
		return 0
	}
	b := s.words[w] >> sh
	if sh > 0 && w+1 < len(s.words) {
		b |= s.words[w+1] << (64 - sh)
	}
	return b
}

// named returns bits p..p+63 of a NAK bitmap of n blocks, p a multiple of 64. Bits from n
// on are garbage and count as 0.
func named(bitmap []byte, p, n int) uint64 {
	if n-p >= 64 {
		return binary.LittleEndian.Uint64(bitmap[p/8:])
	}
	var b uint64
	for i := p; i < n; i += 8 {
		b |= uint64(bitmap[i/8]) << (i - p)
	}
	return b & (1<<(n-p) - 1)
}

// CountNAKs returns how many of the first n bits of a NAK bitmap are set. bitmap must
// have at least ceil(n/8) bytes.
func CountNAKs(bitmap []byte, n int) int {
	c := 0
	for p := 0; p < n; p += 64 {
		c += bits.OnesCount64(named(bitmap, p, n))
	}
	return c
}

// AppendBitmap appends blocks first..first+n-1 as a NAK bitmap of NAKBytes(n)
// bytes, least significant bit first (docs/protocol.md, "NAK bitmap").
func (s *Set) AppendBitmap(b []byte, first, n int) []byte {
	p := 0
	for ; p+64 <= n; p += 64 {
		b = binary.LittleEndian.AppendUint64(b, s.bitsAt(first+p))
	}
	rest := s.bitsAt(first+p) & (1<<(n-p) - 1)
	for ; p <= n; p += 8 {
		b = append(b, byte(rest))
		rest >>= 8
	}
	return b
}

// Merge adds the blocks that bitmap names, where bit 0 is block first, and returns how
// many of them are new. Bits from n on are garbage and do not count. bitmap must have at
// least ceil(n/8) bytes.
func (s *Set) Merge(bitmap []byte, first, n int) (added int) {
	for p := 0; p < n; p += 64 {
		b := named(bitmap, p, n)
		if b == 0 {
			continue
		}
		w, sh := (first+p)>>6, (first+p)&63
		lo := b << sh &^ s.words[w]
		s.words[w] |= lo
		added += bits.OnesCount64(lo)
		if hi := b >> (64 - sh); hi != 0 {
			hi &^= s.words[w+1]
			s.words[w+1] |= hi
			added += bits.OnesCount64(hi)
		}
	}
	s.count += added
	return added
}

// CountNamed returns how many of the blocks that bitmap names, as Merge reads it, are in s.
func (s *Set) CountNamed(bitmap []byte, first, n int) int {
	c := 0
	for p := 0; p < n; p += 64 {
		if b := named(bitmap, p, n); b != 0 {
			c += bits.OnesCount64(b & s.bitsAt(first+p))
		}
	}
	return c
}

// LastUnnamed returns the last of the first n blocks that a NAK bitmap does not name, -1
// if it names all of them.
func LastUnnamed(bitmap []byte, n int) int {
	for p := (n - 1) &^ 63; p >= 0; p -= 64 {
		free := ^named(bitmap, p, n)
		if n-p < 64 {
			free &= 1<<(n-p) - 1
		}
		if free != 0 {
			return p + 63 - bits.LeadingZeros64(free)
		}
	}
	return -1
}

// CountRange returns how many of the blocks first..first+n-1 are in the set.
func (s *Set) CountRange(first, n int) int {
	c := 0
	for i := first; i < first+n; {
		w, sh := i>>6, i&63
		step := min(64-sh, first+n-i)
		x := s.words[w] >> sh
		if step < 64 {
			x &= 1<<step - 1
		}
		c += bits.OnesCount64(x)
		i += step
	}
	return c
}

// CopyFrom makes s equal to o, reusing memory.
func (s *Set) CopyFrom(o *Set) {
	s.Reset(o.n, false)
	copy(s.words, o.words)
	s.count = o.count
}
