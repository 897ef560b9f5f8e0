package sender

import (
	"time"

	"uftp/engine/cc"
	"uftp/engine/clock"
	"uftp/engine/machine"
	"uftp/wire"
)

// Limits of the reports that others can cause.
const (
	maxReports        = 1024 // waiting; more are dropped and counted
	refusalsPerSecond = 100  // Refused, and GotAbort of strangers
	refusalBurst      = time.Second
)

// reportQueue holds the events for the host. Events that change the session (must) are never
// dropped: there is at most one for each client and phase.
type reportQueue struct {
	list     []report
	head     int
	refusals cc.Bucket // reports of what others do wrong
}

// report is one event. Those of data packets and STATUS messages are kept unboxed, so that
// they need no memory: event is nil, and the other fields hold them.
type report struct {
	event  machine.Event
	client int32 // of NAKs; -1: SectionStarted
	excess bool
	place  int // section
	count  int
}

func (q *reportQueue) must(e machine.Event) { q.push(report{event: e}) }

func (q *reportQueue) push(r report) {
	if q.list == nil {
		q.list = make([]report, 0, 2*maxReports)
	}
	if len(q.list) == cap(q.list) && q.head > 0 {
		n := copy(q.list, q.list[q.head:])
		clear(q.list[n:])
		q.list, q.head = q.list[:n], 0
	}
	q.list = append(q.list, r)
}

// pop moves the oldest report to e.
func (q *reportQueue) pop(s *Sender, e *machine.Event) bool {
	if q.head == len(q.list) {
		return false
	}
	r := q.list[q.head]
	q.list[q.head] = report{}
	if q.head++; q.head == len(q.list) {
		q.list, q.head = q.list[:0], 0
	}
	switch {
	case r.event != nil:
		*e = r.event
	case r.client < 0:
		*e = SectionStarted{r.place}
	default:
		*e = NAKs{Client: s.client(int(r.client)), Section: r.place, Count: r.count, Excess: r.excess}
	}
	return true
}

// report queues an event that the session does not depend on.
func (s *Sender) report(e machine.Event) { s.mayReport(report{event: e}) }

// mayReport queues r unless too many reports wait. It reports whether it did.
func (s *Sender) mayReport(r report) bool {
	if len(s.reports.list)-s.reports.head >= maxReports {
		s.counters.ReportsLost++
		return false
	}
	s.reports.push(r)
	return true
}

// refuse reports that a message of client i was not accepted, unless too many were.
func (s *Sender) refuse(now clock.Time, fn wire.Func, i int, reason string) {
	if s.mayRefuse(now) {
		s.report(Refused{Func: fn, UID: s.roster.UID(i), Client: s.client(i), Known: true, Reason: reason})
	}
}

// refuseOnce is refuse for messages that a client repeats many times a second until it gives
// up: it reports them when the reason has changed.
func (s *Sender) refuseOnce(now clock.Time, fn wire.Func, i int, reason string) {
	c := s.roster.At(i)
	if c.refused == reason || !s.mayRefuse(now) {
		return
	}
	if s.mayReport(report{event: Refused{Func: fn, UID: s.roster.UID(i), Client: s.client(i), Known: true, Reason: reason}}) {
		c.refused = reason
	}
}

// refuseStranger is refuse for a UID outside the roster.
func (s *Sender) refuseStranger(now clock.Time, fn wire.Func, uid wire.UID, reason string) {
	if s.mayRefuse(now) {
		s.report(Refused{Func: fn, UID: uid, Reason: reason})
	}
}

// mayRefuse books one report about a fault of another host, if the limit allows it.
func (s *Sender) mayRefuse(now clock.Time) bool {
	ok := s.reports.refusals.Allow(now, 1)
	if !ok {
		s.counters.ReportsLost++
	}
	return ok
}
