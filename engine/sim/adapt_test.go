package sim

import (
	"fmt"
	"testing"
	"time"

	"uftp/engine/clock"
	"uftp/engine/machine"
	"uftp/engine/sender"
	"uftp/wire"
)

// TestAdaptiveRate has the rate follow bottlenecks that the sender knows nothing of.
// What a run sends again includes the search; what it ends with does not.
func TestAdaptiveRate(t *testing.T) {
	lan := Path{Delay: 200 * time.Microsecond, Rate: mbit(1000), Queue: 1 << 20}
	for _, c := range []struct {
		why   string
		n     int
		path  Path
		start int64
		block int
		size  int64 // bytes of each file
		files int
		slow  float64 // times what the bottleneck needs, at most
		waste float64 // share sent again, at most; files are small, so the search is much of it
	}{
		{"a fast network and small blocks: answers come after sections have ended", 3, lan, mbit(10), 1300, 400e6, 1, 1.8, 0.03},
		{"large blocks: the file is one section, only questions show the loss", 3, lan, mbit(10), 8800, 400e6, 1, 2, 0.04},
		{"many receivers", 60, lan, mbit(10), 8800, 200e6, 1, 5, 0.05},
		{"a link slower than the start", 3, Path{Delay: 2 * time.Millisecond, Rate: mbit(2), Queue: 50_000}, mbit(10), 1300, 4e6, 1, 2, 0.3},
		{"a satellite", 3, Path{Delay: 300 * time.Millisecond, Rate: mbit(45), Queue: 1 << 20}, mbit(10), 1300, 200e6, 1, 2.5, 0.08},
		{"loss that is the link's own does not starve it", 1, Path{Delay: 2 * time.Millisecond, Rate: mbit(100), Queue: 200_000, Loss: 0.02}, mbit(10), 1300, 100e6, 1, 3, 0.06},
		{"files too small for an epoch each", 2, Path{Delay: 200 * time.Microsecond, Rate: mbit(200), Queue: 1 << 20}, mbit(10), 1300, 200e3, 200, 2, 0.02},
		{"small losses of many, each its own", 100, Path{Delay: 200 * time.Microsecond, Loss: 0.005, Rate: mbit(1000), Queue: 1 << 20}, mbit(100), 1300, 100e6, 1, 5, 0.8},
		{"a long queue", 3, Path{Delay: 2 * time.Millisecond, Rate: mbit(100), Queue: 5_000_000}, mbit(10), 1300, 100e6, 1, 2.6, 0.8},
		{"a thin link with a queue of seconds", 2, Path{Delay: 20 * time.Millisecond, Rate: 20_000, Queue: 50_000}, mbit(10), 8800, 1e6, 1, 3, 2.5},
		{"no limit at first", 3, lan, 0, 8800, 400e6, 1, 2.2, 0.5},
	} {
		t.Run(c.why, func(t *testing.T) {
			run(t, 21, func(w *World) (time.Duration, func() error) {
				w.LineRate = mbit(10_000)
				receivers(w, c.n, c.path)
				cfg := fast()
				cfg.Rate, cfg.BlockSize = c.start, c.block
				cfg.GRTT = max(10*time.Millisecond, 3*c.path.Delay)
				cfg.RegisterCount = c.n
				cfg.Adapt = sender.Adapt{On: true, MaxLoss: sender.DefaultMaxLoss}
				if c.start == 0 {
					cfg.Adapt.MaxLoss = 0.2
				}
				var files []*File
				for i := range c.files {
					files = append(files, file(fmt.Sprint("f", i), c.size))
				}
				s := w.AddSender(cfg, files...)
				var began clock.Time
				var rate int64
				s.Hook = func(ev machine.Event) {
					switch ev := ev.(type) {
					case sender.PassStarted:
						if began == 0 {
							began = w.now
						}
					case sender.RateChanged:
						rate = ev.Rate
					}
				}
				total := float64(c.size) * float64(c.files)
				ideal := total / float64(c.path.Rate)
				return time.Duration((10*ideal+60)*1e9) + time.Minute, func() error {
					if err := everybodyHas(w, s)(); err != nil {
						return err
					}
					took := w.now.Sub(began).Seconds()
					waste := float64(s.Ended.Counters.RepairBytes) / total
					t.Logf("%.2f times the time of the bottleneck, %.2f %% sent again, at the end %.0f Mbit/s of %.0f",
						took/ideal, 100*waste, float64(rate)*8e-6, float64(c.path.Rate)*8e-6)
					if took > c.slow*ideal {
						return fmt.Errorf("took %.2f times the time of the bottleneck, want %.1f at most", took/ideal, c.slow)
					}
					if waste > c.waste {
						return fmt.Errorf("%.3f of the bytes were sent again, want %.3f at most", waste, c.waste)
					}
					return nil
				}
			})
		})
	}
}

// TestLostEndOfThePass drops the end of a first pass for all receivers. The law counts
// their answers to DONE at once, and the time since the last question does not become the
// group's round trip time.
func TestLostEndOfThePass(t *testing.T) {
	for _, c := range []struct {
		why  string
		rate int64
		kept float64 // share of the file that arrives
	}{
		{"without a limit, half of it", 0, 0.5},
		{"without a limit, nearly all", 0, 0.8},
		{"without a limit, a little", 0, 0.9},
		{"at a rate, half of it", mbit(500), 0.5},
		{"at a rate, a little", mbit(500), 0.9},
	} {
		t.Run(c.why, func(t *testing.T) {
			run(t, 4, func(w *World) (time.Duration, func() error) {
				w.LineRate = mbit(1000)
				receivers(w, 2, Path{Delay: 200 * time.Microsecond})
				const size, block = 100_000_000, 8800
				seen := make([]int, size/block+1)
				w.Rules = []Rule{{Func: wire.FuncFileSeg, Dir: Down, Node: Everybody, All: true, Match: func(h wire.Header, msg []byte) bool {
					x, err := wire.ParseFileSeg(msg)
					i := int(x.Block) // the file is one section
					if err != nil || x.Section != 0 || float64(i) < c.kept*size/block || seen[i] == 2 {
						return false
					}
					seen[i]++ // once for each receiver
					return true
				}}}
				cfg := fast()
				cfg.Rate, cfg.BlockSize, cfg.RegisterCount = c.rate, block, 2
				cfg.Adapt = sender.Adapt{On: true, MaxLoss: 0.2}
				s := w.AddSender(cfg, file("f", size))
				var longest time.Duration
				passes := 0
				var began, ended clock.Time
				s.Hook = func(ev machine.Event) {
					switch ev := ev.(type) {
					case sender.PassStarted:
						if passes++; passes == 1 {
							began = w.now
						}
					case sender.GRTTChanged:
						if passes > 0 {
							longest = max(longest, ev.GRTT)
						}
					case sender.FileEnded:
						ended = w.now
					}
				}
				return time.Minute, func() error {
					if err := everybodyHas(w, s)(); err != nil {
						return err
					}
					t.Logf("%d passes, %v, GRTT %v at most", passes, ended.Sub(began), longest)
					if longest > 50*time.Millisecond {
						return fmt.Errorf("the GRTT grew to %v on a network of 0.4 ms", longest)
					}
					return nil
				}
			})
		})
	}
}
