package receiver

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"uftp/engine/machine"
	"uftp/wire"
)

// announceFrom announces a session of its own from host number n.
func (w *world) announceFrom(n int, group uint32) machine.Drop {
	w.t.Helper()
	w.from = netip.MustParseAddrPort(fmt.Sprintf("10.88.%d.%d:40000", n>>8, n&255))
	w.group = group
	w.announce(func(a *wire.Announce) { a.Robust, a.Private = 255, netip.IPv4Unspecified() })
	return w.last.Drop
}

// TestOneHostCannotTakeAllSlots: sessions that are announced and never confirmed leave
// room for senders from elsewhere.
func TestOneHostCannotTakeAllSlots(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.MaxSessions = 8 })
	w.grtt = 255 // they would stay for an hour
	for i := range uint32(50) {
		d := w.announceFrom(1, i+1)
		if want := i >= 8; (d == machine.DropLimit) != want {
			t.Fatalf("session %d of the host that floods: verdict %q", i+1, d)
		}
	}
	w.forget()
	if d := w.announceFrom(2, 100); d != machine.DropNone {
		t.Fatalf("a sender from elsewhere is refused: %q", d)
	}
	w.wantRegister("it gets a slot")
	if w.has(1) || !w.has(2) {
		t.Error("the oldest session must have gone, and only that")
	}
	if e := event[SessionEnded](w, "the host hears of it"); e.Session.Group != 1 || e.OK {
		t.Errorf("%+v", e)
	}
	for i := range uint32(50) {
		if d := w.announceFrom(1, 200+i); d != machine.DropLimit {
			t.Fatalf("the flood goes on: verdict %q", d)
		}
	}
	w.from = netip.MustParseAddrPort("10.88.0.2:40000")
	w.group = 100
	w.regConf(us)
	w.wantPhase(MidGroup)
}

// stores makes the session of w.group store a block.
func (w *world) stores() {
	w.t.Helper()
	w.fileInfo(1, 9000)
	q := w.opened(Opened{Action: Receive})
	if v := w.data(1, &q.Layout, 0, 0); v.Store.Data == nil {
		w.t.Fatalf("no block is stored: %q", v.Drop)
	}
}

// fill takes all slots for host number n with sessions from group first on, each brought
// to where step brings it.
func (w *world) fill(n int, first uint32, step func()) {
	w.t.Helper()
	for i := uint32(0); w.live() < len(w.r.slots); i++ {
		if d := w.announceFrom(n, first+i); d != machine.DropNone {
			w.t.Fatalf("session %d of host %d: %q", i, n, d)
		}
		step()
		w.forget()
	}
}

// promises are what a sender can make a session be without sending a block of data.
var promises = []struct {
	name string
	step func(w *world)
}{
	{"announced", func(w *world) {}},
	{"confirmed", func(w *world) { w.regConf(us) }},
	{"file announced and opened", func(w *world) { w.fileInfo(1, 1<<34); w.opened(Opened{Action: Receive}) }},
	{"file is no file", func(w *world) {
		w.fileInfo(1, 0, func(x *wire.FileInfo) { x.Type = wire.TypeDir })
		w.opened(Opened{Action: Complete})
	}},
	{"file rejected", func(w *world) { w.fileInfo(1, 9000); w.opened(Opened{Action: Complete, Status: wire.StatusRejected}) }},
	{"empty file", func(w *world) { w.fileInfo(1, 0); w.opened(Opened{Action: Receive}); w.closed("") }},
	{"DONE of the session", func(w *world) { w.regConf(us); w.done(0, 0, us) }},
	{"DONE of a file that never came", func(w *world) { w.regConf(us); w.done(7, 0, us) }},
	{"a block that is none", func(w *world) {
		w.fileInfo(1, 9000)
		w.opened(Opened{Action: Receive})
		x := wire.FileSeg{FileID: 1, Block: 100, Data: make([]byte, 1000)}
		w.send(wire.FuncFileSeg, x.Append(nil))
	}},
}

