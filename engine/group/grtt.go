package group

import "time"

// RTTFloor is the least round trip time that counts (docs/protocol.md, "GRTT").
const RTTFloor = time.Millisecond

// GRTT estimates the round trip time of a group: the largest of its members' times. It grows at
// once and shrinks slowly (docs/protocol.md, "GRTT").
//
// Measurements belong to a phase: [GRTT.Update] uses only those since the last
// [GRTT.NextPhase].
type GRTT struct {
	value, min, max time.Duration

	settled bool          // an Update has found a measurement
	phase   uint32        // of the samples that count
	largest time.Duration // of this phase; 0 = nobody was measured
}

// Sample is the measurement of one member. The zero Sample is none.
type Sample struct {
	rtt   time.Duration
	phase uint32
}

// NewGRTT returns an estimate that starts at value and stays within min..max
// once something was measured.
func NewGRTT(value, min, max time.Duration) GRTT {
	return GRTT{value: value, min: min, max: max, phase: 1}
}

// Value returns the present estimate.
func (g *GRTT) Value() time.Duration { return g.value }

// Measure takes one round trip time, raised to [RTTFloor] if it is less, and returns the sample
// that the caller keeps with the member.
func (g *GRTT) Measure(rtt time.Duration) Sample {
	s := Sample{rtt: max(rtt, RTTFloor), phase: g.phase}
	g.Count(s)
	return s
}

// Recount forgets the measurements of this phase. The caller then counts the samples of the
// members that still matter with [GRTT.Count].
func (g *GRTT) Recount() { g.largest = 0 }

// Count counts s if it was taken in this phase.
func (g *GRTT) Count(s Sample) {
	if s.phase == g.phase {
		g.largest = max(g.largest, s.rtt)
	}
}

// Update moves the estimate: the first time to the largest sample of this phase, later to that
// sample or nine tenths of the present value, whichever is more. Without a sample the
// estimate stays. Update reports whether it changed.
func (g *GRTT) Update() bool {
	if g.largest == 0 {
		return false
	}
	old := g.value
	g.value = min(max(g.largest, g.min), g.max)
	if g.settled {
		g.value = max(g.value, old/10*9)
	}
	g.settled = true
	return g.value != old
}

// NextPhase begins a phase: earlier samples no longer count.
func (g *GRTT) NextPhase() {
	g.phase++
	g.largest = 0
}
