package sim

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"uftp/engine/machine"
	"uftp/engine/receiver"
	"uftp/engine/sender"
	"uftp/wire"
)

// slow is a session in which a megabyte takes 0.8 s.
func slow() sender.Config {
	cfg := fast()
	cfg.Rate = mbit(10)
	return cfg
}

// othersHave checks that all receivers but the first have everything.
func othersHave(w *World, s *Sender) error {
	if s.Ended.Exit != sender.ExitOK {
		return fmt.Errorf("exit is %v, want OK", s.Ended.Exit)
	}
	for _, r := range w.receivers[1:] {
		for _, f := range s.Files {
			if err := got(s, r, f); err != nil {
				return err
			}
		}
	}
	return nil
}

// TestReceiverDies switches one receiver off at many moments, for ever or for a
// while. The others must get everything, and nobody may be reported done without
// the file, which the checkers see to.
func TestReceiverDies(t *testing.T) {
	for _, back := range []time.Duration{0, 20 * ms, 500 * ms, 3 * time.Second} {
		t.Run(fmt.Sprint(back), func(t *testing.T) {
			for at := 10 * ms; at < 2500*ms; at += 170 * ms {
				run(t, uint64(at), func(w *World) (time.Duration, func() error) {
					receivers(w, 3, Path{Delay: ms, Loss: 0.005})
					r := w.receivers[0]
					w.At(at, r.Kill)
					if back > 0 {
						w.At(at+back, r.Start)
					}
					s := w.AddSender(closed(w, slow()), file("a", 600_000), file("b", 600_000))
					return time.Minute, func() error { return othersHave(w, s) }
				})
			}
		})
	}
}

// TestReceiverComesBackWhileRegistering: a receiver that dies early and is back before
// the registration ends takes part like all others.
func TestReceiverComesBackWhileRegistering(t *testing.T) {
	run(t, 3, func(w *World) (time.Duration, func() error) {
		receivers(w, 3, Path{Delay: ms})
		r := w.receivers[0]
		w.At(20*ms, r.Kill)
		w.At(60*ms, r.Start)
		cfg := fast()
		cfg.GRTT = 100 * ms
		s := w.AddSender(cfg, file("a", 200_000))
		return time.Minute, everybodyHas(w, s)
	})
}

// TestResume kills the sender (or stops it as a signal does) at many moments and
// starts a new one that continues the session. Receivers keep what they have; what
// everybody has is not sent again.
func TestResume(t *testing.T) {
	for _, c := range []struct {
		name   string
		signal bool
		wait   time.Duration // until the new sender comes
		loss   float64
	}{
		{"signal", true, time.Second, 0},
		{"killed", false, 3 * time.Second, 0},
		{"killed_lossy", false, 3 * time.Second, 0.05},
		{"at_once", false, 50 * ms, 0}, // the old session is still active
		{"signal_lost", true, 50 * ms, 0.5},
	} {
		t.Run(c.name, func(t *testing.T) {
			for at := 300 * ms; at < 1500*ms; at += 130 * ms {
				run(t, uint64(at), func(w *World) (time.Duration, func() error) {
					for range 3 {
						w.AddReceiver(receiver.Config{Restart: true, CheckpointEvery: 100 * ms}, Path{Delay: ms, Loss: min(c.loss, 0.05)})
					}
					a, b := file("a", 500_000), file("b", 500_000)
					first := w.AddSender(closed(w, slow()), a, b)
					if c.loss > 0.1 {
						w.Rules = []Rule{{Dir: Down, Func: wire.FuncAbort, Node: Everybody, All: true}}
					}
					cfg := closed(w, slow())
					second := w.NewInstance(first, cfg, a, b)
					w.At(at, func() {
						if c.signal {
							first.Stop()
						} else {
							first.Kill()
						}
					})
					var kept int // blocks that everybody has when the second starts
					w.At(at+c.wait, func() {
						for _, f := range first.Files {
							n := 1 << 30
							for _, r := range w.receivers {
								switch {
								case r.Disk.Has(f):
								default:
									n = min(n, r.Disk.Part(f))
								}
							}
							if n == 1<<30 {
								n = 385
							}
							kept += n
						}
						second.StartNow()
					})
					return time.Minute, func() error {
						if err := everybodyHas(w, second)(); err != nil {
							return err
						}
						sent := second.Ended.Counters.DataPackets
						if limit := int64(2*385 - kept); c.loss == 0 && c.wait >= time.Second && sent > limit {
							return fmt.Errorf("stopped at %v: %d blocks were sent again, %d of %d were everywhere", at, sent, kept, 2*385)
						}
						return nil
					}
				})
			}
		})
	}
}

