package sim

import (
	"fmt"
	"testing"
	"time"

	"uftp/engine/machine"
	"uftp/engine/receiver"
	"uftp/engine/sender"
	"uftp/wire"
)

// tree is one of everything.
func tree() []*File {
	return []*File{
		file("big", 1_000_003),
		file("empty", 0),
		file("one", 1),
		{Type: wire.TypeDir, Name: "dir"},
		{Type: wire.TypeLink, Name: "link", Link: "big"},
		{Type: wire.TypeDelete, Name: "old"},
		{Type: wire.TypeFreeSpace, Name: "."},
		file("whole", 13_000),
	}
}

// TestScale: any number of receivers, open and closed groups, every type of file.
func TestScale(t *testing.T) {
	for _, n := range []int{1, 10, 100} {
		for _, open := range []bool{true, false} {
			t.Run(fmt.Sprintf("%d_open_%v", n, open), func(t *testing.T) {
				run(t, uint64(n), func(w *World) (time.Duration, func() error) {
					receivers(w, n, Path{Delay: time.Millisecond})
					cfg := fast()
					if !open {
						cfg = closed(w, cfg)
					}
					s := w.AddSender(cfg, tree()...)
					return 20 * time.Second, everybodyHas(w, s)
				})
			})
		}
	}
}

// TestThousand is the size that must run within seconds: a thousand receivers,
// each with its own 1 % of loss, and 4 MiB.
func TestThousand(t *testing.T) {
	n := 1000
	if raceDetector {
		n = 100
	}
	began := time.Now()
	run(t, 1, func(w *World) (time.Duration, func() error) {
		receivers(w, n, Path{Delay: 5 * time.Millisecond, Loss: 0.01})
		s := w.AddSender(fast(), file("a", 4<<20))
		return 30 * time.Second, func() error {
			t.Logf("%v of the world's time, %d packets sent, %d lost, %d passes", w.Now(), w.Sent(), w.Lost(), s.Results[0].Passes)
			if lost := w.Lost(); lost < int64(30*n) {
				return fmt.Errorf("only %d packets were lost: the links do not work", lost)
			}
			return everybodyHas(w, s)()
		}
	})
	if d := time.Since(began); d > time.Minute {
		t.Errorf("took %v, must be seconds", d)
	}
}

// TestManySeparateDelays gives every receiver its own delay and jitter.
func TestManySeparateDelays(t *testing.T) {
	run(t, 5, func(w *World) (time.Duration, func() error) {
		for i := range 200 {
			w.AddReceiver(receiver.Config{}, Path{Delay: time.Duration(i) * 300 * time.Microsecond, Jitter: time.Duration(i) * 20 * time.Microsecond, Loss: 0.005})
		}
		s := w.AddSender(fast(), file("a", 500_000), file("b", 100_000))
		return 30 * time.Second, everybodyHas(w, s)
	})
}

// TestListsInParts has more hosts than one list holds: 512-byte blocks take 128.
func TestListsInParts(t *testing.T) {
	run(t, 6, func(w *World) (time.Duration, func() error) {
		receivers(w, 301, Path{Delay: time.Millisecond})
		cfg := closed(w, fast())
		cfg.BlockSize = wire.MinBlockSize
		parts := map[wire.Func]int{}
		s := w.AddSender(cfg, file("a", 20_000))
		s.Hook = func(ev machine.Event) {
			if ev, ok := ev.(sender.Sent); ok {
				parts[ev.Func] = max(parts[ev.Func], ev.Part)
			}
		}
		return 20 * time.Second, func() error {
			for _, f := range []wire.Func{wire.FuncAnnounce, wire.FuncFileInfo, wire.FuncDone} {
				if parts[f] != 3 {
					return fmt.Errorf("%v went in %d parts, want 3", f, parts[f])
				}
			}
			return everybodyHas(w, s)()
		}
	})
}

// TestSections has a file of several sections of the smallest blocks, with loss.
func TestSections(t *testing.T) {
	for _, loss := range []float64{0, 0.05} {
		run(t, 7, func(w *World) (time.Duration, func() error) {
			receivers(w, 4, Path{Delay: 2 * time.Millisecond, Loss: loss})
			cfg := fast()
			cfg.BlockSize = wire.MinBlockSize
			s := w.AddSender(cfg, file("a", 6_300_000))
			return 30 * time.Second, everybodyHas(w, s)
		})
	}
}

// TestRates: from a crawl to as fast as the line goes. The checker of departures
// does the work.
func TestRates(t *testing.T) {
	for _, c := range []struct {
		rate  int64
		size  int64
		limit time.Duration
	}{
		{5 * 128, 10_000, 10 * time.Minute}, // 5 Kbit/s: 2 s a block
		{128_000, 300_000, time.Minute},
		{mbit(900), 20_000_000, time.Minute},
		{0, 20_000_000, time.Minute},
	} {
		t.Run(fmt.Sprint(c.rate), func(t *testing.T) {
			run(t, 8, func(w *World) (time.Duration, func() error) {
				receivers(w, 3, Path{Delay: time.Millisecond, Loss: 0.01})
				cfg := fast()
				cfg.Rate = c.rate
				s := w.AddSender(cfg, file("a", c.size))
				return c.limit, func() error {
					if c.rate > 0 {
						full := float64(c.size) / float64(c.rate)
						if took := s.Results[0].Elapsed.Seconds(); took > 3*full+2 {
							return fmt.Errorf("%d bytes at %d bytes/s took %.3f s", c.size, c.rate, took)
						}
					}
					return everybodyHas(w, s)()
				}
			})
		})
	}
}

// TestTwoSessions has two senders share the receivers and their links.
func TestTwoSessions(t *testing.T) {
	run(t, 9, func(w *World) (time.Duration, func() error) {
		receivers(w, 5, Path{Delay: 3 * time.Millisecond, Loss: 0.02})
		a := w.AddSender(fast(), file("a", 400_000))
		b := w.NewSender(fast(), file("b", 300_000), file("c", 5_000))
		w.At(150*time.Millisecond, b.StartNow)
		return 30 * time.Second, func() error {
			if err := everybodyHas(w, a)(); err != nil {
				return err
			}
			return everybodyHas(w, b)()
		}
	})
}

// TestEarlyEnd: a known number of receivers on a LAN need not wait for the
// announce rounds.
func TestEarlyEnd(t *testing.T) {
	run(t, 10, func(w *World) (time.Duration, func() error) {
		receivers(w, 3, Path{Delay: 100 * time.Microsecond})
		cfg := sender.Config{Rate: mbit(100), RegisterCount: 3}
		s := w.AddSender(cfg, file("a", 1000))
		var took time.Duration
		s.Hook = func(ev machine.Event) {
			if _, ok := ev.(sender.FileEnded); ok {
				took = w.Now()
			}
		}
		return 20 * time.Second, func() error {
			if took > 200*time.Millisecond {
				return fmt.Errorf("the file took %v, want less than 200 ms", took)
			}
			return everybodyHas(w, s)()
		}
	})
}
