package link

import "uftp/engine/clock"

// Schedule holds frames under way, the next one first; those of one moment leave
// in the order in which they came. It holds a fixed number and never allocates.
type Schedule struct {
	heap []entry
	num  uint64
}

type entry struct {
	at   clock.Time
	num  uint64
	slot int32
}

func (e *entry) before(o *entry) bool { return e.at < o.at || e.at == o.at && e.num < o.num }

// NewSchedule returns a schedule for up to capacity frames.
func NewSchedule(capacity int) *Schedule { return &Schedule{heap: make([]entry, 0, capacity)} }

// Len is the number of frames under way.
func (s *Schedule) Len() int { return len(s.heap) }

// Next is when the next frame is due, clock.Never if there is none.
func (s *Schedule) Next() clock.Time {
	if len(s.heap) == 0 {
		return clock.Never
	}
	return s.heap[0].at
}

// Push adds the frame in a slot. More than capacity frames are the caller's error.
func (s *Schedule) Push(at clock.Time, slot int32) {
	if len(s.heap) == cap(s.heap) {
		panic("link: schedule is full")
	}
	e := entry{at: at, num: s.num, slot: slot}
	s.num++
	i := len(s.heap)
	q := s.heap[:i+1]
	for i > 0 {
		up := (i - 1) / 2
		if !e.before(&q[up]) {
			break
		}
		q[i] = q[up]
		i = up
	}
	q[i] = e
	s.heap = q
}

// Pop takes the next frame out; there must be one.
func (s *Schedule) Pop() (slot int32) {
	q := s.heap
	slot = q[0].slot
	n := len(q) - 1
	e := q[n]
	q = q[:n]
	i := 0
	for {
		c := 2*i + 1
		if c >= n {
			break
		}
		if c+1 < n && q[c+1].before(&q[c]) {
			c++
		}
		if !q[c].before(&e) {
			break
		}
		q[i] = q[c]
		i = c
	}
	if n > 0 {
		q[i] = e
	}
	s.heap = q
	return slot
}
