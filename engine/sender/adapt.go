package sender

import (
	"net/netip"
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
// question and to the last block that has arrived: what comes after it may be on its way,
// in the queue of a slow link even for seconds. Nor do they count as the answer of a
// client in this pass, it is asked again at the end.
//
// An epoch is judged by the client that has lost most. A rate cannot be held against what
// many lose each for itself. Whoever claims to lose everything slows the session, as a
// client can that is slow; only its own address and, in an encrypted session, the keys
// tell a client from others that use its name.

// Epochs.
const (
	epochMin    = 20 * time.Millisecond
	epochFirst  = 32  // blocks in the first climb, and at least: only a large loss matters
	epochBlocks = 400 // blocks afterwards, or those of epochLong if they are fewer
	epochLong   = time.Second
	// idleShare: who sends for less than one part in so many of the time does not feel
	// the rate.
	idleShare = 8
	// Answers may take one part in so many of the rate.
	answerFirst  = 10
	answerShare  = 100
	answerAround = 100 // bytes around the bitmap of a STATUS, about
	// lateAnswers is what queues on the way may cost. Answers that are later have the
	// GRTT grow.
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
	epoch  uint32
	opened clock.Time    // when it began
	began  clock.Time    // when its present walk began; 0 = none is under way
	spent  time.Duration // in earlier walks
	from   int
	sent   int       // blocks planned
	lost   int       // of these, what the client lacks that lacks most
	walked block.Set // blocks planned in this pass

	drains int  // trains of a faster epoch that have not left
	queues bool // answers of this epoch came late: queues grow

	// The section that the walk is in: where it began, and what had been sent then.
	entered      clock.Time
	sectionFirst int
	sectionAt    clock.Time
	sectionSent  int

	// While answers are awaited: the epoch ended at the place upTo.
	waits    bool
	asked    bool // else answers come unasked, if something was lost
	section  int  // of the question; -1 = none in this pass
	asking   int  // the first block that it was for
	upTo     int
	counted  int           // blocks sent up to there
	span     time.Duration // that they took
	left     int           // trains that were planned before and have not left
	soonest  clock.Time    // before then nobody can have answered
	gone     clock.Time    // when the question left
	goneLast clock.Time    // when the one before it left; 0 = there was none
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
	a.section, a.waits = -1, false
	a.walked.Reset(s.layout.Blocks, false)
	switch {
	case a.began != 0: // a walk was broken off: its time is not known
		a.next(now)
	case a.sent >= a.enough(s) && a.spent >= epochMin:
		a.judge(s, now, cc.Epoch{
			Sent: a.sent, Lost: a.lost, Rate: s.bytesPerSecond(a.sent, a.spent),
			Idle: a.spent*idleShare < now.Sub(a.opened),
		})
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
		a.began = 0
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
func (a *adaptState) enough(s *Sender) int {
	if a.law.Climbing() {
		return epochFirst
	}
	if interval := packetInterval(&s.cfg, s.rate()); interval > 0 {
		return min(max(int(epochLong/interval), epochFirst), epochBlocks)
	}
	return epochBlocks
}

// walk ends the epoch when it is time for that, before block next is planned. It
// reports whether a question is to leave first.
func (a *adaptState) walk(s *Sender, now clock.Time, next int) bool {
	switch {
	case !a.on || s.pass.section < 0:
		return false
	case a.waits:
		a.awaitAnswers(s, now, next)
		return false
	}
	if a.drains > 0 {
		a.next(now)
		a.open(now, next)
		return false
	}
	span := a.spent + now.Sub(a.began)
	enough := a.enough(s)
	if a.sent < enough || span < epochMin {
		return false
	}
	// Will the section still be open when the question arrives?
	section := s.pass.section
	end := s.layout.First(section + 1)
	rate := s.bytesPerSecond(a.sent, span)
	passing := (2*s.advertised() + s.cfg.Lookahead).Seconds() * float64(rate) / float64(s.cfg.BlockSize+s.cfg.Overhead)
	if float64(s.pass.need.CountRange(next, end-next)) <= passing {
		if a.sectionFirst > a.from && a.sectionSent >= enough { // a section has ended in this epoch
			a.wait(s, false, a.sectionFirst, a.sectionSent, a.spent+a.sectionAt.Sub(a.began))
		}
		return false
	}
	if now < a.entered.Add(2*s.advertised()) {
		return false // receivers that have a timer running for the section before do not listen
	}
	bitmap := block.NAKBytes(s.layout.SectionBlocks(section)) + answerAround
	share := answerShare
	if a.law.Climbing() {
		share = answerFirst
	}
	if span.Seconds() < float64(s.unfinished())*float64(bitmap*share)/float64(max(rate, 1)) {
		return false
	}
	a.section, a.asking, a.goneLast = section, a.from, a.gone
	a.question++
	a.answers = 0
	a.wait(s, true, next, a.sent, span)
	s.queue(round{fn: wire.FuncDone, bare: true, probe: true})
	return true
}

// awaitAnswers judges the epoch when all answers are there, no more are to come, or they
// leave no doubt.
func (a *adaptState) awaitAnswers(s *Sender, now clock.Time, next int) {
	if !a.asked && a.sectionFirst > a.upTo {
		a.upTo, a.counted, a.span = a.sectionFirst, a.sectionSent, a.spent+a.sectionAt.Sub(a.began)
	}
	e := cc.Epoch{Sent: a.counted, Lost: a.lost, Asked: a.asked, Receivers: s.unfinished()}
	if a.asked {
		e.Answered = a.answers
	}
	if now < a.due && !(a.asked && a.answers >= s.unfinished()) && !a.law.TooMuch(e) {
		return
	}
	e.Rate = s.bytesPerSecond(a.counted, a.span)
	a.waits = false
	a.judge(s, now, e)
	a.open(now, next)
}

// wait ends the epoch at block upTo, of which sent blocks have gone in a time of span.
func (a *adaptState) wait(s *Sender, asked bool, upTo, sent int, span time.Duration) {
	a.waits, a.asked, a.upTo = true, asked, upTo
	a.counted, a.span = sent, span
	a.left = s.pass.inFlight
	a.soonest, a.due, a.gone = s.last.Add(s.advertised()), clock.Never, s.last
	if a.left == 0 {
		a.leave(s, s.last)
	}
}

// leave notes that the question has left, and all data before it.
func (a *adaptState) leave(s *Sender, now clock.Time) {
	a.left, a.gone = 0, now
	a.due = now.Add(s.answerTime())
}

// departed takes the departure of trains.
func (a *adaptState) departed(s *Sender, now clock.Time, trains int) {
	a.drains = max(a.drains-trains, 0)
	if a.left == 0 {
		return
	}
	if a.left -= trains; a.left <= 0 {
		a.leave(s, now)
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
// the first since then for that section, of somebody to whom something has come since
// the epoch began. One that comes so late that the section has ended meanwhile still
// tells nothing of its end.
//
// Once the pass is over, DONE has asked. A STATUS that comes when DONE can have been
// answered is that answer, and so is one that lacks all of the epoch, as when the end
// of the pass was lost: they say what is missing, and nothing of the time that the
// question in mid-pass took. Nor does a STATUS of a section that the walk has left:
// receivers send those unasked.
func (a *adaptState) answer(s *Sender, now clock.Time, from netip.AddrPort, i, section int, bitmap []byte) bool {
	c := s.roster.At(i)
	switch {
	case !a.on || section != a.section || c.answered == a.question || now < a.soonest || !s.fromClient(from, c):
		return false
	case !s.pass.walking && (now >= a.due || now >= s.pass.asked.Add(s.advertised())):
		return false
	}
	sending := s.sending(section)
	first := s.layout.First(section)
	most := min(a.upTo-first, s.layout.SectionBlocks(section))
	n := block.LastUnnamed(bitmap, most) + 1
	if first+n <= a.asking {
		// The answer to an earlier question, or all of the epoch is lost.
		switch {
		case !s.pass.walking:
			return false
		case sending && c.answered != 0 && c.answered+1 == a.question:
			n = most // it has answered the earlier one
		default:
			if a.goneLast > 0 && sending {
				s.answeredLate(c, now.Sub(a.goneLast))
			}
			return !sending
		}
	}
	c.answered = a.question
	a.answers++
	a.count(s, from, i, section, bitmap, n)
	s.pass.need.Merge(bitmap, first, n)
	if a.left == 0 && sending {
		s.answeredLate(c, now.Sub(a.gone))
	}
	s.pollNow = true
	return true
}

// answeredLate has the GRTT grow if an answer took so long that queues must be in its way, that
// were not when the round trip was measured: everybody's patience depends on it.
func (s *Sender) answeredLate(c *client, took time.Duration) {
	if rtt := took - s.advertised(); rtt > s.advertised() {
		c.sample = s.grtt.Measure(rtt)
		s.updateGRTT()
		s.adapt.queues = true
	}
}

// count counts what client i has lost in the present epoch, by the first n blocks of a
// section's bitmap, once for each section.
func (a *adaptState) count(s *Sender, from netip.AddrPort, i, section int, bitmap []byte, n int) {
	c := s.roster.At(i)
	if !a.on || !s.fromClient(from, c) {
		return
	}
	if c.epoch != a.epoch {
		c.epoch, c.lost, c.lostIn = a.epoch, 0, -1
	}
	first := s.layout.First(section)
	lo, hi := max(a.from-first, 0), n
	if a.waits {
		hi = min(a.upTo-first, n)
	}
	lo = (lo + 7) &^ 7 // in whole bytes of the bitmap: up to 7 blocks do not count
	if lo >= hi || c.lostIn == section {
		return
	}
	c.lostIn = section
	c.lost += a.walked.CountNamed(bitmap[lo/8:], first+lo, hi-lo)
	a.lost = max(a.lost, c.lost)
}

// judge has the law learn from an epoch and starts the next one.
func (a *adaptState) judge(s *Sender, now clock.Time, e cc.Epoch) {
	before := a.law.Rate()
	e.Idle = e.Idle || a.queues
	e.Receivers = s.unfinished()
	if a.law.Update(e) {
		a.drains = s.pass.inFlight
		a.law.Accept(min(s.cfg.Adapt.MaxLoss, DefaultMaxLoss))
	}
	a.next(now)
	if rate := a.law.Rate(); rate != before {
		patience := s.patience()
		s.interval = packetInterval(&s.cfg, rate)
		s.setCode()
		s.sayLonger(patience)
		s.pass.setRate(&s.cfg, rate)
		s.report(RateChanged{Rate: rate, Loss: float64(e.Lost) / float64(e.Sent)})
	}
}

// next begins an epoch that nothing is known of.
func (a *adaptState) next(now clock.Time) {
	a.epoch++
	a.opened = now
	a.sent, a.lost, a.spent, a.queues = 0, 0, 0, false
}

// bytesPerSecond is the rate of so many full blocks in a time, with their headers.
func (s *Sender) bytesPerSecond(blocks int, d time.Duration) int64 {
	return int64(float64(blocks) * float64(s.cfg.BlockSize+s.cfg.Overhead) / max(d.Seconds(), 1e-9))
}
