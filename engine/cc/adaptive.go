package cc

import "math"

// Adaptive looks for the highest rate at which receivers lose no more than a given
// share. It learns from epochs: spans of one rate of which the receivers have told what
// they lack. It raises the rate by half until something is lost, then falls a little
// below what arrived, climbs back half the way at a time and feels above it in growing
// steps: slow start, then the concave and convex growth of RFC 9438, with loss told
// block by block in place of acknowledgements.
//
// Loss that does not shrink with the rate is the link's own: it is taken out of the
// account, so that a link that loses 2 % of everything is not starved.
//
// Make it with NewAdaptive.
type Adaptive struct {
	rate    int64   // bytes/s; 0 = no limit
	max     int64   // bytes/s; 0 = none
	least   int64   // bytes/s
	accept  float64 // share of blocks that may be lost
	fresh   bool    // nothing was lost so far
	ceiling int64   // bytes/s that arrived when too much was lost; 0 = not known
	step    float64 // of the next climb above the ceiling

	base     float64 // share that is lost at any rate
	baseTop  float64 // as it was when it was found
	falls    int     // since the last climb
	arrived  float64 // bytes/s that arrived before the first of them
	sent     int     // blocks since then
	lost     int     // of these
	good     int64   // bytes/s that were last sent without a fault
	deaf     int     // epochs of which nobody told anything, in a row
	answered [3]int  // of the epochs before
}

// The search.
const (
	MinRate = 16_000         // bytes/s; slower than any link this protocol is used on
	MaxRate = 12_500_000_000 // bytes/s; faster than any port

	relief    = 0.85 // of what arrived, so that queues on the way drain
	nearby    = 0.97 // of the ceiling, to which the rate comes back by halves
	stepFirst = 0.005
	stepGrow  = 1.25
	stepMax   = 0.15
	steep     = 0.9  // of the rate may be lost in one fall
	limited   = 0.75 // of the rate: who sends less does not learn from a clean epoch
	baseMax   = 0.9
	vain      = 2    // falls after which loss is the link's own
	same      = 0.92 // of what arrived before is as much as before
)

// Epoch is what is known about a span in which the rate did not change.
type Epoch struct {
	Rate      int64 // bytes/s at which blocks really left
	Sent      int   // blocks
	Lost      int   // of these, blocks that the receiver lacks that lacks most
	Asked     bool  // receivers were asked; else those that lost nothing have not answered
	Receivers int   // that could have told
	Answered  int   // receivers that told what they lack
	Idle      bool  // nothing was sent most of the time, or queues grow: no reason to go faster
}

// NewAdaptive starts at start bytes/s, 0 for no limit but most until too much is lost, and
// stays within most bytes/s (0 = no limit). Receivers may lose share accept of the blocks, 0..1.
func NewAdaptive(start, most int64, accept float64) Adaptive {
	if most > 0 && (start == 0 || start > most) {
		start = most
	}
	a := Adaptive{rate: start, least: MinRate, max: most, accept: accept, fresh: true, step: stepFirst}
	if start > 0 {
		a.least = min(MinRate, start)
	}
	return a
}

// Rate returns the rate that is right by what is known, bytes/s; 0 = no limit.
func (a *Adaptive) Rate() int64 { return a.rate }

// Accept sets the share of blocks that may be lost from now on.
func (a *Adaptive) Accept(share float64) { a.accept = share }

// Climbing reports whether no loss has ended the first climb yet.
func (a *Adaptive) Climbing() bool { return a.fresh && a.rate > 0 }

// Update learns from an epoch. It reports whether that had too much loss.
func (a *Adaptive) Update(e Epoch) (tooMuch bool) {
	heard := a.hears(e)
	if e.Sent == 0 {
		return false
	}
	loss := float64(e.Lost) / float64(e.Sent)
	switch {
	case a.TooMuch(e):
		a.fall(e, loss)
		return true
	case e.Asked && e.Answered == 0:
		// Answers may have been lost, or nothing arrives any more.
		if a.deaf >= 2 {
			a.ceiling = max(a.ceiling, a.good) // where it was well before: back there fast
			a.fresh = a.ceiling == 0
			a.set(a.sentAt(e) / 2)
		}
	default:
		a.sent, a.lost = a.sent+e.Sent, a.lost+e.Lost
		a.base = min(0.95*a.base+0.05*loss, a.baseTop)
		if heard && !e.Idle && a.clean(e) {
			a.falls = 0
			a.good = e.Rate
			a.climb(e)
		}
	}
	return false
}

