package store

import "uftp/engine/block"

// Space for a file is reserved ahead of its data, so that a file comes to lie in few
// pieces and a full disk shows early. It is never reserved for what a sender has only
// announced: that costs the sender nothing, and everybody else the disk. So there is at
// most as much in reserve as has come, or reserveMin.
//
// The steps grow with the file, so that writing waits for few of them, up to reserveMax,
// which takes a few milliseconds.
const (
	reserveMin  = 16 << 20 // bytes, once any has come
	reserveMax  = 1 << 30  // bytes at once
	reserveFrom = 1 << 20  // bytes; smaller files lie in few pieces anyway
)

// reserve sees to it that space is reserved for what is to be written up to end, if what
// has come lets it. Where it cannot be had writing goes on without.
func (f *File) reserve(end int64) {
	if end <= f.reserved || f.req.Size < reserveFrom {
		return
	}
	step := min(max(f.came, reserveMin), reserveMax)
	to := min(f.came+step, f.req.Size)
	// What lies far behind what has come, or was lost on the way, is no reason for small steps.
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
		f.reserved = f.req.Size // do not try again: if the disk is full the write will tell
	}
}

// unreserve gives back what was reserved for the blocks of missing, as far as that can be
// done. A file that ends before its last blocks is as good as one that has holes there.
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
