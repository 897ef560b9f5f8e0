package sim

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"uftp/engine/receiver"
	"uftp/engine/sender"
	"uftp/wire"
)

// TestMix runs worlds in which everything is drawn from the seed.
func TestMix(t *testing.T) {
	for seed := range uint64(*numSeeds) {
		run(t, seed+1, mix)
		if *oneSeed != 0 {
			return
		}
	}
}

// chance is true with a probability.
func chance(r *rand.Rand, p float64) bool { return r.Float64() < p }

// between returns a duration.
func between(r *rand.Rand, a, b time.Duration) time.Duration {
	return a + time.Duration(r.Int64N(int64(b-a)+1))
}

// randomPath returns a path. A kind one loses little and is quick.
func randomPath(r *rand.Rand, kind bool) Path {
	p := Path{Delay: between(r, 100*time.Microsecond, 50*ms)}
	if chance(r, 0.5) {
		p.Loss = r.Float64() * 0.02
	}
	if chance(r, 0.3) {
		p.Jitter = between(r, 0, 20*ms)
	}
	if chance(r, 0.3) {
		p.Dup = r.Float64() * 0.2
	}
	if chance(r, 0.3) {
		p.Reorder = r.Float64() * 0.2
	}
	if kind {
		return p
	}
	if chance(r, 0.3) {
		p.Delay = between(r, 50*ms, 300*ms)
	}
	if chance(r, 0.5) {
		p.Loss = r.Float64() * 0.3
	}
	if chance(r, 0.3) {
		p.Burst = Bursts(r.Float64()*0.3, 1+r.Float64()*20)
	}
	if chance(r, 0.2) {
		p.Corrupt = r.Float64() * 0.1
	}
	return p
}

func randomFiles(r *rand.Rand) (files []*File) {
	for i := range 1 + r.IntN(4) {
		name := fmt.Sprintf("f%d", i)
		switch k := r.IntN(10); {
		case k == 0:
			files = append(files, &File{Type: wire.TypeDir, Name: name})
		case k == 1:
			files = append(files, &File{Type: wire.TypeLink, Name: name, Link: "x"})
		case k == 2:
			files = append(files, file(name, 0))
		case k < 6:
			files = append(files, file(name, r.Int64N(20_000)))
		default:
			files = append(files, file(name, r.Int64N(1_500_000)))
		}
	}
	return files
}

func mix(w *World) (time.Duration, func() error) {
	r := rand.New(rand.NewPCG(w.seed, 0x6d6978)) // links have their own
	kind := map[*Receiver]bool{}
	n := 1 + r.IntN(12)
	if chance(r, 0.1) {
		n = 50
	}
	restart := chance(r, 0.4)
	for range n {
		good := chance(r, 0.6)
		cfg := receiver.Config{Restart: restart}
		if restart && chance(r, 0.7) {
			cfg.CheckpointEvery = between(r, 50*ms, time.Second)
		}
		x := w.AddReceiverOn(cfg, randomPath(r, good), randomPath(r, good))
		x.Disk.OpenTime = between(r, 0, 5*ms)
		x.Disk.CloseTime = between(r, 0, 50*ms)
		x.Disk.SyncTime = between(r, 0, 50*ms)
		if !good {
			misfortune(w, r, x)
		}
		kind[x] = good
	}
	for chance(r, 0.2) {
		w.Rules = append(w.Rules, Rule{Dir: Direction(r.IntN(2)), Func: wire.Func(1 + r.IntN(13)), Node: Everybody, First: r.IntN(3), Every: 3 + r.IntN(5)})
	}

	files := randomFiles(r)
	cfg := sender.Config{
		Rate:      []int64{mbit(1), mbit(10), mbit(100), 0}[r.IntN(4)],
		GRTT:      between(r, 300*ms, time.Second),
		BlockSize: wire.MinBlockSize + r.IntN(wire.MaxBlockSize-wire.MinBlockSize),
		// Trains of any length must do.
		TrainBlocks: 1 + r.IntN(64),
	}
	if chance(r, 0.5) {
		cfg = closed(w, cfg)
	}
	if chance(r, 0.3) {
		cfg.Adapt = sender.Adapt{On: true, MaxLoss: []float64{sender.DefaultMaxLoss, 0.2}[r.IntN(2)], Most: []int64{0, mbit(50)}[r.IntN(2)]}
	}
	s := w.NewSender(cfg, files...)
	s.OfferDelay = between(r, 0, 20*ms)
	s.StartNow()
	last := s
	if chance(r, 0.3) { // it dies, and another one resumes
		last = w.NewInstance(s, s.Config, files...)
		at := between(r, 0, 8*time.Second)
		w.At(at, func() {
			if s.Done() {
				return
			}
			if chance(r, 0.5) {
				s.Stop()
			} else {
				s.Kill()
			}
			w.At(at+between(r, 0, 5*time.Second), last.StartNow)
		})
	}
	return 30 * time.Minute, func() error {
		if s.Done() && s.Ended.Exit != sender.ExitSignal {
			last = s
		}
		kinds := 0
		for _, x := range w.receivers {
			if !kind[x] {
				continue
			}
			kinds++
			for _, f := range files {
				if err := got(last, x, f); err != nil {
					return fmt.Errorf("%w (exit %v, %v)", err, last.Ended.Exit, x.Ends)
				}
			}
		}
		if kinds > 0 && last.Ended.Exit != sender.ExitOK {
			return fmt.Errorf("exit %v with %d receivers that had no bad luck", last.Ended.Exit, kinds)
		}
		return nil
	}
}

// misfortune plans something for a receiver, or nothing.
func misfortune(w *World, r *rand.Rand, x *Receiver) {
	at := between(r, 0, 8*time.Second)
	switch r.IntN(8) {
	case 0:
		w.At(at, x.Kill)
	case 1:
		w.At(at, x.Kill)
		w.At(at+between(r, ms, 3*time.Second), x.Start)
	case 2:
		w.At(at, x.Stop)
	case 3:
		w.Outages = append(w.Outages, Outage{Node: x.index, Down: chance(r, 0.8), Up: chance(r, 0.8), From: at, To: at + between(r, ms, 5*time.Second)})
	case 4:
		x.Disk.WriteLimit = 1 + r.Int64N(1_000_000)
	case 5:
		x.Disk.OpenTime = between(r, 0, 3*time.Second)
		x.Disk.CloseTime = between(r, 0, 3*time.Second)
	}
}
