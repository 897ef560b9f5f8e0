package group

import "time"

// RTTFloor is the least round trip time that counts (v4-sender.md section 3).
const RTTFloor = time.Millisecond

// GRTT estimates the round trip time of a group: the largest of its members',
// growing at once and shrinking slowly (v4-sender.md section 3).
//
// Measurements belong to a phase: [GRTT.Update] looks at those since the last
// [GRTT.NextPhase] only.
type GRTT struct {
	value, min, max time.Duration

	settled bool          // an Update has found a measurement
	phase   uint32        // of the samples that count
	largest time.Duration // of this phase; 0 = nobody was measured
}

// Sample is what was measured of one member. The zero Sample is none.
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

// Measure takes one round trip time, raised to [RTTFloor] if it is less, and
// returns what is to be kept of it with the member.
func (g *GRTT) Measure(rtt time.Duration) Sample {
	s := Sample{rtt: max(rtt, RTTFloor), phase: g.phase}
	g.Count(s)
	return s
}

// RTT returns the time that was measured, 0 for none.
func (s Sample) RTT() time.Duration { return s.rtt }

// Recount forgets the measurements of this phase; [GRTT.Count] brings back the
// samples of the members that still matter.
func (g *GRTT) Recount() { g.largest = 0 }

// Count makes s matter again if it was taken in this phase.
func (g *GRTT) Count(s Sample) {
	if s.phase == g.phase {
		g.largest = max(g.largest, s.rtt)
	}
}

// Update moves the estimate: the first time to the largest sample of this phase,
// later to the same or nine tenths of the present value, whichever is more.
// Without a sample it stays. It reports whether the value changed.
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

// NextPhase makes the samples taken so far not count any more.
func (g *GRTT) NextPhase() {
	g.phase++
	g.largest = 0
}
