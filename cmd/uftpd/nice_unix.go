//go:build unix && !linux

package main

import "golang.org/x/sys/unix"

// setPriority sets the nice value of the process.
func setPriority(n int) error {
	if n == 0 {
		return nil
	}
	return unix.Setpriority(unix.PRIO_PROCESS, 0, n)
}
