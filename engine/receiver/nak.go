package receiver

import (
	"uftp/engine/clock"
	"uftp/engine/machine"
	"uftp/wire"
)

// statusBurst is how many STATUS leave at once; what a range has more follows a
// quarter of a GRTT later, so that a resumed file of thousands of sections does
// not overrun the sender's socket.
const statusBurst = 64

// nak is what a receiver knows about the pass that the sender is in.
//
// The stock receiver (v4-receiver.md section 6) asks, one GRTT after the first
// sign, for the sections that had ended when the timer was set, and for the rest
// of the file only once a DONE finds nothing else. This one asks for
//
//   - every section that ended since it last asked, up to the moment the timer
//     fires, when blocks of a later section or a DONE that does not list us show
//     that they ended: then the sender has heard a STATUS of ours in this pass;
//   - every section with gaps, when a DONE lists us: then it has heard nothing.
//
// So no section waits for a later pass because it ended while the timer ran, and
// nothing is said twice that was heard. As in stock there is at most one STATUS
// per section and timer.
type nak struct {
	next  int  // sections below have been answered for in this pass
	last  int  // section of the newest block; after a DONE one past its section
	asked bool // a DONE listed us since the timer was set
	end   int  // one past the section of the last DONE since the timer was set; 0 = none

	rest, restEnd int // sections that the last burst had no room for; none when restEnd is 0
}

// follow moves with the newest block, which is of the given section.
func (r *Receiver) follow(now clock.Time, s *session, section int) {
	n := &s.file.nak
	switch {
	case section < n.last-1: // the sender has started again from the front
		if s.due[nakTimer] != clock.Never && n.restEnd == 0 {
			// What was to be asked is asked, but not for what the new pass brings.
			n.rest, n.restEnd = n.next, max(n.last, n.end)
			if n.asked {
				n.rest = 0
			}
			n.end, n.asked = 0, false
		}
		n.next = 0
	case section < n.last:
		n.next = min(n.next, section) // a DONE came in the midst of the section, or a pass over nothing else begins
	}
	n.last = section
	if section > n.next && s.due[nakTimer] == clock.Never {
		r.arm(s, nakTimer, now, s.grtt)
	}
}

// gotDone takes DONE.
func (r *Receiver) gotDone(now clock.Time, s *session, msg []byte) machine.Drop {
	switch s.phase {
	case MidGroup, Opening, Receiving, Closing:
	default:
		return machine.DropPhase
	}
	x, err := wire.ParseDone(msg)
	if err != nil {
		return machine.DropMalformed
	}
	listed := x.Hosts.Contains(r.cfg.UID)
	if x.FileID == 0 {
		return r.doneGroup(now, s, listed)
	}
	if s.phase != MidGroup && x.FileID != s.info.FileID {
		return machine.DropFile
	}
	s.alive(now)
	if listed && x.FileID == s.info.FileID {
		r.emit(GotDone{Session: s.info, Section: int(x.Section)})
	}
	f := &s.file
	switch s.phase {
	case MidGroup:
		switch {
		case listed && x.FileID == s.finished.id:
			r.complete(s, s.finished)
		case listed && x.FileID > s.info.FileID:
			s.lacks = true
		}
	case Opening:
		if listed {
			f.done, f.doneSection = true, int(x.Section)
		}
	case Receiving:
		r.doneReceiving(now, s, int(x.Section), listed)
	case Closing:
		if listed {
			r.doneClosing(now, s)
		}
	}
	return machine.DropNone
}

// doneReceiving takes a DONE for the file that is being received and not whole.
func (r *Receiver) doneReceiving(now clock.Time, s *session, section int, listed bool) {
	f := &s.file
	n := &f.nak
	end := min(section+1, f.req.Layout.Sections)
	n.last = end
	running := s.due[nakTimer] != clock.Never
	switch {
	case listed:
		n.asked, n.end = true, end
	case running || end > n.next:
		n.end = end
	default:
		return
	}
	if running {
		return
	}
	wait := s.grtt
	if listed && f.partial && !f.data {
		wait = 0 // the sender of a resumed file starts with the question
	}
	r.arm(s, nakTimer, now, wait)
}

// nakDue answers for what the nak says is due.
func (r *Receiver) nakDue(now clock.Time, s *session) {
	if s.phase == Closing {
		r.ask(s, 0, s.file.req.Layout.Sections)
		return
	}
	n := &s.file.nak
	if n.restEnd > 0 {
		from, end := n.rest, n.restEnd
		n.restEnd = 0
		r.ask(s, from, end)
		if n.asked || n.last > n.next {
			r.arm(s, nakTimer, now, s.grtt)
		}
		return
	}
	from, end := n.next, max(n.last, n.end)
	if n.asked {
		from = 0
	}
	n.next, n.end, n.asked = n.last, 0, false
	r.ask(s, from, end)
}

// ask queues the STATUS of sections from..end-1.
func (r *Receiver) ask(s *session, from, end int) {
	it := r.packet(s, wire.FuncStatus)
	it.fileID = s.info.FileID
	it.ref = s.file.req.Ref
	it.next, it.end = from, end
	it.signLife = s.phase == Closing
	r.push(it)
}
