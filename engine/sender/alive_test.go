package sender

import (
	"testing"
	"time"

	"uftp/engine/clock"
	"uftp/engine/machine"
	"uftp/wire"
)

// TestLifeGap: however patient receivers are by R and G, those that got no block yet hear
// from a sender that waits several times a minute.
func TestLifeGap(t *testing.T) {
	for _, c := range []struct {
		robust int
		grtt   time.Duration
		want   time.Duration
	}{
		{20, 500 * ms, 0}, {50, 15 * time.Second, silenceMax}, {255, 1000 * time.Second, silenceMax},
	} {
		r := newRig(t, func(cfg *Config) {
			cfg.Robust, cfg.GRTT, cfg.MinGRTT, cfg.MaxGRTT = c.robust, c.grtt, c.grtt, c.grtt
		})
		gap := r.s.silence(4)
		want := c.want
		if want == 0 {
			want = r.s.patience() / 4
		}
		if gap != want {
			t.Errorf("R %d, G %v: silent for %v, want %v", c.robust, c.grtt, gap, want)
		}
	}
}

// TestKeepAlive: when trains do not leave, a FILEINFO that lists nobody overtakes them
// every quarter of what receivers wait. It takes no number from them.
func TestKeepAlive(t *testing.T) {
	r := begin(t, func(c *Config) { c.Rate, c.BlockSize, c.TrainBlocks = 125_000_000, 1300, 4 }, 1_000_000, 1)
	quarter := r.s.patience() / 4
	var p machine.Packet
	r.leave()
	r.drain()
	if len(r.planned) == 0 || r.s.pass.inFlight == 0 {
		t.Fatal("no train was planned")
	}
	first := r.planned[len(r.planned)-r.s.pass.inFlight]
	next := r.s.seq
	due := r.s.KeepAliveAt()
	if due < r.now.Add(quarter) || due > r.now.Add(quarter).Add(r.cfg.Lookahead) {
		t.Fatalf("due %v after now, want a quarter of the patience (%v) from the last departure on", due.Sub(r.now), quarter)
	}
	if r.s.KeepAlive(due-1, &p) {
		t.Error("something is said too early")
	}
	for n := range 3 {
		if !r.s.KeepAlive(due, &p) {
			t.Fatalf("nothing is said the %d. time", n+1)
		}
		h, msg, err := wire.ParseHeader(p.Data)
		if err != nil || h.Func != wire.FuncFileInfo || h.Seq != first.Head.Seq-1 || p.To != r.cfg.Private {
			t.Fatalf("%s to %v, want FILEINFO numbered %d to the group", wire.Describe(p.Data), p.To, first.Head.Seq-1)
		}
		if m, err := wire.ParseFileInfo(wire.Version4, msg); err != nil || m.FileID != first.FileID || m.Hosts.Len() != 0 {
			t.Fatalf("%+v, %v: want this file and nobody", m, err)
		}
		if at := r.s.KeepAliveAt(); at != due.Add(quarter) {
			t.Fatalf("again in %v, want %v", at.Sub(due), quarter)
		}
		due = due.Add(quarter)
	}
	if r.s.seq != next {
		t.Errorf("the next number is %d, want %d as before", r.s.seq, next)
	}
	r.s.Departed(due, 1)
	if r.s.pass.inFlight > 0 && r.s.KeepAliveAt() != due.Add(quarter) {
		t.Error("a train that leaves is a sign of life too")
	}
	r.s.Departed(due, r.s.pass.inFlight)
	if r.s.KeepAliveAt() != clock.Never || r.s.KeepAlive(due.Add(10*quarter), &p) {
		t.Error("nothing waits to leave, and something is said")
	}
}
