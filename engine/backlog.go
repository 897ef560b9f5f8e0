package engine

import (
	"time"

	"uftp/engine/clock"
	"uftp/engine/machine"
	"uftp/engine/netio"
	"uftp/engine/ring"
	"uftp/engine/tap"
)

// A receiver whose disk is behind.
//
// What the disk has not taken waits in the ring, and when that is full, in the buffer
// of the socket. So do the sender's questions, and it gives up a receiver that does
// not answer for some round trips: on a local network in less than a second. So when
// the ring has been full for longer than the machine's Patience, rx reads on into a
// few slots aside. The machine hears what comes there, but takes no blocks out of it:
// it asks for them again, as if the network had lost them. That goes on until half of
// the ring is free, for a disk that is merely slower than the network would otherwise
// keep every question waiting for as long as the ring and the socket last.

// stallMax is how long a disk may take nothing at all. Then rx stops, so that the
// session times out: one receiver with a dead disk must not keep all the others.
const stallMax = 30 * time.Second

// DiskState says how a receiver's disk keeps up.
type DiskState uint8

const (
	DiskBehind DiskState = iota // blocks are dropped, and asked for again
	DiskStuck                   // it takes nothing at all: waiting for it has ended
	DiskBack                    // it has caught up
)

// Disk tells that the disk fell behind the network or caught up. For is how long it has
// been behind.
type Disk struct {
	State DiskState
	For   time.Duration
}

func (Disk) MachineEvent() {}

// backlog is the core's view of the disk.
type backlog struct {
	slots int        // of the ring
	aside bool       // rx is to read aside
	since clock.Time // when the ring was found full; Never: there is no backlog
	moved clock.Time // when the disk was last seen to take something,
	pos   uint64     // and how far it was
	told  bool       // the user knows
	next  clock.Time // when to look again unasked
}

func newBacklog(slots int) backlog {
	return backlog{slots: slots, since: clock.Never, next: clock.Never}
}

// look takes what is known now: how many slots wait for the disk, up to which position
// it has come, and how long it may last. It decides whether rx is to read aside, and
// reports whether the user is to hear ev.
func (b *backlog) look(now clock.Time, held int, pos uint64, patience time.Duration) (ev Disk, tell bool) {
	if b.since == clock.Never {
		if held < b.slots {
			return ev, false
		}
		b.since, b.moved, b.pos = now, now, pos
	}
	ev = Disk{DiskBack, now.Sub(b.since)}
	if held < b.slots/2 {
		tell = b.told
		*b = newBacklog(b.slots)
		return ev, tell
	}
	if pos != b.pos {
		b.pos, b.moved = pos, now
	}
	begin, end := b.since.Add(patience), b.moved.Add(stallMax)
	was := b.aside
	b.aside = now >= begin && now < end
	switch {
	case b.aside:
		b.next = end
		ev.State = DiskBehind
		tell = !b.told
	case now < begin:
		b.next = begin
	default:
		b.next = clock.Never
		ev.State = DiskStuck
		tell = was
	}
	b.told = b.told || tell
	return ev, tell
}

// newReader returns the first stage of a receiver.
func newReader(w wall, conn netio.Conn, hand, aside *ring.Hand[rxSlot], notes *ring.Mailbox[machine.Event], tap *tap.Lane, quit <-chan struct{}) *reader {
	wake := make(chan struct{}, 1)
	hand.SetWake(wake)
	aside.SetWake(wake)
	return &reader{wall: w, conn: conn, hand: hand, aside: aside, wake: wake, notes: notes, tap: tap, quit: quit}
}

// watchDisk has rx read aside, or stop it, as the backlog wants it.
func (r *receiveRun) watchDisk(now clock.Time) {
	b := &r.backlog
	held := r.rx.Held()
	if b.since == clock.Never && held < b.slots {
		return
	}
	was := b.aside
	ev, tell := b.look(now, held, r.rx.Followed(), r.m.Patience())
	if b.aside != was {
		r.reader.goAside.Store(b.aside)
		ring.Poke(r.reader.wake)
	}
	if tell {
		r.put(ev)
	}
}

// handleAside gives the machine what was read aside before the slot at pos.
func (r *receiveRun) handleAside(now clock.Time, pos uint64) (busy bool) {
	for r.aside.Ready() && r.aside.Slot().after <= pos {
		r.m.NoRoom(true)
		r.handleSlot(now, r.aside.Slot(), pos)
		r.m.NoRoom(false)
		r.aside.Done(1)
		busy = true
	}
	return busy
}
