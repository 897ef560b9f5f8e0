package receiver

import (
	"fmt"
	"net/netip"
	"testing"

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
	if w.r.find(1, 0) != nil || w.r.find(2, 0) == nil {
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

// TestCrowd: who waits in one slot alone keeps it, whatever comes, and a confirmed
// session does so anyway.
func TestCrowd(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.MaxSessions = 8 })
	w.grtt = 255
	for i := range uint32(3) { // three confirmed ones of one host
		w.announceFrom(1, i+1)
		w.regConf(us)
	}
	for i := range 5 {
		w.announceFrom(10+i, uint32(10+i))
	}
	for i := range 100 {
		if d := w.announceFrom(1000+i, uint32(1000+i)); d != machine.DropLimit {
			t.Fatalf("stranger %d gets a slot where nobody has one too many: %q", i, d)
		}
	}
	for i := range w.r.slots {
		if p := w.r.slots[i].phase; p != MidGroup && p != Registering {
			t.Errorf("slot %d is in phase %v", i, p)
		}
	}
	w.r.Stop(w.now)
	w.poll()
	if c := &w.r.crowd; len(c.waiting) != 0 || c.surplus != 0 {
		t.Errorf("after the end %d addresses are counted, %d sessions too many", len(c.waiting), c.surplus)
	}
}

// TestCrowdCounts: the counts agree with the slots, whatever the order of events.
func TestCrowdCounts(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.MaxSessions = 16 })
	for i := range 2000 {
		w.announceFrom(i*7%5, uint32(i+1))
		if i%3 == 0 {
			w.regConf(us)
		}
		if i%11 == 0 {
			w.abort(wire.Abort{})
		}
		if i%29 == 0 {
			w.advance(60 * w.r.slots[0].grtt)
		}
		w.forget()
		waiting, surplus := map[netip.Addr]int{}, 0
		for j := range w.r.slots {
			if s := &w.r.slots[j]; s.phase.unconfirmed() {
				waiting[s.info.From.Addr()]++
			}
		}
		for a, n := range waiting {
			surplus += n - 1
			if w.r.crowd.waiting[a] != n {
				t.Fatalf("after %d sessions: %v has %d unconfirmed ones, counted are %d", i+1, a, n, w.r.crowd.waiting[a])
			}
		}
		if len(waiting) != len(w.r.crowd.waiting) || surplus != w.r.crowd.surplus {
			t.Fatalf("after %d sessions: %d addresses and %d too many, counted are %d and %d",
				i+1, len(waiting), surplus, len(w.r.crowd.waiting), w.r.crowd.surplus)
		}
	}
}
