package sim

import (
	"fmt"
	"testing"
	"time"

	"uftp/engine/receiver"
	"uftp/engine/sender"
	"uftp/wire"
)

const ms = time.Millisecond

// TestPaths: what a link may do to packets and a session must survive.
func TestPaths(t *testing.T) {
	for _, c := range []struct {
		name     string
		down, up Path
		limit    time.Duration
	}{
		{"loss_1", Path{Delay: ms, Loss: 0.01}, Path{Delay: ms, Loss: 0.01}, time.Minute},
		{"loss_5", Path{Delay: ms, Loss: 0.05}, Path{Delay: ms, Loss: 0.05}, time.Minute},
		{"loss_10", Path{Delay: ms, Loss: 0.1}, Path{Delay: ms, Loss: 0.1}, time.Minute},
		{"loss_30", Path{Delay: ms, Loss: 0.3}, Path{Delay: ms, Loss: 0.3}, 2 * time.Minute},
		{"loss_30_down", Path{Delay: ms, Loss: 0.3}, Path{Delay: ms}, 2 * time.Minute},
		{"loss_30_up", Path{Delay: ms}, Path{Delay: ms, Loss: 0.3}, time.Minute},
		{"burst_5", Path{Delay: ms, Burst: Bursts(0.05, 8)}, Path{Delay: ms, Burst: Bursts(0.05, 3)}, time.Minute},
		{"burst_30", Path{Delay: ms, Burst: Bursts(0.3, 5)}, Path{Delay: ms, Burst: Bursts(0.3, 3)}, 2 * time.Minute},
		{"burst_long", Path{Delay: ms, Burst: Bursts(0.1, 200)}, Path{Delay: ms}, time.Minute},
		{"delay_100", Path{Delay: 100 * ms}, Path{Delay: 100 * ms}, time.Minute},
		{"delay_600", Path{Delay: 300 * ms}, Path{Delay: 300 * ms}, 2 * time.Minute},
		{"delay_1200", Path{Delay: 600 * ms}, Path{Delay: 600 * ms}, 4 * time.Minute},
		{"delay_600_loss_10", Path{Delay: 300 * ms, Loss: 0.1}, Path{Delay: 300 * ms, Loss: 0.1}, 4 * time.Minute},
		{"asymmetric", Path{Delay: 500 * ms}, Path{Delay: ms}, 2 * time.Minute},
		{"jitter", Path{Delay: 5 * ms, Jitter: 40 * ms}, Path{Delay: 5 * ms, Jitter: 40 * ms}, time.Minute},
		{"duplicates", Path{Delay: ms, Dup: 0.3}, Path{Delay: ms, Dup: 0.3}, time.Minute},
		{"reordering", Path{Delay: ms, Reorder: 0.1, ReorderBy: 20 * ms}, Path{Delay: ms, Reorder: 0.3, ReorderBy: 20 * ms}, time.Minute},
		{"corruption", Path{Delay: ms, Corrupt: 0.05}, Path{Delay: ms, Corrupt: 0.05}, time.Minute},
		{"everything", Path{Delay: 20 * ms, Jitter: 10 * ms, Loss: 0.05, Burst: Bursts(0.05, 2), Dup: 0.05, Reorder: 0.05, Corrupt: 0.02}, Path{Delay: 20 * ms, Jitter: 10 * ms, Loss: 0.05, Burst: Bursts(0.05, 2), Dup: 0.05, Reorder: 0.05, Corrupt: 0.02}, 2 * time.Minute},
	} {
		for seed := uint64(1); seed <= 3; seed++ {
			t.Run(c.name, func(t *testing.T) {
				run(t, seed, func(w *World) (time.Duration, func() error) {
					for range 6 {
						w.AddReceiverOn(receiver.Config{}, c.down, c.up)
					}
					cfg := fast()
					if seed > 1 {
						cfg = closed(w, cfg)
					}
					if seed == 3 || c.down.Delay >= 100*ms {
						cfg.GRTT = 500 * ms
					}
					s := w.AddSender(cfg, file("a", 700_000), file("b", 0), file("c", 40_000))
					return c.limit, everybodyHas(w, s)
				})
			})
		}
	}
}

