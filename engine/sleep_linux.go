package engine

import (
	"time"

	"golang.org/x/sys/unix"
)

// shortSleep sleeps for less than a few milliseconds. The runtime's timers round
// up to the millisecond when all is idle; a departure wants better than that.
func shortSleep(d time.Duration) {
	ts := unix.NsecToTimespec(int64(d))
	// An interrupted sleep is short; the caller looks at the clock again.
	_ = unix.Nanosleep(&ts, nil)
}
