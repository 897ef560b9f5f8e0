package cc

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// path is what an epoch goes through: a link that carries capacity bytes/s, loses share
// noise of what is left, behind a sender that can do no more than source bytes/s.
type path struct {
	capacity, source int64
	noise            float64
}

// try sends one epoch of n blocks at the rate of a.
func (p path) try(a *search, rng *rand.Rand, n int) epoch {
	rate := a.rate
	if rate == 0 || rate > p.source {
		rate = p.source
	}
	loss := p.noise
	if rate > p.capacity {
		loss += (1 - p.noise) * float64(rate-p.capacity) / float64(rate)
	}
	e := epoch{rate: rate, sent: n, asked: true, answered: 1}
	for range n {
		if rng.Float64() < loss {
			e.lost++
		}
	}
	return e
}

func TestSearchFindsTheCapacity(t *testing.T) {
	const mbit = 125_000
	for _, c := range []struct {
		why        string
		path       path
		start      int64
		least, sum float64 // of the capacity at the end; of blocks lost in the second half
	}{
		{"a fast link from a gentle start", path{capacity: 10_000 * mbit, source: 1 << 50}, 10 * mbit, 0.85, 0.01},
		{"a thin link, slower than the start", path{capacity: 1 * mbit, source: 1 << 50}, 10 * mbit, 0.85, 0.01},
		{"a link that loses one in 50 at any rate", path{capacity: 1000 * mbit, source: 1 << 50, noise: 0.02}, 10 * mbit, 0.7, 0.035},
		{"a link that loses a quarter at any rate", path{capacity: 1000 * mbit, source: 1 << 50, noise: 0.25}, 10 * mbit, 0.5, 0.33},
		{"a link that loses half", path{capacity: 1000 * mbit, source: 1 << 50, noise: 0.5}, 10 * mbit, 0.4, 0.6},
		{"a link that loses a little", path{capacity: 1000 * mbit, source: 1 << 50, noise: 0.003}, 10 * mbit, 0.85, 0.013},
		{"no limit to begin with", path{capacity: 1000 * mbit, source: 20_000 * mbit}, 0, 0.85, 0.01},
	} {
		for seed := range uint64(100) {
			t.Run(fmt.Sprintf("%s/%d", c.why, seed), func(t *testing.T) {
				rng := rand.New(rand.NewPCG(seed, 1))
				accept := 0.01
				if c.start == 0 {
					accept = 0.2
				}
				a := newSearch(c.start, 0, accept)
				const epochs = 400
				sent, lost := 0, 0
				var rates int64
				for i := range epochs {
					e := c.path.try(&a, rng, 500)
					a.update(e)
					if i >= epochs/2 {
						sent, lost = sent+e.sent, lost+e.lost
						rates += e.rate
					}
				}
				mean := float64(rates) / (epochs / 2)
				if mean < c.least*float64(c.path.capacity) {
					t.Errorf("mean rate is %.3f of the capacity, want %.2f at least", mean/float64(c.path.capacity), c.least)
				}
				if share := float64(lost) / float64(sent); share > c.sum {
					t.Errorf("%.4f of the blocks were lost, want %.4f at most", share, c.sum)
				}
			})
		}
	}
}

func TestSearchFollows(t *testing.T) {
	const mbit = 125_000
	rng := rand.New(rand.NewPCG(1, 2))
	a := newSearch(10*mbit, 0, 0.01)
	p := path{capacity: 1000 * mbit, source: 1 << 50}
	for _, step := range []struct {
		why      string
		capacity int64
		epochs   int
	}{
		{"a full link", 1000 * mbit, 100},
		{"nine tenths of it are gone", 100 * mbit, 60},
		{"all of it is back", 1000 * mbit, 60},
	} {
		p.capacity = step.capacity
		for range step.epochs {
			a.update(p.try(&a, rng, 500))
		}
		if r := float64(a.rate) / float64(p.capacity); r < 0.7 || r > 1.3 {
			t.Errorf("%s: rate is %.2f of the capacity after %d epochs, want about 1", step.why, r, step.epochs)
		}
	}
}