// TestLostControl drops the first k packets, or every second one, of every kind of control
// message. That may cost time and nothing else.
func TestLostControl(t *testing.T) {
	for _, f := range []struct {
		fn  wire.Func
		dir Direction
	}{
		{wire.FuncAnnounce, Down}, {wire.FuncRegister, Up}, {wire.FuncRegConf, Down}, {wire.FuncFileInfo, Down},
		{wire.FuncFileInfoAck, Up}, {wire.FuncDone, Down}, {wire.FuncStatus, Up}, {wire.FuncComplete, Up},
		{wire.FuncDoneConf, Down}, {0, Down}, {0, Up},
	} {
		for _, r := range []Rule{{First: 1}, {First: 3}, {Every: 2}, {Every: 3}} {
			t.Run(fmt.Sprintf("%v_%v_first_%d_every_%d", f.fn, f.dir, r.First, r.Every), func(t *testing.T) {
				run(t, 1, func(w *World) (time.Duration, func() error) {
					receivers(w, 3, Path{Delay: ms, Loss: 0.02})
					r.Func, r.Dir, r.Node = f.fn, f.dir, Everybody
					w.Rules = []Rule{r}
					s := w.AddSender(closed(w, fast()), file("a", 300_000), file("b", 5_000))
					return time.Minute, everybodyHas(w, s)
				})
			})
		}
	}
}

// groupMessage and fileMessage distinguish the two uses of COMPLETE and DONE.
func groupMessage(h wire.Header, msg []byte) bool {
	switch h.Func {
	case wire.FuncComplete:
		x, err := wire.ParseComplete(msg)
		return err == nil && x.FileID == 0
	case wire.FuncDone:
		x, err := wire.ParseDone(msg)
		return err == nil && x.FileID == 0
	}
	return false
}

func fileMessage(h wire.Header, msg []byte) bool { return !groupMessage(h, msg) }

// TestSilenced drops one kind of message of one receiver for ever. The specification says
// what becomes of that receiver; the others must not notice.
func TestSilenced(t *testing.T) {
	const (
		none = iota
		has  // on the disk, not known to the sender
		all  // on the disk and reported
	)
	for _, c := range []struct {
		name  string
		rule  Rule
		loss  float64 // of the receiver's data
		files int     // none, has or all for both files
		state sender.State
		end   []receiver.EndReason
	}{
		{"ANNOUNCE", Rule{Func: wire.FuncAnnounce, Dir: Down}, 0, none, sender.Mute, nil},
		{"REGISTER", Rule{Func: wire.FuncRegister, Dir: Up}, 0, none, sender.Mute, []receiver.EndReason{receiver.EndTimeout}},
		{"REG_CONF", Rule{Func: wire.FuncRegConf, Dir: Down}, 0, all, sender.Done, []receiver.EndReason{receiver.EndConfirmed}},
		{"FILEINFO", Rule{Func: wire.FuncFileInfo, Dir: Down}, 0, none, sender.Lost, []receiver.EndReason{receiver.EndAborted}},
		{"FILEINFO_ACK", Rule{Func: wire.FuncFileInfoAck, Dir: Up}, 0, none, sender.Lost, []receiver.EndReason{receiver.EndAborted}},
		{"FILESEG", Rule{Func: wire.FuncFileSeg, Dir: Down}, 0, none, sender.Aborted, []receiver.EndReason{receiver.EndAborted}},
		{"DONE", Rule{Func: wire.FuncDone, Dir: Down, Match: fileMessage}, 0, has, sender.Lost, []receiver.EndReason{receiver.EndAborted}},
		{"STATUS", Rule{Func: wire.FuncStatus, Dir: Up}, 0.1, none, sender.Lost, []receiver.EndReason{receiver.EndAborted}},
		{"COMPLETE", Rule{Func: wire.FuncComplete, Dir: Up, Match: fileMessage}, 0, has, sender.Lost, []receiver.EndReason{receiver.EndAborted}},
		{"COMPLETE_group", Rule{Func: wire.FuncComplete, Dir: Up, Match: groupMessage}, 0, all, sender.Lost, []receiver.EndReason{receiver.EndUnconfirmed}},
		{"DONE_group", Rule{Func: wire.FuncDone, Dir: Down, Match: groupMessage}, 0, all, sender.Aborted, []receiver.EndReason{receiver.EndTimeout}},
		{"DONE_CONF", Rule{Func: wire.FuncDoneConf, Dir: Down}, 0, all, sender.Done, []receiver.EndReason{receiver.EndUnconfirmed}},
	} {
		t.Run(c.name, func(t *testing.T) {
			run(t, 1, func(w *World) (time.Duration, func() error) {
				w.AddReceiverOn(receiver.Config{}, Path{Delay: ms, Loss: c.loss}, Path{Delay: ms})
				receivers(w, 2, Path{Delay: ms, Loss: 0.01})
				c.rule.All = true
				w.Rules = []Rule{c.rule}
				cfg := closed(w, fast())
				cfg.MaxPasses = 4
				s := w.AddSender(cfg, file("a", 300_000), file("b", 5_000))
				return time.Minute, func() error {
					if s.Ended.Exit != sender.ExitOK {
						return fmt.Errorf("exit is %v, want OK: the others have everything", s.Ended.Exit)
					}
					for _, r := range w.receivers[1:] {
						for _, f := range s.Files {
							if err := got(s, r, f); err != nil {
								return err
							}
						}
					}
					r := w.receivers[0]
					if st := s.Ended.States[0]; st != c.state {
						return fmt.Errorf("the sender ends with the receiver %v, want %v", st, c.state)
					}
					if fmt.Sprint(r.Ends) != fmt.Sprint(c.end) {
						return fmt.Errorf("the receiver's sessions end %v, want %v", r.Ends, c.end)
					}
					first := s.Files[0]
					res, _ := s.Result(first.Name, r.UID())
					if want := c.files != none; r.Disk.Has(first) != want {
						return fmt.Errorf("the receiver has the file: %v, want %v", !want, want)
					}
					if want := c.files == all; (res.State == sender.Done) != want {
						return fmt.Errorf("the sender reports %v", res.State)
					}
					return nil
				}
			})
		})
	}
}

