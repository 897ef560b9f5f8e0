package cc

import "math"

// DefaultMaxLoss is the share of loss up to which sending faster is worth it.
const DefaultMaxLoss = 0.01

// search looks for the highest rate at which receivers lose no more than a given share. It
// learns from epochs: spans of one rate of which receivers have reported what they lack. It
// raises the rate by half until something is lost, then falls a little below what arrived,
// climbs back half the way at a time and tries rates above it in growing steps: slow start,
// then the concave and convex growth of RFC 9438, with loss reported block by block in place
// of acknowledgements.
//
// Loss that does not shrink with the rate is the link's own. The search subtracts it, so that
// a link that loses 2 % of everything is not starved.
//
// Make it with newSearch.
type search struct {
	rate    int64   // bytes/s; 0 = no limit
	max     int64   // bytes/s; 0 = none
	least   int64   // bytes/s
	accept  float64 // share of blocks that may be lost
	fresh   bool    // nothing was lost so far
	ceiling int64   // bytes/s that arrived when too much was lost; 0 = not known
	step    float64 // of the next climb above the ceiling

	base     float64 // share that is lost at any rate
	baseTop  float64 // base when it was found: it only shrinks until it is found again
	falls    int     // since the last climb
	arrived  float64 // bytes/s that arrived before the first of them
	sent     int     // blocks since then
	lost     int     // of these
	good     int64   // bytes/s that were last sent without a fault
	silent   int     // epochs in a row that nobody answered for
	answered [3]int  // answers to the questions before, oldest first
}

// The search.
const (
	minRate = 16_000         // bytes/s; slower than any link this protocol is used on
	maxRate = 12_500_000_000 // bytes/s; faster than any port

	relief    = 0.85 // of what arrived, so that queues on the way drain
	nearby    = 0.97 // of the ceiling, to which the rate comes back by halves
	stepFirst = 0.005
	stepGrow  = 1.25
	stepMax   = 0.15
	steep     = 0.9  // of the rate may be lost in one fall
	limited   = 0.75 // of the rate: an epoch that sent less proves nothing about the rate
	baseMax   = 0.9
	vain      = 2    // falls after which loss is the link's own
	same      = 0.92 // of what arrived before is as much as before
)

// epoch is what is known about a span of time in which the rate did not change.
type epoch struct {
	rate      int64 // bytes/s at which blocks really left
	sent      int   // blocks
	lost      int   // of these, blocks that the receiver with the greatest loss lacks
	asked     bool  // receivers were asked; else those that lost nothing have not answered
	receivers int   // that could have answered
	answered  int   // that have
	idle      bool  // nothing was sent most of the time, or queues grow: no reason to go faster
}

// newSearch starts at start bytes/s, 0 for no limit but most until too much is lost, and
// stays within most bytes/s (0 = no limit). Receivers may lose share accept of the blocks, 0..1;
// once more was lost, DefaultMaxLoss at most.
func newSearch(start, most int64, accept float64) search {
	if most > 0 && (start == 0 || start > most) {
		start = most
	}
	s := search{rate: start, least: minRate, max: most, accept: accept, fresh: true, step: stepFirst}
	if start > 0 {
		s.least = min(minRate, start)
	}
	return s
}

// climbing reports whether the first climb still goes on: no loss has ended it.
func (s *search) climbing() bool { return s.fresh && s.rate > 0 }

// update learns from an epoch. It reports whether that had too much loss.
func (s *search) update(e epoch) (tooMuch bool) {
	heard := s.hears(e)
	if e.sent == 0 {
		return false
	}
	loss := float64(e.lost) / float64(e.sent)
	switch {
	case s.tooMuch(e):
		s.fall(e, loss)
		s.accept = min(s.accept, DefaultMaxLoss)
		return true
	case e.asked && e.answered == 0:
		// Answers may have been lost, or nothing arrives any more.
		if s.silent >= 2 {
			s.ceiling = max(s.ceiling, s.good) // this rate was right before: return to it fast
			s.fresh = s.ceiling == 0
			s.set(s.sentAt(e) / 2)
		}
	default:
		s.sent, s.lost = s.sent+e.sent, s.lost+e.lost
		s.base = min(0.95*s.base+0.05*loss, s.baseTop)
		if heard && !e.idle && s.clean(e) {
			s.falls = 0
			s.good = e.rate
			s.climb(e)
		}
	}
	return false
}

