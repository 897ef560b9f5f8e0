package cli

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// OnSignal returns a context that the first SIGINT or SIGTERM ends, after told was
// called with its number; the second ends the process at once. SIGPIPE is taken and
// forgotten: a reader of our output that goes away must not end a session. It is
// not ignored outright, because programs we start would inherit that.
func OnSignal(told func(at time.Time, number int)) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ch := make(chan os.Signal, 8)
	quit := make(chan struct{})
	signal.Notify(ch, os.Interrupt, syscall.SIGTERM, syscall.SIGPIPE)
	go func() {
		seen := false
		for {
			select {
			case <-quit:
				return
			case sig := <-ch:
				n, _ := sig.(syscall.Signal)
				switch {
				case n == syscall.SIGPIPE:
					continue
				case seen:
					os.Exit(ExitSignal)
				}
				seen = true
				told(time.Now(), int(n))
				cancel()
			}
		}
	}()
	return ctx, func() {
		signal.Stop(ch)
		close(quit)
		cancel()
	}
}
