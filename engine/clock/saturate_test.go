package clock

import (
	"math"
	"testing"
	"time"
)

func TestEndsOfTime(t *testing.T) {
	const now, least = Time(1_800_000_000e9), Time(math.MinInt64)
	const long, back = time.Duration(math.MaxInt64), time.Duration(math.MinInt64)
	for _, c := range []struct {
		t    Time
		d    time.Duration
		want Time
	}{
		{now, time.Second, now + 1e9}, {now, -time.Second, now - 1e9},
		{now, long, Never}, {Never - 1, 1, Never}, {Never - 1, 2, Never}, {Never - 2, 1, Never - 1},
		{Never, back, Never}, {0, back, least}, {-1, back, least}, {-2, back + 1, least},
	} {
		if got := c.t.Add(c.d); got != c.want {
			t.Errorf("%d + %d is %d, want %d", c.t, c.d, got, c.want)
		}
	}
	for _, c := range []struct {
		t, u Time
		want time.Duration
	}{{now, now - 5, 5}, {Never, -1, long}, {Never, 0, long}, {least, 1, back}, {least, 0, back}, {-1, Never, back}} {
		if got := c.t.Sub(c.u); got != c.want {
			t.Errorf("%d - %d is %d, want %d", c.t, c.u, got, c.want)
		}
	}
	for _, c := range []struct {
		s    float64
		want time.Duration
	}{{1.5, 1500 * time.Millisecond}, {-2, -2 * time.Second}, {1e10, long}, {math.Inf(1), long}, {-1e10, back}, {math.NaN(), 0}} {
		if got := Seconds(c.s); got != c.want {
			t.Errorf("%v s are %d, want %d", c.s, got, c.want)
		}
	}
}

func TestMicros(t *testing.T) {
	for _, x := range []struct {
		us   uint64
		want Time
	}{
		{0, 0},
		{1_800_000_000_000_001, 1_800_000_000_000_001_000},
		{^uint64(0), -1000},
		{1 << 62, Never},
		{1 << 63, -1 << 63},
	} {
		if got := FromMicros(x.us); got != x.want {
			t.Errorf("%d µs after the epoch is %d, want %d", x.us, got, x.want)
		}
	}
	if got := Time(1_999).Micros(); got != 1 {
		t.Errorf("1999 ns are %d µs, want 1: a stamp is never later than its moment", got)
	}
}
