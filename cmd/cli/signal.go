package cli

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"
)

const (
	// exitWait is how long a program may take to end after a signal, whatever hangs: the
	// engine returns within engine.StopLimit, and the rest is for closing what is open.
	exitWait = 12 * time.Second
	// toldWait is how long the line about a signal may hold up the end, lateWait how long
	// the end of the program waits for it.
	toldWait = time.Second
	lateWait = 500 * time.Millisecond
)

func exitNow() { os.Exit(ExitSignal) }

// KeepPipes makes writing to a pipe that nobody reads any more an error like any other:
// it would end the program without a word. SIGPIPE is taken and forgotten. It is not
// ignored outright, because programs we start would inherit that.
func KeepPipes() { signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) }

// OnSignal returns a context that ends at the first signal that asks for an end: SIGINT,
// SIGTERM, SIGQUIT, or SIGHUP, the terminal is gone. told is called with its number. A
// second one ends the process at once, unless either is a SIGHUP: terminals and shells
// both send one. So does the time: a program that has not ended exitWait after the first
// hangs in a disk, or writes to somebody who does not read. After a signal stop changes
// none of that, since what comes after it can hang as well and the same signals still come;
// it waits a moment for told. A SIGHUP that whoever started us ignores (nohup) stays
// ignored. It includes [KeepPipes].
func OnSignal(told func(at time.Time, number int)) (ctx context.Context, stop func()) {
	return onSignals(told, exitWait, exitNow, syscall.SIGHUP)
}

// OnStop is [OnSignal] for a program to which SIGHUP means something else.
func OnStop(told func(at time.Time, number int)) (ctx context.Context, stop func()) {
	return onSignals(told, exitWait, exitNow)
}

func onSignals(told func(at time.Time, number int), wait time.Duration, exit func(), more ...os.Signal) (ctx context.Context, stop func()) {
	KeepPipes()
	ctx, cancel := context.WithCancel(context.Background())
	ch := make(chan os.Signal, 8)
	quit, first, said := make(chan struct{}), make(chan struct{}), make(chan struct{})
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
						exit()
						return
					}
					hurried = true
				}
				if ended {
					continue
				}
				ended = true
				close(first)
				time.AfterFunc(wait, exit)
				// The line about it comes before what it leads to, unless the log hangs.
				go func() {
					defer cancel()
					go func() {
						told(time.Now(), int(n))
						close(said)
					}()
					select {
					case <-said:
					case <-time.After(toldWait):
					}
				}()
			}
		}
	}()
	return ctx, func() {
		select {
		case <-first:
			select {
			case <-said:
			case <-time.After(lateWait):
			}
		default:
			signal.Stop(ch)
			close(quit)
		}
		cancel()
	}
}
