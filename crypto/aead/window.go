package aead

// WindowLen is how far a datagram may be behind the newest one of its source. The
// sender's ring holds fewer datagrams (package engine checks that), so even a path
// that reverses all of it loses nothing. At 10 Gbit/s and 1300 bytes it is 8 ms.
const WindowLen = 64 * (windowWords - 1)

const windowWords = 128

// Window remembers which counters of one source have come. It is a sliding bitmap as
// in RFC 6479. The word of the newest counter is filled bit by bit, so one word less
// than windowWords counts. It takes 1 KiB and allocates nothing; no call does more than
// clear the bitmap. The zero Window has seen nothing.
//
// The caller marks only counters of datagrams that Opener.Open has accepted. Otherwise
// a stranger could push the window ahead and so exclude the source. A member of the
// group still can, since all members have the key; only signatures of type KEYEX
// prevent that.
type Window struct {
	newest uint64
	seen   [windowWords]uint64
}

// Check reports whether Mark would accept counter. It changes nothing.
func (w *Window) Check(counter uint64) bool {
	switch {
	case counter == 0: // never sent
		return false
	case counter > w.newest:
		return true
	case w.newest-counter >= WindowLen:
		return false
	}
	return w.seen[counter/64%windowWords]&(1<<(counter%64)) == 0
}

// Mark reports whether counter is new, and remembers it. A counter behind the window
// counts as old.
func (w *Window) Mark(counter uint64) bool {
	if !w.Check(counter) {
		return false
	}
	if counter > w.newest {
		first := w.newest/64 + 1
		for i := range min(counter/64+1-first, windowWords) {
			w.seen[(first+i)%windowWords] = 0
		}
		w.newest = counter
	}
	w.seen[counter/64%windowWords] |= 1 << (counter % 64)
	return true
}

// Reset forgets everything. Only a source with new keys may have its window reset:
// otherwise old datagrams would count again.
func (w *Window) Reset() { *w = Window{} }
