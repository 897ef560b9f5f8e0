package engine

import (
	"sync"

	"uftp/engine/ring"
)

// spareMax is the capacity that a mailbox keeps after a burst.
const spareMax = 4096

// mailbox is a queue off the data path: putting never blocks, so no two
// goroutines can wait for each other. What goes in is bounded by who puts it in
// (a session has few requests under way, reports are counted), not here.
type mailbox[T any] struct {
	mu    sync.Mutex
	items []T
	spare []T
	wake  chan struct{}
}

func newMailbox[T any](wake chan struct{}) *mailbox[T] { return &mailbox[T]{wake: wake} }

// put adds x and wakes the reader.
func (m *mailbox[T]) put(x T) {
	m.mu.Lock()
	m.items = append(m.items, x)
	m.mu.Unlock()
	ring.Poke(m.wake)
}

// take returns all items in order; they are good until the next take.
func (m *mailbox[T]) take() []T {
	m.mu.Lock()
	defer m.mu.Unlock()
	items := m.items
	if cap(m.spare) > spareMax {
		m.spare = nil // a burst is over
	}
	clear(m.spare)
	m.items, m.spare = m.spare[:0], items
	return items
}

// size returns the number of items waiting.
func (m *mailbox[T]) size() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.items)
}
