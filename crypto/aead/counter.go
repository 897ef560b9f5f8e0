package aead

import "math"

// Counter hands out the counters of one originator under one key, each once. It
// lives as long as the key; the zero Counter begins at 1.
//
// A receiver that was restarted within a session gets the same group key again, so
// it must begin above every counter that the earlier process has used. The Unix time
// in nanoseconds is above, since no host sends a datagram per nanosecond, and peers do
// not care where counters begin (docs/protocol.md, "Counters"). A sender makes a new
// key for each session and begins at a fixed number far from those of receivers (see
// engine/dialect).
type Counter struct{ used uint64 }

// NewCounter makes a Counter that begins at first, 1 at least.
func NewCounter(first uint64) Counter { return Counter{used: max(first, 1) - 1} }

// Take takes n counters in a row, n >= 1, and returns the first. If fewer than n are
// left it takes none and fails with ErrExhausted; then the session must end.
func (c *Counter) Take(n int) (first uint64, err error) {
	if n < 1 || uint64(n) > math.MaxUint64-c.used {
		return 0, ErrExhausted
	}
	first = c.used + 1
	c.used += uint64(n)
	return first, nil
}