// TestResumeAfterPowerCut kills a receiver in the middle of a file, restarts it
// and resumes: only what was not made durable is sent again.
func TestResumeAfterPowerCut(t *testing.T) {
	for _, every := range []time.Duration{0, 100 * ms, 400 * ms} {
		t.Run(fmt.Sprint(every), func(t *testing.T) {
			run(t, 4, func(w *World) (time.Duration, func() error) {
				w.AddReceiver(receiver.Config{Restart: true, CheckpointEvery: every}, Path{Delay: ms})
				r := w.receivers[0]
				r.Disk.SyncTime = 20 * ms
				a := file("a", 1_300_000) // 1000 blocks, 1.04 s
				first := w.AddSender(closed(w, slow()), a)
				cfg := closed(w, slow())
				second := w.NewInstance(first, cfg, a)
				w.At(1000*ms, func() { r.Kill(); first.Kill() })
				w.At(1500*ms, r.Start)
				var part int
				w.At(2000*ms, func() { part = r.Disk.Part(a); second.StartNow() })
				return time.Minute, func() error {
					if every == 0 && part > 0 || every > 0 && part < 300 {
						return fmt.Errorf("%d of 1000 blocks survived with checkpoints every %v", part, every)
					}
					if n := second.Ended.Counters.DataPackets; n != int64(1000-part) {
						return fmt.Errorf("%d blocks were sent, want the %d that were lost", n, 1000-part)
					}
					return everybodyHas(w, second)()
				}
			})
		})
	}
}

// TestResumeOfSome: some receivers have a part of the file and others have none; then
// everything is sent.
func TestResumeOfSome(t *testing.T) {
	run(t, 5, func(w *World) (time.Duration, func() error) {
		w.AddReceiver(receiver.Config{Restart: true}, Path{Delay: ms})
		w.AddReceiver(receiver.Config{}, Path{Delay: ms})
		a := file("a", 600_000)
		first := w.AddSender(closed(w, slow()), a)
		cfg := closed(w, slow())
		second := w.NewInstance(first, cfg, a)
		w.At(400*ms, first.Stop)
		w.At(2*time.Second, second.StartNow)
		return time.Minute, everybodyHas(w, second)
	})
}

// TestChangedSource resumes with a file of the same name and size that has been
// rewritten since: what receivers have of the old one must not get into it.
func TestChangedSource(t *testing.T) {
	run(t, 6, func(w *World) (time.Duration, func() error) {
		for range 2 {
			w.AddReceiver(receiver.Config{Restart: true, CheckpointEvery: 100 * ms}, Path{Delay: ms})
		}
		old, now := file("a", 600_000), file("a", 600_000)
		now.MTime++
		now.Seed++
		first := w.AddSender(closed(w, slow()), old)
		cfg := closed(w, slow())
		second := w.NewInstance(first, cfg, now)
		w.At(400*ms, first.Stop)
		w.At(2*time.Second, second.StartNow)
		return time.Minute, everybodyHas(w, second)
	})
}

// TestSenderStops sends the sender a signal at many moments.
func TestSenderStops(t *testing.T) {
	for at := time.Duration(0); at < 2500*ms; at += 90 * ms {
		run(t, uint64(at), func(w *World) (time.Duration, func() error) {
			receivers(w, 3, Path{Delay: ms})
			s := w.AddSender(closed(w, slow()), file("a", 600_000), file("b", 600_000))
			var before bool
			var last time.Duration
			w.At(at, func() { before = s.Done(); s.Stop() })
			for _, r := range w.receivers {
				r.Hook = func(ev machine.Event) {
					if _, ok := ev.(receiver.SessionEnded); ok {
						last = w.Now()
					}
				}
			}
			return time.Minute, func() error {
				if want := map[bool]sender.Exit{true: sender.ExitOK, false: sender.ExitSignal}[before]; s.Ended.Exit != want {
					return fmt.Errorf("stopped at %v, the exit is %v, want %v", at, s.Ended.Exit, want)
				}
				if last > at+100*ms && !before {
					return fmt.Errorf("stopped at %v, receivers ended at %v", at, last)
				}
				for _, r := range w.receivers {
					for _, e := range r.Ends {
						if e != receiver.EndAborted && e != receiver.EndConfirmed {
							return fmt.Errorf("stopped at %v, %s ends with %v", at, r, e)
						}
					}
				}
				return nil
			}
		})
	}
}