// hears reports whether nearly all of those that answered lately have told.
func (a *Adaptive) hears(e Epoch) bool {
	if !e.Asked {
		return true
	}
	if e.Answered == 0 {
		a.deaf++
		return false
	}
	a.deaf = 0
	most := max(a.answered[0], a.answered[1], a.answered[2])
	a.answered[0], a.answered[1], a.answered[2] = a.answered[1], a.answered[2], e.Answered
	return 10*e.Answered >= 9*most
}

// TooMuch reports whether more was lost than is accepted, and more than chance would
// explain: by two standard deviations and one block, and what the worst of many has more.
func (a *Adaptive) TooMuch(e Epoch) bool {
	expected := (a.base + a.accept) * float64(e.Sent)
	return float64(e.Lost) > expected+(2+e.worst())*math.Sqrt(expected)+1
}

// clean reports whether so little was lost that the rate may rise.
func (a *Adaptive) clean(e Epoch) bool {
	expected := (a.base + a.accept) * float64(e.Sent)
	return float64(e.Lost) <= expected+e.worst()*math.Sqrt(expected)+math.Sqrt(a.base*float64(e.Sent))
}

// worst is how many standard deviations the one of all receivers that loses most by mere
// chance is above the mean, about.
func (e Epoch) worst() float64 { return math.Sqrt(2 * math.Log(float64(max(e.Receivers, 1)))) }

// fall goes below what arrived. When even that did not help, several times, and less and less
// arrives, it is not the rate: the link is like that.
func (a *Adaptive) fall(e Epoch, loss float64) {
	rate := a.sentAt(e)
	arrived := float64(rate) * (1 - max(0, loss-a.base))
	if a.falls > 0 {
		a.sent, a.lost = a.sent+e.Sent, a.lost+e.Lost
	}
	switch {
	case a.falls == 0 || arrived > same*a.arrived:
		// The first one; or as much arrives as before, which only a link that is full does.
		a.falls, a.sent, a.lost = 0, 0, 0
		a.arrived = arrived
	case a.falls >= vain:
		if since := float64(a.lost) / float64(a.sent); since <= baseMax {
			a.base = since + math.Sqrt(since*(1-since)/float64(a.sent))
			a.baseTop = a.base
			a.falls = 0
			a.ceiling = int64(a.arrived)
			return
		}
	}
	a.falls++
	a.ceiling = int64(max(arrived, (1-steep)*float64(rate)))
	a.fresh = false
	a.step = stepFirst
	a.set(int64(relief * float64(a.ceiling)))
}

// sentAt is the rate of an epoch, which may come out a little above that in force.
func (a *Adaptive) sentAt(e Epoch) int64 {
	if a.rate > 0 {
		return min(e.Rate, a.rate)
	}
	return e.Rate
}

// climb goes up after an epoch without a fault.
func (a *Adaptive) climb(e Epoch) {
	switch top := int64(nearby * float64(a.ceiling)); {
	case a.rate == 0:
	case float64(e.Rate) < limited*float64(a.rate):
		a.set(min(a.rate, 2*e.Rate)) // sender or port is the limit: a leap later would not be felt in time
	case a.fresh:
		a.set(a.rate + a.rate/2)
	case top-a.rate > a.rate/50:
		a.set(a.rate + (top-a.rate+1)/2)
	default:
		a.set(a.rate + max(1, int64(a.step*float64(a.rate))))
		a.step = min(stepGrow*a.step, stepMax)
	}
}

func (a *Adaptive) set(rate int64) {
	rate = min(max(rate, a.least), MaxRate)
	if a.max > 0 {
		rate = min(rate, a.max)
	}
	a.rate = rate
}