// TestPromisesTakeNoSlots: a host that sends no data cannot keep other hosts out, whatever
// else it does. The session that must go is the oldest of the network with the most.
func TestPromisesTakeNoSlots(t *testing.T) {
	for _, p := range promises {
		for _, restart := range []bool{false, true} {
			t.Run(fmt.Sprint(p.name, " ", restart), func(t *testing.T) {
				w := newWorld(t, func(c *Config) { c.MaxSessions, c.Restart = 8, restart })
				w.grtt = 255
				step := func() {
					p.step(w)
					for _, e := range w.events {
						if e, ok := e.(Settle); ok {
							w.r.Settled(w.now, e.Session.SessionID, e.Number, "")
							w.poll()
						}
					}
				}
				w.announceFrom(3, 901) // few, but older
				step()
				w.announceFrom(3, 902)
				step()
				w.now = w.now.Add(time.Millisecond)
				w.announceFrom(1, 1)
				step()
				w.now = w.now.Add(time.Millisecond)
				w.fill(1, 2, step)
				if d := w.announceFrom(2, 500); d != machine.DropNone {
					t.Fatalf("a sender from elsewhere is refused: %q", d)
				}
				if w.has(1) {
					t.Error("the oldest of the network with the most must have gone")
				}
				if n := w.live(); n != 8 {
					t.Errorf("%d sessions, want 8: one goes, one comes", n)
				}
				if d := w.announceFrom(2, 501); d != machine.DropLimit {
					t.Errorf("while that host waits itself it gets a second slot: %q", d)
				}
			})
		}
	}
}

// TestEvictedSenderHearsWhy: one that was confirmed gets an ABORT, so that it does not wait
// for us; one that was not asks again.
func TestEvictedSenderHearsWhy(t *testing.T) {
	for _, confirmed := range []bool{true, false} {
		w := newWorld(t, func(c *Config) { c.MaxSessions = 2 })
		w.fill(1, 1, func() {
			if confirmed {
				w.regConf(us)
			}
		})
		w.announceFrom(2, 500)
		if e := event[SessionEnded](w, "one gives way"); e.Reason != EndEvicted || e.OK || e.Session.Group != 1 {
			t.Fatalf("%+v", e)
		}
		if confirmed {
			w.group = 1
			w.wantAbort("Too many sessions, and this one waits for data", "its sender counts on us")
		}
		w.group = 500
		w.wantRegister("the new one")
	}
}

// TestOneSessionThatWaitsKeepsItsSlot: a host keeps its only session that waits, and all
// that store blocks, however many strangers come.
func TestOneSessionThatWaitsKeepsItsSlot(t *testing.T) {
	for _, c := range []struct {
		waiting int // sessions of one host that wait, beside one that stores
		room    bool
	}{{0, false}, {1, false}, {2, true}} {
		w := newWorld(t, func(c *Config) { c.MaxSessions = 8 })
		w.grtt = 255
		w.announceFrom(1, 1)
		w.regConf(us)
		w.stores()
		for i := range c.waiting {
			w.announceFrom(1, uint32(10+i))
			w.regConf(us)
		}
		for i := 0; w.live() < 8; i++ {
			w.announceFrom(10+i, uint32(100+i))
		}
		for i := range 100 {
			d := w.announceFrom(1000+i, uint32(1000+i))
			if room := c.room && i == 0; (d == machine.DropNone) != room {
				t.Fatalf("one host waits in %d sessions: stranger %d: %q", c.waiting, i, d)
			}
		}
		if !w.has(1) {
			t.Error("the session that stores blocks is gone")
		}
		w.r.Stop(w.now)
		w.poll()
		if c := &w.r.admission; len(c.hosts) != 0 || len(c.nets) != 0 || c.surplus != 0 {
			t.Errorf("after the end %d hosts and %d networks are counted, %d sessions too many", len(c.hosts), len(c.nets), c.surplus)
		}
	}
}

// TestWaitingHostPushesNobody: a host with a session that waits does not push out a second
// one of another host.
func TestWaitingHostPushesNobody(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.MaxSessions = 3 })
	w.announceFrom(1, 1)
	w.announceFrom(1, 2)
	w.announceFrom(2, 3)
	if d := w.announceFrom(2, 4); d != machine.DropLimit {
		t.Fatalf("it waits in one slot and gets another: %q", d)
	}
	w.regConf(us) // of nothing: that session was not taken
	w.group = 3
	w.regConf(us)
	w.stores()
	if d := w.announceFrom(2, 4); d != machine.DropNone {
		t.Fatalf("it waits for nothing any more: %q", d)
	}
}

