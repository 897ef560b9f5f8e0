package cli

import (
	"errors"

	"golang.org/x/sys/unix"
)

// NoCores keeps this process out of core files, which would hold its keys, and
// from being looked into by other programs of its user. Programs it starts inherit
// the soft limit only, which they may raise again.
func NoCores() error {
	var limit unix.Rlimit
	err := unix.Getrlimit(unix.RLIMIT_CORE, &limit)
	if err == nil {
		limit.Cur = 0
		err = unix.Setrlimit(unix.RLIMIT_CORE, &limit)
	}
	// The limit does not count where the system hands dumps to a program.
	return errors.Join(err, unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0))
}
