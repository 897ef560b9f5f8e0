package receiver

import (
	"uftp/engine/clock"
)

// blocksMax is how many blocks the files under way may have altogether: a bit each, 1 GiB in
// all, twice that with checkpoints. That is one and a half of the largest file that the
// protocol can carry. A file beyond it is rejected.
const blocksMax int64 = 1 << 33

// reserve books the memory of a file of n blocks and reports whether there is enough. A session
// keeps the memory of its largest received file until it ends.
func (r *Receiver) reserve(now clock.Time, s *session, n int) bool {
	more := int64(n - s.reserved)
	if more <= 0 {
		return true
	}
	r.reclaim(now, s, more)
	if r.blocks+more > blocksMax {
		return false
	}
	r.blocks += more
	s.reserved = n
	return true
}

// unreserve undoes the reserve of a file that is not received.
func (r *Receiver) unreserve(s *session) {
	r.blocks -= int64(s.reserved - s.held)
	s.reserved = s.held
}

// reclaimable reports whether s must give its memory to a session that needs n more blocks: it
// has stored nothing of a larger file, or its sender is silent.
func (s *session) reclaimable(now clock.Time, n int64) bool {
	switch {
	case s.reserved == 0:
		return false
	case s.phase == Receiving && !s.file.stored && int64(s.reserved) > n:
		return true
	}
	return s.silence(now) >= silentMax
}

// reclaim makes room for n more blocks of s by ending reclaimable sessions, the largest first.
func (r *Receiver) reclaim(now clock.Time, s *session, n int64) {
	for r.blocks+n > blocksMax {
		var largest *session
		for i := range r.slots {
			o := &r.slots[i]
			if o != s && o.reclaimable(now, n) && (largest == nil || o.reserved > largest.reserved) {
				largest = o
			}
		}
		if largest == nil {
			return
		}
		largest.abort(now, "Memory is needed for other sessions, and no data come", EndEvicted)
	}
}
