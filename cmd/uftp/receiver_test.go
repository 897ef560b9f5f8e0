package main

import (
	"context"
	"os"
	"strconv"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"uftp/engine"
	"uftp/engine/machine"
	"uftp/engine/netio"
	"uftp/engine/receiver"
	"uftp/engine/store"
)

// startReceiver runs a receiver on the loopback until the end of the script, and puts
// its port into PORT. It writes received files to dest.
func startReceiver(ts *testscript.TestScript, _ bool, _ []string) {
	dest := ts.MkAbs("dest")
	ts.Check(os.MkdirAll(dest, 0o755))
	ctx, stop := context.WithCancel(context.Background())
	port, done := make(chan uint16, 1), make(chan error, 1)
	go func() {
		done <- engine.Receive(ctx, engine.ReceiveConfig{
			Receiver: receiver.Config{UID: 0x7F000001, MaxSessions: 4},
			Net:      netio.Config{RcvBuf: 1 << 20, SndBuf: 1 << 20},
			Sink:     store.SinkConfig{Dests: []string{dest}},
		}, func(_ time.Time, ev machine.Event) {
			if o, ok := ev.(engine.Opened); ok {
				port <- o.Port
			}
		})
	}()
	ts.Defer(func() {
		stop()
		if err := <-done; err != nil {
			ts.Logf("receiver: %v", err)
		}
	})
	select {
	case p := <-port:
		ts.Setenv("PORT", strconv.Itoa(int(p)))
	case err := <-done:
		done <- err
		ts.Check(err)
	}
}
