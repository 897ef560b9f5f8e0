package receiver

// behindMax is how far behind the newest packet another one still counts (docs/protocol.md,
// "Sequence numbers").
const behindMax = 5

// resyncAfter packets in ascending order, all outside the window, prove that the window is wrong:
// a forged number has moved it, or more than half of the number space was lost. resyncGap is how
// many numbers may be missing between two of them.
const (
	resyncAfter = 16
	resyncGap   = 1024
)

// window is the sequence check of one session.
type window struct {
	highest uint16 // newest number seen
	stray   uint16 // the last packet outside
	strays  int    // packets outside in ascending order
}

// start begins at any number.
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
	// Packets inside do not end the run: otherwise whoever forges a few of them could keep the
	// real sender out for ever.
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
