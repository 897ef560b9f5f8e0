package main

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// setPriority adds n to the nice value of all threads: on Linux each has its own. New threads
// inherit that of the thread that starts them.
func setPriority(n int) error {
	if n == 0 {
		return nil
	}
	now, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err != nil {
		return err
	}
	n += 20 - now // the kernel returns 20 less the nice value
	n = min(max(n, -20), 19)
	done := map[int]bool{}
	for {
		tasks, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return unix.Setpriority(unix.PRIO_PROCESS, 0, n)
		}
		fresh := false
		for _, t := range tasks {
			id, err := strconv.Atoi(t.Name())
			if err != nil || done[id] {
				continue
			}
			if err := unix.Setpriority(unix.PRIO_PROCESS, id, n); err != nil && err != unix.ESRCH {
				return err
			}
			done[id], fresh = true, true
		}
		if !fresh {
			return nil
		}
	}
}
