package sim

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"uftp/crypto/handshake"
	"uftp/crypto/identity"
	"uftp/engine/dialect"
	"uftp/engine/machine"
	"uftp/engine/receiver"
	"uftp/engine/sender"
	"uftp/wire"
)

// stranger is a sender of files of the same names, sizes and times in the group of a session,
// and what else it has in common with the sender of that session.
type stranger struct {
	instance  uint8
	uid, addr bool // those of the session
	encrypted bool
	start     time.Duration
}

// TestIsolation: what a session stores depends only on its own sender's packets, whatever
// hostile sessions run beside it: of the same group, another or the same instance, the
// same UID or address, in clear or encrypted, before, during and after an interruption,
// with and without a temporary directory.
func TestIsolation(t *testing.T) {
	const between = 3 * time.Second // after the cut, and before the resumption
	for _, secure := range []bool{false, true} {
		for _, temp := range []bool{false, true} {
			for _, cut := range []bool{false, true} {
				if cut && !temp {
					continue // nothing is left
				}
				name := fmt.Sprintf("encrypted %v, -T %v, cut %v", secure, temp, cut)
				alone := stored(t, secure, temp, cut)
				if !strings.Contains(alone, "whole") {
					t.Fatalf("%s: alone it stores\n%s", name, alone)
				}
				var all []stranger
				for _, instance := range []uint8{0, 1, 2, 255} {
					for _, uid := range []bool{false, true} {
						for _, addr := range []bool{false, true} {
							for _, enc := range []bool{false, true} {
								if uid && addr && !enc && !secure {
									continue // nobody can distinguish this sender from the session's
								}
								for _, start := range []time.Duration{150 * ms, 800 * ms, between, 5300 * ms} {
									x := stranger{instance: instance, uid: uid, addr: addr, encrypted: enc, start: start}
									all = append(all, x)
									if with := stored(t, secure, temp, cut, x); with != alone {
										t.Errorf("%s, beside %+v it stores\n%s\nand alone\n%s", name, x, with, alone)
									}
								}
							}
						}
					}
				}
				// And several together. Those that come between two instances hold the group one
				// after the other, which keeps the sender out (see package receiver).
				all = slices.DeleteFunc(all, func(x stranger) bool { return x.start == between })
				r := rand.New(rand.NewPCG(1, 2))
				for range 4 {
					r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
					if with := stored(t, secure, temp, cut, all[:8]...); with != alone {
						t.Errorf("%s, beside %+v it stores\n%s\nand alone\n%s", name, all[:8], with, alone)
					}
				}
			}
		}
	}
}

// stored runs a session of two files, beside others, and returns what became of it at its
// receiver. With cut its sender stops in the middle and resumes at 5 s.
func stored(t *testing.T, secure, temp, cut bool, beside ...stranger) string {
	t.Helper()
	w := New(1)
	cfg := receiver.Config{Restart: temp, MakeKeys: true, Rand: rand.NewChaCha8([32]byte{1}), MaxSessions: 20}
	if temp {
		cfg.CheckpointEvery = 100 * ms
	}
	r := w.AddReceiver(cfg, Path{Delay: ms})
	suite := handshake.Suite{Cipher: wire.CipherAES256GCM, Hash: wire.HashSHA256, SigType: wire.SigAuthEnc, KeyExch: wire.KeyExchECDHECDSA}
	secured := func(cfg sender.Config, key, run byte) sender.Config { return reencrypted(cfg, key, run, suite) }
	a, b := file("a", 500_000), file("b", 1_000_000)
	const group = 0xA0A0A0A0

	sc := slow()
	sc.Group = group
	plain := sc
	if secure {
		sc = secured(sc, 1, 1)
	}
	first := w.AddSender(closed(w, sc), a, b)
	last := first
	if cut {
		again := plain
		if secure {
			again = secured(plain, 1, 2)
		}
		last = w.NewInstance(first, closed(w, again), a, b)
		w.At(1200*ms, first.Stop)
		w.At(5*time.Second, last.StartNow)
	}
	for i, x := range beside {
		c := plain
		c.Instance = x.instance
		if x.encrypted {
			c = secured(c, byte(10+i), 1)
		}
		if x.uid {
			c.UID = first.Config.UID
		}
		fa, fb := *a, *b
		fa.Seed++
		fb.Seed++
		s := w.NewSender(closed(w, c), &fa, &fb)
		if x.addr {
			s.addr = netip.AddrPortFrom(first.addr.Addr(), s.addr.Port())
		}
		w.At(x.start, s.StartNow)
	}

	// What the receiver reports about sessions of this sender.
	var lines []string
	note := func() {
		for _, f := range []*File{a, b} {
			lines = append(lines, fmt.Sprintf("%s: whole %v, %d blocks", f.Name, r.Disk.Has(f), r.Disk.Part(f)))
		}
	}
	mine := func(s *receiver.Session) bool { return s.From == first.addr || s.From == last.addr }
	r.Hook = func(ev machine.Event) {
		switch ev := ev.(type) {
		case receiver.Open:
			if mine(&ev.Session) {
				lines = append(lines, fmt.Sprintf("opens %s in instance %d, resume %v", ev.Request.Name, ev.Session.Instance, ev.Request.Resume))
			}
		case receiver.FileEnded:
			if mine(&ev.Session) {
				lines = append(lines, fmt.Sprintf("%s ends with %d %s", ev.Request.Name, ev.Status, ev.Text))
			}
		case receiver.SessionEnded:
			if mine(&ev.Session) {
				lines = append(lines, fmt.Sprintf("instance %d ends: %v", ev.Session.Instance, ev.Reason))
				note()
			}
		}
	}
	if err := w.Run(3 * time.Minute); err != nil {
		t.Errorf("beside %+v: %v", beside, err)
	}
	lines = append(lines, fmt.Sprintf("%d blocks were sent in the end", last.Ended.Counters.DataPackets))
	if !last.Done() || last.Ended.Exit != sender.ExitOK {
		lines = append(lines, fmt.Sprintf("the sender ends with %v", last.Ended.Exit))
	}
	return strings.Join(lines, "\n")
}

// reencrypted makes cfg an encrypted session of its group; equal keys give the same
// long-term key, and runs other secrets.
func reencrypted(cfg sender.Config, key, run byte, s handshake.Suite) sender.Config {
	cfg = Defaults(cfg)
	long, err := identity.GenerateEC(identity.P256, rand.NewChaCha8([32]byte{key}))
	if err != nil {
		panic(err)
	}
	srv, err := handshake.NewServer(handshake.ServerConfig{
		Suite: s, Session: handshake.Session{Group: cfg.Group, Private: private(&cfg)},
		Key: long, Curve: identity.P256, Rand: rand.NewChaCha8([32]byte{key, run}),
	})
	if err == nil {
		cfg.Dialect, err = dialect.NewServer(wire.Version4, srv)
	}
	if err != nil {
		panic(err)
	}
	return cfg
}
