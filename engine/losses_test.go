package engine

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"uftp/engine/machine"
	"uftp/engine/sender"
)

// lossesOf returns the reports of losses among events.
func lossesOf(events []machine.Event) (list []Losses) {
	for _, ev := range events {
		if l, ok := ev.(Losses); ok {
			list = append(list, l)
		}
	}
	return list
}

// TestLossesAreReported: both sides report the losses of their own host once a minute
// while a session runs, and when it ends; each loss once.
func TestLossesAreReported(t *testing.T) {
	for _, c := range []struct {
		name string
		at   []time.Duration // since the first data: when 10 datagrams are lost
		want []uint64
	}{
		{"nothing is lost", nil, nil},
		{"early", []time.Duration{time.Second}, []uint64{10}},
		{"within one minute", []time.Duration{time.Second, 20 * time.Second, 50 * time.Second}, []uint64{30}},
		{"in two minutes, and at the end", []time.Duration{time.Second, 70 * time.Second, 140 * time.Second}, []uint64{10, 10, 10}},
	} {
		inBubble(t, c.name, func(t *testing.T) {
			p := startLinked(t, func(cfg *ReceiveConfig) { cfg.Net.RcvBuf = 1 << 20 })
			p.onData(func() {
				for _, d := range c.at {
					time.AfterFunc(d, func() { p.rx.drops.Add(10); p.tx.drops.Add(10) })
				}
			})
			res, events := p.send(context.Background(), p.config(100e3, 1300, p.file("f", 15e6)), nil) // 150 s
			if res.Exit != sender.ExitOK {
				t.Fatalf("exit %d", res.Exit)
			}
			all := 10 * uint64(len(c.at))
			if res.Stats.Net.KernelDrops != all {
				t.Errorf("%d datagrams lost in the result of the sender, want %d", res.Stats.Net.KernelDrops, all)
			}
			time.Sleep(time.Hour) // no session
			p.stop()
			p.wait()
			for who, events := range map[string][]machine.Event{"sender": events, "receiver": p.events} {
				var got []uint64
				for _, l := range lossesOf(events) {
					got = append(got, l.KernelDrops)
				}
				if !slices.Equal(got, c.want) {
					t.Errorf("%s: reports %d, want %d", who, got, c.want)
				}
			}
			last, ok := p.events[len(p.events)-1].(ReceiveStopped)
			if !ok || last.Stats.Net.KernelDrops != all || last.Stats.Elapsed < time.Hour {
				t.Errorf("the last event of the receiver is %+v, want its totals", p.events[len(p.events)-1])
			}
		})
	}
}

// TestIdleReceiverSleeps: a receiver without sessions does not look at its counters.
func TestIdleReceiverSleeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := startLinked(t, nil)
		p.rx.drops.Add(3)
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := len(lossesOf(p.events)); n != 0 {
			t.Errorf("%d reports, want none before the end", n)
		}
		p.stop()
		p.wait()
		if list := lossesOf(p.events); len(list) != 1 || list[0].KernelDrops != 3 {
			t.Errorf("%+v, want what was lost", list)
		}
	})
}
