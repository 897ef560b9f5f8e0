//go:build !windows

package cli

import (
	"context"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// TestSignalWhileTheLogHangs: a signal ends the context even if it cannot be logged, and a second
// one ends the process.
func TestSignalWhileTheLogHangs(t *testing.T) {
	exited := make(chan struct{}, 2)
	free := make(chan struct{})
	defer close(free)
	ctx, stop := onSignals(func(time.Time, int) { <-free }, time.Hour, func() { exited <- struct{}{} })
	defer stop()
	kill := func() {
		if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
	}
	kill()
	select {
	case <-ctx.Done():
	case <-time.After(time.Minute):
		t.Fatal("the first signal does not end the context")
	}
	kill()
	select {
	case <-exited:
	case <-time.After(time.Minute):
		t.Fatal("the second signal does not end the process")
	}
}

// TestSignalIsLast: a program that hangs after a signal, wherever that may be, exits.
func TestSignalIsLast(t *testing.T) {
	const wait = 100 * time.Millisecond
	began := time.Now()
	exited := make(chan time.Duration, 1)
	ctx, stop := onSignals(func(time.Time, int) {}, wait, func() { exited <- time.Since(began) })
	if err := syscall.Kill(os.Getpid(), syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	<-ctx.Done()
	if err := context.Cause(ctx); err != context.Canceled {
		t.Fatal(err)
	}
	stop() // the program goes on to close its files, and hangs there
	select {
	case d := <-exited:
		if d < wait {
			t.Errorf("exits after %v, want time to end by itself", d)
		}
	case <-time.After(time.Minute):
		t.Fatal("the process does not exit")
	}
}

// TestSignalIsLoggedBeforeTheEnd: a program that ends before the line about a signal is written
// waits for that line, and a second SIGHUP does not end it at once.
func TestSignalIsLoggedBeforeTheEnd(t *testing.T) {
	if signal.Ignored(syscall.SIGHUP) { // under nohup; caught once, it comes
		signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	}
	begun, free := make(chan struct{}), make(chan struct{})
	var reported, exited atomic.Bool
	_, stop := onSignals(func(time.Time, int) {
		close(begun)
		<-free
		reported.Store(true)
	}, time.Hour, func() { exited.Store(true) }, syscall.SIGHUP)
	hangUp := func() {
		if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	hangUp()
	<-begun
	close(free)
	began := time.Now()
	stop()
	if !reported.Load() && time.Since(began) < lateWait {
		t.Error("stop returns before the signal is reported")
	}
	hangUp() // ends the test program unless it is still taken
	if exited.Load() {
		t.Error("the second SIGHUP ends the program")
	}
}
