package sim

import "uftp/engine/clock"

// event is something that happens at a moment. Events of one moment happen in the
// order in which they were made.
type event struct {
	at  clock.Time
	num uint64

	// One of: a call; a timer; a packet for all links of a lane; a packet for one
	// link, which has its luck ahead when fresh.
	call  func()
	timer *host
	pkt   *packet
	lane  *lane
	to    *link
	fresh bool
}

func (e *event) before(o *event) bool {
	return e.at < o.at || e.at == o.at && e.num < o.num
}

// eventHeap is a binary heap of events, the next one first.
type eventHeap []event

func (h *eventHeap) push(e event) {
	q := append(*h, e)
	i := len(q) - 1
	for i > 0 {
		up := (i - 1) / 2
		if !e.before(&q[up]) {
			break
		}
		q[i] = q[up]
		i = up
	}
	q[i] = e
	*h = q
}

func (h *eventHeap) pop() event {
	q := *h
	first := q[0]
	n := len(q) - 1
	e := q[n]
	q[n] = event{}
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
	*h = q
	return first
}