func TestSearchLimits(t *testing.T) {
	clean := func(a *search) epoch {
		return epoch{rate: a.rate, sent: 1000, asked: true, answered: 10}
	}
	t.Run("it stays within its limit", func(t *testing.T) {
		a := newSearch(1000_000, 5_000_000, 0.01)
		for range 20 {
			a.update(clean(&a))
		}
		if a.rate != 5_000_000 {
			t.Errorf("rate %d, want the limit of 5000000", a.rate)
		}
	})
	t.Run("it never stands still", func(t *testing.T) {
		a := newSearch(1000_000, 0, 0.01)
		for range 100 {
			e := clean(&a)
			e.lost = e.sent
			a.update(e)
		}
		if a.rate != minRate {
			t.Errorf("rate %d when everything is lost, want %d", a.rate, minRate)
		}
	})
	t.Run("a sender that is the limit does not run away from itself", func(t *testing.T) {
		a := newSearch(1000_000, 0, 0.01)
		for range 50 {
			e := clean(&a)
			e.rate = min(e.rate, 3_000_000)
			a.update(e)
		}
		if a.rate > 6_000_000 {
			t.Errorf("rate %d while 3000000 leave, want twice that at most", a.rate)
		}
	})
	t.Run("nobody answers: not up, and down the second time", func(t *testing.T) {
		a := newSearch(1000_000, 0, 0.01)
		for i, want := range []int64{1000_000, 500_000, 250_000} {
			e := clean(&a)
			e.answered = 0
			if a.update(e); a.rate != want {
				t.Errorf("rate %d after %d silent epochs, want %d", a.rate, i+1, want)
			}
		}
	})
	t.Run("some that answered before do not: not up", func(t *testing.T) {
		a := newSearch(1000_000, 0, 0.01)
		a.update(clean(&a))
		before := a.rate
		e := clean(&a)
		e.answered = 5
		if a.update(e); a.rate != before {
			t.Errorf("rate went from %d to %d on half of the answers", before, a.rate)
		}
	})
	t.Run("receivers that were lost do not hold the others up for ever", func(t *testing.T) {
		a := newSearch(1000_000, 0, 0.01)
		a.update(clean(&a))
		before := a.rate
		for range 5 {
			e := clean(&a)
			e.answered = 5
			a.update(e)
		}
		if a.rate <= before {
			t.Errorf("rate stays at %d though the rest answers", a.rate)
		}
	})
	t.Run("silence that ends is forgotten soon", func(t *testing.T) {
		for _, heard := range []int{0, 10} {
			a := newSearch(1000_000, 0, 0.01)
			for range heard {
				a.update(clean(&a))
			}
			before := a.rate
			for range 4 {
				e := clean(&a)
				e.answered = 0
				a.update(e)
			}
			if a.rate >= before/2 {
				t.Errorf("rate %d after four silent epochs at %d", a.rate, before)
			}
			for range 20 {
				a.update(clean(&a))
			}
			if a.rate < before*9/10 {
				t.Errorf("rate %d after 20 clean epochs, want about the %d of before", a.rate, before)
			}
		}
	})
	t.Run("a sender that sends little does not climb", func(t *testing.T) {
		a := newSearch(1000_000, 0, 0.01)
		for range 10 {
			e := clean(&a)
			e.idle = true
			a.update(e)
		}
		if a.rate != 1000_000 {
			t.Errorf("rate went to %d on nothing", a.rate)
		}
	})
	t.Run("a fall never goes up", func(t *testing.T) {
		a := newSearch(10_000, 0, 0.01)
		e := clean(&a)
		e.rate, e.lost = e.rate*5/4, e.sent/20
		if a.update(e); a.rate > 10_000 {
			t.Errorf("rate %d after a loss at 10000", a.rate)
		}
	})
	t.Run("one block of a small epoch proves nothing", func(t *testing.T) {
		a := newSearch(1000_000, 0, 0.01)
		e := clean(&a)
		e.sent, e.lost = 32, 1
		if a.update(e) || a.rate < 1000_000 {
			t.Errorf("rate fell to %d for one block", a.rate)
		}
	})
	t.Run("no limit stays none while little is lost", func(t *testing.T) {
		a := newSearch(0, 0, 0.2)
		for range 10 {
			e := epoch{rate: 1 << 30, sent: 1000, lost: 100, asked: true, answered: 1}
			a.update(e)
		}
		if a.rate != 0 {
			t.Errorf("rate is limited to %d at a tenth of loss, a fifth is accepted", a.rate)
		}
	})
}
