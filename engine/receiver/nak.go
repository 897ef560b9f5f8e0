package receiver

import (
	"uftp/engine/block"
	"uftp/engine/clock"
	"uftp/engine/machine"
	"uftp/wire"
)

// statusBurst is how many STATUS leave at once. The next follow a quarter of a GRTT later, so
// that a resumed file of thousands of sections does not overrun the sender's socket.
const statusBurst = 64

// nak is what a receiver knows about the current pass of the sender (docs/protocol.md, "Data
// and NAKs"). One GRTT after the first sign that a section has ended it asks for
//
//   - every section that has ended since it last asked, until the timer expires, if blocks of a
//     later section or a DONE that does not list us show that they have ended: then the sender
//     has heard a STATUS of ours in this pass;
//   - every section with gaps, if a DONE lists us: then it has heard none.
//
// So no section waits for a later pass because it ended while the timer ran, and no STATUS that
// the sender has heard is repeated. There is at most one STATUS for each section and timer.
type nak struct {
	next  int  // sections below are reported in this pass
	last  int  // section of the newest block; after a DONE one past its section
	asked bool // a DONE listed us since the timer was set
	end   int  // one past the section of the last DONE since the timer was set; 0 = none

	rest, restEnd int // sections that the last burst had no room for; none if restEnd is 0
}

// follow notes that the newest block is of this section.
func (s *session) follow(now clock.Time, section int) {
	n := &s.file.nak
	switch {
	case section < n.last-1: // the sender has begun a new pass
		if s.due[nakTimer] != clock.Never && n.restEnd == 0 {
			// Ask for what was due, but not for sections of the new pass.
			n.rest, n.restEnd = n.next, max(n.last, n.end)
			if n.asked {
				n.rest = 0
			}
			n.end, n.asked = 0, false
		}
		n.next = 0
	case section < n.last:
		n.next = min(n.next, section) // a DONE came in the middle of the section, or a pass over this section alone begins
	}
	n.last = section
	if section > n.next && s.due[nakTimer] == clock.Never {
		s.arm(nakTimer, now, s.grtt)
	}
}

// gotDone takes DONE.
func (s *session) gotDone(now clock.Time, msg []byte) machine.Drop {
	switch s.phase {
	case MidGroup, Opening, Receiving, Closing:
	default:
		return machine.DropPhase
	}
	x, err := wire.ParseDone(msg)
	if err != nil {
		return machine.DropMalformed
	}
	listed := x.Hosts.Contains(s.r.cfg.UID)
	if x.FileID == 0 {
		return s.doneGroup(now, listed)
	}
	if s.phase != MidGroup && x.FileID != s.info.FileID {
		return machine.DropFile
	}
	s.restartIdle(now)
	if listed && x.FileID == s.info.FileID {
		s.r.emit(GotDone{Session: s.info, Section: int(x.Section)})
	}
	f := &s.file
	switch s.phase {
	case MidGroup:
		switch {
		case listed && x.FileID == s.finished.id:
			s.sendComplete(s.finished)
		case listed && x.FileID > s.info.FileID:
			s.missedFile = true
		}
	case Opening:
		if listed {
			f.done, f.doneSection = true, int(x.Section)
		}
	case Receiving:
		s.doneReceiving(now, int(x.Section), listed)
	case Closing:
		if listed {
			s.doneClosing(now)
		}
	}
	return machine.DropNone
}

// doneReceiving takes a DONE for a file of which blocks are missing.
func (s *session) doneReceiving(now clock.Time, section int, listed bool) {
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
		wait = 0 // the sender of a resumed file asks before it sends
	}
	s.arm(nakTimer, now, wait)
}

// nakDue queues the STATUS that are due.
func (s *session) nakDue(now clock.Time) {
	if s.phase == Closing {
		s.askFor(0, s.file.req.Layout.Sections)
		return
	}
	n := &s.file.nak
	if n.restEnd > 0 {
		from, end := n.rest, n.restEnd
		n.restEnd = 0
		s.askFor(from, end)
		if n.asked || n.last > n.next {
			s.arm(nakTimer, now, s.grtt)
		}
		return
	}
	from, end := n.next, max(n.last, n.end)
	if n.asked {
		from = 0
	}
	n.next, n.end, n.asked = n.last, 0, false
	s.askFor(from, end)
}

// askFor queues the STATUS of sections from..end-1. Timers run only while the queue is
// empty, so those that it queued before have left.
func (s *session) askFor(from, end int) {
	s.asking = statuses{ref: s.file.req.Ref, next: from, end: end, keepAlive: s.phase == Closing}
	s.say(wire.FuncStatus, &s.asking)
}

// statuses is a STATUS for each section with gaps among next..end-1 of a file. Each says
// what is missing when it leaves, so a long range costs no memory.
type statuses struct {
	ref       machine.FileRef
	next, end int
	sent      int
	keepAlive bool // in Closing: ask for the last block alone
}

func (m *statuses) appendTo(b []byte, it *item, now clock.Time) ([]byte, bool) {
	s := it.s
	f := &s.file
	switch {
	case f.req.Ref != m.ref:
		return nil, false
	case s.phase == Closing && m.keepAlive:
		return m.appendLastBlock(b, s)
	case s.phase != Receiving || m.keepAlive:
		return nil, false
	}
	l := &f.req.Layout
	i := f.missing.Next(l.First(m.next))
	if i >= l.First(m.end) {
		return nil, false
	}
	section, _ := l.Section(i)
	if m.sent == statusBurst {
		f.nak.rest, f.nak.restEnd = section, m.end
		s.arm(nakTimer, now, s.grtt/4)
		return nil, false
	}
	m.next = section + 1
	m.sent++
	first, n := l.First(section), l.SectionBlocks(section)
	count := f.missing.CountRange(first, n)
	s.naks += int64(count)
	s.r.report = SentStatus{Session: s.info, Section: section, NAKs: count}
	return f.missing.AppendBitmap(statusHead(b, s, section), first, n), true
}

// appendLastBlock asks for the last block of the file although it is here.
func (m *statuses) appendLastBlock(b []byte, s *session) ([]byte, bool) {
	l := &s.file.req.Layout
	section, place := l.Section(l.Blocks - 1)
	if section < m.next {
		return nil, false
	}
	m.next = section + 1
	s.r.report = SentStatus{Session: s.info, Section: section, NAKs: 1}
	b = statusHead(b, s, section)
	n := block.NAKBytes(l.SectionBlocks(section))
	b = append(b, make([]byte, n)...)
	b[len(b)-n+place/8] |= 1 << (place % 8)
	return b, true
}

// statusHead appends a STATUS up to its bitmap.
func statusHead(b []byte, s *session, section int) []byte {
	x := wire.Status{FileID: s.info.FileID, Section: uint16(section)}
	return x.Append(s.dialect.Version(), b)
}
