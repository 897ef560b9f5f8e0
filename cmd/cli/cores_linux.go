package cli

import (
	"errors"

	"golang.org/x/sys/unix"
)

// NoCores keeps this process out of core files, which would contain its keys, and keeps other
// programs of its user from reading its memory. Programs that it starts inherit only the soft
// limit, which they may raise.
func NoCores() error {
	var limit unix.Rlimit
	err := unix.Getrlimit(unix.RLIMIT_CORE, &limit)
	if err == nil {
		limit.Cur = 0
		err = unix.Setrlimit(unix.RLIMIT_CORE, &limit)
	}
	// The limit has no effect where the system gives dumps to a program.
	return errors.Join(err, unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0))
}
