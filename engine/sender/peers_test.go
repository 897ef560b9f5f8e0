package sender

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"uftp/engine/block"
	"uftp/engine/clock"
	"uftp/engine/machine"
	"uftp/wire"
)

// peer is as much of a receiver as it takes to see whether a sender gets
// everything across: it answers what it hears and repeats itself when it must.
type peer struct {
	uid                    wire.UID
	registered, done, over bool
	file                   uint16
	missing                block.Set
	again                  clock.Time // when to repeat REGISTER or the last COMPLETE
	naks                   clock.Time // when to send STATUS; 0 = not
	received               int        // files
}

// world connects a sender with peers through a network that loses.
type world struct {
	*rig
	rng   *rand.Rand
	loss  float64
	peers []*peer
	layer block.Layout // of the present file
}

func (w *world) lost() bool { return w.rng.Float64() < w.loss }

func (w *world) answer(p *peer, fn wire.Func, m any) {
	if !w.lost() {
		w.s.Handle(w.now, arrived(addr(p.uid), appendTo(message(p.uid, fn), m)))
	}
}

// hear gives a control message to all peers.
func (w *world) hear(data []byte) {
	h, msg, _ := wire.ParseHeader(data)
	for _, p := range w.peers {
		if w.lost() || p.over {
			continue
		}
		switch h.Func {
		case wire.FuncAnnounce:
			if m, _ := wire.ParseAnnounce(wire.Version4, msg); !p.registered && p.again == 0 && (m.Hosts.Len() == 0 || m.Hosts.Contains(p.uid)) {
				p.again = w.now
			}
		case wire.FuncRegConf:
			if m, _ := wire.ParseHostList(msg); m.Hosts.Contains(p.uid) {
				p.registered, p.again = true, clock.Never
			}
		case wire.FuncFileInfo:
			m, _ := wire.ParseFileInfo(wire.Version4, msg)
			if !m.Hosts.Contains(p.uid) {
				continue
			}
			p.registered, p.again = true, clock.Never
			if m.FileID != p.file {
				p.file, p.done = m.FileID, false
				p.missing.Reset(w.layer.Blocks, true)
			}
			if p.done {
				w.answer(p, wire.FuncComplete, &wire.Complete{FileID: p.file})
			} else {
				w.answer(p, wire.FuncFileInfoAck, &wire.FileInfoAck{FileID: p.file, Time: m.Time})
			}
		case wire.FuncDone:
			m, _ := wire.ParseDone(msg)
			switch {
			case !m.Hosts.Contains(p.uid):
			case m.FileID == 0:
				p.again = w.now
				p.file = 0
			case m.FileID != p.file:
			case p.missing.Count() == 0:
				if !p.done {
					p.done = true
					p.received++
				}
				w.answer(p, wire.FuncComplete, &wire.Complete{FileID: p.file})
			case p.naks == 0:
				p.naks = w.now.Add(10 * ms)
			}
		case wire.FuncDoneConf:
			if m, _ := wire.ParseHostList(msg); m.Hosts.Contains(p.uid) {
				p.over = true
			}
		}
	}
}

// tick lets the peers do what they do unasked.
func (w *world) tick() {
	for _, p := range w.peers {
		if p.over {
			continue
		}
		if p.again != 0 && p.again <= w.now {
			p.again = w.now.Add(40 * ms)
			if p.registered {
				w.answer(p, wire.FuncComplete, &wire.Complete{})
			} else {
				w.answer(p, wire.FuncRegister, &wire.Register{Time: wire.Stamp(w.now.Micros())})
			}
		}
		if p.naks != 0 && p.naks <= w.now {
			p.naks = 0
			for s := range w.layer.Sections {
				first, n := w.layer.First(s), w.layer.SectionBlocks(s)
				if p.missing.CountRange(first, n) > 0 {
					w.answer(p, wire.FuncStatus, &wire.Status{FileID: p.file, Section: uint16(s), NAKs: p.missing.AppendBitmap(nil, first, n)})
				}
			}
		}
	}
}

// run plays a session of files and returns its end.
func (w *world) run(sizes []int64) SessionEnded {
	var end *SessionEnded
	limit := w.now.Add(10 * time.Minute)
	for end == nil {
		if w.now > limit {
			w.t.Fatalf("the session does not end: phase %q, pass %d", w.s.phase, w.s.pass.number)
		}
		for k := w.s.Poll(w.now, &w.out); k != machine.Idle; k = w.s.Poll(w.now, &w.out) {
			switch k {
			case machine.PacketKind:
				w.hear(w.out.Packet.Data)
			case machine.TrainKind:
				for _, b := range w.out.Train.Block[:w.out.Train.N] {
					for _, p := range w.peers {
						if p.file == w.out.Train.FileID && !p.done && !w.lost() {
							p.missing.Remove(int(b))
						}
					}
				}
				w.s.Departed(w.now, 1)
			case machine.EventKind:
				switch e := w.out.Event.(type) {
				case NeedFile:
					if len(sizes) == 0 {
						w.s.EndOfFiles(w.now)
						break
					}
					if err := w.s.Offer(w.now, File{Name: "f", Size: sizes[0]}); err != nil {
						w.t.Fatal(err)
					}
					sizes = sizes[1:]
				case FileStarted:
					w.layer = e.Layout
				case SessionEnded:
					end = &e
				}
			}
		}
		w.now = w.now.Add(ms)
		w.tick()
	}
	checkSane(w.t, w.s)
	return *end
}

func TestEverythingGetsAcross(t *testing.T) {
	sizes := []int64{300_000, 0, 1, 5_000_000}
	for _, c := range []struct {
		why   string
		loss  float64
		peers int
		set   func(*Config)
	}{
		{"without loss", 0, 3, nothing},
		{"5 % loss of everything, open group", 0.05, 10, nothing},
		{"30 % loss of everything", 0.3, 4, nothing},
		{"as fast as it goes", 0.1, 3, fast},
		{"200 receivers, one percent", 0.01, 200, fast},
	} {
		for seed := range uint64(2) {
			w := &world{
				rig: newRig(t, with(c.set, func(c *Config) { c.Robust = 50; c.BlockSize = 512; c.GRTT = 50 * ms })),
				rng: rand.New(rand.NewPCG(seed, 7)), loss: c.loss,
			}
			for i := range c.peers {
				w.peers = append(w.peers, &peer{uid: wire.UID(i + 1)})
			}
			end := w.run(sizes)
			what := fmt.Sprintf("%s, seed %d", c.why, seed)
			if end.Exit != ExitOK {
				t.Errorf("%s: exit %d", what, end.Exit)
			}
			lonely := 0
			for i, st := range end.States {
				if p := w.peers[end.Clients[i].UID-1]; st != Done || p.received != len(sizes) {
					t.Errorf("%s: client %v is %q and has %d files of %d", what, p.uid, st, p.received, len(sizes))
				} else if !p.over {
					lonely++
				}
			}
			if len(end.Clients) != c.peers {
				t.Errorf("%s: %d clients of %d", what, len(end.Clients), c.peers)
			}
			if c.loss < 0.2 && lonely > 1+c.peers/50 {
				t.Errorf("%s: %d clients never heard DONE_CONF", what, lonely)
			}
			t.Logf("%s: %v, %d data packets, %d repairs", what, w.now.Sub(w.start), end.Counters.DataPackets, end.Counters.RepairPackets)
		}
	}
}
