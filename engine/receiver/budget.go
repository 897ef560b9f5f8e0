package receiver

import (
	"time"

	"uftp/engine/cc"
	"uftp/engine/clock"
)

// Limits of the work that strangers can cause before they have proved anything.
const (
	// Answers to ANNOUNCEs of sessions that are not taken, and reports of them, a second.
	// Nothing is kept of such sessions, so nothing else limits them.
	refusalRate  = 100
	refusalBurst = 630 * time.Millisecond // so 64 at once

	// Public-key work in µs a second. A flood of ANNOUNCEs or of bad signatures must not
	// stop the sessions that are under way.
	announceWork = 250_000 // for ANNOUNCEs
	failWork     = 200_000 // for wrong signatures, all sessions together
	farFailWork  = 50_000  // for those among them from addresses that are not the sender's
	workBurst    = 100_000 // µs
)

// setWork limits b to rate µs of public-key work a second, and to workBurst at once.
func setWork(b *cc.Bucket, rate int64) { b.SetRate(rate, workBurst*time.Second/time.Duration(rate)) }

// failBudget limits the time spent on wrong signatures in one session, since anybody can make
// us verify rubbish. Right ones cost no budget.
type failBudget struct {
	all cc.Bucket
	far cc.Bucket // for those from addresses that are not the sender's, which count in both
}

// allows reports whether there is time to verify one more signature that may be wrong. All
// sessions have equal shares. A debt is a time to wait, which stays as it is when the number of
// sessions changes, so nobody gains by starting or ending some.
func (b *failBudget) allows(now clock.Time, near bool, sessions int) bool {
	setWork(&b.all, max(1, failWork/int64(sessions)))
	setWork(&b.far, max(1, farFailWork/int64(sessions)))
	return b.all.Next(now) <= now && (near || b.far.Next(now) <= now)
}

// book books the µs of a verification that failed.
func (b *failBudget) book(now clock.Time, us int, near bool) {
	b.all.Take(now, us)
	if !near {
		b.far.Take(now, us)
	}
}
