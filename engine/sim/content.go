package sim

import (
	"encoding/binary"

	"uftp/wire"
)

// File is something to send. The bytes of a regular file are a function of Seed
// and place.
type File struct {
	Type  wire.FileType
	Name  string
	Link  string
	Size  int64
	MTime int64
	Seed  uint64

	// FailAt is the first byte that cannot be read, as in a file that was cut off;
	// 0 = all can.
	FailAt int64
}

// word returns bytes 8i..8i+7 of the file. The mixing is the finalizer of
// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators).
func (f *File) word(i int64) uint64 {
	x := f.Seed + uint64(i)*0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// read fills b with the bytes from off on.
func (f *File) read(b []byte, off int64) {
	var w [8]byte
	if r := int(off & 7); r != 0 {
		binary.LittleEndian.PutUint64(w[:], f.word(off>>3))
		n := copy(b, w[r:])
		b, off = b[n:], off+int64(n)
	}
	i := off >> 3
	for len(b) >= 8 {
		binary.LittleEndian.PutUint64(b, f.word(i))
		b, i = b[8:], i+1
	}
	if len(b) > 0 {
		binary.LittleEndian.PutUint64(w[:], f.word(i))
		copy(b, w[:])
	}
}

// equal reports whether b has the bytes of the file from off on.
func (f *File) equal(b []byte, off int64) bool {
	var chunk [512]byte
	for len(b) > 0 {
		n := min(len(b), len(chunk))
		f.read(chunk[:n], off)
		if string(chunk[:n]) != string(b[:n]) {
			return false
		}
		b, off = b[n:], off+int64(n)
	}
	return true
}
