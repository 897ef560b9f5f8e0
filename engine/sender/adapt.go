package sender

import (
	"time"

	"uftp/engine/block"
	"uftp/engine/cc"
	"uftp/engine/clock"
	"uftp/wire"
)

// A rate that follows the receivers (Config.Adapt). The law is that of package cc; here
// is how it gets to know what was lost, with nothing but the messages that receivers of
// any make understand.
//
// The walk is cut into epochs of one rate. At the end of one the sender asks: it sends
// a DONE for the section that it is in, which lists nobody. Receivers take it for the
// end of a pass that they have answered in, and one GRTT later send a STATUS for that
// section. What it lacks before the place of the question is loss; the rest has not been
// sent yet. Sections that pass faster than answers come need no question: receivers
// tell of those that ended by themselves, though only if they lack something.
//
// The answers merge into what is needed like any STATUS, but only up to the place of the
// question: what came after it may have been on its way. Nor do they count as the answer
// of a client in this pass, it is asked again at the end.

// Epochs.
const (
	epochMin    = 20 * time.Millisecond
	epochFirst  = 32  // blocks while the rate doubles: only a large loss matters
	epochBlocks = 400 // blocks afterwards
	// Answers may take one part in so many of the rate.
	answerFirst  = 10
	answerShare  = 100
	answerAround = 100 // bytes around the bitmap of a STATUS, about
	// lateAnswers is what queues on the way may cost.
	lateAnswers = 100 * time.Millisecond
	// unlimitedWait is how long data may take to leave the system when only the port
	// limits it: 4 MiB of socket buffer at 64 Mbit/s.
	unlimitedWait = 500 * time.Millisecond
)

// adaptState is the present epoch. All of it is idle unless Config.Adapt is on.
type adaptState struct {
	on  bool
	law cc.Adaptive

	// The epoch: blocks from the place from on.
	began  clock.Time
	spent  time.Duration // in earlier passes and files
	from   int
	sent   int       // blocks planned
	lost   int       // of these, blocks that somebody lacks
	walked block.Set // blocks planned in this pass

	// The section that the walk is in: where it began, and what had been sent then.
	entered      clock.Time
	sectionFirst int
	sectionAt    clock.Time
	sectionSent  int

	// While answers are awaited: the epoch ended at the place upTo.
	waits    bool
	asked    bool // else answers come unasked, if something was lost
	section  int  // of the question
	upTo     int
	counted  int           // blocks sent up to there
	span     time.Duration // that they took
	left     int           // trains that were planned before and have not left
	soonest  clock.Time    // before then nobody can have answered
	due      clock.Time    // when waiting ends
	question uint32        // number of the latest one
	answers  int           // receivers that have answered it
}

func (a *adaptState) init(cfg *Config) {
	a.section = -1
	if a.on = cfg.Adapt.On; a.on {
		a.law = cc.NewAdaptive(cfg.Rate, cfg.Adapt.Most, cfg.Adapt.MaxLoss)
	}
}

// rate returns the rate in force, bytes/s, 0 for no limit.
func (s *Sender) rate() int64 {
	if s.adapt.on {
		return s.adapt.law.Rate()
	}
	return s.cfg.Rate
}

// startPass goes on with the epoch in a new walk, or ends it: whoever lacked something
// has told by now.
func (a *adaptState) startPass(s *Sender, now clock.Time) {
	if !a.on {
		return
	}
	a.section = -1
	a.walked.Reset(s.layout.Blocks, false)
	if a.sent >= a.enough() {
		a.judge(s, now, cc.Epoch{Sent: a.sent, Lost: a.lost, Rate: s.bytesPerSecond(a.sent, a.spent)})
	}
	a.open(now, 0)
}

// plan counts block i.
func (a *adaptState) plan(i int) {
	if a.on {
		a.sent++
		a.walked.Add(i)
	}
}

// endPass stops the clock of the epoch while nothing is sent.
func (a *adaptState) endPass(now clock.Time) {
	if a.on {
		a.spent += now.Sub(a.began)
		a.waits = false // what is missing now is all that will be
	}
}

// open starts the part of an epoch that begins at block from.
func (a *adaptState) open(now clock.Time, from int) {
	a.began, a.from = now, from
	a.sectionFirst, a.sectionAt, a.sectionSent = from, now, a.sent
}

// enter notes that the walk comes to another section, with block first.
func (a *adaptState) enter(now clock.Time, first int) {
	a.entered = now
	a.sectionFirst, a.sectionAt, a.sectionSent = first, now, a.sent
}

// enough returns how many blocks make an epoch.
func (a *adaptState) enough() int {
	if a.law.Climbing() {
		return epochFirst
	}
	return epochBlocks
}

