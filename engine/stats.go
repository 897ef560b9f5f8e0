package engine

import (
	"time"

	"uftp/engine/clock"
	"uftp/engine/machine"
	"uftp/engine/netio"
	"uftp/engine/receiver"
	"uftp/engine/sender"
)

// The counters of all parts of a run come together in one value per role. The core takes it for
// each tick and at the end, and hands it to the Reporter. Totals count from the start of the run.
type (
	// SendStats is the state of a sender.
	SendStats struct {
		Session sender.Stats
		RunStats
	}
	// ReceiveStats is the state of a receiver.
	ReceiveStats struct {
		Sessions []receiver.Stats
		RunStats
	}
	// RunStats is the part that all roles have.
	RunStats struct {
		Elapsed time.Duration // without the time that capture and reports take at the end
		Net     netio.Stats
		In, Out Fill                    // slots between socket and machine, and the other way
		Drops   [machine.NumDrops]int64 // datagrams that were refused, by reason; repeated blocks are not counted
		// What did not get as far as the user.
		CaptureLost uint64 // datagrams
		ReportsLost int64
	}
	// Fill says how full a ring is.
	Fill struct {
		Slots int
		Used  int
		Most  int // slots that were used at once so far, as far as the core has looked
	}
)

// Events with stats. Ticks come while sessions run; the others once, at the end of a run.
type (
	SendTick       struct{ Stats SendStats }
	ReceiveTick    struct{ Stats ReceiveStats }
	SendStopped    struct{ Stats SendStats }
	ReceiveStopped struct{ Stats ReceiveStats }
)

func (SendTick) MachineEvent()       {}
func (ReceiveTick) MachineEvent()    {}
func (SendStopped) MachineEvent()    {}
func (ReceiveStopped) MachineEvent() {}

// gauge follows how full a ring is. The zero gauge follows none.
type gauge struct {
	used func() int // may be called from any goroutine
	fill Fill
}

func newGauge(slots int, used func() int) gauge { return gauge{used, Fill{Slots: slots}} }

func (g *gauge) look() {
	if g.used != nil {
		g.fill.Used = g.used()
		g.fill.Most = max(g.fill.Most, g.fill.Used)
	}
}

func (h *host) lookAtRings() {
	h.inGauge.look()
	h.outGauge.look()
}

// runStats returns the stats of the run so far.
func (h *host) runStats() RunStats {
	h.lookAtRings()
	return RunStats{
		Elapsed: clock.Min(h.wall.now(), h.ended).Sub(h.began),
		Net:     h.conn.Stats(),
		In:      h.inGauge.fill, Out: h.outGauge.fill,
		Drops:       h.drops.count,
		CaptureLost: h.tap.Lost(),
		ReportsLost: h.reports.lostAll,
	}
}

func (r *sendRun) sendStats() SendStats { return SendStats{r.m.Stats(), r.runStats()} }

func (r *receiveRun) receiveStats() ReceiveStats { return ReceiveStats{r.m.Stats(nil), r.runStats()} }
