package cc

import (
	"time"

	"uftp/engine/block"
	"uftp/engine/clock"
)

// Adaptive is a law that needs nothing but the messages that receivers of any make understand.
//
// It cuts the walk over a file into epochs of one rate. At the end of an epoch it has the
// sender ask: a DONE for the present section that lists nobody. Receivers take it for the end
// of a pass in which they have answered, and one GRTT later send a STATUS for that section.
// What it lacks before the place of the question is loss; the rest has not been sent yet.
// Sections that pass faster than answers come need no question: receivers report those by
// themselves when they end, though only if they lack something.
//
// What a receiver lacks is sent again only up to the place of the question and to the last
// block that has arrived. What comes after it may be on its way, in the queue of a slow link
// even for seconds.
//
// An epoch is judged by the receiver that has lost most. Make an Adaptive with NewAdaptive.
type Adaptive struct {
	cfg    AdaptiveConfig
	search search
	loss   float64 // of the epoch after which the rate last changed

	layout *block.Layout // of the file, and what the sender still has to send of it
	need   *block.Set
	flying int // trains planned that have not left

	// The epoch: the blocks of the walk from the place from on. began is set between Start and
	// Stop.
	epoch  uint32        // its number, from 1: a Receiver with 0 has reported nothing
	opened clock.Time    // when it began
	began  clock.Time    // when its present walk began; 0 = none is under way
	spent  time.Duration // in earlier walks
	from   int
	sent   int       // blocks planned
	lost   int       // of these, what the receiver lacks that lacks most
	walked block.Set // blocks planned in this walk
	drains int       // trains of a faster epoch that have not left
	queues bool      // answers of this epoch came late: queues grow

	// The section of the walk.
	section      int        // -1 before the first one
	sectionFrom  clock.Time // when the walk came to it, in this or an earlier walk
	sectionPlace int        // its first block, or that of the epoch if this began later
	sectionAt    clock.Time // when the walk came to that block
	sectionSent  int        // blocks of the epoch that were planned before

	// The end of the epoch, while waits is set: it covers the blocks before the place upTo.
	waits   bool
	asked   bool // a question has been put; else receivers report by themselves
	upTo    int
	counted int           // blocks sent up to there
	span    time.Duration // that they took
	ahead   int           // trains planned before it that have not left
	left    clock.Time    // when the last of them left, and with it the question
	soonest clock.Time    // before then nobody can have answered
	due     clock.Time    // when waiting ends

	// The latest question. A STATUS of section about may answer it until due, also when the epoch
	// has been judged already; the counts are then those of the next one.
	question   uint32     // its number
	about      int        // its section; -1 = none was put in this walk
	aboutFrom  int        // first block of the epoch that it was for
	leftBefore clock.Time // when the one before it left; 0 = there was none
	answers    int        // receivers that have answered it
	stopped    clock.Time // when the walk ended and DONE asked instead
}

// AdaptiveConfig is what an Adaptive starts with.
type AdaptiveConfig struct {
	Start     int64         // bytes/s; 0 = no limit but Most until too much is lost
	Most      int64         // bytes/s that the rate never exceeds; 0 = no limit
	MaxLoss   float64       // share of blocks, 0..1, that may be lost; after the first fall DefaultMaxLoss at most
	Packet    int           // bytes of a whole IP packet with a full block
	Lookahead time.Duration // how long before its departure a block may be planned
}

var _ Controller = (*Adaptive)(nil)

