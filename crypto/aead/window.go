package aead

// WindowLen is how far a datagram may stay behind the newest one of its source.
// The sender's ring holds fewer datagrams (package engine checks that), so even a path
// that turned all of it around loses nothing; at 10 Gbit/s and 1300 bytes it is 8 ms.
const WindowLen = 64 * (windowWords - 1)

const windowWords = 128

// Window remembers which counters of one source came already: a bitmap that
// slides, as in RFC 6479. The word that the newest counter lies in is filled
// bit by bit, hence one word less than there are. 1 KiB, no allocation, and no
// call does more than clear the bitmap. The zero Window has seen nothing.
//
// It is asked with counters of datagrams that Opener.Open has accepted: a
// stranger could otherwise push it ahead and shut the source out. A member of the
// group can, since all of them have the key; there is no cure for that but
// signatures of type KEYEX.
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

// Mark reports whether counter is new, and remembers it. A counter that is too
// far behind to tell is not new.
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

// Reset forgets everything. It is for a source that was keyed anew; done for any
// less reason it lets old datagrams in again.
func (w *Window) Reset() { *w = Window{} }
