package sender

import (
	"math/rand/v2"
	"testing"
	"time"

	"uftp/engine/clock"
	"uftp/engine/machine"
)

// paced plays the data of a file with a host that comes late by what late says,
// and returns when each train leaves. rest is from each departure to the next one
// less what the train takes at the rate.
func paced(t *testing.T, late func(n int) time.Duration) (departs []clock.Time, rest []time.Duration) {
	const rate = 125_000_000
	r := begin(t, func(c *Config) { c.Rate, c.BlockSize, c.TrainBlocks = rate, 1300, machine.MaxTrainBlocks }, 20_000_000, 1)
	for n := 0; r.s.pass.number == 1 && r.s.pass.walking; n++ {
		if n > 100_000 {
			t.Fatal("the pass does not end")
		}
		r.now = max(r.now, clock.Min(r.s.Deadline(), r.now.Add(ms))).Add(late(n))
		r.leave()
		r.drain()
	}
	for i, p := range r.planned {
		departs = append(departs, p.Depart)
		if i > 0 {
			before := r.planned[i-1]
			takes := time.Duration(int64(before.N) * int64(r.cfg.PacketBytes()) * 1e9 / r.cfg.Rate)
			rest = append(rest, p.Depart.Sub(before.Depart)-takes)
		}
	}
	return departs, rest
}

// A host that is late by less than the lookahead changes no departure.
func TestLateHostKeepsDepartures(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	_, rest := paced(t, func(int) time.Duration { return time.Duration(rng.Int64N(int64(3 * ms))) })
	if len(rest) < 200 {
		t.Fatalf("only %d trains", len(rest))
	}
	for i, d := range rest {
		if d < -1 || d > 1 {
			t.Fatalf("train %d leaves %v off the rate", i+1, d)
		}
	}
}

// A host that stalls for longer loses that time, but for what the burst makes up.
func TestStalledHostMakesUpForLittle(t *testing.T) {
	departs, rest := paced(t, func(n int) time.Duration {
		if n == 50 {
			return 40 * ms
		}
		return 0
	})
	stalls, ahead := 0, time.Duration(0)
	for i, d := range rest {
		switch {
		case d > 20*ms:
			stalls++
		case d < -1:
			ahead -= d
		case d > 1:
			t.Errorf("train %d leaves %v too late, and there was no stall", i+1, d)
		}
	}
	if stalls != 1 {
		t.Fatalf("%d stalls in %d departures, want one", stalls, len(departs))
	}
	if ahead < burst/2 || ahead > 2*burst {
		t.Errorf("after the stall the sender is %v ahead of the rate, want about %v", ahead, burst)
	}
}
