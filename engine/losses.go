package engine

import (
	"time"

	"uftp/engine/clock"
	"uftp/engine/machine"
	"uftp/engine/netio"
)

// lossEvery is the least time between two reports of losses while sessions run.
const lossEvery = time.Minute

type (
	// Losses reports what this host itself has lost, or could not do, since the last such
	// report: at the end of a session, and once a minute while one lasts.
	Losses struct {
		KernelDrops  uint64 // datagrams that the receive buffer had no room for
		Truncated    uint64 // datagrams longer than any of the protocol
		GSOFallbacks uint64 // times that the kernel refused to cut trains, which costs speed
		RcvBuf       int    // size of the receive buffer, bytes,
		WantRcvBuf   int    // and the one asked for
	}
)

func (Losses) MachineEvent() {}

// lossMeter follows the counters of a socket.
type lossMeter struct {
	conn netio.Conn
	want int         // RcvBuf asked for
	last netio.Stats // the counters at the last report
	next clock.Time  // when to look again; Never while no session runs
}

func newLossMeter(conn netio.Conn, cfg netio.Config) lossMeter {
	return lossMeter{conn: conn, want: cfg.RcvBuf, next: clock.Never}
}

// start begins with the first session.
func (l *lossMeter) start(now clock.Time) {
	if l.next == clock.Never {
		l.next = now.Add(lossEvery)
	}
}

// report reports what was lost since the last time, if it is time.
func (l *lossMeter) report(now clock.Time, put func(machine.Event)) {
	if now >= l.next {
		l.next = now.Add(lossEvery)
		l.look(put)
	}
}

// look reports what was lost since the last time.
func (l *lossMeter) look(put func(machine.Event)) {
	is := l.conn.Stats()
	ev := Losses{
		KernelDrops:  is.KernelDrops - l.last.KernelDrops,
		Truncated:    is.Truncated - l.last.Truncated,
		GSOFallbacks: is.GSOFallbacks - l.last.GSOFallbacks,
	}
	if ev == (Losses{}) {
		return
	}
	l.last = is
	ev.RcvBuf, ev.WantRcvBuf = l.conn.Caps().RcvBuf, l.want
	put(ev)
}
