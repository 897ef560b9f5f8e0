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
func (p path) try(a *Adaptive, rng *rand.Rand, n int) Epoch {
	rate := a.Rate()
	if rate == 0 || rate > p.source {
		rate = p.source
	}
	loss := p.noise
	if rate > p.capacity {
		loss += (1 - p.noise) * float64(rate-p.capacity) / float64(rate)
	}
	e := Epoch{Rate: rate, Sent: n, Asked: true, Answered: 1}
	for range n {
		if rng.Float64() < loss {
			e.Lost++
		}
	}
	return e
}

func TestAdaptiveFindsTheCapacity(t *testing.T) {
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
				a := NewAdaptive(c.start, 0, accept)
				const epochs = 400
				sent, lost := 0, 0
				var rates int64
				for i := range epochs {
					e := c.path.try(&a, rng, 500)
					if a.Update(e) {
						a.Accept(0.01)
					}
					if i >= epochs/2 {
						sent, lost = sent+e.Sent, lost+e.Lost
						rates += e.Rate
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

func TestAdaptiveFollows(t *testing.T) {
	const mbit = 125_000
	rng := rand.New(rand.NewPCG(1, 2))
	a := NewAdaptive(10*mbit, 0, 0.01)
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
			a.Update(p.try(&a, rng, 500))
		}
		if r := float64(a.Rate()) / float64(p.capacity); r < 0.7 || r > 1.3 {
			t.Errorf("%s: rate is %.2f of the capacity after %d epochs, want about 1", step.why, r, step.epochs)
		}
	}
}

func TestAdaptiveLimits(t *testing.T) {
	clean := func(a *Adaptive) Epoch {
		return Epoch{Rate: a.Rate(), Sent: 1000, Asked: true, Answered: 10}
	}
	t.Run("it stays within its limit", func(t *testing.T) {
		a := NewAdaptive(1000_000, 5_000_000, 0.01)
		for range 20 {
			a.Update(clean(&a))
		}
		if a.Rate() != 5_000_000 {
			t.Errorf("rate %d, want the limit of 5000000", a.Rate())
		}
	})
	t.Run("it never stands still", func(t *testing.T) {
		a := NewAdaptive(1000_000, 0, 0.01)
		for range 100 {
			e := clean(&a)
			e.Lost = e.Sent
			a.Update(e)
		}
		if a.Rate() != MinRate {
			t.Errorf("rate %d when everything is lost, want %d", a.Rate(), MinRate)
		}
	})
	t.Run("a sender that is the limit does not run away from itself", func(t *testing.T) {
		a := NewAdaptive(1000_000, 0, 0.01)
		for range 50 {
			e := clean(&a)
			e.Rate = min(e.Rate, 3_000_000)
			a.Update(e)
		}
		if a.Rate() > 6_000_000 {
			t.Errorf("rate %d while 3000000 leave, want twice that at most", a.Rate())
		}
	})
	t.Run("nobody answers: not up, and down the second time", func(t *testing.T) {
		a := NewAdaptive(1000_000, 0, 0.01)
		for i, want := range []int64{1000_000, 500_000, 250_000} {
			e := clean(&a)
			e.Answered = 0
			if a.Update(e); a.Rate() != want {
				t.Errorf("rate %d after %d silent epochs, want %d", a.Rate(), i+1, want)
			}
		}
	})
	t.Run("some that answered before do not: not up", func(t *testing.T) {
		a := NewAdaptive(1000_000, 0, 0.01)
		a.Update(clean(&a))
		before := a.Rate()
		e := clean(&a)
		e.Answered = 5
		if a.Update(e); a.Rate() != before {
			t.Errorf("rate went from %d to %d on half of the answers", before, a.Rate())
		}
	})
	t.Run("who was lost does not hold the others up for ever", func(t *testing.T) {
		a := NewAdaptive(1000_000, 0, 0.01)
		a.Update(clean(&a))
		before := a.Rate()
		for range 5 {
			e := clean(&a)
			e.Answered = 5
			a.Update(e)
		}
		if a.Rate() <= before {
			t.Errorf("rate stays at %d though the rest answers", a.Rate())
		}
	})
	t.Run("deafness that passes is forgotten soon", func(t *testing.T) {
		for _, heard := range []int{0, 10} {
			a := NewAdaptive(1000_000, 0, 0.01)
			for range heard {
				a.Update(clean(&a))
			}
			before := a.Rate()
			for range 4 {
				e := clean(&a)
				e.Answered = 0
				a.Update(e)
			}
			if a.Rate() >= before/2 {
				t.Errorf("rate %d after four silent epochs at %d", a.Rate(), before)
			}
			for range 20 {
				a.Update(clean(&a))
			}
			if a.Rate() < before*9/10 {
				t.Errorf("rate %d after 20 clean epochs, want about the %d of before", a.Rate(), before)
			}
		}
	})
	t.Run("who sends little does not climb", func(t *testing.T) {
		a := NewAdaptive(1000_000, 0, 0.01)
		for range 10 {
			e := clean(&a)
			e.Idle = true
			a.Update(e)
		}
		if a.Rate() != 1000_000 {
			t.Errorf("rate went to %d on nothing", a.Rate())
		}
	})
	t.Run("a fall never goes up", func(t *testing.T) {
		a := NewAdaptive(10_000, 0, 0.01)
		e := clean(&a)
		e.Rate, e.Lost = e.Rate*5/4, e.Sent/20
		if a.Update(e); a.Rate() > 10_000 {
			t.Errorf("rate %d after a loss at 10000", a.Rate())
		}
	})
	t.Run("one block of a small epoch proves nothing", func(t *testing.T) {
		a := NewAdaptive(1000_000, 0, 0.01)
		e := clean(&a)
		e.Sent, e.Lost = 32, 1
		if a.Update(e) || a.Rate() < 1000_000 {
			t.Errorf("rate fell to %d for one block", a.Rate())
		}
	})
	t.Run("no limit stays none while little is lost", func(t *testing.T) {
		a := NewAdaptive(0, 0, 0.2)
		for range 10 {
			e := Epoch{Rate: 1 << 30, Sent: 1000, Lost: 100, Asked: true, Answered: 1}
			a.Update(e)
		}
		if a.Rate() != 0 {
			t.Errorf("rate is limited to %d at a tenth of loss, a fifth is accepted", a.Rate())
		}
	})
}
