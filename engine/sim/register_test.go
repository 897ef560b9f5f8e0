package sim

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"uftp/crypto/handshake"
	"uftp/engine/machine"
	"uftp/engine/receiver"
	"uftp/engine/sender"
	"uftp/wire"
)

// TestRegistration: every receiver that is registered stays in, for any number asked for,
// any first GRTT and any link, whether registration ends early or late, and even if a disk
// is slow to find the first file.
func TestRegistration(t *testing.T) {
	gcm := handshake.Suite{Cipher: wire.CipherAES256GCM, Hash: wire.HashSHA256, SigType: wire.SigAuthEnc, KeyExch: wire.KeyExchECDHECDSA}
	type registration struct {
		name string
		set  func(*sender.Config, int) // for so many receivers
		till time.Duration             // until when they may come; 0 = half of what the first GRTT gives
	}
	regs := []registration{
		{"one_short", func(c *sender.Config, n int) { c.RegisterCount = n + 1 }, 0},
		{"all_of_them", func(c *sender.Config, n int) { c.RegisterCount = n }, 0},
		{"quiet", func(c *sender.Config, _ int) { c.RegisterQuiet = 8 * time.Second }, 5 * time.Second},
		{"wait", func(c *sender.Config, n int) { c.RegisterCount, c.RegisterWait = n+1, 90*time.Second }, 60 * time.Second},
	}
	random := rand.New(rand.NewPCG(1, 2))
	for _, reg := range regs {
		for _, grtt := range []time.Duration{100 * ms, 500 * ms, 2 * time.Second} {
			for _, path := range []Path{
				{Delay: 100 * time.Microsecond},
				{Delay: 10 * ms, Loss: 0.1},
				{Delay: 300 * ms, Jitter: 20 * ms, Loss: 0.02},
			} {
				for _, keys := range []bool{false, true} {
					n := 1 + random.IntN(6)
					if !keys && random.IntN(6) == 0 {
						n = 100
					}
					seed := random.Uint64()
					name := fmt.Sprintf("%s/grtt_%v/delay_%v/keys_%v", reg.name, grtt, path.Delay, keys)
					t.Run(name, func(t *testing.T) {
						run(t, seed, func(w *World) (time.Duration, func() error) {
							luck := rand.New(rand.NewPCG(seed, 0))
							till := reg.till
							if till == 0 {
								till = 3 * grtt / 2
							}
							for i := range n {
								var cfg receiver.Config
								if keys {
									cfg = secretReceiver(byte(i))
								}
								r := w.AddReceiver(cfg, path)
								if i == 0 && path.Loss == 0 {
									continue // is there from the start
								}
								r.Kill()
								w.At(time.Duration(luck.Int64N(int64(till))), r.Start)
							}
							cfg := sender.Config{Rate: mbit(100), GRTT: grtt}
							if keys {
								cfg = encrypted(cfg, 1, gcm, true)
							}
							reg.set(&cfg, n)
							s := w.AddSender(cfg, file("a", 20_000))
							s.OfferDelay = 4 * time.Second
							return 10 * time.Minute, everybodyHas(w, s)
						})
					})
				}
			}
		}
	}
}

// TestRegistrationIsTimed: the time for registration is that of a session without a
// count, and RegisterWait is kept.
func TestRegistrationIsTimed(t *testing.T) {
	length := func(set func(*sender.Config)) time.Duration {
		var began time.Duration
		run(t, 7, func(w *World) (time.Duration, func() error) {
			receivers(w, 2, Path{Delay: ms})
			cfg := sender.Config{Rate: mbit(100)}
			set(&cfg)
			s := w.AddSender(cfg, file("a", 20_000))
			s.Hook = func(ev machine.Event) {
				if p, ok := ev.(sender.PhaseStarted); ok && p.Phase == sender.BetweenFiles && began == 0 {
					began = w.Now()
				}
			}
			return 2 * time.Minute, everybodyHas(w, s)
		})
		return began
	}
	plain := length(func(*sender.Config) {})
	for _, c := range []struct {
		why  string
		set  func(*sender.Config)
		want time.Duration
	}{
		{"one short", func(c *sender.Config) { c.RegisterCount = 3 }, plain},
		{"many short", func(c *sender.Config) { c.RegisterCount = 1000 }, plain},
		{"quiet", func(c *sender.Config) { c.RegisterQuiet = 7 * time.Second }, 7 * time.Second},
		{"wait", func(c *sender.Config) { c.RegisterCount, c.RegisterWait = 3, 30*time.Second }, 30 * time.Second},
		{"less to wait", func(c *sender.Config) { c.RegisterCount, c.RegisterWait = 3, time.Second }, time.Second},
	} {
		if got := length(c.set); (got - c.want).Abs() > 50*ms {
			t.Errorf("%s: registration lasts %v, want %v", c.why, got, c.want)
		}
	}
}
