//go:build unix

package cli

import (
	"os"
	"os/signal"
	"syscall"
)

// OnBegin returns a channel that gets something when SIGUSR2 comes: the session should
// begin with those that are there. Signals that come faster than they are taken count once.
func OnBegin() <-chan struct{} {
	ch := make(chan os.Signal, 1)
	begin := make(chan struct{}, 1)
	signal.Notify(ch, syscall.SIGUSR2)
	go func() {
		for range ch {
			select {
			case begin <- struct{}{}:
			default:
			}
		}
	}()
	return begin
}
