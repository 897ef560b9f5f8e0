package group

import (
	"math/bits"

	"uftp/engine/clock"
)

// MaxTimers is the number of timers in one table.
const MaxTimers = 16

// Timers is a table of one-shot timers, named 0..MaxTimers-1 by who owns it. The
// zero table has none armed. Nothing fires: the owner asks which are due.
type Timers struct {
	at    [MaxTimers]clock.Time
	armed uint16
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

// Stop disarms timer t.
func (ts *Timers) Stop(t int) { ts.armed &^= 1 << t }

// StopAll disarms every timer.
func (ts *Timers) StopAll() { ts.armed = 0 }

// Armed reports whether timer t waits for its moment.
func (ts *Timers) Armed(t int) bool { return ts.armed&(1<<t) != 0 }

// Due reports whether the moment of timer t has come, and disarms it if so.
func (ts *Timers) Due(t int, now clock.Time) bool {
	if !ts.Armed(t) || ts.at[t] > now {
		return false
	}
	ts.Stop(t)
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
