package store

import "uftp/engine/block"

// Space for a file is reserved ahead of its data, so that the file lies in few pieces and a full
// disk shows early. An announcement alone reserves nothing: it costs the sender nothing, and
// everybody else the disk. So at most as much is reserved ahead as has arrived, or reserveMin.
//
// The steps grow with the file, so that few of them delay the writing. The largest is reserveMax,
// which takes a few milliseconds.
const (
	reserveMin  = 16 << 20 // bytes, once any have arrived
	reserveMax  = 1 << 30  // bytes at once
	reserveFrom = 1 << 20  // bytes; smaller files lie in few pieces anyway
)

// reserve reserves space for a write up to end, as far as what has arrived allows. If the file
// system cannot, the write goes on without.
func (f *File) reserve(end int64) {
	if end <= f.reserved || f.req.Size < reserveFrom {
		return
	}
	step := min(max(f.received, reserveMin), reserveMax)
	to := min(f.received+step, f.req.Size)
	// A gap, or data far behind the rest, is no reason for small steps.
	if to < f.req.Size && to-f.reserved < step/2 {
		return
	}
	var err error
	if spy == nil {
		err = allocate(f.h, f.reserved, to-f.reserved)
	} else {
		err = call{op: "reserve", file: f.h, off: f.reserved, n: to - f.reserved}.make(func() error {
			return allocate(f.h, f.reserved, to-f.reserved)
		})
	}
	if f.reserved = to; err != nil {
		f.reserved = f.req.Size // do not try again: on a full disk the write fails
	}
}

// unreserve returns the space reserved for the blocks of missing, as far as the system can. A
// resumed file may end before its last blocks; that is the same as a hole there.
func (f *File) unreserve(missing *block.Set) {
	l := &f.req.Layout
	for i := missing.Next(0); i < missing.Len(); {
		first := i
		for i++; i < missing.Len() && missing.Has(i); i++ {
		}
		from, to := l.Offset(first), l.Offset(i-1)+int64(l.Len(i-1))
		switch {
		case i == missing.Len():
			truncate(f.h, from)
		case to-from >= reserveFrom:
			punch(f.h, from, to-from)
		}
		i = missing.Next(i)
	}
}
