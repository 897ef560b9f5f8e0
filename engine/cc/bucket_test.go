package cc

import (
	"testing"
	"time"

	"uftp/engine/clock"
)

const begin = clock.Time(1_700_000_000_000_000_000)

// run takes n packets of size bytes as early as the bucket lets a sender that looks
// only every tick, and returns when the last one may leave.
func run(b *Bucket, from clock.Time, n, size int, tick time.Duration) clock.Time {
	now, at := from, from
	for range n {
		for next := b.Next(now); next > now; {
			now = now.Add(max(tick, next.Sub(now)/tick*tick))
		}
		at = b.Take(now, size)
	}
	return at
}

func TestRateIsExact(t *testing.T) {
	for _, c := range []struct {
		why  string
		rate int64
		size int
		n    int
	}{
		{"an interval that is no whole number of nanoseconds", 128_003, 1352, 200_000},
		{"a rate of 1 byte/s", 1, 7, 1000},
		{"10 Gbit/s in jumbo packets", 1_250_000_000, 8852, 2_000_000},
		{"a nanosecond for three bytes", 3_000_000_000, 1, 1_000_000},
		{"large trains", 12_345_679, 500_000, 100_000},
	} {
		b := NewBucket(c.rate, time.Millisecond)
		b.Reset(begin)
		var at clock.Time
		for range c.n {
			at = b.Take(begin, c.size) // all planned ahead: no stall
		}
		// The last one leaves when all before it have had their time.
		sec := int64(c.n-1) * int64(c.size) / c.rate
		rest := int64(c.n-1) * int64(c.size) % c.rate
		want := begin.Add(time.Duration(sec) * time.Second).Add(time.Duration(float64(rest) * 1e9 / float64(c.rate)))
		if d := at.Sub(want); d < -1 || d > 1 {
			t.Errorf("%s: after %d packets the bucket is %v off, want no drift at all", c.why, c.n, d)
		}
	}
}

func TestLateSenderCatchesUp(t *testing.T) {
	// 1000 packets/s, looked at every 3 ms: within the burst nothing is lost.
	b := NewBucket(1_000_000, 10*time.Millisecond)
	b.Reset(begin)
	at := run(&b, begin, 10_001, 1000, 3*time.Millisecond)
	if d := at.Sub(begin); d != 10*time.Second {
		t.Errorf("10000 packets at 1000/s took %v, want 10 s: ticks must not cost rate", d)
	}
}

func TestBurstIsCapped(t *testing.T) {
	for _, c := range []struct {
		why   string
		burst time.Duration
		stall time.Duration
		want  int
	}{
		{"no stall, no burst", 5 * time.Millisecond, 0, 1},
		{"a short stall is made up for", 5 * time.Millisecond, 3 * time.Millisecond, 4},
		{"a long stall only as far as the cap", 5 * time.Millisecond, time.Hour, 6},
		{"without a cap there is nothing to make up for", 0, time.Hour, 1},
	} {
		b := NewBucket(1_000_000, c.burst) // 1000 bytes/ms
		b.Reset(begin)
		now := begin.Add(c.stall)
		n := 0
		for b.Next(now) <= now {
			b.Take(now, 1000)
			n++
		}
		if n != c.want {
			t.Errorf("%s: %d packets left at once, want %d", c.why, n, c.want)
		}
	}
}

func TestResetForgetsDebt(t *testing.T) {
	b := NewBucket(1000, time.Second)
	b.Take(begin, 60_000)
	if at := b.Next(begin); at <= begin {
		t.Fatal("a minute's worth was taken and the next may leave at once")
	}
	now := begin.Add(10 * time.Second)
	b.Reset(now)
	if at := b.Take(now, 1); at != now {
		t.Errorf("after Reset the next leaves %v later, want at once", at.Sub(now))
	}
	if at := b.Next(now.Add(-time.Minute)); at < now {
		t.Errorf("after Reset something conforms %v before it", now.Sub(at))
	}
}

func TestUnlimited(t *testing.T) {
	for _, b := range []Bucket{{}, NewBucket(0, time.Second)} {
		for i := range 1000 {
			now := begin.Add(time.Duration(i))
			if b.Next(now) != now || b.Take(now, 1<<30) != now {
				t.Fatal("without a rate everything leaves at once")
			}
		}
	}
}

func TestTakeAllocatesNothing(t *testing.T) {
	b := NewBucket(1_000_000, time.Millisecond)
	if n := testing.AllocsPerRun(100, func() { b.Take(begin, 1352) }); n != 0 {
		t.Errorf("Take allocates %v times, want 0", n)
	}
}

// TestAllow: so many at once as the burst pays for and one more, which waits for nobody but
// makes the next one wait.
func TestAllow(t *testing.T) {
	b := NewBucket(100, 630*time.Millisecond)
	for i := range 64 {
		if !b.Allow(begin, 1) {
			t.Fatalf("number %d at once is refused, want 64", i+1)
		}
	}
	if b.Allow(begin, 1) {
		t.Fatal("number 65 at once is allowed, want 64")
	}
	if now := begin.Add(10*time.Millisecond - 1); b.Allow(now, 1) {
		t.Error("one more is allowed before its 10 ms")
	}
	now := begin.Add(10 * time.Millisecond)
	if !b.Allow(now, 1000) {
		t.Error("one more is refused after its 10 ms; what it costs must not matter")
	}
	if b.Allow(now.Add(10*time.Second-1), 1) || !b.Allow(now.Add(10*time.Second), 1) {
		t.Error("after 1000 units the next must wait for 10 s")
	}
}
