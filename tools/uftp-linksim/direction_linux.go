package main

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"uftp/engine/clock"
	"uftp/tools/internal/link"
)

// How a frame crosses (run):
//
//  1. receive  frames that have come to one interface, up to rxBatch.
//  2. cut      super-frames into the frames that a line would carry.
//  3. decide   each link behind the interface decides when and how the frame arrives
//              at its end; the frame is copied into a slot, its copy into another.
//  4. wait     slots lie in the queues; ppoll sleeps until the first is due or a
//              frame comes.
//  5. send     frames that are due leave in one sendmmsg a link; slots are free again.
//
// Every direction runs on a thread of its own; they share nothing but the files
// behind the interfaces. Slots, queues and message headers are made before the first
// frame.

const (
	idleMax      = 50 * time.Millisecond // how long a stop goes unnoticed
	publishEvery = 20 * time.Millisecond
	slackNs      = 1 // timer slack of the thread
	tagRoom      = 2 * tagLen
)

// timer is the clock of both directions. It starts at the time of day and never jumps.
type timer struct {
	began time.Time
	start clock.Time
}

func newTimer() timer {
	now := time.Now()
	return timer{began: now, start: clock.Time(now.UnixNano())}
}

func (t timer) now() clock.Time { return t.start.Add(time.Since(t.began)) }

// direction carries frames from one port to one or several others. To each it has a link.
type direction struct {
	from  *port
	legs  []*leg
	timer timer
	stop  *atomic.Bool

	slots    []byte // slot i at i*slotSize: header and frame
	slotSize int
	lens     []int32 // of the header and frame in a slot
	free     []int32 // slots, the one used last on top: it may still be in a cache
	cutter   cutter

	mu        sync.Mutex
	shared    []counters // of the legs, for others
	published clock.Time

	poll    [1]unix.PollFd
	timeout unix.Timespec
}

// leg is the way from a direction's start to one of its ends.
type leg struct {
	to    *port
	link  *link.Link
	log   *frameLog
	due   clock.Queue[int32] // slots of frames under way
	batch [txBatch]int32     // slots of a batch
	tx    txSide
	n     counters
}

func newLeg(to *port, l *link.Link, log *frameLog) *leg {
	g := &leg{to: to, link: l, log: log}
	g.tx.link()
	return g
}

func newDirection(from *port, legs []*leg, t timer, memory int, stop *atomic.Bool) *direction {
	d := &direction{from: from, legs: legs, timer: t, stop: stop, shared: make([]counters, len(legs))}
	mtu := from.mtu
	for _, g := range legs {
		mtu = max(mtu, g.to.mtu)
	}
	d.slotSize = vnetLen + 14 + tagRoom + mtu
	count := max(memory/d.slotSize, 2)
	d.slots = make([]byte, count*d.slotSize)
	d.lens = make([]int32, count)
	d.free = make([]int32, count)
	for i := range d.free {
		d.free[i] = int32(count - 1 - i)
	}
	for _, g := range legs {
		g.due = clock.NewQueue[int32](count)
	}
	d.poll[0] = unix.PollFd{Fd: int32(from.fd), Events: unix.POLLIN}
	return d
}

// counters returns a recent state of a leg, from any goroutine.
func (d *direction) counters(leg int) counters {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.shared[leg]
}

// publish copies the counters for other goroutines and writes the logs.
func (d *direction) publish(now clock.Time) error {
	d.published = now
	drops := d.from.kernelDrops() // on the way to all legs
	for _, g := range d.legs {
		g.n.Counters = g.link.Counters()
		g.n.InFlight = g.due.Len()
		g.n.KernelDrops += drops
	}
	d.mu.Lock()
	for i, g := range d.legs {
		d.shared[i] = g.n
	}
	d.mu.Unlock()
	for _, g := range d.legs {
		if err := g.log.flush(); err != nil {
			return &logError{err}
		}
	}
	return nil
}

// run carries frames until stop, or until an interface is gone.
func (d *direction) run() error {
	runtime.LockOSThread() // the timer slack is the thread's
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, slackNs, 0, 0, 0); err != nil {
		return fmt.Errorf("timer slack: %w", err)
	}
	full := false
	for !d.stop.Load() {
		now := d.timer.now()
		if now.Sub(d.published) >= publishEvery {
			if err := d.publish(now); err != nil {
				return err
			}
		}
		if err := d.forward(now); err != nil {
			return err
		}
		if !full {
			if err := d.wait(); err != nil {
				return err
			}
		}
		n, err := d.from.receive()
		switch {
		case err != nil && gone(err):
			return fmt.Errorf("interface %s is gone: %w", d.from.name, err)
		case err != nil:
			d.unreadable() // ENETDOWN; or a frame for which the kernel makes no header
		}
		full = n == rxBatch
		now = d.timer.now()
		for i := range n {
			d.take(now, i)
		}
	}
	return d.publish(d.timer.now())
}

