package ring

import "sync"

// spareMax is the capacity that a mailbox keeps after a burst.
const spareMax = 4096

// Mailbox is a queue off the data path. Put never blocks, so no two goroutines can wait
// for each other. A mailbox has no limit; its writers have (a session has few requests
// under way, reports are counted).
type Mailbox[T any] struct {
	mu    sync.Mutex
	items []T
	spare []T
	wake  chan struct{}
}

// NewMailbox returns a mailbox whose reader sleeps on wake, which must hold one token.
func NewMailbox[T any](wake chan struct{}) *Mailbox[T] { return &Mailbox[T]{wake: wake} }

// Put adds x and wakes the reader.
func (m *Mailbox[T]) Put(x T) {
	m.mu.Lock()
	m.items = append(m.items, x)
	m.mu.Unlock()
	Poke(m.wake)
}

// Take returns all items in order; they are valid until the next Take.
func (m *Mailbox[T]) Take() []T {
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

// Size returns the number of items that wait.
func (m *Mailbox[T]) Size() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.items)
}

// Wake returns the channel on which the reader sleeps.
func (m *Mailbox[T]) Wake() <-chan struct{} { return m.wake }
