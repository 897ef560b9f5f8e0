package cc

import (
	"time"

	"uftp/engine/block"
	"uftp/engine/clock"
)

// Controller is a law of congestion of one session, as its sender sees it.
type Controller interface {
	// Rate returns the rate that is best now, bytes/s of whole IP packets; 0 = no limit. The sender puts it
	// in force after Start and Ask.
	Rate() int64
	// Loss returns the share of blocks, 0..1, for which Rate was last changed.
	Loss() float64

	// Start begins a walk over the blocks in need, of a file cut by layout. The law reads both
	// until the next Start. Stop says that the last block of the walk has left.
	Start(now clock.Time, g Group, layout *block.Layout, need *block.Set)
	Stop(now clock.Time)
	// Planned takes the blocks of the next train. Departed says that the oldest so many trains
	// have left.
	Planned(blocks []uint32)
	Departed(now clock.Time, g Group, trains int)

	// Ask is called before the sender plans block next; section is that of the walk, -1 before
	// its first one. It reports whether the sender should first ask all receivers what they
	// lack of this section.
	Ask(now clock.Time, g Group, next, section int) bool
	// Answer takes a STATUS of r that may answer the latest question.
	Answer(now clock.Time, g Group, r *Receiver, s Status) Verdict
	// Lacks takes a STATUS of r that answers no question, and was believed.
	Lacks(r *Receiver, s Status)
}

// Group is what a law may know of the receivers.
type Group struct {
	GRTT time.Duration // as advertised
	Open int           // receivers that still have to answer for the file
}

// Status is a STATUS of one receiver.
type Status struct {
	Section int
	NAKs    []byte // one bit a block of the section, set = it lacks the block
	Sending bool   // blocks of the section may be under way
}

// Verdict is what a law makes of a STATUS.
type Verdict struct {
	// Taken: the STATUS answers the law's question, and the sender uses it for nothing else.
	Taken bool
	// Blocks is how far a STATUS that was taken counts: of the first so many blocks of its
	// section the sender should send again those that it lacks.
	Blocks int
	RTT    time.Duration // > 0: a round trip time that the answer shows
}

// Receiver is what a law remembers of one receiver. The zero Receiver has said nothing yet.
type Receiver struct {
	answered uint32 // number of the latest question that it answered
	epoch    uint32 // in which it last reported a loss
	lost     int    // blocks that it lost in that epoch
	lostIn   int    // section of the latest of them
}

// Fixed is the law of a rate that nothing changes, bytes/s; 0 = no limit.
type Fixed int64

var _ Controller = Fixed(0)

func (f Fixed) Rate() int64                                              { return int64(f) }
func (Fixed) Loss() float64                                              { return 0 }
func (Fixed) Start(clock.Time, Group, *block.Layout, *block.Set)         {}
func (Fixed) Stop(clock.Time)                                            {}
func (Fixed) Planned([]uint32)                                           {}
func (Fixed) Departed(clock.Time, Group, int)                            {}
func (Fixed) Ask(clock.Time, Group, int, int) bool                       { return false }
func (Fixed) Answer(clock.Time, Group, *Receiver, Status) (none Verdict) { return none }
func (Fixed) Lacks(*Receiver, Status)                                    {}
