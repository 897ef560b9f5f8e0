package engine

import (
	"net/netip"
	"sync"
	"time"

	"uftp/engine/clock"
	"uftp/engine/machine"
	"uftp/engine/netio"
	"uftp/engine/ring"
	"uftp/engine/tap"
	"uftp/pcap"
)

// host is what every role needs around its machine: a clock, a place to sleep, reports,
// and an end. A role embeds it, adds its machine and its stages, and carries out what the
// machine wants. A run goes like this:
//
//  1. newHost, then capture; on an error finish, which also ends what has only begun;
//  2. run for each goroutine of the run;
//  3. turns of the core: hand in what came, call due, poll the machine, and, when there
//     was nothing to do, sleep for as long as idle says;
//  4. stop when the run was cancelled, finish at its end.
//
// The core goroutine owns all fields, but notes takes events from everybody, and wall.now
// and conn are for all.
type host struct {
	wall    wall
	conn    netio.Conn
	began   clock.Time
	ended   clock.Time // when the goroutines had ended; Never before that
	trace   bool       // report every datagram
	reports *reports
	notes   *ring.Mailbox[machine.Event] // what other goroutines have to report
	drops   dropTable
	losses  lossMeter
	tap     *tap.Tap // nil: nothing is captured

	wake  chan struct{} // the core sleeps here
	timer *time.Timer

	tick              time.Duration // between two reports of stats; 0 = never
	nextTick          clock.Time
	stats             func() machine.Event // for a tick
	inGauge, outGauge gauge
	running           bool // a session is

	quit   chan struct{}  // closed when the run is over
	wg     sync.WaitGroup // all goroutines of the run
	killAt clock.Time     // after a signal: when to close the socket, whatever waits to leave
	end    ending
}

func newHost(w wall, conn netio.Conn, net netio.Config, tick time.Duration, trace bool, report Reporter) *host {
	if report == nil {
		report = func(time.Time, machine.Event) {}
	}
	h := &host{
		wall: w, conn: conn, began: w.now(), ended: clock.Never, tick: tick, trace: trace, killAt: clock.Never,
		reports: newReports(report),
		losses:  newLossMeter(conn, net),
		wake:    make(chan struct{}, 1),
		timer:   time.NewTimer(time.Hour),
		quit:    make(chan struct{}),
	}
	h.notes = ring.NewMailbox[machine.Event](h.wake)
	return h
}

// capture opens the capture, if there should be one. It returns the lanes for what comes
// in and what goes out. hold is for tests and may be nil.
func (h *host) capture(cfg tap.Config, net netio.Config, inSize, outSize tap.Size, hold func()) (in, out *tap.Lane, err error) {
	w := h.wall // only one goroutine may ask a wall for the time of day
	h.tap, err = tap.Open(cfg, tap.Host{
		Now: w.now, Time: w.time, Report: h.notes.Put,
		Source: func(to netip.AddrPort) (netip.Addr, error) { return netio.Source(net, to) },
		Port:   h.conn.LocalPort(), TTL: net.TTL,
		Hold: hold,
	})
	if err != nil {
		return nil, nil, err
	}
	in, out = h.tap.Lane(pcap.Inbound, inSize, 0), h.tap.Lane(pcap.Outbound, outSize, net.TOS)
	go h.tap.Run()
	return in, out, nil
}

// run starts a goroutine of the run. It must end soon after quit or conn is closed, or
// else is left behind.
func (h *host) run(f func()) { h.wg.Go(f) }

// put reports an event.
func (h *host) put(ev machine.Event) { h.reports.put(h.wall.time(h.wall.now()), ev) }

// active says whether a session runs. Ticks and losses are reported only while one does.
func (h *host) active(now clock.Time, running bool) {
	h.running = running
	if running {
		h.losses.start(now)
	} else {
		h.losses.next = clock.Never
	}
}

// stop begins the end after a signal. The socket stays open for at most wait, so that the last
// packets of the machine can leave.
func (h *host) stop(now clock.Time, wait time.Duration) {
	h.killAt = now.Add(wait)
	h.end.begin()
}

// due reports what is due, and closes the socket after a stop. Call it each turn, also
// when the core has more to do.
func (h *host) due(now clock.Time) {
	if now >= h.killAt {
		h.killAt = clock.Never
		h.conn.Close()
	}
	h.putNotes()
	h.drops.report(now, h.put)
	h.losses.report(now, h.put)
	h.lookAtRings()
	if h.ticks() && now >= h.nextTick {
		h.nextTick = now.Add(h.tick)
		h.put(h.stats())
	}
}

// ticks reports whether stats are reported from time to time.
func (h *host) ticks() bool { return h.tick > 0 && h.running }

func (h *host) putNotes() {
	for _, ev := range h.notes.Take() {
		h.put(ev)
	}
}

// idle returns how long a core may sleep that has nothing to do before until.
func (h *host) idle(until clock.Time) time.Duration {
	until = clock.Min(until, clock.Min(h.killAt, h.losses.next))
	if h.ticks() {
		until = clock.Min(until, h.nextTick)
	}
	if h.drops.dirty {
		until = clock.Min(until, h.drops.next)
	}
	d := until.Sub(h.wall.now())
	if h.end.begun() {
		d = min(d, h.end.left())
	}
	return d
}

// sleep waits for work, or until something comes from one of the channels, which may be
// nil. It returns true if that was begin.
func (h *host) sleep(d time.Duration, cancelled, begin <-chan struct{}) bool {
	if d <= 0 {
		return false
	}
	h.timer.Reset(d)
	select {
	case <-h.wake:
	case <-h.timer.C:
	case <-cancelled:
	case <-begin:
		return true
	}
	h.lookAtRings() // before the core empties what has woken it
	return false
}

// finish ends the run, whatever hangs (see stop.go): goroutines, capture and reports, one
// after the other because each has something to say to the next. last is called when all
// goroutines have ended, on one of its own, for it may hang as well. final is called by the
// core, for the last reports. Both may be nil. hangs names what probably hangs if the
// goroutines do not end.
func (h *host) finish(hangs string, last, final func()) {
	h.end.begin()
	close(h.quit)
	h.conn.Close()
	if !h.end.await(ended(last, &h.wg)) {
		h.put(LeftBehind{hangs})
	}
	h.ended = h.wall.now()
	h.drops.next = 0
	h.drops.report(h.wall.now(), h.put)
	h.losses.look(h.put)
	h.tap.Close(h.end.await)
	h.putNotes()
	if final != nil {
		final()
	}
	h.reports.close(&h.end)
}
