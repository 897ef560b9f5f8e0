package group

import (
	"math/bits"
	"time"

	"uftp/engine/clock"
)

// MaxTimers is the number of timers in one table.
const MaxTimers = 16

// Timers is a table of one-shot timers; its owner names them 0..MaxTimers-1. The zero table has
// none armed. Nothing fires: the owner asks which are due.
type Timers struct {
	at    [MaxTimers]clock.Time
	armed uint16 // one bit a timer
	later uint16 // those that Sent arms
}

// Set arms timer t for the moment at, whatever it was set to before.
func (ts *Timers) Set(t int, at clock.Time) {
	ts.at[t] = at
	ts.armed |= 1 << t
}

// Hasten arms timer t for the moment at, unless it is armed for an earlier one.
func (ts *Timers) Hasten(t int, at clock.Time) {
	if !ts.Armed(t) || at < ts.at[t] {
		ts.Set(t, at)
	}
}

// SetWhenSent makes the next Sent arm timer t: the timer runs from the moment at which the
// messages that wait now have left.
func (ts *Timers) SetWhenSent(t int) { ts.later |= 1 << t }

// Sent says that all messages have left. length returns how long a timer runs.
func (ts *Timers) Sent(now clock.Time, length func(t int) time.Duration) {
	for ; ts.later != 0; ts.later &= ts.later - 1 {
		t := bits.TrailingZeros16(ts.later)
		ts.Set(t, now.Add(length(t)))
	}
}

// Stop disarms timer t, also at the next Sent.
func (ts *Timers) Stop(t int) {
	ts.armed &^= 1 << t
	ts.later &^= 1 << t
}

// StopAll disarms every timer.
func (ts *Timers) StopAll() { ts.armed, ts.later = 0, 0 }

// Armed reports whether timer t waits for its moment.
func (ts *Timers) Armed(t int) bool { return ts.armed&(1<<t) != 0 }

// Due reports whether the moment of timer t has come, and disarms it if so.
func (ts *Timers) Due(t int, now clock.Time) bool {
	if !ts.Armed(t) || ts.at[t] > now {
		return false
	}
	ts.armed &^= 1 << t
	return true
}

// Next returns the earliest moment of an armed timer, [clock.Never] if none is.
func (ts *Timers) Next() clock.Time {
	next := clock.Never
	for a := ts.armed; a != 0; a &= a - 1 {
		next = clock.Min(next, ts.at[bits.TrailingZeros16(a)])
	}
	return next
}