// walk ends the epoch when it is time for that, before block next is planned. It
// reports whether a question is to leave first.
func (a *adaptState) walk(s *Sender, now clock.Time, next int) bool {
	if !a.on || s.pass.section < 0 {
		return false
	}
	if a.waits {
		if !a.asked && a.sectionFirst > a.upTo {
			a.upTo, a.counted, a.span = a.sectionFirst, a.sectionSent, a.spent+a.sectionAt.Sub(a.began)
		}
		e := cc.Epoch{Sent: a.counted, Lost: a.lost, Asked: a.asked, Answered: a.answers}
		if now >= a.due || a.asked && a.answers >= s.unfinished() || a.law.TooMuch(e) {
			e.Rate = s.bytesPerSecond(a.counted, a.span)
			a.waits = false
			a.judge(s, now, e)
			a.open(now, next)
		}
		return false
	}
	span := a.spent + now.Sub(a.began)
	if a.sent < a.enough() || span < epochMin {
		return false
	}
	// Will the section still be open when the question arrives?
	section := s.pass.section
	end := s.layout.First(section + 1)
	rate := s.bytesPerSecond(a.sent, span)
	passing := (2*s.advertised() + s.cfg.Lookahead).Seconds() * float64(rate) / float64(s.cfg.BlockSize+s.cfg.Overhead)
	if float64(s.pass.need.CountRange(next, end-next)) <= passing {
		if a.sectionFirst <= a.from || a.sectionSent < a.enough() {
			return false // no section has ended in this epoch
		}
		a.wait(s, false, a.sectionFirst, a.sectionSent, a.spent+a.sectionAt.Sub(a.began))
		return false
	}
	if now < a.entered.Add(2*s.advertised()) {
		return false // receivers that have a timer running for the section before do not listen
	}
	if a.section == section && now < a.due && a.answers < s.unfinished() {
		return false // an answer that is still under way would be taken for one to the next question
	}
	bitmap := block.NAKBytes(s.layout.SectionBlocks(section)) + answerAround
	share := answerShare
	if a.law.Climbing() {
		share = answerFirst
	}
	if span.Seconds() < float64(s.unfinished()*bitmap*share)/float64(max(rate, 1)) {
		return false
	}
	a.section = section
	a.question++
	a.answers = 0
	a.wait(s, true, next, a.sent, span)
	s.queue(round{fn: wire.FuncDone, bare: true, probe: true})
	return true
}

// wait ends the epoch at block upTo, of which sent blocks have gone in a time of span.
func (a *adaptState) wait(s *Sender, asked bool, upTo, sent int, span time.Duration) {
	a.waits, a.asked, a.upTo = true, asked, upTo
	a.counted, a.span = sent, span
	a.left = s.pass.inFlight
	a.soonest, a.due = s.last.Add(s.advertised()), clock.Never
	if a.left == 0 {
		a.gone(s, s.last)
	}
}

// gone notes that the question has left, and all data before it.
func (a *adaptState) gone(s *Sender, now clock.Time) {
	a.left = 0
	a.due = now.Add(s.answerTime())
}

// departed takes the departure of trains.
func (a *adaptState) departed(s *Sender, now clock.Time, trains int) {
	if a.left == 0 {
		return
	}
	if a.left -= trains; a.left <= 0 {
		a.gone(s, now)
	}
}

// answerTime is how long answers may take: the receivers' timer of one GRTT, the way
// there and back, and some time of theirs. Nobody waits so long when all have answered.
func (s *Sender) answerTime() time.Duration {
	d := 4*s.advertised() + lateAnswers
	if s.rate() == 0 {
		d += unlimitedWait
	}
	return d
}

// answer takes a STATUS of client i if it may be the answer to the question of this pass:
// the first since then for that section. One that comes so late that the section has
// ended meanwhile still tells nothing of its end.
func (a *adaptState) answer(s *Sender, i, section int, bitmap []byte) bool {
	c := s.roster.At(i)
	if !a.on || section != a.section || c.answered == a.question || s.last < a.soonest {
		return false
	}
	c.answered = a.question
	a.answers++
	first := s.layout.First(section)
	a.merge(s, bitmap, section, min(a.upTo-first, s.layout.SectionBlocks(section)))
	s.pollNow = true
	return true
}

// merge takes the first n blocks of a section's bitmap into what is needed, and counts
// what the present epoch has lost.
func (a *adaptState) merge(s *Sender, bitmap []byte, section, n int) {
	need, first := &s.pass.need, s.layout.First(section)
	if !a.on {
		need.Merge(bitmap, first, n)
		return
	}
	lo, hi := max(a.from-first, 0), n
	if a.waits {
		hi = min(a.upTo-first, n)
	}
	lo = (lo + 7) &^ 7 // in whole bytes of the bitmap: up to 7 blocks do not count
	if lo < hi {
		a.lost += need.CountNew(bitmap[lo/8:], first+lo, hi-lo, &a.walked)
	}
	need.Merge(bitmap, first, n)
}

// judge has the law learn from an epoch and starts the next one.
func (a *adaptState) judge(s *Sender, now clock.Time, e cc.Epoch) {
	before := a.law.Rate()
	if a.law.Update(e) {
		a.law.Accept(min(s.cfg.Adapt.MaxLoss, DefaultMaxLoss))
	}
	a.sent, a.lost, a.spent = 0, 0, 0
	if rate := a.law.Rate(); rate != before {
		s.pass.setRate(&s.cfg, rate)
		s.report(RateChanged{Rate: rate, Loss: float64(e.Lost) / float64(e.Sent)})
	}
}

// bytesPerSecond is the rate of so many full blocks in a time, with their headers.
func (s *Sender) bytesPerSecond(blocks int, d time.Duration) int64 {
	return int64(float64(blocks) * float64(s.cfg.BlockSize+s.cfg.Overhead) / max(d.Seconds(), 1e-9))
}
