package cli

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"
)

const (
	// exitWait bounds the time from a signal to the end of the program, whatever hangs. The engine
	// returns within engine.StopLimit; the rest is for closing files.
	exitWait = 12 * time.Second
	// loggedWait is how long the log line about a signal may delay the end of the session, lateWait
	// how long it may delay the end of the program.
	loggedWait = time.Second
	lateWait   = 500 * time.Millisecond
)

func exitNow() { os.Exit(ExitSignal) }

// KeepPipes makes a write to a closed pipe an error like any other; without it SIGPIPE would end
// the program silently. It catches SIGPIPE rather than ignoring it, because programs that we start
// would inherit an ignored signal.
func KeepPipes() { signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) }

// OnSignal returns a context that ends at the first SIGINT, SIGTERM, SIGQUIT or SIGHUP (the
// terminal was closed). It calls log with the signal's number. It includes [KeepPipes].
//
// A second signal ends the process at once, unless one of the two is a SIGHUP, which terminals and
// shells both send. The process also ends exitWait after the first signal: it then hangs in a disk,
// or in writing to a program that does not read. Calling stop after a signal does not change this,
// because the work after it can hang too; stop then waits a moment for log. A SIGHUP that our
// parent process ignores (nohup) stays ignored.
func OnSignal(log func(at time.Time, number int)) (ctx context.Context, stop func()) {
	return onSignals(log, exitWait, exitNow, syscall.SIGHUP)
}

// OnStop is [OnSignal] for a program that uses SIGHUP otherwise.
func OnStop(log func(at time.Time, number int)) (ctx context.Context, stop func()) {
	return onSignals(log, exitWait, exitNow)
}

func onSignals(log func(at time.Time, number int), wait time.Duration, exit func(), more ...os.Signal) (ctx context.Context, stop func()) {
	KeepPipes()
	ctx, cancel := context.WithCancel(context.Background())
	ch := make(chan os.Signal, 8)
	quit, first, logged := make(chan struct{}), make(chan struct{}), make(chan struct{})
	signal.Notify(ch, os.Interrupt, syscall.SIGTERM)
	for _, sig := range append(more, syscall.SIGQUIT) {
		if !signal.Ignored(sig) {
			signal.Notify(ch, sig)
		}
	}
	go func() {
		ended, urgent := false, false
		for {
			select {
			case <-quit:
				return
			case sig := <-ch:
				n, _ := sig.(syscall.Signal)
				if n != syscall.SIGHUP {
					if urgent {
						exit()
						return
					}
					urgent = true
				}
				if ended {
					continue
				}
				ended = true
				close(first)
				time.AfterFunc(wait, exit)
				// The line about the signal comes before its consequences, unless the log hangs.
				go func() {
					defer cancel()
					go func() {
						log(time.Now(), int(n))
						close(logged)
					}()
					select {
					case <-logged:
					case <-time.After(loggedWait):
					}
				}()
			}
		}
	}()
	return ctx, func() {
		select {
		case <-first:
			select {
			case <-logged:
			case <-time.After(lateWait):
			}
		default:
			signal.Stop(ch)
			close(quit)
		}
		cancel()
	}
}
