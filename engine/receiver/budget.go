package receiver

import (
	"time"

	"uftp/engine/cc"
)

// Limits of what strangers can make this host do before they have proved anything.
const (
	// Answers to ANNOUNCEs of sessions that are not taken, and reports of them, a second.
	// Nothing is kept of such sessions, so nothing else limits these.
	refusalRate  = 100
	refusalBurst = 630 * time.Millisecond // so 64 at once

	// Public-key work in µs a second, so that a flood of ANNOUNCEs or of bad signatures
	// does not stop the sessions that are under way.
	announceWork = 250_000 // for ANNOUNCEs
	failWork     = 200_000 // for signatures that are wrong, of all sessions together
	farFailWork  = 50_000  // for those of them from other addresses than the session's
	workBurst    = 100_000 // µs
)

// setWork makes b allow so much public-key work.
func setWork(b *cc.Bucket, rate int64) { b.SetRate(rate, workBurst*time.Second/time.Duration(rate)) }
