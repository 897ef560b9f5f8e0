package engine

import (
	"sync"

	"uftp/engine/ring"
)

// mailbox is a queue off the data path: putting never blocks, so no two
// goroutines can wait for each other. What goes in is bounded by the protocol (a
// session has few requests under way), not by the mailbox.
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
	clear(m.spare[:cap(m.spare)])
	m.items, m.spare = m.spare[:0], items
	return items
}

// size returns the number of items waiting.
func (m *mailbox[T]) size() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.items)
}
