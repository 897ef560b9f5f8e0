package frames

import (
	"net/netip"
	"slices"
	"time"
)

// Bounds on the unfinished datagrams that are kept.
const (
	fragmentsMax = 256              // datagrams under way
	fragmentWait = 30 * time.Second // of capture time, for the last part
	datagramMax  = 65535            // bytes
)

// fragmentKey is equal for the parts of one datagram. All are UDP.
type fragmentKey struct {
	src, dst netip.Addr
	id       uint32
}

// partial is a datagram under way. Its parts are sorted by offset and never
// overlap.
type partial struct {
	key   fragmentKey
	first time.Time
	parts []part
	total int // length of the datagram once the last part is here, else -1
}

type part struct {
	offset int
	data   []byte
}

// fragments puts datagrams together. The oldest stands first.
type fragments struct {
	open []*partial
}

// add adds one part, and returns the whole datagram if no other part is missing. lost is
// the number of datagrams given up by this call: too old, too many, or with parts that
// contradict each other.
func (f *fragments) add(now time.Time, p packet) (whole []byte, lost int) {
	for len(f.open) > 0 && now.Sub(f.open[0].first) > fragmentWait {
		f.open = slices.Delete(f.open, 0, 1)
		lost++
	}
	key := fragmentKey{src: p.src, dst: p.dst, id: p.id}
	i := slices.IndexFunc(f.open, func(d *partial) bool { return d.key == key })
	if i < 0 {
		if len(f.open) == fragmentsMax {
			f.open = slices.Delete(f.open, 0, 1)
			lost++
		}
		f.open = append(f.open, &partial{key: key, first: now, total: -1})
		i = len(f.open) - 1
	}
	d := f.open[i]
	if !d.insert(p) {
		f.open = slices.Delete(f.open, i, i+1)
		return nil, lost + 1
	}
	whole = d.whole()
	if whole != nil {
		f.open = slices.Delete(f.open, i, i+1)
	}
	return whole, lost
}

// drop gives up everything under way and returns how much that was.
func (f *fragments) drop() int {
	n := len(f.open)
	f.open = nil
	return n
}

// insert adds a part. It returns false if the part contradicts the others or IP itself. A
// repeated part is no contradiction.
func (d *partial) insert(p packet) bool {
	end := p.offset + len(p.payload)
	if len(p.payload) == 0 || end > datagramMax || p.more && len(p.payload)%8 != 0 {
		return false
	}
	if !p.more {
		if d.total >= 0 && d.total != end {
			return false
		}
		d.total = end
	}
	i, found := slices.BinarySearchFunc(d.parts, p.offset, func(x part, offset int) int { return x.offset - offset })
	if found {
		return len(d.parts[i].data) == len(p.payload)
	}
	if i > 0 && d.parts[i-1].offset+len(d.parts[i-1].data) > p.offset {
		return false
	}
	if i < len(d.parts) && d.parts[i].offset < end {
		return false
	}
	d.parts = slices.Insert(d.parts, i, part{offset: p.offset, data: slices.Clone(p.payload)})
	last := d.parts[len(d.parts)-1]
	return d.total < 0 || last.offset+len(last.data) <= d.total
}

// whole returns the datagram if no part is missing, else nil.
func (d *partial) whole() []byte {
	if d.total < 0 {
		return nil
	}
	b := make([]byte, 0, d.total)
	for _, x := range d.parts {
		if x.offset != len(b) {
			return nil
		}
		b = append(b, x.data...)
	}
	if len(b) != d.total {
		return nil
	}
	return b
}