// TestOneBlockIsNoDeed: a session that has stored one block gives way once its sender is
// silent, and not before.
func TestOneBlockIsNoDeed(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.MaxSessions = 4 })
	w.grtt = 255
	w.fill(1, 1, func() { w.regConf(us); w.stores() })
	w.now = w.now.Add(silentMax - sweepEvery)
	w.group = 1
	w.done(1, 0, other) // a sign of life
	if d := w.announceFrom(2, 500); d != machine.DropLimit {
		t.Fatalf("they were heard lately: %q", d)
	}
	w.now = w.now.Add(sweepEvery)
	if d := w.announceFrom(2, 500); d != machine.DropNone {
		t.Fatalf("three are silent: %q", d)
	}
	if w.has(2) || !w.has(1) {
		t.Error("the oldest of the silent ones must go, and the other stay")
	}
	// One that stores again is no longer one that waits.
	w.from = addrOf("10.88.0.1:40000")
	for _, g := range []uint32{3, 4} {
		w.group = g
		w.data(1, w.layout(), 0, 1)
	}
	if d := w.announceFrom(3, 600); d != machine.DropLimit {
		t.Fatalf("all but one store: %q", d)
	}
}

// TestCompletingGivesWay: a session that waits for the confirmation of COMPLETE gives way,
// too, and counts as a success.
func TestCompletingGivesWay(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.MaxSessions = 2 })
	w.grtt = 255
	w.fill(1, 1, func() {
		w.regConf(us)
		w.stores()
		f := &w.session().file
		for b := range 8 {
			w.data(1, &f.req.Layout, 0, b+1)
		}
		w.closed("")
		w.done(0, 0, us)
	})
	if d := w.announceFrom(2, 500); d != machine.DropLimit {
		t.Fatalf("at once: %q", d)
	}
	w.now = w.now.Add(silentMax)
	if d := w.announceFrom(2, 500); d != machine.DropNone {
		t.Fatalf("after a minute: %q", d)
	}
	if e := event[SessionEnded](w, "one gives way"); e.Reason != EndUnconfirmed || !e.OK {
		t.Fatalf("%+v", e)
	}
}

// announceAt announces a session of its own from an address.
func (w *world) announceAt(from string, group uint32) machine.Drop {
	w.t.Helper()
	w.from, w.group = netip.AddrPortFrom(netip.MustParseAddr(from), 40000), group
	w.announce(func(a *wire.Announce) { a.Robust, a.Private = 255, netip.IPv4Unspecified() })
	return w.last.Drop
}

// TestOneNetworkCannotTakeAllSlots: a host has all addresses of its IPv6 network, so they
// count together; but neighbours are there too, and one of them must not keep the others out.
func TestOneNetworkCannotTakeAllSlots(t *testing.T) {
	for _, c := range []struct {
		name   string
		flood  func(i int) string
		comes  string
		at     time.Duration // after the flood
		room   bool
		leaves uint32 // the group of the one that goes
	}{
		{"one address, seen from elsewhere", func(int) string { return "2001:db8::66" }, "2001:db8:0:1::1", 0, true, 1},
		{"one address, seen from beside it", func(int) string { return "2001:db8::66" }, "2001:db8::1", 0, true, 1},
		{"one address, itself", func(int) string { return "2001:db8::66" }, "2001:db8::66", time.Hour, false, 0},
		{"many addresses, seen from elsewhere", func(i int) string { return fmt.Sprintf("2001:db8::%x:%x", i, i) }, "2001:db8:0:1::1", 0, true, 1},
		{"many addresses, seen from IPv4", func(i int) string { return fmt.Sprintf("2001:db8::%x", 1000+i) }, "10.88.0.1", 0, true, 1},
		{"many addresses, the next of them", func(i int) string { return fmt.Sprintf("2001:db8::%x", 1000+i) }, "2001:db8::1", startTime - 1, false, 0},
		{"many addresses, the next of them later", func(i int) string { return fmt.Sprintf("2001:db8::%x", 1000+i) }, "2001:db8::1", startTime, true, 1},
		{"as many networks as slots", func(i int) string { return fmt.Sprintf("2001:db8:0:%x::1", 1000+i) }, "2001:db8::1", time.Hour, false, 0},
		{"IPv4 has no such networks", func(i int) string { return fmt.Sprintf("10.88.0.%d", 100+i) }, "10.88.0.1", time.Hour, false, 0},
		{"mapped IPv4 neither", func(i int) string { return fmt.Sprintf("::ffff:10.88.0.%d", 100+i) }, "10.88.0.1", time.Hour, false, 0},
		{"mapped or not is one host", func(i int) string { return [...]string{"::ffff:10.88.0.9", "10.88.0.9"}[i%2] }, "10.88.0.1", 0, true, 1},
		{"the same on another link", func(i int) string { return "fe80::66%e0" }, "fe80::66%e1", 0, true, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, func(c *Config) { c.MaxSessions = 6 })
			w.grtt = 255
			for i := range 6 {
				if d := w.announceAt(c.flood(i), uint32(i+1)); d != machine.DropNone {
					t.Fatalf("session %d: %q", i, d)
				}
				w.regConf(us)
				w.now++
			}
			w.now = w.now.Add(c.at) - 6
			if d := w.announceAt(c.comes, 500); (d == machine.DropNone) != c.room {
				t.Fatalf("verdict %q, want room %v", d, c.room)
			}
			if c.leaves != 0 && w.has(c.leaves) {
				t.Errorf("session %d must have gone", c.leaves)
			}
		})
	}
}