// next is when the first frame under way is due.
func (d *direction) next() clock.Time {
	first := clock.Never
	for _, g := range d.legs {
		first = min(first, g.due.Next())
	}
	return first
}

// wait sleeps until a frame comes or is due.
func (d *direction) wait() error {
	left := min(idleMax, d.next().Sub(d.timer.now()))
	if left <= 0 {
		return nil
	}
	d.timeout = unix.NsecToTimespec(int64(left))
	d.poll[0].Revents = 0
	_, err := unix.Ppoll(d.poll[:], &d.timeout, nil)
	if err != nil && err != unix.EINTR {
		return fmt.Errorf("ppoll: %w", err)
	}
	if d.poll[0].Revents&(unix.POLLERR|unix.POLLNVAL) != 0 {
		if err := d.from.clearError(); gone(err) {
			return fmt.Errorf("interface %s is gone: %w", d.from.name, err)
		}
		if d.poll[0].Revents&unix.POLLIN == 0 {
			time.Sleep(time.Millisecond) // the interface is down: it comes back or goes away
		}
	}
	return nil
}

// unreadable counts a frame that no leg can carry.
func (d *direction) unreadable() {
	for _, g := range d.legs {
		g.n.Unreadable++
	}
}

// take hands the i-th message received to the links, cut if need be.
func (d *direction) take(now clock.Time, i int) {
	frame, v, ok := d.from.frame(i)
	c := &d.cutter
	if !ok || c.start(frame, v) != nil {
		d.unreadable()
		return
	}
	for ; c.more(); c.step() {
		for _, g := range d.legs {
			d.carry(now, g)
		}
	}
}

// slot takes a free slot; buf is nil if there is none.
func (d *direction) slot() (slot int32, buf []byte) {
	if len(d.free) == 0 {
		return 0, nil
	}
	slot = d.free[len(d.free)-1]
	d.free = d.free[:len(d.free)-1]
	return slot, d.buf(slot)
}

func (d *direction) buf(slot int32) []byte {
	return d.slots[int(slot)*d.slotSize:][:d.slotSize]
}

// carry asks the link of a leg about the present frame of the cutter, and queues it.
func (d *direction) carry(now clock.Time, g *leg) {
	n := d.cutter.length()
	if vnetLen+n > d.slotSize {
		g.n.TooLong++
		return
	}
	f := g.link.Carry(now, n)
	g.log.frame(d.timer.start, now, n, &f)
	if f.Cause != link.Passed {
		return
	}
	slot, buf := d.slot()
	if buf == nil {
		g.n.NoMemory++
		return
	}
	frame := buf[vnetLen:][:n]
	v := d.cutter.cut(frame)
	if f.Damage != 0 {
		v = finish(frame, v)
		link.Damage(frame, f.Damage)
	}
	putVnet(buf, v)
	d.lens[slot] = int32(vnetLen + n)
	g.due.Push(f.At, slot)
	if f.Copy > 0 {
		twin, to := d.slot()
		if to == nil {
			g.n.NoMemory++
			return
		}
		copy(to, buf[:vnetLen+n])
		d.lens[twin] = int32(vnetLen + n)
		g.due.Push(f.Copy, twin)
	}
}

// forward sends all frames that are due.
func (d *direction) forward(now clock.Time) error {
	for _, g := range d.legs {
		for g.due.Next() <= now {
			if err := d.sendBatch(now, g); err != nil {
				return err
			}
		}
	}
	return nil
}

// sendBatch sends up to txBatch frames that are due to one end.
func (d *direction) sendBatch(now clock.Time, g *leg) error {
	g.n.LateMax = max(g.n.LateMax, now.Sub(g.due.Next()))
	n := 0
	for n < txBatch && g.due.Next() <= now {
		_, slot := g.due.Pop()
		g.batch[n] = slot
		g.tx.load(n, d.buf(slot)[:d.lens[slot]])
		n++
	}
	for sent := 0; sent < n; {
		took, err := g.to.send(&g.tx, sent, n)
		g.n.Sent += uint64(took)
		sent += took
		switch {
		case err == nil:
			continue
		case gone(err):
			return fmt.Errorf("interface %s is gone: %w", g.to.name, err)
		case err == unix.EMSGSIZE:
			g.n.TooLong++
		default:
			g.n.SendErrors++
		}
		sent++
	}
	d.free = append(d.free, g.batch[:n]...)
	return nil
}
