package aead

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"
)

// model does the work of Window without a limit on memory.
type model struct {
	newest uint64
	seen   map[uint64]bool
}

func (m *model) mark(c uint64) bool {
	if c == 0 || m.seen[c] || c <= m.newest && m.newest-c >= WindowLen {
		return false
	}
	m.seen[c] = true
	m.newest = max(m.newest, c)
	return true
}

func TestWindowAgainstModel(t *testing.T) {
	for seed := range uint64(40) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		var w Window
		m := model{seen: map[uint64]bool{}}
		next := uint64(1)
		if seed%4 == 1 {
			next = math.MaxUint64 - 20000 // up to the very end
		}
		for i := range 20000 {
			var c uint64
			switch r := rnd.IntN(100); {
			case r < 70:
				c = next
				if next != math.MaxUint64 {
					next++
				}
			case r < 90:
				c = m.newest - min(m.newest, rnd.Uint64N(2*WindowLen))
			case r < 98:
				c = m.newest + min(math.MaxUint64-m.newest, rnd.Uint64N(300))
			case r < 99 && seed%4 == 2:
				c = m.newest + rnd.Uint64N(3*WindowLen)
				next = c + 1
			default:
				c = rnd.Uint64N(64)
			}
			check := w.Check(c)
			want := m.mark(c)
			if got := w.Mark(c); got != want || check != want {
				t.Fatalf("seed %d, step %d: counter %d with newest %d: Check %v, Mark %v, want %v", seed, i, c, m.newest, check, got, want)
			}
		}
	}
}

func TestWindowEdges(t *testing.T) {
	const top = 1 << 40
	var w Window
	for _, step := range []struct {
		counter uint64
		want    bool
		why     string
	}{
		{0, false, "0 is never sent"},
		{1, true, "the first"},
		{1, false, "again"},
		{top, true, "a leap"},
		{1, false, "the first is out of the window now"},
		{top - WindowLen + 1, true, "the last inside"},
		{top - WindowLen + 1, false, "again"},
		{top - WindowLen, false, "the first outside"},
		{top + WindowLen, true, "a leap by the whole window"},
		{top, false, "outside now"},
		{top + 1, true, "inside, and its bit was cleared"},
		{math.MaxUint64, true, "the last there is"},
		{math.MaxUint64, false, "again"},
		{math.MaxUint64 - 1, true, "late"},
		{0, false, "still never sent"},
	} {
		if got := w.Mark(step.counter); got != step.want {
			t.Errorf("counter %d: %v, want %v: %s", step.counter, got, step.want, step.why)
		}
	}
	if w.Reset(); !w.Mark(1) {
		t.Error("1 is refused after Reset, want it accepted")
	}
	if WindowLen < 4096 {
		t.Errorf("window of %d, want the 4096 datagrams of a ring at least", WindowLen)
	}
}

func TestCounter(t *testing.T) {
	var c Counter
	for _, step := range []struct {
		n    int
		want uint64
	}{{1, 1}, {64, 2}, {1, 66}} {
		if first, err := c.Take(step.n); err != nil || first != step.want {
			t.Errorf("Take(%d): %d, %v; want %d", step.n, first, err, step.want)
		}
	}
	for _, n := range []int{0, -1} {
		if _, err := c.Take(n); !errors.Is(err, ErrExhausted) {
			t.Errorf("Take(%d): %v, want it refused", n, err)
		}
	}

	c = NewCounter(0)
	if first, err := c.Take(1); first != 1 || err != nil {
		t.Errorf("NewCounter(0) begins at %d, %v; want 1: 0 is never sent", first, err)
	}

	c = NewCounter(math.MaxUint64 - 2)
	for _, step := range []struct {
		n    int
		want uint64
		err  error
	}{
		{4, 0, ErrExhausted},
		{2, math.MaxUint64 - 2, nil},
		{2, 0, ErrExhausted},
		{1, math.MaxUint64, nil},
		{1, 0, ErrExhausted},
		{math.MaxInt, 0, ErrExhausted},
	} {
		if first, err := c.Take(step.n); first != step.want || err != step.err {
			t.Errorf("near the end, Take(%d): %d, %v; want %d, %v", step.n, first, err, step.want, step.err)
		}
	}
}
