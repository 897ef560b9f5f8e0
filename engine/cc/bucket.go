package cc

import (
	"time"

	"uftp/engine/clock"
)

// Bucket paces a flow to a rate with a capped burst. It is the virtual-scheduling
// form of the token bucket (the generic cell rate algorithm of ITU-T I.371): it
// keeps the moment at which the next byte conforms instead of a level, so it needs
// no ticks and loses no fraction of a byte.
//
// The zero Bucket has no limit.
type Bucket struct {
	rate  int64         // bytes/s; 0 = no limit
	burst time.Duration // how far a late flow may catch up
	next  clock.Time    // conforming moment of the next byte
	frac  int64         // remainder of the last division, bytes·1e9 mod rate
}

// NewBucket returns a bucket of rate bytes/s (0 = unlimited) that, after any
// stall, catches up at most burst worth of bytes.
func NewBucket(rate int64, burst time.Duration) Bucket { return Bucket{rate: rate, burst: burst} }

// SetRate changes rate and burst, as NewBucket takes them, for all bytes that are booked later.
func (b *Bucket) SetRate(rate int64, burst time.Duration) { b.rate, b.burst, b.frac = rate, burst, 0 }

// Reset forgets debts and catching up: the next byte conforms now.
func (b *Bucket) Reset(now clock.Time) { b.next, b.frac = now, 0 }

// Next returns the earliest moment at which something may leave, not before
// now-burst.
func (b *Bucket) Next(now clock.Time) clock.Time {
	if b.rate == 0 {
		return now
	}
	return max(b.next, now.Add(-b.burst))
}

// Take books n bytes, 0 <= n < 8 GiB, and returns the moment at which they may leave.
func (b *Bucket) Take(now clock.Time, n int) clock.Time {
	if b.rate == 0 {
		return now
	}
	at := b.Next(now)
	if at != b.next {
		b.frac = 0
	}
	cost := int64(n)*1e9 + b.frac
	b.next = at.Add(time.Duration(cost / b.rate))
	b.frac = cost % b.rate
	return at
}

// Allow books n units of something that has a limit, unless earlier ones are not paid for yet. So
// something that costs more than the burst is allowed too, and the next one waits longer.
func (b *Bucket) Allow(now clock.Time, n int) bool {
	if b.Next(now) > now {
		return false
	}
	b.Take(now, n)
	return true
}