// hears reports whether nearly as many receivers have answered as did lately.
func (s *search) hears(e epoch) bool {
	if !e.asked {
		return true
	}
	if e.answered == 0 {
		s.silent++
		return false
	}
	s.silent = 0
	most := max(s.answered[0], s.answered[1], s.answered[2])
	s.answered[0], s.answered[1], s.answered[2] = s.answered[1], s.answered[2], e.answered
	return 10*e.answered >= 9*most
}

// tooMuch reports whether more was lost than is accepted and than chance explains: two
// standard deviations and one block, and those by which the worst of many is above the mean.
func (s *search) tooMuch(e epoch) bool {
	expected := (s.base + s.accept) * float64(e.sent)
	return float64(e.lost) > expected+(2+e.worst())*math.Sqrt(expected)+1
}

// clean reports whether so little was lost that the rate may rise.
func (s *search) clean(e epoch) bool {
	expected := (s.base + s.accept) * float64(e.sent)
	return float64(e.lost) <= expected+e.worst()*math.Sqrt(expected)+math.Sqrt(s.base*float64(e.sent))
}

// worst is about how many standard deviations the receiver that loses most is above the mean
// if only chance makes the difference.
func (e epoch) worst() float64 { return math.Sqrt(2 * math.Log(float64(max(e.receivers, 1)))) }

// fall goes below the rate that arrived. When several falls did not help, and less arrives
// after each, the rate is not the cause: the link loses that share of everything.
func (s *search) fall(e epoch, loss float64) {
	rate := s.sentAt(e)
	arrived := float64(rate) * (1 - max(0, loss-s.base))
	if s.falls > 0 {
		s.sent, s.lost = s.sent+e.sent, s.lost+e.lost
	}
	switch {
	case s.falls == 0 || arrived > same*s.arrived:
		// The first fall; or as much arrives as before, as only through a full link.
		s.falls, s.sent, s.lost = 0, 0, 0
		s.arrived = arrived
	case s.falls >= vain:
		if since := float64(s.lost) / float64(s.sent); since <= baseMax {
			s.base = since + math.Sqrt(since*(1-since)/float64(s.sent))
			s.baseTop = s.base
			s.falls = 0
			s.ceiling = int64(s.arrived)
			return
		}
	}
	s.falls++
	s.ceiling = int64(max(arrived, (1-steep)*float64(rate)))
	s.fresh = false
	s.step = stepFirst
	s.set(int64(relief * float64(s.ceiling)))
}

// sentAt is the rate of an epoch, at most that in force: it may be measured a little above.
func (s *search) sentAt(e epoch) int64 {
	if s.rate > 0 {
		return min(e.rate, s.rate)
	}
	return e.rate
}

// climb raises the rate after an epoch without a fault.
func (s *search) climb(e epoch) {
	switch top := int64(nearby * float64(s.ceiling)); {
	case s.rate == 0:
	case float64(e.rate) < limited*float64(s.rate):
		s.set(min(s.rate, 2*e.rate)) // sender or port is the limit: a leap later would be noticed too late
	case s.fresh:
		s.set(s.rate + s.rate/2)
	case top-s.rate > s.rate/50:
		s.set(s.rate + (top-s.rate+1)/2)
	default:
		s.set(s.rate + max(1, int64(s.step*float64(s.rate))))
		s.step = min(stepGrow*s.step, stepMax)
	}
}

func (s *search) set(rate int64) {
	rate = min(max(rate, s.least), maxRate)
	if s.max > 0 {
		rate = min(rate, s.max)
	}
	s.rate = rate
}
