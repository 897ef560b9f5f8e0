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
//  1. receive  recvmmsg on one interface: what has come, up to rxBatch.
//  2. cut      super-frames become the frames that a line would carry.
//  3. decide   the link says when each arrives, and how; the frame is copied into
//              a slot, its copy into another.
//  4. wait     slots lie in the schedule; ppoll sleeps until the first is due or
//              a frame comes.
//  5. send     what is due leaves in one sendmmsg; slots are free again.
//
// Both directions run on threads of their own and share nothing but the sockets.
// Slots, heap and message headers exist before the first frame.

const (
	idleMax      = 50 * time.Millisecond // how long a stop goes unnoticed
	publishEvery = 20 * time.Millisecond
	slackNs      = 1 // timer slack of the thread
	tagRoom      = 2 * tagLen
)

// timer is the one clock of both directions: it starts as the time of day and
// never jumps.
type timer struct {
	began time.Time
	start clock.Time
}

func newTimer() timer {
	now := time.Now()
	return timer{began: now, start: clock.Time(now.UnixNano())}
}

func (t timer) now() clock.Time { return t.start.Add(time.Since(t.began)) }

// direction carries frames from one port to the other.
type direction struct {
	from, to *port
	link     *link.Link
	timer    timer
	log      *frameLog
	stop     *atomic.Bool

	slots    []byte // slot i at i*slotSize: header and frame
	slotSize int
	lens     []int32 // of the header and frame in a slot
	free     []int32 // slots, the one used last on top: it may still be in a cache
	due      *link.Schedule
	batch    [txBatch]int32 // slots of a batch
	cutter   cutter
	n        counters

	mu     sync.Mutex
	shared counters // copy of n for others
	told   clock.Time

	poll    [1]unix.PollFd
	timeout unix.Timespec
}

func newDirection(from, to *port, l *link.Link, t timer, memory int, log *frameLog, stop *atomic.Bool) *direction {
	d := &direction{from: from, to: to, link: l, timer: t, log: log, stop: stop}
	d.slotSize = vnetLen + 14 + tagRoom + max(from.mtu, to.mtu)
	count := max(memory/d.slotSize, 2)
	d.slots = make([]byte, count*d.slotSize)
	d.lens = make([]int32, count)
	d.free = make([]int32, count)
	for i := range d.free {
		d.free[i] = int32(count - 1 - i)
	}
	d.due = link.NewSchedule(count)
	d.poll[0] = unix.PollFd{Fd: int32(from.fd), Events: unix.POLLIN}
	return d
}

// counters returns a recent state, from any goroutine.
func (d *direction) counters() counters {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.shared
}

func (d *direction) publish(now clock.Time) {
	d.told = now
	d.n.Counters = d.link.Counters()
	d.n.InFlight = d.due.Len()
	d.n.KernelDrops += d.from.kernelDrops()
	d.mu.Lock()
	d.shared = d.n
	d.mu.Unlock()
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
		if now.Sub(d.told) >= publishEvery {
			d.publish(now)
			if err := d.log.flush(); err != nil {
				return &logError{err}
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
			d.n.Unreadable++ // ENETDOWN; a frame whose header the kernel cannot tell
		}
		full = n == rxBatch
		now = d.timer.now()
		for i := range n {
			d.take(now, i)
		}
	}
	d.publish(d.timer.now())
	if err := d.log.flush(); err != nil {
		return &logError{err}
	}
	return nil
}

// wait sleeps until a frame comes or is due.
func (d *direction) wait() error {
	left := min(idleMax, d.due.Next().Sub(d.timer.now()))
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
			time.Sleep(time.Millisecond) // down: comes back or goes away
		}
	}
	return nil
}

// take hands the i-th message received to the link, cut if need be.
func (d *direction) take(now clock.Time, i int) {
	frame, v, ok := d.from.frame(i)
	if !ok {
		d.n.Unreadable++
		return
	}
	if v.gso == gsoNone {
		if slot, buf := d.slot(len(frame)); buf != nil {
			d.carry(now, slot, copy(buf[vnetLen:], frame), v)
		}
		return
	}
	c := &d.cutter
	if c.start(frame, v) != nil {
		d.n.Unreadable++
		return
	}
	for c.more() {
		slot, buf := d.slot(min(c.head+c.size, len(frame)))
		if buf == nil {
			return
		}
		n, v, _ := c.cut(buf[vnetLen:])
		d.carry(now, slot, n, v)
	}
}

// slot takes a free slot for a frame of n bytes; buf is nil if there is none.
func (d *direction) slot(n int) (slot int32, buf []byte) {
	switch {
	case vnetLen+n > d.slotSize:
		d.n.TooLong++
		return 0, nil
	case len(d.free) == 0:
		d.n.NoMemory++
		return 0, nil
	}
	slot = d.free[len(d.free)-1]
	d.free = d.free[:len(d.free)-1]
	return slot, d.buf(slot)
}

func (d *direction) buf(slot int32) []byte {
	return d.slots[int(slot)*d.slotSize:][:d.slotSize]
}

// carry decides about the frame of n bytes in a slot and schedules it.
func (d *direction) carry(now clock.Time, slot int32, n int, v vnet) {
	f := d.link.Carry(now, n)
	d.log.frame(d.timer.start, now, n, &f)
	if f.Cause != link.Passed {
		d.free = append(d.free, slot)
		return
	}
	buf := d.buf(slot)
	if f.Damage != 0 {
		frame := buf[vnetLen:][:n]
		v = finish(frame, v)
		link.Damage(frame, f.Damage)
	}
	putVnet(buf, v)
	d.lens[slot] = int32(vnetLen + n)
	d.due.Push(f.At, slot)
	if f.Copy > 0 {
		if twin, to := d.slot(n); to != nil {
			copy(to, buf[:vnetLen+n])
			d.lens[twin] = int32(vnetLen + n)
			d.due.Push(f.Copy, twin)
		}
	}
}

// forward sends all that is due.
func (d *direction) forward(now clock.Time) error {
	for d.due.Next() <= now {
		n := 0
		d.n.LateMax = max(d.n.LateMax, now.Sub(d.due.Next()))
		for n < txBatch && d.due.Next() <= now {
			slot := d.due.Pop()
			d.batch[n] = slot
			d.to.load(n, d.buf(slot)[:d.lens[slot]])
			n++
		}
		for sent := 0; sent < n; {
			took, err := d.to.send(sent, n)
			switch {
			case err == nil:
				d.n.Sent += uint64(took)
				sent += took
			case gone(err):
				return fmt.Errorf("interface %s is gone: %w", d.to.name, err)
			case err == unix.EMSGSIZE:
				d.n.TooLong++
				sent++
			default:
				d.n.SendErrors++
				sent++
			}
		}
		d.free = append(d.free, d.batch[:n]...)
	}
	return nil
}