// TestPartition cuts one receiver off in the middle of a file.
func TestPartition(t *testing.T) {
	for _, c := range []struct {
		name     string
		from, to time.Duration
		down, up bool
		whole    bool
	}{
		{"short", 400 * ms, 700 * ms, true, true, true},
		{"short_down", 400 * ms, 900 * ms, true, false, true},
		{"short_up", 400 * ms, 900 * ms, false, true, true},
		{"long", 400 * ms, 10 * time.Second, true, true, false},
		{"long_down", 400 * ms, 10 * time.Second, true, false, false},
		{"long_up", 400 * ms, 10 * time.Second, false, true, false},
		{"for_ever", 400 * ms, time.Hour, true, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			run(t, 2, func(w *World) (time.Duration, func() error) {
				receivers(w, 3, Path{Delay: ms})
				cfg := closed(w, fast())
				cfg.Rate = mbit(10) // 1 MB in 0.8 s
				w.Outages = []Outage{{Node: 0, Down: c.down, Up: c.up, From: c.from, To: c.to}}
				s := w.AddSender(cfg, file("a", 1_000_000), file("b", 1_000_000))
				return time.Minute, func() error {
					for i, r := range w.receivers {
						for _, f := range s.Files {
							if i > 0 || c.whole {
								if err := got(s, r, f); err != nil {
									return err
								}
							}
						}
					}
					if !c.whole && !s.Ended.States[0].Failed() {
						return fmt.Errorf("the receiver that was cut off ends %v", s.Ended.States[0])
					}
					return nil
				}
			})
		})
	}
}

// TestPartitionOfAll cuts everybody off for ever, at any moment: both sides must
// come to their end.
func TestPartitionOfAll(t *testing.T) {
	for at := time.Duration(0); at < 1500*ms; at += 50 * ms {
		run(t, uint64(at), func(w *World) (time.Duration, func() error) {
			receivers(w, 3, Path{Delay: ms})
			cfg := fast()
			cfg.Rate = mbit(10)
			w.Outages = []Outage{{Node: Everybody, Down: true, Up: true, From: at, To: time.Hour}}
			s := w.AddSender(cfg, file("a", 300_000), file("b", 300_000))
			return time.Minute, func() error {
				if !s.Done() {
					return fmt.Errorf("cut off at %v, the session did not end", at)
				}
				return nil
			}
		})
	}
}

// TestMangled lets corrupted packets through to the machines. Content proves
// nothing then, but everything must come to its end, and nobody may run away.
func TestMangled(t *testing.T) {
	for seed := uint64(1); seed <= 20; seed++ {
		run(t, seed, func(w *World) (time.Duration, func() error) {
			p := Path{Delay: ms, Corrupt: 0.2, NoChecksum: true, Loss: 0.01}
			receivers(w, 4, p)
			cfg := fast()
			cfg.MaxPasses = 20
			w.AddSender(cfg, tree()...)
			return 30 * time.Minute, nil
		})
	}
}