// Epochs.
const (
	epochMin    = 20 * time.Millisecond
	epochFirst  = 32  // blocks in the first climb, and at least: only a large loss matters
	epochBlocks = 400 // blocks afterwards, or those of epochLong if they are fewer
	epochLong   = time.Second
	// idleShare: a sender that sends for less than one part in so many of the time cannot tell
	// whether the rate is right.
	idleShare = 8
	// Answers may take one part in so many of the rate.
	answerFirst = 10 // in the first climb
	answerShare = 100
	answerExtra = 100 // bytes about, of headers around the bitmap of a STATUS
	// lateAnswers is the delay that queues may add. Later answers raise the GRTT.
	lateAnswers = 100 * time.Millisecond
	// unlimitedWait is how long data may take to leave the system when only the port limits it:
	// 4 MiB of socket buffer at 64 Mbit/s.
	unlimitedWait = 500 * time.Millisecond
)

// NewAdaptive returns the law of a session that has sent nothing yet.
func NewAdaptive(cfg AdaptiveConfig) *Adaptive {
	return &Adaptive{cfg: cfg, search: newSearch(cfg.Start, cfg.Most, cfg.MaxLoss), section: -1, about: -1, epoch: 1}
}

// Rate implements [Controller].
func (a *Adaptive) Rate() int64 { return a.search.rate }

// Loss implements [Controller].
func (a *Adaptive) Loss() float64 { return a.loss }

// Start implements [Controller]. The present epoch goes on in the new walk, or ends: what
// receivers lacked of the last walk they have reported by now.
func (a *Adaptive) Start(now clock.Time, g Group, layout *block.Layout, need *block.Set) {
	a.layout, a.need = layout, need
	a.section, a.about, a.waits = -1, -1, false
	a.walked.Reset(layout.Blocks, false)
	switch {
	case a.began != 0: // the walk was broken off: its time is not known
		a.next(now)
	case a.sent >= a.enough() && a.spent >= epochMin:
		a.judge(now, epoch{
			sent: a.sent, lost: a.lost, rate: a.bytesPerSecond(a.sent, a.spent), receivers: g.Open,
			idle: a.spent*idleShare < now.Sub(a.opened),
		})
	}
	a.open(now, 0)
}

// Planned implements [Controller].
func (a *Adaptive) Planned(blocks []uint32) {
	a.flying++
	a.sent += len(blocks)
	for _, i := range blocks {
		a.walked.Add(int(i))
	}
}

// Stop implements [Controller]. The clock of the epoch stands while nothing is sent.
func (a *Adaptive) Stop(now clock.Time) {
	a.spent += now.Sub(a.began)
	a.began, a.stopped = 0, now
	a.waits = false // DONE asks all receivers now
}

// open starts the part of an epoch that begins at block from.
func (a *Adaptive) open(now clock.Time, from int) {
	a.began, a.from = now, from
	a.sectionPlace, a.sectionAt, a.sectionSent = from, now, a.sent
}

// enter notes that the walk has come to another section, at block first.
func (a *Adaptive) enter(now clock.Time, first, section int) {
	a.section, a.sectionFrom = section, now
	a.sectionPlace, a.sectionAt, a.sectionSent = first, now, a.sent
}

// enough returns how many blocks make an epoch.
func (a *Adaptive) enough() int {
	if a.search.climbing() {
		return epochFirst
	}
	if rate := a.Rate(); rate > 0 {
		if interval := time.Duration(int64(a.cfg.Packet) * 1e9 / rate); interval > 0 {
			return min(max(int(epochLong/interval), epochFirst), epochBlocks)
		}
	}
	return epochBlocks
}

// Ask implements [Controller]. It ends the epoch when there is enough to judge it by.
func (a *Adaptive) Ask(now clock.Time, g Group, next, section int) bool {
	if section < 0 {
		return false
	}
	if section != a.section {
		a.enter(now, next, section)
	}
	switch {
	case a.waits:
		a.awaitAnswers(now, g, next)
		return false
	case a.drains > 0:
		a.next(now)
		a.open(now, next)
		return false
	}
	span := a.spent + now.Sub(a.began)
	enough := a.enough()
	if a.sent < enough || span < epochMin {
		return false
	}
	rate := a.bytesPerSecond(a.sent, span)
	if a.ending(g, next, rate) {
		if a.sectionPlace > a.from && a.sectionSent >= enough { // a section has ended in this epoch
			a.wait(now, g, false, a.sectionPlace, a.sectionSent, a.sectionSpan())
		}
		return false
	}
	if now < a.sectionFrom.Add(2*g.GRTT) {
		return false // receivers whose timer still runs for the section before do not listen
	}
	if span.Seconds() < a.answerSeconds(g, rate) {
		return false
	}
	a.question++
	a.about, a.aboutFrom, a.leftBefore, a.answers = section, a.from, a.left, 0
	a.wait(now, g, true, next, a.sent, span)
	return true
}

