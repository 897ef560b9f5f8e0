package aead

import "math"

// Counter hands out the counters of one originator under one key, each once. It
// is made with the key and dies with it; the zero Counter begins at 1.
//
// Whoever takes a key into use that an earlier process of the same UID may have
// used as well has to begin above all that one has used. That is the lot of a
// receiver that was restarted within a session: it is given the same group key
// again. Since nobody else cares where counters begin (v4-crypto.md section 5),
// the Unix time in nanoseconds does: less than one datagram per nanosecond was
// sent. A sender makes a new key for each session and begins at a fixed number
// far from those of receivers (see engine/sender).
type Counter struct{ used uint64 }

// NewCounter makes a Counter that begins at first, 1 at least.
func NewCounter(first uint64) Counter { return Counter{used: max(first, 1) - 1} }

// Take takes n counters in a row, n >= 1, and returns the first. It fails with
// ErrExhausted, and takes none, when there are no n left; the session has to end.
func (c *Counter) Take(n int) (first uint64, err error) {
	if n < 1 || uint64(n) > math.MaxUint64-c.used {
		return 0, ErrExhausted
	}
	first = c.used + 1
	c.used += uint64(n)
	return first, nil
}