// TestLargestNetworkGivesWay: a network with fewer waiting sessions does not lose one to a
// network that has as many or more.
func TestLargestNetworkGivesWay(t *testing.T) {
	for _, c := range []struct {
		flood, site int
		at          time.Duration
		room        bool // for one more of the site
	}{{7, 1, 0, true}, {5, 3, 0, true}, {4, 3, 0, false}, {3, 3, 0, false}, {3, 1, 0, true}, {2, 1, time.Hour, false}} {
		w := newWorld(t, func(cfg *Config) { cfg.MaxSessions = c.flood + c.site })
		for i := range c.flood {
			w.announceAt("10.88.0.66", uint32(i+1))
		}
		for i := range c.site {
			w.announceAt(fmt.Sprintf("2001:db8::%x", i+1), uint32(100+i))
		}
		w.now = w.now.Add(c.at)
		if d := w.announceAt("2001:db8::ffff", 500); (d == machine.DropNone) != c.room {
			t.Errorf("%d sessions of a flood, %d of a site: verdict %q, want room %v", c.flood, c.site, d, c.room)
		}
	}
}

// TestAdmissionCounts: the counts agree with the slots, whatever the order of events.
func TestAdmissionCounts(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.MaxSessions = 16 })
	for i := range 2000 {
		switch i % 2 {
		case 0:
			w.announceFrom(i*7%5, uint32(i+1))
		case 1:
			w.announceAt(fmt.Sprintf("2001:db8:0:%d::%x", i%3, i%7+1), uint32(i+1))
		}
		if i%3 == 0 {
			w.regConf(us)
		}
		if i%5 == 0 && w.session() != nil {
			w.stores()
		}
		if i%11 == 0 {
			w.abort(wire.Abort{})
		}
		if i%29 == 0 {
			w.advance(60 * w.r.slots[0].grtt)
		}
		if i%97 == 0 {
			w.r.sweep(w.now)
		}
		w.forget()
		hosts, nets, surplus := map[netip.Addr]int{}, map[netip.Addr]int{}, 0
		for j := range w.r.slots {
			if s := &w.r.slots[j]; s.phase != Free && s.waitsAt != nil {
				hosts[s.info.From.Addr()]++
				nets[networkOf(s.info.From.Addr())]++
			} else if s.phase != Free && !s.stored {
				t.Fatalf("after %d sessions: one has stored nothing and is not counted", i+1)
			}
		}
		for a, n := range hosts {
			if h := w.r.admission.hosts[a]; h == nil || h.waiting != n {
				t.Fatalf("after %d sessions: %v has %d that wait, counted are %+v", i+1, a, n, h)
			}
		}
		for a, n := range nets {
			surplus += n - 1
			if h := w.r.admission.nets[a]; h == nil || h.waiting != n {
				t.Fatalf("after %d sessions: %v has %d that wait, counted are %+v", i+1, a, n, h)
			}
		}
		if len(hosts) != len(w.r.admission.hosts) || len(nets) != len(w.r.admission.nets) || surplus != w.r.admission.surplus {
			t.Fatalf("after %d sessions: %d hosts, %d networks and %d too many, counted are %d, %d and %d",
				i+1, len(hosts), len(nets), surplus, len(w.r.admission.hosts), len(w.r.admission.nets), w.r.admission.surplus)
		}
	}
}