// ending reports whether the section may be over before a question for it arrives.
func (a *Adaptive) ending(g Group, next int, rate int64) bool {
	passing := (2*g.GRTT + a.cfg.Lookahead).Seconds() * float64(rate) / float64(a.cfg.Packet)
	end := a.layout.First(a.section + 1)
	return float64(a.need.CountRange(next, end-next)) <= passing
}

// answerSeconds returns how long an epoch must last so that the answers to a question take no
// more of the rate than their share.
func (a *Adaptive) answerSeconds(g Group, rate int64) float64 {
	share := answerShare
	if a.search.climbing() {
		share = answerFirst
	}
	status := block.NAKBytes(a.layout.SectionBlocks(a.section)) + answerExtra
	return float64(g.Open) * float64(status*share) / float64(max(rate, 1))
}

// sectionSpan returns what the epoch took up to the present section.
func (a *Adaptive) sectionSpan() time.Duration { return a.spent + a.sectionAt.Sub(a.began) }

// wait ends the epoch at block upTo, before which sent blocks have gone in a time of span.
func (a *Adaptive) wait(now clock.Time, g Group, asked bool, upTo, sent int, span time.Duration) {
	a.waits, a.asked, a.upTo = true, asked, upTo
	a.counted, a.span = sent, span
	a.ahead = a.flying
	a.soonest, a.due, a.left = now.Add(g.GRTT), clock.Never, now
	if a.ahead == 0 {
		a.leave(now, g)
	}
}

// leave notes that the question has left, and all data before it.
func (a *Adaptive) leave(now clock.Time, g Group) {
	a.ahead, a.left = 0, now
	a.due = now.Add(a.answerTime(g))
}

// answerTime is how long answers may take: the receivers' timer of one GRTT, the way there and
// back, and some time of theirs. The law waits so long only if somebody does not answer.
func (a *Adaptive) answerTime(g Group) time.Duration {
	d := 4*g.GRTT + lateAnswers
	if a.Rate() == 0 {
		d += unlimitedWait
	}
	return d
}

// awaitAnswers judges the epoch when all answers are there, when no more are expected, or when
// they leave no doubt.
func (a *Adaptive) awaitAnswers(now clock.Time, g Group, next int) {
	if !a.asked && a.sectionPlace > a.upTo {
		a.upTo, a.counted, a.span = a.sectionPlace, a.sectionSent, a.sectionSpan()
	}
	e := epoch{sent: a.counted, lost: a.lost, asked: a.asked, receivers: g.Open}
	if a.asked {
		e.answered = a.answers
	}
	if now < a.due && !(a.asked && a.answers >= g.Open) && !a.search.tooMuch(e) {
		return
	}
	e.rate = a.bytesPerSecond(a.counted, a.span)
	a.waits = false
	a.judge(now, e)
	a.open(now, next)
}

// Departed implements [Controller].
func (a *Adaptive) Departed(now clock.Time, g Group, trains int) {
	a.flying -= trains
	a.drains = max(a.drains-trains, 0)
	if a.ahead == 0 {
		return
	}
	if a.ahead -= trains; a.ahead <= 0 {
		a.leave(now, g)
	}
}

