package receiver

// How far behind the newest packet one may be and still count (v4-wire.md section 9).
const behindMax = 5

// resyncAfter packets in ascending order that are all outside the window prove
// that the window is wrong: it was moved by a forged number, or more than half
// the number space was lost. resyncGap is how many may be lost between two of them.
const (
	resyncAfter = 16
	resyncGap   = 1024
)

// window is the sequence check of one session.
type window struct {
	highest uint16 // newest number seen
	stray   uint16 // newest of the run of packets outside
	strays  int    // length of that run
}

// start begins at the number of the ANNOUNCE that opened the session, whatever it is.
func (w *window) start(seq uint16) { *w = window{highest: seq} }

// accept reports whether a packet numbered seq counts, and whether it is the newest so far.
func (w *window) accept(seq uint16) (ok, newest bool) {
	switch d := int16(seq - w.highest); {
	case d > 0:
		w.highest = seq
		return true, true
	case d >= -behindMax:
		return true, false
	}
	// Packets inside do not end the run: otherwise whoever forges a few of them
	// could keep the real sender out for good.
	if step := seq - w.stray; w.strays > 0 && step > 0 && step <= resyncGap {
		w.strays++
	} else {
		w.strays = 1
	}
	w.stray = seq
	if w.strays < resyncAfter {
		return false, false
	}
	w.start(seq)
	return true, false
}
