//go:build unix && !linux

package main

import "golang.org/x/sys/unix"

// setPriority adds n to the nice value of the process.
func setPriority(n int) error {
	if n == 0 {
		return nil
	}
	now, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err != nil {
		return err
	}
	n = min(max(n+now, -20), 19)
	return unix.Setpriority(unix.PRIO_PROCESS, 0, n)
}