// Answer implements [Controller]. A STATUS answers the question if it is the first one of r
// since then for that section, and if something has arrived since the epoch began. One that
// comes so late that the section has ended meanwhile still says nothing about its end.
//
// Once the walk is over, DONE has asked. A STATUS that comes when DONE can have been answered
// answers DONE, and so does one that lacks all of the epoch, as when the end of the pass was
// lost: it says what is missing, and nothing about the time that the question took.
// Nor does a STATUS of a section that the walk has left: receivers send those unasked.
func (a *Adaptive) Answer(now clock.Time, g Group, r *Receiver, s Status) (v Verdict) {
	walking := a.began != 0
	switch {
	case s.Section != a.about || r.answered == a.question || now < a.soonest:
		return v
	case !walking && (now >= a.due || now >= a.stopped.Add(g.GRTT)):
		return v
	}
	first := a.layout.First(s.Section)
	most := min(a.upTo-first, a.layout.SectionBlocks(s.Section))
	n := block.LastUnnamed(s.NAKs, most) + 1
	if first+n <= a.aboutFrom {
		// It answers an earlier question, or has lost all of the epoch.
		switch {
		case !walking:
			return v
		case s.Sending && r.answered != 0 && r.answered+1 == a.question:
			n = most // it has answered the earlier one
		default:
			if a.leftBefore > 0 && s.Sending {
				v.RTT = a.lateBy(g, now.Sub(a.leftBefore))
			}
			v.Taken = !s.Sending
			return v
		}
	}
	r.answered = a.question
	a.answers++
	a.count(r, s, n)
	if a.ahead == 0 && s.Sending {
		v.RTT = a.lateBy(g, now.Sub(a.left))
	}
	v.Taken, v.Blocks = true, n
	return v
}

// lateBy returns the round trip time that an answer after took shows, 0 if it was not late. A
// late one had queues in its way that were not there when the round trip was measured.
func (a *Adaptive) lateBy(g Group, took time.Duration) time.Duration {
	rtt := took - g.GRTT
	if rtt <= g.GRTT {
		return 0
	}
	a.queues = true
	return rtt
}

// Lacks implements [Controller].
func (a *Adaptive) Lacks(r *Receiver, s Status) {
	a.count(r, s, a.layout.SectionBlocks(s.Section))
}

// count counts what r has lost in the present epoch, by the first n blocks of a section's
// bitmap, once for each section.
func (a *Adaptive) count(r *Receiver, s Status, n int) {
	if r.epoch != a.epoch {
		r.epoch, r.lost, r.lostIn = a.epoch, 0, -1
	}
	first := a.layout.First(s.Section)
	lo, hi := max(a.from-first, 0), n
	if a.waits {
		hi = min(a.upTo-first, n)
	}
	lo = (lo + 7) &^ 7 // in whole bytes of the bitmap: up to 7 blocks do not count
	if lo >= hi || r.lostIn == s.Section {
		return
	}
	r.lostIn = s.Section
	r.lost += a.walked.CountNamed(s.NAKs[lo/8:], first+lo, hi-lo)
	a.lost = max(a.lost, r.lost)
}

// judge has the search learn from an epoch and starts the next one.
func (a *Adaptive) judge(now clock.Time, e epoch) {
	before := a.Rate()
	e.idle = e.idle || a.queues
	if a.search.update(e) {
		a.drains = a.flying
	}
	if a.Rate() != before {
		a.loss = float64(e.lost) / float64(e.sent)
	}
	a.next(now)
}

// next begins an epoch that nothing is known of.
func (a *Adaptive) next(now clock.Time) {
	a.epoch++
	a.opened = now
	a.sent, a.lost, a.spent, a.queues = 0, 0, 0, false
}

// bytesPerSecond is the rate of so many full blocks in a time, with their headers.
func (a *Adaptive) bytesPerSecond(blocks int, d time.Duration) int64 {
	return int64(float64(blocks) * float64(a.cfg.Packet) / max(d.Seconds(), 1e-9))
}
