package receiver

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"uftp/engine/block"
	"uftp/engine/clock"
	"uftp/wire"
)

// TestLossyConversation lets a sender that keeps the rules of docs/protocol.md, "Data
// phase", talk to one receiver over lossy links. Every file must arrive, and the receiver
// must not send more than it may.
func TestLossyConversation(t *testing.T) {
	for _, c := range []struct {
		sections   int
		data, back float64 // share that is lost
		passes     int     // at most
		atDisk     time.Duration
	}{
		{1, 0, 0, 1, 0},
		{1, 0.3, 0, 12, 0},
		{12, 0.05, 0.05, 8, 0},
		{12, 0.3, 0.3, 30, 0},
		{40, 0.3, 0.7, 60, 0},
		{12, 0.01, 0, 400, 3 * time.Second}, // passes of one block while the disk is busy
	} {
		for seed := range uint64(3) {
			t.Run(fmt.Sprintf("sections=%d/data=%v/back=%v/disk=%v/seed=%d", c.sections, c.data, c.back, c.atDisk, seed), func(t *testing.T) {
				rnd := rand.New(rand.NewPCG(seed, 7))
				w := newWorld(t)
				l := w.receiveSections(c.sections)
				w.forget()
				ref := w.session().file.req.Ref
				const round = 3 * oneG

				var need block.Set
				need.Reset(l.Blocks, true)
				heard, complete := false, false // in this pass; at last
				said := map[int]clock.Time{}
				hear := func() {
					for _, p := range w.packets {
						switch p.head.Func {
						case wire.FuncStatus:
							x, _ := wire.ParseStatus(wire.Version4, p.msg)
							if last, again := said[int(x.Section)]; again && p.at.Sub(last) < oneG-time.Millisecond {
								t.Fatalf("section %d twice within %v", x.Section, p.at.Sub(last))
							}
							said[int(x.Section)] = p.at
							if rnd.Float64() >= c.back {
								heard = true
								need.Merge(x.NAKs, l.First(int(x.Section)), l.SectionBlocks(int(x.Section)))
							}
						case wire.FuncComplete:
							complete = complete || rnd.Float64() >= c.back
						default:
							t.Fatalf("unexpected %v", p.head.Func)
						}
					}
					w.packets = nil
				}
				var closing clock.Time
				wait := func(d time.Duration) {
					for step := d / 4; d > 0; d -= step {
						w.advance(step)
						for _, e := range w.events {
							if _, ok := e.(Close); ok {
								closing = w.now.Add(c.atDisk)
							}
						}
						w.events = nil
						if closing != 0 && w.now >= closing {
							closing = 0
							w.r.Closed(w.now, ref, "")
							w.poll()
						}
						hear()
					}
				}
				pass := 0
				for ; !complete; pass++ {
					if pass > c.passes {
						t.Fatalf("not whole after %d passes", c.passes)
					}
					heard = false
					for i := need.Next(0); i < l.Blocks; i = need.Next(i + 1) {
						need.Remove(i)
						s, b := l.Section(i)
						if rnd.Float64() < c.data {
							w.seq++
						} else {
							w.data(1, l, s, b)
						}
						w.now += 20_000 // 64 bytes at 25 Mbit/s
						if i%64 == 0 {
							wait(4)
						}
					}
					// DONE until somebody answers, at most R = 20 times.
					for n := 0; need.Count() == 0 && !complete; n++ {
						if n == 20 {
							t.Fatalf("pass %d: the sender has run out of patience", pass)
						}
						switch {
						case rnd.Float64() < c.data:
							w.seq++
						case heard:
							w.done(1, l.Sections-1)
						default:
							w.done(1, l.Sections-1, us)
						}
						wait(round)
					}
					wait(round)
				}
				if string(w.disk[ref]) != string(pattern(l)) {
					t.Fatal("the file is not what was sent")
				}
			})
		}
	}
}
