package engine

import (
	"context"
	"testing"
	"time"

	"uftp/engine/machine"
	"uftp/engine/netio"
	"uftp/engine/sender"
)

// TestStats: each tick and the end of a run report the counters of all its parts.
func TestStats(t *testing.T) {
	inBubble(t, "both roles", func(t *testing.T) {
		p := startLinked(t, func(cfg *ReceiveConfig) { cfg.Tick = time.Second })
		p.onData(func() {
			for _, c := range []*fakeConn{p.tx, p.rx} {
				c.drops.Add(3)
				c.in <- netio.RxSlot{Buf: []byte("no datagram of UFTP at all"), From: rxAddr}
			}
		})
		cfg := p.config(100e3, 1300, p.file("f", 1e6)) // 10 s
		cfg.Tick = time.Second
		res, events := p.send(context.Background(), cfg, nil)
		p.stop()
		p.wait()

		ticks := 0
		var last SendStats
		for _, ev := range events {
			switch ev := ev.(type) {
			case SendTick:
				ticks++
				if s := ev.Stats.Session; s.Phase == sender.Data && s.Blocks == 0 {
					t.Errorf("a tick during the transfer has %+v, want the blocks of the file", s)
				}
			case SendStopped:
				last = ev.Stats
			}
		}
		if ticks < 5 || last != res.Stats {
			t.Errorf("%d ticks, %+v at the end; want several, and what the result has: %+v", ticks, last, res.Stats)
		}
		if last.Session.Counters.DataBytes < 1e6 {
			t.Errorf("%d bytes of data were sent, want the file", last.Session.Counters.DataBytes)
		}
		wantRun(t, "sender", last.RunStats, txSlots, ctlSlots)

		ticks = 0
		for _, ev := range p.events {
			if tick, ok := ev.(ReceiveTick); ok && len(tick.Stats.Sessions) == 1 {
				ticks++
			}
		}
		end, ok := p.events[len(p.events)-1].(ReceiveStopped)
		if ticks < 5 || !ok {
			t.Fatalf("%d ticks with the session, and %T at the end; want several and ReceiveStopped", ticks, p.events[len(p.events)-1])
		}
		wantRun(t, "receiver", end.Stats.RunStats, replySlots, 0)
	})
}

func wantRun(t *testing.T, who string, s RunStats, out, in int) {
	t.Helper()
	if s.Elapsed < 10*time.Second || s.Net.KernelDrops != 3 {
		t.Errorf("%s: %v, %+v; want the time of the session and the counters of the socket", who, s.Elapsed, s.Net)
	}
	if s.Drops[machine.DropMalformed]+s.Drops[machine.DropVersion] != 1 {
		t.Errorf("%s: refused %v, want the one datagram that is none", who, s.Drops)
	}
	if s.Out.Slots != out || in > 0 && s.In.Slots != in {
		t.Errorf("%s: rings of %d and %d slots, want %d and %d", who, s.In.Slots, s.Out.Slots, in, out)
	}
	for _, f := range []Fill{s.In, s.Out} {
		if f.Used != 0 || f.Most < 1 || f.Most > f.Slots {
			t.Errorf("%s: %+v, want an empty ring at the end that had something in it before", who, f)
		}
	}
	if s.CaptureLost != 0 || s.ReportsLost != 0 {
		t.Errorf("%s: %d datagrams and %d reports lost, want none", who, s.CaptureLost, s.ReportsLost)
	}
}
