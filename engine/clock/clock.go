// Package clock holds the one notion of time of the machines: a number.
//
// A Time is nanoseconds since the Unix epoch. Package engine reads the wall clock once at
// start and adds what the monotonic clock has counted since, so a Time never jumps and
// can still be sent as a stamp. The simulation invents its times. Nothing here reads a
// clock.
//
// Arithmetic saturates: a moment or a duration that no number can hold is the largest or
// the smallest one.
//
// A [Queue] holds values until their moment.
package clock

import (
	"math"
	"time"
)

// Time is a moment, ns since the Unix epoch.
type Time int64

// Never is later than any moment; a Deadline of Never means "nothing to wait for".
const Never Time = 1<<63 - 1

// Add returns t+d. Never stays Never, and a sum beyond it is Never.
func (t Time) Add(d time.Duration) Time {
	if t == Never {
		return t
	}
	sum := t + Time(d)
	switch {
	case d > 0 && sum < t:
		return Never
	case d < 0 && sum > t:
		return math.MinInt64
	}
	return sum
}

// Sub returns t-u, or the longest duration of that sign.
func (t Time) Sub(u Time) time.Duration {
	d := t - u
	switch {
	case t > u && d < 0:
		return math.MaxInt64
	case t < u && d > 0:
		return math.MinInt64
	}
	return time.Duration(d)
}

// Micros returns t in µs since the Unix epoch, as stamps of the protocol count.
func (t Time) Micros() uint64 { return uint64(t / 1000) }

// FromMicros returns the moment us µs after the Unix epoch, or the end of time. A number that is
// negative in two's complement lies before the epoch.
func FromMicros(us uint64) Time {
	switch us := int64(us); {
	case us > math.MaxInt64/1000:
		return Never
	case us < math.MinInt64/1000:
		return math.MinInt64
	default:
		return Time(us * 1000)
	}
}

// Seconds turns floating seconds into a duration, NaN into 0.
func Seconds(s float64) time.Duration {
	switch ns := s * 1e9; {
	case ns >= math.MaxInt64:
		return math.MaxInt64
	case ns <= math.MinInt64:
		return math.MinInt64
	case ns != ns:
		return 0
	default:
		return time.Duration(ns)
	}
}

// Min returns the earlier of two moments.
func Min(a, b Time) Time {
	if b < a {
		return b
	}
	return a
}
