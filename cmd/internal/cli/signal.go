package cli

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// KeepPipes makes writing to a pipe that nobody reads any more an error like any other:
// it would end the program without a word. SIGPIPE is taken and forgotten. It is not
// ignored outright, because programs we start would inherit that.
func KeepPipes() { signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) }

// OnSignal returns a context that ends at the first signal that asks for an end: SIGINT,
// SIGTERM, SIGQUIT, or SIGHUP, the terminal is gone. told is called with its number. A
// second one ends the process at once, unless either is a SIGHUP: terminals and shells
// both send one. SIGHUP and SIGQUIT that whoever started us ignores (nohup) stay
// ignored. It includes [KeepPipes].
func OnSignal(told func(at time.Time, number int)) (ctx context.Context, stop func()) {
	return onSignals(told, syscall.SIGHUP)
}

// OnStop is [OnSignal] for a program to which SIGHUP means something else.
func OnStop(told func(at time.Time, number int)) (ctx context.Context, stop func()) {
	return onSignals(told)
}

func onSignals(told func(at time.Time, number int), more ...os.Signal) (ctx context.Context, stop func()) {
	KeepPipes()
	ctx, cancel := context.WithCancel(context.Background())
	ch := make(chan os.Signal, 8)
	quit := make(chan struct{})
	signal.Notify(ch, os.Interrupt, syscall.SIGTERM)
	for _, sig := range append(more, syscall.SIGQUIT) {
		if !signal.Ignored(sig) {
			signal.Notify(ch, sig)
		}
	}
	go func() {
		ended, hurried := false, false
		for {
			select {
			case <-quit:
				return
			case sig := <-ch:
				n, _ := sig.(syscall.Signal)
				if n != syscall.SIGHUP {
					if hurried {
						os.Exit(ExitSignal)
					}
					hurried = true
				}
				if !ended {
					ended = true
					told(time.Now(), int(n))
					cancel()
				}
			}
		}
	}()
	return ctx, func() {
		signal.Stop(ch)
		close(quit)
		cancel()
	}
}
