package engine

import (
	"time"

	"uftp/engine/clock"
	"uftp/engine/disk"
	"uftp/engine/machine"
	"uftp/engine/receiver"
	"uftp/engine/ring"
	"uftp/engine/sender"
	"uftp/engine/tap"
)

// How many reports may wait for a slow Reporter before unimportant ones are lost,
// and before all are.
const (
	reportQueueMax = 8192
	resultQueueMax = 16 * reportQueueMax
)

// wall is the clock of one run: the wall time at its start, moved on by the
// monotonic clock.
type wall struct {
	start time.Time
	base  clock.Time
	set   time.Duration // by how much the system's clock was set since; only time touches it

	// shortSleep sleeps for less than a few milliseconds, more exactly than timers do.
	shortSleep func(time.Duration)
}

// setMin is the least difference that counts as a clock that was set. The two clocks are
// read one after the other, which makes small differences.
const setMin = 100 * time.Millisecond

func newWall() wall {
	now := time.Now()
	return wall{start: now, base: clock.Time(now.UnixNano()), shortSleep: shortSleep}
}

func (w *wall) now() clock.Time { return w.at(time.Now()) }

func (w *wall) at(now time.Time) clock.Time { return w.base.Add(now.Sub(w.start)) }

// time returns t as the system's clock counts now, for people and files: a daemon may
// be started before the clock of its host is right, and run for years. The monotonic
// reading stays, for differences. Two goroutines must not call it at the same time.
func (w *wall) time(t clock.Time) time.Time {
	now := time.Now()
	return w.timeAt(t, w.at(now), now)
}

// timeAt is time, given what both clocks show now.
func (w *wall) timeAt(t, at clock.Time, now time.Time) time.Time {
	noise := now.Round(0).Sub(w.start.Round(0)) - at.Sub(w.base) - w.set
	if noise.Abs() >= setMin {
		w.set += noise
		noise = 0
	}
	return now.Add(t.Sub(at) - noise)
}

// timed is one report on its way.
type timed struct {
	at time.Time
	ev machine.Event
}

// reports carries events to the Reporter, in order, on a goroutine of its own.
type reports struct {
	box     *ring.Mailbox[timed]
	lost    int64 // reported with the next event that fits; the core's
	lostAll int64
	quit    chan struct{}
	done    chan struct{}
}

func newReports(fn Reporter) *reports {
	wake := make(chan struct{}, 1)
	r := &reports{box: ring.NewMailbox[timed](wake), quit: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(r.done)
		for {
			items := r.box.Take()
			for _, it := range items {
				fn(it.at, it.ev)
			}
			if len(items) > 0 {
				continue
			}
			select {
			case <-wake:
			case <-r.quit:
				// What was put before close is still reported.
				for _, it := range r.box.Take() {
					fn(it.at, it.ev)
				}
				return
			}
		}
	}()
	return r
}

// put hands an event on. Only the core calls it.
func (r *reports) put(at time.Time, ev machine.Event) {
	if n := r.box.Size(); n >= reportQueueMax && (n >= resultQueueMax || !result(ev)) {
		r.lost++
		r.lostAll++
		return
	}
	if r.lost > 0 {
		r.box.Put(timed{at, Lost{r.lost}})
		r.lost = 0
	}
	r.box.Put(timed{at, ev})
}

// close waits until all events are reported, or the time is over.
func (r *reports) close(end *ending) {
	close(r.quit)
	end.await(r.done)
}

// result reports whether ev is an outcome. Outcomes are the last to be lost.
func result(ev machine.Event) bool {
	switch ev.(type) {
	case sender.Connected, sender.FileStarted, sender.FileEnded, sender.SessionEnded, sender.ClientLost,
		receiver.SessionStarted, receiver.FileEnded, receiver.SessionEnded, receiver.Refused, receiver.Keyed, receiver.HaveKey,
		Opened, Offered, Stored, Moved, SourceFailed, NotTried, Skipped, tap.Failed, tap.Lost, disk.Lag, LeftBehind, Losses, SendStopped, ReceiveStopped:
		return true
	}
	return false
}

// dropTable counts refused datagrams and reports the counts at most once a second.
type dropTable struct {
	count, reported [machine.NumDrops]int64
	next            clock.Time
	dirty           bool
}

func (d *dropTable) add(r machine.Drop) {
	// Repeated blocks are normal: a repair serves many receivers at once.
	if r != machine.DropNone && r != machine.DropDuplicate {
		d.count[r]++
		d.dirty = true
	}
}

func (d *dropTable) report(now clock.Time, put func(machine.Event)) {
	if !d.dirty || now < d.next {
		return
	}
	d.dirty, d.next = false, now.Add(time.Second)
	for r, n := range d.count {
		if n != d.reported[r] {
			put(Dropped{machine.Drop(r), n - d.reported[r]})
			d.reported[r] = n
		}
	}
}
