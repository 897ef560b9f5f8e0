// Package clock holds the one notion of time of the machines: a number.
//
// A Time is nanoseconds since the Unix epoch, read once at start and advanced
// by the monotonic clock, so it never jumps and can still be sent as a stamp.
// Nothing here reads a clock; package engine does, and the simulation invents it.
package clock

import (
	"time"

	"uftp/wire"
)

// Time is a moment, ns since the Unix epoch.
type Time int64

// Never is later than any moment; a Deadline of Never means "nothing to wait for".
const Never Time = 1<<63 - 1

// Add returns t+d; Never stays Never.
func (t Time) Add(d time.Duration) Time {
	if t == Never {
		return t
	}
	return t + Time(d)
}

// Sub returns t-u.
func (t Time) Sub(u Time) time.Duration { return time.Duration(t - u) }

// Stamp returns t as version 4 messages carry it.
func (t Time) Stamp() wire.Stamp {
	us := int64(t) / 1000
	return wire.Stamp{Sec: uint32(us / 1e6), Usec: uint32(us % 1e6)}
}

// FromStamp returns the moment nearest to ref whose low 32 bits of seconds are s.Sec.
func FromStamp(s wire.Stamp, ref Time) Time {
	refSec := int64(ref) / 1e9
	sec := refSec + int64(int32(s.Sec-uint32(refSec)))
	return Time(sec*1e9 + int64(s.Usec)*1000)
}

// Seconds turns floating seconds into a duration.
func Seconds(s float64) time.Duration { return time.Duration(s * 1e9) }

// Min returns the earlier of two moments.
func Min(a, b Time) Time {
	if b < a {
		return b
	}
	return a
}
