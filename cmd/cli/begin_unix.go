//go:build unix

package cli

import (
	"os"
	"os/signal"
	"syscall"
)

// OnBegin returns a channel that receives a value at SIGUSR2: the session should begin with the
// receivers that have registered. Signals that arrive before the value is read count once.
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