// TestReceiverStops sends one receiver a signal at many moments.
func TestReceiverStops(t *testing.T) {
	for at := time.Duration(0); at < 2500*ms; at += 90 * ms {
		run(t, uint64(at), func(w *World) (time.Duration, func() error) {
			receivers(w, 3, Path{Delay: ms})
			r := w.receivers[0]
			r.Disk.CloseTime = 30 * ms
			w.At(at, r.Stop)
			s := w.AddSender(closed(w, slow()), file("a", 600_000), file("b", 600_000))
			return time.Minute, func() error {
				if slices.ContainsFunc(r.Ends, func(e receiver.EndReason) bool {
					return e != receiver.EndShutdown && e != receiver.EndConfirmed && e != receiver.EndUnconfirmed
				}) {
					return fmt.Errorf("stopped at %v, the receiver ends with %v", at, r.Ends)
				}
				return othersHave(w, s)
			}
		})
	}
}

// TestQuitOnError gives up for everybody when one receiver is lost.
func TestQuitOnError(t *testing.T) {
	run(t, 7, func(w *World) (time.Duration, func() error) {
		receivers(w, 3, Path{Delay: ms})
		w.At(700*ms, w.receivers[0].Kill)
		cfg := closed(w, slow())
		cfg.QuitOnError = true
		s := w.AddSender(cfg, file("a", 1_000_000), file("b", 1000))
		return time.Minute, func() error {
			if s.Ended.Exit != sender.ExitNoFile || len(s.Results) != 1 {
				return fmt.Errorf("exit is %v after %d files, want %v after one", s.Ended.Exit, len(s.Results), sender.ExitNoFile)
			}
			for _, r := range w.receivers[1:] {
				if fmt.Sprint(r.Ends) != fmt.Sprint([]receiver.EndReason{receiver.EndAborted}) {
					return fmt.Errorf("%s ends with %v, want aborted", r, r.Ends)
				}
			}
			return nil
		}
	})
}

// TestNobody: without receivers the session ends after its announce rounds.
func TestNobody(t *testing.T) {
	for _, hosts := range [][]sender.Host{nil, {{UID: 77, Name: "x"}}} {
		run(t, 8, func(w *World) (time.Duration, func() error) {
			cfg := sender.Config{GRTT: 50 * ms, Robust: 10, Hosts: hosts}
			s := w.AddSender(cfg, file("a", 1))
			return time.Minute, func() error {
				if s.Ended.Exit != sender.ExitNobody || w.Now() < 1500*ms || w.Now() > 1700*ms {
					return fmt.Errorf("exit is %v after %v, want %v after R*3*G = 1.5 s", s.Ended.Exit, w.Now(), sender.ExitNobody)
				}
				return nil
			}
		})
	}
}

// TestDisk: slow, full and failing disks of one receiver.
func TestDisk(t *testing.T) {
	for _, c := range []struct {
		name  string
		set   func(d *Disk)
		state sender.State
		res   sender.State // of the first file
		stat  wire.CompleteStatus
		has   bool
	}{
		{"slow_open", func(d *Disk) { d.OpenTime = 400 * ms }, sender.Done, sender.Done, 0, true},
		{"slow_close", func(d *Disk) { d.CloseTime = 700 * ms }, sender.Done, sender.Done, 0, true},
		{"very_slow_close", func(d *Disk) { d.CloseTime = 5 * time.Second }, sender.Done, sender.Done, 0, true},
		{"very_slow_open", func(d *Disk) { d.OpenTime = 10 * time.Second }, sender.Lost, sender.Lost, 0, false},
		{"too_small", func(d *Disk) { d.Space = 500_000 }, sender.Done, sender.Done, wire.StatusRejected, false},
		{"fills_up", func(d *Disk) { d.WriteLimit = 300_000 }, sender.Aborted, sender.Aborted, 0, false},
		{"fills_up_last", func(d *Disk) { d.WriteLimit = 599_999 }, sender.Aborted, sender.Aborted, 0, false},
		{"close_fails", func(d *Disk) { d.CloseError = "Input/output error" }, sender.Done, sender.Done, wire.StatusRejected, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			run(t, 9, func(w *World) (time.Duration, func() error) {
				receivers(w, 3, Path{Delay: ms, Loss: 0.01})
				c.set(&w.receivers[0].Disk)
				s := w.AddSender(closed(w, slow()), file("a", 600_000), file("b", 1000))
				return 2 * time.Minute, func() error {
					if err := othersHave(w, s); err != nil {
						return err
					}
					r := w.receivers[0]
					if st := s.Ended.States[0]; st != c.state {
						return fmt.Errorf("the receiver ends as %v (%v), want %v", st, r.Ends, c.state)
					}
					res, _ := s.Result("a", r.UID())
					if res.State != c.res || res.State == sender.Done && res.Status != c.stat {
						return fmt.Errorf("the file ends as %v with status %d, want %v with %d", res.State, res.Status, c.res, c.stat)
					}
					if r.Disk.Has(s.Files[0]) != c.has {
						return fmt.Errorf("the disk has the file: %v, want %v", !c.has, c.has)
					}
					return nil
				}
			})
		})
	}
}

