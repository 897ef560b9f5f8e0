package sim

import (
	"fmt"
	"testing"
	"time"

	"uftp/engine/clock"
	"uftp/engine/machine"
	"uftp/engine/receiver"
	"uftp/engine/sender"
	"uftp/wire"
)

// TestSlowProgressIsKept: a link that loses much, in both directions and over a satellite, is
// no reason to give a receiver up.
func TestSlowProgressIsKept(t *testing.T) {
	for _, c := range []struct {
		why  string
		path Path
		size int64
	}{
		{"a satellite that loses 30 %", Path{Delay: 300 * time.Millisecond, Loss: 0.3}, 20e6},
		{"a satellite that loses half", Path{Delay: 300 * time.Millisecond, Loss: 0.5}, 5e6},
		{"a network that loses half", Path{Delay: ms, Loss: 0.5}, 5e6},
	} {
		for seed := range uint64(3) {
			t.Run(fmt.Sprint(c.why, "_", seed), func(t *testing.T) {
				run(t, 50+seed, func(w *World) (time.Duration, func() error) {
					receivers(w, 2, c.path)
					cfg := closed(w, fast())
					cfg.GRTT, cfg.Robust = max(cfg.GRTT, 3*c.path.Delay), 50
					s := w.AddSender(cfg, file("a", c.size), file("b", 50_000))
					return 2 * time.Hour, everybodyHas(w, s)
				})
			})
		}
	}
}

// TestOthersDoNotWait: receivers without progress leave the session after a bounded time, and
// the files behind reach the others.
func TestOthersDoNotWait(t *testing.T) {
	first := func(n uint32) func(wire.Header, []byte) bool {
		return func(_ wire.Header, msg []byte) bool {
			x, err := wire.ParseFileSeg(msg)
			return err == nil && uint32(x.Block) < n
		}
	}
	for _, c := range []struct {
		why string
		hit func(wire.Header, []byte) bool // blocks that never reach receiver 0
	}{
		{"no block gets there", nil},
		{"one block never gets there", first(1)},
		{"some blocks never get there", first(100)},
	} {
		t.Run(c.why, func(t *testing.T) {
			run(t, 7, func(w *World) (time.Duration, func() error) {
				w.AddReceiver(receiver.Config{}, Path{Delay: ms})
				receivers(w, 2, Path{Delay: ms, Loss: 0.05})
				w.Rules = []Rule{{Func: wire.FuncFileSeg, Dir: Down, Node: 0, All: true, Match: c.hit}}
				s := w.AddSender(closed(w, fast()), file("a", 3_000_000), file("b", 300_000))
				var stalled int
				var began, ended clock.Time
				s.Hook = func(ev machine.Event) {
					switch ev.(type) {
					case sender.Stalled:
						stalled++
					case sender.PassStarted:
						if began == 0 {
							began = w.now
						}
					case sender.FileEnded:
						if ended == 0 {
							ended = w.now
						}
					}
				}
				return 2 * time.Minute, func() error {
					if s.Ended.Exit != sender.ExitOK || stalled != 1 {
						return fmt.Errorf("exit %v, %d stalled", s.Ended.Exit, stalled)
					}
					if took := ended.Sub(began); took > sender.StallLeast+10*time.Second {
						return fmt.Errorf("the first file took %v", took)
					}
					for _, f := range s.Files {
						for _, r := range w.receivers[1:] {
							if err := got(s, r, f); err != nil {
								return err
							}
						}
					}
					if res, _ := s.Result("a", w.receivers[0].UID()); res.State != sender.Aborted {
						return fmt.Errorf("receiver 0 ends %v", res.State)
					}
					return nil
				}
			})
		})
	}
}
