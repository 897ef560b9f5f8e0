package sim

import (
	"fmt"
	"math"
	"net/netip"
	"testing"
	"time"

	"uftp/engine/clock"
	"uftp/wire"
)

// departure is a train: when it left, and how many bytes of IP packets it has.
type departure struct {
	at    clock.Time
	bytes int64
}

// TestPacing holds the departures of data against the rate at every place: over
// any span of 10 ms the rate is the asked one, and nothing is ahead of it by more
// than a train of 1 ms, or one packet. A span runs from a departure to a departure, so
// that the length of a train at its ends does not count.
func TestPacing(t *testing.T) {
	const (
		window    = 10 * time.Millisecond
		tolerance = 0.02
		burstMax  = time.Millisecond
		paced     = 100 * time.Millisecond // time that data flows
	)
	for _, c := range []struct {
		mbit  int64
		block int
	}{
		{10, 1300}, {100, 1300}, {100, 8800}, {1000, 1300}, {1000, 8800}, {5000, 1300}, {5000, 8800}, {10_000, 8800},
	} {
		t.Run(fmt.Sprintf("%dM/%d", c.mbit, c.block), func(t *testing.T) {
			run(t, 11, func(w *World) (time.Duration, func() error) {
				w.LineRate = 1 << 50 // the line adds nothing to what was planned
				receivers(w, 1, Path{Delay: 100 * time.Microsecond})
				cfg := fast()
				cfg.Rate, cfg.BlockSize = mbit(c.mbit), c.block
				size := cfg.Rate * int64(paced/time.Millisecond) / 1000
				s := w.AddSender(cfg, file("a", size))
				var list []departure
				w.Tap = func(at clock.Time, _, _ netip.AddrPort, data []byte) {
					h, _, err := wire.ParseHeader(data)
					if err != nil || h.Func != wire.FuncFileSeg {
						return
					}
					n := int64(len(data) + udpHeaders)
					if k := len(list); k > 0 && at.Sub(list[k-1].at) < time.Microsecond {
						list[k-1].bytes += n
						return
					}
					list = append(list, departure{at, n})
				}
				return time.Minute, func() error {
					if err := everybodyHas(w, s)(); err != nil {
						return err
					}
					packet := time.Duration(int64(s.Config.PacketBytes()) * 1e9 / cfg.Rate)
					return even(list, float64(cfg.Rate), window, tolerance, max(burstMax, packet))
				}
			})
		})
	}
}

// even compares departures with a rate in bytes/s.
func even(list []departure, rate float64, window time.Duration, tolerance float64, burstMax time.Duration) error {
	last := list[len(list)-1].at.Sub(list[0].at)
	if last < 2*window {
		return fmt.Errorf("data flowed for %v only", last)
	}
	level, before := 0.0, list[0].at
	for _, d := range list {
		gap := d.at.Sub(before)
		if gap > burstMax+time.Microsecond {
			return fmt.Errorf("nothing left for %v, allowed are %v", gap, burstMax)
		}
		level = max(0, level-rate*gap.Seconds()) + float64(d.bytes)
		if ahead := time.Duration(level / rate * 1e9); ahead > burstMax+time.Microsecond {
			return fmt.Errorf("%v ahead of the rate, allowed are %v", ahead, burstMax)
		}
		before = d.at
	}
	spans, sum := 0, int64(0)
	for i, j := 0, 0; i < len(list); i++ {
		for ; j < len(list) && list[j].at.Sub(list[i].at) < window; j++ {
			sum += list[j].bytes
		}
		if j == len(list) {
			break
		}
		spans++
		if off := float64(sum)/list[j].at.Sub(list[i].at).Seconds()/rate - 1; math.Abs(off) > tolerance {
			return fmt.Errorf("over %v the rate is %.2f %% off", list[j].at.Sub(list[i].at), 100*off)
		}
		sum -= list[i].bytes
	}
	if spans == 0 {
		return fmt.Errorf("no span of %v", window)
	}
	return nil
}

// TestEvenSees shows which flows even rejects.
func TestEvenSees(t *testing.T) {
	flow := func(change func([]departure) []departure) []departure {
		var list []departure
		for i := range 100 {
			list = append(list, departure{Epoch.Add(time.Duration(i) * time.Millisecond), 1000})
		}
		return change(list)
	}
	for _, c := range []struct {
		why  string
		list []departure
		ok   bool
	}{
		{"an even flow", flow(func(l []departure) []departure { return l }), true},
		{"a flow that is 3 % too fast", flow(func(l []departure) []departure {
			for i := range l {
				l[i].bytes = 1030
			}
			return l
		}), false},
		{"a flow that is 3 % too slow", flow(func(l []departure) []departure {
			for i := range l {
				l[i].bytes = 970
			}
			return l
		}), false},
		{"two trains at once", flow(func(l []departure) []departure {
			l[50].at = l[49].at.Add(10 * time.Microsecond)
			return l
		}), false},
		{"a train that is missing", flow(func(l []departure) []departure { return append(l[:50], l[51:]...) }), false},
		{"too few to judge", flow(func(l []departure) []departure { return l[:15] }), false},
	} {
		if err := even(c.list, 1e6, 10*time.Millisecond, 0.02, time.Millisecond); (err == nil) != c.ok {
			t.Errorf("%s: %v, want it to pass: %v", c.why, err, c.ok)
		}
	}
}
