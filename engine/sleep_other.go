//go:build !linux

package engine

import "time"

// shortSleep sleeps for less than a few milliseconds.
func shortSleep(d time.Duration) { time.Sleep(d) }
