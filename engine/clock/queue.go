package clock

// Queue holds values until their moment. The earliest comes first; values of one moment
// come in the order in which they were pushed. The zero Queue is empty and grows as needed.
type Queue[T any] struct {
	heap []entry[T] // binary
	num  uint64     // of the next value
}

type entry[T any] struct {
	at    Time
	num   uint64
	value T
}

func (e *entry[T]) before(o *entry[T]) bool { return e.at < o.at || e.at == o.at && e.num < o.num }

// NewQueue returns a queue that does not allocate while it holds up to capacity values.
func NewQueue[T any](capacity int) Queue[T] {
	return Queue[T]{heap: make([]entry[T], 0, capacity)}
}

// Len is the number of values.
func (q *Queue[T]) Len() int { return len(q.heap) }

// Next is the earliest moment, Never if the queue is empty.
func (q *Queue[T]) Next() Time {
	if len(q.heap) == 0 {
		return Never
	}
	return q.heap[0].at
}

// Push adds a value.
func (q *Queue[T]) Push(at Time, value T) {
	e := entry[T]{at: at, num: q.num, value: value}
	q.num++
	q.heap = append(q.heap, e)
	h := q.heap
	i := len(h) - 1
	for i > 0 {
		up := (i - 1) / 2
		if !e.before(&h[up]) {
			break
		}
		h[i] = h[up]
		i = up
	}
	h[i] = e
}

// Pop takes the earliest value out; there must be one.
func (q *Queue[T]) Pop() (at Time, value T) {
	h := q.heap
	first := h[0]
	n := len(h) - 1
	e := h[n]
	h[n] = entry[T]{} // hold nothing longer
	h = h[:n]
	i := 0
	for {
		c := 2*i + 1
		if c >= n {
			break
		}
		if c+1 < n && h[c+1].before(&h[c]) {
			c++
		}
		if !h[c].before(&e) {
			break
		}
		h[i] = h[c]
		i = c
	}
	if n > 0 {
		h[i] = e
	}
	q.heap = h
	return first.at, first.value
}
