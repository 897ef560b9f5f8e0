package ring

import (
	"slices"
	"sync"
	"testing"
)

// TestMailbox: what several goroutines put comes out once, each one's items in order, and
// nothing that was put while the reader sleeps is missed.
func TestMailbox(t *testing.T) {
	const writers, items = 4, 20000 // enough for the capacity to be given up
	m := NewMailbox[[2]int](make(chan struct{}, 1))
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range items {
				m.Put([2]int{w, i})
			}
		})
	}
	var next [writers]int
	for total := 0; total < writers*items; {
		list := m.Take()
		for _, x := range list {
			if x[1] != next[x[0]] {
				t.Fatalf("writer %d: item %d came, want %d", x[0], x[1], next[x[0]])
			}
			next[x[0]]++
		}
		if total += len(list); len(list) == 0 {
			<-m.Wake()
		}
	}
	wg.Wait()
	if n := m.Size(); n != 0 {
		t.Errorf("%d items are left", n)
	}
}

// TestMailboxForgets: an item is not kept alive for longer than until the second Take.
func TestMailboxForgets(t *testing.T) {
	m := NewMailbox[*int](make(chan struct{}, 1))
	m.Put(new(int))
	taken := m.Take()
	m.Take()
	m.Take()
	if !slices.Equal(taken, []*int{nil}) {
		t.Error("an item that was taken long ago is still there")
	}
}

func TestMailboxDoesNotAllocate(t *testing.T) {
	m := NewMailbox[int](make(chan struct{}, 1))
	if a := testing.AllocsPerRun(100, func() {
		m.Put(1)
		m.Take()
	}); a != 0 {
		t.Errorf("%v allocations, want none", a)
	}
}