// TestSync: a file that a receiver already has is not sent to it.
func TestSync(t *testing.T) {
	run(t, 10, func(w *World) (time.Duration, func() error) {
		receivers(w, 2, Path{Delay: ms})
		a := file("a", 100_000)
		w.receivers[0].Disk.Put(a)
		cfg := fast()
		cfg.Sync = true
		s := w.AddSender(cfg, a)
		return time.Minute, func() error {
			for i, want := range []wire.CompleteStatus{wire.StatusSkipped, wire.StatusNormal} {
				if res, _ := s.Result("a", w.receivers[i].UID()); res.Status != want {
					return fmt.Errorf("status at receiver %d is %d, want %d", i, res.Status, want)
				}
			}
			return everybodyHas(w, s)()
		}
	})
}

// TestSourceFails: a file that cannot be read to its end is given up, the next one
// is sent.
func TestSourceFails(t *testing.T) {
	for _, at := range []int64{1, 300_000, 599_999} {
		run(t, 11, func(w *World) (time.Duration, func() error) {
			receivers(w, 3, Path{Delay: ms, Loss: 0.01})
			bad := file("a", 600_000)
			bad.FailAt = at
			s := w.AddSender(closed(w, slow()), bad, file("b", 50_000))
			return time.Minute, func() error {
				if !s.Done() || s.Results[0].Err == "" {
					return fmt.Errorf("ended %v, the file with %q, want a reason", s.Done(), s.Results[0].Err)
				}
				for _, r := range w.receivers {
					if r.Disk.Has(bad) {
						return fmt.Errorf("%s has a file that could not be read", r)
					}
					if err := got(s, r, s.Files[1]); err != nil {
						return fmt.Errorf("the file behind: %w", err)
					}
				}
				if s.Ended.Exit != sender.ExitNoFile || !s.Ended.Complete {
					return fmt.Errorf("exit %v, complete %v", s.Ended.Exit, s.Ended.Complete)
				}
				return nil
			}
		})
	}
}

// TestSlowWalk: finding the next file takes longer than receivers wait for it.
func TestSlowWalk(t *testing.T) {
	run(t, 12, func(w *World) (time.Duration, func() error) {
		receivers(w, 2, Path{Delay: ms})
		s := w.NewSender(fast(), file("a", 1000), file("b", 1000))
		s.OfferDelay = 500 * ms
		s.StartNow()
		return time.Minute, everybodyHas(w, s)
	})
}

// TestLimits: passes, shares of NAKs and time that a file may take.
func TestLimits(t *testing.T) {
	for _, c := range []struct {
		name string
		set  func(cfg *sender.Config)
		text string
	}{
		{"passes", func(cfg *sender.Config) { cfg.MaxPasses = 3 }, "Max passes exceeded"},
		{"naks", func(cfg *sender.Config) { cfg.MaxNAKPct = 10 }, "Excessive NAKs received"},
		{"naks_thrice", func(cfg *sender.Config) { cfg.MaxNAKPct, cfg.MaxNAKCount = 10, 3 }, "Excessive NAKs received"},
		{"time", func(cfg *sender.Config) { cfg.TxWeight = 250 }, "Max file transfer time exceeded"},
	} {
		t.Run(c.name, func(t *testing.T) {
			run(t, 13, func(w *World) (time.Duration, func() error) {
				receivers(w, 3, Path{Delay: ms})
				// Half of the data of one receiver is lost for ever.
				w.Rules = []Rule{{Dir: Down, Func: wire.FuncFileSeg, Node: 0, All: true, Match: func(_ wire.Header, msg []byte) bool {
					x, err := wire.ParseFileSeg(msg)
					return err == nil && x.FileID == 1 && x.Block%2 == 1
				}}}
				cfg := closed(w, slow())
				c.set(&cfg)
				s := w.AddSender(cfg, file("a", 1_300_000), file("b", 1000))
				var said string
				s.Hook = func(ev machine.Event) {
					if ev, ok := ev.(sender.SentAbort); ok {
						said = ev.Text
					}
				}
				return time.Minute, func() error {
					if said != c.text {
						return fmt.Errorf("the sender says %q, want %q", said, c.text)
					}
					if res, _ := s.Result("a", w.receivers[0].UID()); res.State != sender.Aborted {
						return fmt.Errorf("the receiver ends the file as %v", res.State)
					}
					want := sender.Aborted
					if cfg.TxWeight > 0 {
						want = sender.Done // it gave up the file only
					}
					if st := s.Ended.States[0]; st != want {
						return fmt.Errorf("the receiver ends as %v, want %v", st, want)
					}
					return othersHave(w, s)
				}
			})
		})
	}
}
