// Package ring hands preallocated slots from stage to stage, in order, without
// locks: only the right to use a slot moves, never its bytes.
//
// A ring has n slots and two or more stages. A slot belongs to one stage at a
// time: stage 0 takes free slots, stage i+1 takes what stage i has finished, and
// what the last stage has finished is free again. A stage may have several
// workers: worker w of W takes the slots whose position is w modulo W, so that no
// two ever look at the same one, and the stage after it sees them in order.
//
//	stage 0 ──> stage 1 ──> … ──> last stage
//	   ^                              │
//	   └────────── free slots ────────┘
//
// Each worker of a stage has a Hand. A Hand belongs to one goroutine; all hands of
// a ring may be used at the same time. A hand that has nothing to do sleeps on its
// wake channel, which holds one token: a hand that finishes a slot puts a token into
// the channels of the next stage. A hand may be woken in vain; it never misses a slot.
//
// Off the data path a Mailbox carries requests and answers between goroutines.
//
// The idea is that of the LMAX Disruptor (Thompson and others, 2011): sequence
// counters instead of queues.
package ring

import "sync/atomic"

// cursor is the position of the first slot that one worker has not finished.
// It fills two cache lines (adjacent lines are fetched in pairs) so that two
// workers never fight over one.
type cursor struct {
	pos atomic.Uint64
	_   [120]byte
}

// Ring is n slots of T shared by stages of workers.
type Ring[T any] struct {
	slots  []T
	stages [][]Hand[T]
}

// Hand is one worker's grip on the ring.
type Hand[T any] struct {
	ring   *Ring[T]
	done   cursor
	next   uint64 // position of the slot this hand works on next
	step   uint64 // workers of this stage
	woken  uint64 // value of next when the next stage was last woken
	limit  uint64 // this hand may take positions below it, as it last knew
	before []Hand[T]
	lead   uint64 // n for stage 0, whose predecessor is one lap behind
	after  []Hand[T]
	wake   chan struct{}
}

// New makes a ring of n slots. workers[s] is the number of workers of stage s. fill, if
// not nil, prepares each slot.
func New[T any](n int, fill func(i int, slot *T), workers ...int) *Ring[T] {
	if n < 1 || len(workers) < 2 {
		panic("ring: need a slot and two stages")
	}
	r := &Ring[T]{slots: make([]T, n), stages: make([][]Hand[T], len(workers))}
	for i := range r.slots {
		if fill != nil {
			fill(i, &r.slots[i])
		}
	}
	for s, w := range workers {
		if w < 1 {
			panic("ring: a stage needs a worker")
		}
		r.stages[s] = make([]Hand[T], w)
	}
	last := len(workers) - 1
	for s := range r.stages {
		for w := range r.stages[s] {
			h := &r.stages[s][w]
			h.ring = r
			h.next = uint64(w)
			h.step = uint64(len(r.stages[s]))
			h.done.pos.Store(h.next)
			h.wake = make(chan struct{}, 1)
			h.after = r.stages[(s+1)%len(r.stages)]
			if s == 0 {
				h.before, h.lead = r.stages[last], uint64(n)
			} else {
				h.before = r.stages[s-1]
			}
		}
	}
	return r
}

// Hand returns worker w of stage s.
func (r *Ring[T]) Hand(s, w int) *Hand[T] { return &r.stages[s][w] }

// Used returns how many slots are on their way: stage 0 has passed them on, and the last stage
// has not freed them. Any goroutine may call it.
func (r *Ring[T]) Used() int {
	freed := least(r.stages[len(r.stages)-1]) // first, for both only grow
	return int(least(r.stages[0]) - freed)
}

// SetWake makes the hand sleep on ch, which must hold one token, so that one
// goroutine can wait for several things. Call it before anybody uses the ring.
func (h *Hand[T]) SetWake(ch chan struct{}) { h.wake = ch }

// Wake is where the hand sleeps when Ready says false.
func (h *Hand[T]) Wake() <-chan struct{} { return h.wake }

// Ready reports whether the slot at Pos is this hand's to use.
func (h *Hand[T]) Ready() bool { return h.Ahead(0) }

// Ahead reports whether the slot k turns after the current one is this hand's to
// use as well, so that several can be worked on before the first Done.
func (h *Hand[T]) Ahead(k int) bool {
	at := h.next + uint64(k)*h.step
	if at < h.limit {
		return true
	}
	h.limit = h.passed() + h.lead
	return at < h.limit
}

// Pos is the position of the current slot: the number of slots that went through the
// ring before it.
func (h *Hand[T]) Pos() uint64 { return h.next }

// Slot returns the current slot; Ready must have said true.
func (h *Hand[T]) Slot() *T { return h.Peek(0) }

// Peek returns the slot k turns after the current one; Ahead(k) must have said true.
func (h *Hand[T]) Peek(k int) *T {
	return h.At(h.next + uint64(k)*h.step)
}

// Done hands the first k slots on to the next stage and wakes it.
func (h *Hand[T]) Done(k int) {
	h.Pass(k)
	h.WakeNext()
}

// Pass hands the first k slots on without waking anybody, for waking costs more than the
// work on a slot while the next stage is awake anyway. The hand must call WakeNext before
// it sleeps or runs out of slots.
func (h *Hand[T]) Pass(k int) {
	h.next += uint64(k) * h.step
	h.done.pos.Store(h.next)
}

// WakeNext wakes the next stage. If this hand is the only one of its stage, it wakes only
// the workers whose slots have come since the last time.
func (h *Hand[T]) WakeNext() {
	n := uint64(len(h.after))
	if h.step == 1 && h.next-h.woken < n {
		for at := h.woken; at < h.next; at++ {
			Poke(h.after[(at+h.after[0].lead)%n].wake)
		}
	} else {
		for i := range h.after {
			Poke(h.after[i].wake)
		}
	}
	h.woken = h.next
}

// Crowded reports whether more than half of the ring waits for this hand.
func (h *Hand[T]) Crowded() bool { return 2*(h.passed()+h.lead-h.next) > uint64(len(h.ring.slots)) }

// Returned is the position up to which all slots have come back to this hand, which
// must be the only one of stage 0.
func (h *Hand[T]) Returned() uint64 { return min(h.passed(), h.next) }

// Followed is the position up to which the next stage has finished what this hand
// passed on; not for the last stage.
func (h *Hand[T]) Followed() uint64 { return least(h.after) }

// Held is the number of slots that the stage before has finished and the next one has
// not. It is neither for the first stage nor for the last.
func (h *Hand[T]) Held() int {
	end := h.Followed() // first, for both only grow
	return int(h.passed() - end)
}

// passed is the position up to which the stage before has finished.
func (h *Hand[T]) passed() uint64 { return least(h.before) }

// least is the position below which all workers of a stage have finished.
func least[T any](stage []Hand[T]) uint64 {
	pos := stage[0].done.pos.Load()
	for i := 1; i < len(stage); i++ {
		pos = min(pos, stage[i].done.pos.Load())
	}
	return pos
}

// Idle reports whether every slot has come back that this hand, the only one of stage 0,
// has handed on.
func (h *Hand[T]) Idle() bool { return h.Returned() == h.next }

// At returns the slot of a position; it must be this hand's to use.
func (h *Hand[T]) At(pos uint64) *T { return &h.ring.slots[pos%uint64(len(h.ring.slots))] }

// Poke puts a token into a wake channel unless it holds one.
func Poke(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}
