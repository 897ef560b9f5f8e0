package disk

import (
	"time"

	"uftp/engine/clock"
)

// A disk that is behind the network.
//
// What the disk has not taken waits in the ring, and when that is full, in the buffer
// of the socket. So do the sender's questions, and it gives up a receiver that does
// not answer for some round trips: on a local network in less than a second. So when
// the ring has been full for longer than the machine's patience, the receiver reads on into
// a few slots of another ring. The machine hears what comes there, but takes no blocks out
// of it: it asks for them again, as if the network had lost them. That goes on until half of
// the ring is free, for a disk that is merely slower than the network would otherwise
// keep every question waiting for as long as the ring and the socket last.

// StallMax is how long a disk may take nothing at all. Then the receiver reads no more, so
// that the session times out: one receiver with a dead disk must not keep all the others.
const StallMax = 30 * time.Second

// State says how a disk keeps up.
type State uint8

const (
	Behind State = iota // blocks are dropped, and asked for again
	Stuck               // it takes nothing at all: waiting for it has ended
	Back                // it has caught up
)

// Lag reports that the disk fell behind the network or caught up. For is how long it has
// been behind.
type Lag struct {
	State State
	For   time.Duration
}

func (Lag) MachineEvent() {}

// backlog is the core's view of the ring.
type backlog struct {
	slots    int        // of the ring
	overflow bool       // read on into the other ring
	since    clock.Time // when the ring was found full; Never: there is no backlog
	moved    clock.Time // when the disk was last seen to take something,
	at       uint64     // and how far it was
	reported bool       // the user knows
	next     clock.Time // when to look again unasked
}

func newBacklog(slots int) backlog {
	return backlog{slots: slots, since: clock.Never, next: clock.Never}
}

// Lags reports whether the ring is full, or was full and is not half empty yet.
func (d *Disk) Lags() bool { return d.since != clock.Never || d.cfg.Core.Held() >= d.slots }

// Look brings what Overflow and LookAt say up to date, while the disk lags. patience is how
// long the ring may be full before Overflow. report says whether the user should hear of ev.
func (d *Disk) Look(now clock.Time, patience time.Duration) (ev Lag, report bool) {
	return d.look(now, d.cfg.Core.Held(), d.cfg.Core.Followed(), patience)
}

// Overflow reports whether the receiver should read on though the ring is full.
func (d *Disk) Overflow() bool { return d.overflow }

// LookAt is when to call Look unasked.
func (d *Disk) LookAt() clock.Time { return d.next }

// look updates the backlog: held slots wait for the disk, which has written all before pos.
func (b *backlog) look(now clock.Time, held int, pos uint64, patience time.Duration) (ev Lag, report bool) {
	if b.since == clock.Never {
		if held < b.slots {
			return ev, false
		}
		b.since, b.moved, b.at = now, now, pos
	}
	ev = Lag{Back, now.Sub(b.since)}
	if held < b.slots/2 {
		report = b.reported
		*b = newBacklog(b.slots)
		return ev, report
	}
	if pos != b.at {
		b.at, b.moved = pos, now
	}
	begin, end := b.since.Add(patience), b.moved.Add(StallMax)
	was := b.overflow
	b.overflow = now >= begin && now < end
	switch {
	case b.overflow:
		b.next = end
		ev.State = Behind
		report = !b.reported
	case now < begin:
		b.next = begin
	default:
		b.next = clock.Never
		ev.State = Stuck
		report = was
	}
	b.reported = b.reported || report
	return ev, report
}
