package receiver

import (
	"uftp/engine/clock"
)

// blocksMax is how many blocks the files under way may have altogether: a bit
// each, 1 GiB in all (twice that with checkpoints), which is the largest file of
// the protocol once and half. Who announces more is answered "rejected".
const blocksMax int64 = 1 << 33

// reserve takes the memory of a file of n blocks from the budget and reports
// whether there is enough. A session keeps what the largest file it received took until it
// ends.
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

// unreserve gives back what a file that is not received has reserved.
func (r *Receiver) unreserve(s *session) {
	r.blocks -= int64(s.reserved - s.held)
	s.reserved = s.held
}

// reclaimable reports whether s gives its memory to another session that wants n more blocks:
// it is for a larger file of which it has stored nothing yet, or nobody speaks any more.
func (s *session) reclaimable(now clock.Time, n int64) bool {
	switch {
	case s.reserved == 0:
		return false
	case s.phase == Receiving && !s.file.stored && int64(s.reserved) > n:
		return true
	}
	return s.silence(now) >= silentMax
}

// reclaim makes room for n more blocks of s by ending sessions that hold theirs in vain, the
// largest first.
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
