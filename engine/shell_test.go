package engine

import (
	"context"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"uftp/engine/machine"
	"uftp/engine/receiver"
	"uftp/engine/sender"
	"uftp/engine/store"
)

// Tests of the shell: what runs around the machines, without sockets and in the time of a
// testing/synctest bubble. Files are real, their time does not count.

// inBubble runs a test in virtual time.
func inBubble(t *testing.T, name string, test func(t *testing.T)) {
	t.Run(name, func(t *testing.T) { synctest.Test(t, test) })
}

// Addresses of the two ends of a link.
var (
	rxAddr = netip.MustParseAddrPort("127.0.0.1:1044")
	txAddr = netip.MustParseAddrPort("127.0.0.1:5000")
)

// newLink returns two sockets that hear each other. What a socket has no room for is
// dropped and counted, as a kernel does it.
func newLink() (rx, tx *fakeConn) {
	rx, tx = newFakeConn(), newFakeConn()
	rx.peer, rx.addr, tx.peer, tx.addr = tx, rxAddr, rx, txAddr
	return rx, tx
}

// newLinked returns the two ends of a link without anybody there.
func newLinked(t *testing.T) *pair {
	rx, tx := newLink()
	return &pair{t: t, dest: t.TempDir(), src: t.TempDir(), done: make(chan error, 1), port: rxAddr.Port(), rx: rx, tx: tx}
}

// receiveAside runs a receiver on one end of the link, as Receive would.
func (p *pair) receiveAside(ctx context.Context, change func(*ReceiveConfig), report Reporter) <-chan error {
	cfg := ReceiveConfig{
		Receiver: receiver.Config{UID: 0x7F000001, MaxSessions: 4},
		Sink:     store.SinkConfig{Dests: []string{p.dest}},
	}
	if change != nil {
		change(&cfg)
	}
	done := make(chan error, 1)
	go func() {
		var err error
		if !supervise(ctx, report, func(report Reporter) {
			var sink *store.Sink
			if sink, err = store.NewSink(cfg.Sink); err == nil {
				err = receiveOn(ctx, cfg, sink, p.rx, report)
			}
		}) {
			done <- nil
			return
		}
		done <- err
	}()
	return done
}

// startLinked is startReceiver on one end of a link. Inside a bubble only.
func startLinked(t *testing.T, change func(*ReceiveConfig)) *pair {
	t.Helper()
	p := newLinked(t)
	ctx, stop := context.WithCancel(context.Background())
	p.stop = stop
	ready := make(chan struct{})
	done := p.receiveAside(ctx, func(cfg *ReceiveConfig) {
		if change != nil {
			change(cfg)
		}
		cfg.Ready = func() { close(ready) }
	}, p.report)
	t.Cleanup(func() { stop(); p.wait() })
	select {
	case <-ready:
	case err := <-done:
		t.Fatal(err)
	}
	go func() { p.done <- <-done }()
	return p
}

// send runs a sender on the other end of the link, as Send would. Without report it
// collects the events.
func (p *pair) send(ctx context.Context, cfg SendConfig, report Reporter) (res SendResult, events []machine.Event) {
	cfg.shortSleep = time.Sleep
	var err error
	var hung SendResult
	if report == nil {
		report = func(_ time.Time, ev machine.Event) { events = append(events, ev) }
	}
	if !supervise(ctx, report, func(report Reporter) { res, err = sendOn(ctx, cfg, p.tx, report) }) {
		hung.Exit = sender.ExitSignal
		return hung, nil
	}
	if err != nil {
		p.t.Error(err)
	}
	return res, events
}

// sendAside is send on a goroutine of its own.
func (p *pair) sendAside(ctx context.Context, cfg SendConfig, report Reporter) <-chan SendResult {
	done := make(chan SendResult, 1)
	go func() {
		res, _ := p.send(ctx, cfg, report)
		done <- res
	}()
	return done
}

// onData calls f before the first data that the sender sends.
func (p *pair) onData(f func()) {
	p.tx.first = f
}

// newEnding returns a deadline that runs.
func newEnding() *ending {
	e := new(ending)
	e.begin()
	return e
}
