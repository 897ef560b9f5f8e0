package receiver

import (
	"net/netip"
	"testing"
	"time"

	"uftp/wire"
)

// TestPromisesAreShortLived: large values of GRTT and robust factor do not hold a slot, or
// the memory of an announced file, for longer than minutes after the last packet.
func TestPromisesAreShortLived(t *testing.T) {
	small := Opened{Action: Receive}
	open := func(w *world) { w.fileInfo(1, 1<<30); w.opened(small) }
	oneBlock := func(w *world) {
		q := w.toReceiving(1, 1000)
		w.data(1, &q.Layout, 0, 0)
		w.closed("")
	}
	for _, c := range []struct {
		name  string
		reach func(w *world)
		lasts time.Duration
		why   EndReason
	}{
		{"announced, not joined", func(w *world) { w.announce() }, promiseMax, EndTimeout},
		{"registered", func(w *world) { w.announce(); w.joined("") }, promiseMax, EndTimeout},
		{"registered late", func(w *world) { w.announce(); w.advance(time.Minute); w.joined("") }, promiseMax, EndTimeout},
		{"confirmed", func(w *world) { w.toMidGroup() }, promiseMax, EndTimeout},
		{"a file is open", func(w *world) { w.toMidGroup(); open(w) }, openMax, EndTimeout},
		{"a file was rejected", func(w *world) {
			w.toMidGroup()
			w.fileInfo(1, 1000)
			w.opened(Opened{Action: Complete, Status: wire.StatusRejected})
		}, promiseMax, EndTimeout},
		{"DONE of the session", func(w *world) { w.toMidGroup(); w.done(0, 0, us) }, promiseMax, EndUnconfirmed},
		{"a file had a block, the next one has none", func(w *world) {
			w.toMidGroup()
			oneBlock(w)
			w.fileInfo(2, 1<<30)
			w.opened(small)
		}, openMax, EndTimeout},
		{"a file has a block", func(w *world) {
			w.toMidGroup()
			open(w)
			w.data(1, w.layout(), 0, 0)
		}, timeoutMax, EndTimeout},
		{"between files with blocks", func(w *world) { w.toMidGroup(); oneBlock(w) }, timeoutMax, EndTimeout},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.grtt = 255 // 1000 s
			w.robust = 255
			c.reach(w)
			w.forget()
			w.advance(c.lasts - 1)
			if w.session() == nil {
				t.Fatalf("it is over before %v", c.lasts)
			}
			w.advance(1)
			w.wantEnded(c.why == EndUnconfirmed, c.why)
			if w.live() != 0 || w.reserved() != 0 {
				t.Errorf("%d slots, %d blocks are taken still", w.live(), w.reserved())
			}
		})
	}
}

// TestSignsOfLifeKeepASession: a sender that has not begun with data, but is heard, keeps
// its session for as long as it likes.
func TestSignsOfLifeKeepASession(t *testing.T) {
	for _, c := range []struct {
		name string
		say  func(w *world)
	}{
		{"REG_CONF", func(w *world) { w.regConf(us) }},
		{"REG_CONF for others", func(w *world) { w.regConf(other) }},
		{"ANNOUNCE", func(w *world) { w.announce() }},
		{"DONE for others", func(w *world) { w.done(1, 0, other) }},
		{"FILEINFO for others", func(w *world) { w.fileInfo(1, 10, func(x *wire.FileInfo) { x.Hosts = uids(other) }) }},
	} {
		w := newWorld(t)
		w.grtt = code500ms
		w.toMidGroup()
		for range 24 * 60 * 60 / 9 { // a day; the time-out is 20 GRTT
			w.advance(9 * time.Second)
			c.say(w)
			w.forget()
		}
		if w.session() == nil {
			t.Errorf("%s: the session is over", c.name)
		}
	}
	// A satellite, and a registration of minutes.
	w := newWorld(t)
	w.grtt = wire.EncodeGRTT(10)
	w.announce()
	w.joined("")
	for range 20 {
		w.advance(30 * time.Second)
		w.announce()
	}
	w.regConf(us)
	w.wantPhase(MidGroup)
}

// TestLongSettle: a host may need longer to settle a session than the sender waits. The
// receiver still says COMPLETE, and then gives the sender the whole time to confirm it.
func TestLongSettle(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Restart = true })
	w.toMidGroup()
	q := w.toReceiving(1, 1000)
	w.data(1, &q.Layout, 0, 0)
	w.closed("")
	w.done(0, 0, us)
	e := event[Settle](w, "the host is asked")
	patience := w.session().confirmLimit()
	w.advance(5 * patience)
	w.wantPhase(Completing)
	w.forget()
	w.r.Settled(w.now, e.Session.SessionID, e.Number, "")
	w.poll()
	w.wantComplete(0, wire.StatusNormal, "now it is settled")
	w.advance(patience - 1)
	w.wantPhase(Completing)
	w.forget()
	w.advance(4*w.roundTrip() + 1) // it is looked at when COMPLETE would be repeated
	w.wantEnded(true, EndUnconfirmed)
}

// TestDataKeepsASession: blocks restart the time-out of a file, even if they are here
// already or there is no room for them.
func TestDataKeepsASession(t *testing.T) {
	for _, c := range []struct {
		name string
		say  func(w *world, q *Request, i int)
	}{
		{"new blocks", func(w *world, q *Request, i int) { w.data(1, &q.Layout, 0, i+1) }},
		{"the same block", func(w *world, q *Request, i int) { w.data(1, &q.Layout, 0, 0) }},
		{"no room", func(w *world, q *Request, i int) { w.r.NoRoom(true); w.data(1, &q.Layout, 0, i+1) }},
	} {
		w := newWorld(t)
		w.toMidGroup()
		q := w.toReceiving(1, 1000_000)
		w.data(1, &q.Layout, 0, 0)
		idle := w.session().idle
		for i := range 20 {
			w.advance(idle - 1)
			c.say(w, &q, i)
			w.forget()
		}
		if w.session() == nil {
			t.Fatalf("%s: timed out", c.name)
		}
		w.advance(idle - 1)
		w.wantPhase(Receiving)
		w.advance(1)
		w.wantEnded(false, EndTimeout)
	}
}

// TestMemoryGoesToWhoSends: large files without a block give their memory to smaller files
// of other senders.
func TestMemoryGoesToWhoSends(t *testing.T) {
	const n = 1 << 28 // blocks of the largest, in sections that 32 such fill the budget
	w := newWorld(t)
	hold := func(group uint32, blocks int64) {
		t.Helper()
		w.group = group
		w.announce(func(a *wire.Announce) { a.Private, a.BlockSize = publicAddr, 8192 })
		w.regConf(us)
		w.fileInfo(1, blocks*8192)
		s := w.session()
		s.phase = Receiving // as the host would have it, but without a bit for each block
		s.setIdle()
	}
	for i := range uint32(blocksMax / n) {
		hold(i+1, n)
	}
	if w.reserved() != blocksMax {
		t.Fatalf("%d blocks are reserved, want all", w.reserved())
	}
	w.group = 1
	w.session().file.stored = true
	w.forget()
	hold(100, n)
	if e := event[FileEnded](w, "one as large is refused"); e.Status != wire.StatusRejected {
		t.Fatalf("%+v", e)
	}
	w.forget()
	hold(101, n-1)
	noEvent[FileEnded](w, "a smaller one is not")
	if e := event[SessionEnded](w, "one of the larger goes"); e.Reason != EndEvicted || e.Session.Group != 2 {
		t.Fatalf("%+v", e)
	}
	if w.reserved() != blocksMax-1 {
		t.Fatalf("%d blocks are reserved, want one less than all", w.reserved())
	}
}

// TestSilenceGivesMemory: a large file with one block gives its memory away when its
// sender is silent, even if the sender has announced a long patience.
func TestSilenceGivesMemory(t *testing.T) {
	const n = 1 << 28
	for _, phase := range []Phase{MidGroup, Receiving, Completing} { // of those that are silent
		for _, c := range []struct {
			silence time.Duration
			gives   bool
		}{{silentMax - 1, false}, {silentMax, true}} {
			w := newWorld(t)
			w.grtt, w.robust = 255, 255
			hold := func(group uint32, blocks int64) *session {
				t.Helper()
				w.group = group
				w.announce(func(a *wire.Announce) { a.Private, a.BlockSize = publicAddr, 8192 })
				w.regConf(us)
				w.fileInfo(1, blocks*8192)
				return w.session()
			}
			for i := range uint32(blocksMax / n) {
				s := hold(i+1, n)
				s.stored, s.file.stored, s.held = true, true, s.reserved
				w.r.setWaiting(s, false)
				s.enter(w.now, phase)
			}
			w.advance(c.silence)
			w.forget()
			hold(100, n)
			if !c.gives {
				noEvent[SessionEnded](w, "they may go on yet")
				continue
			}
			noEvent[FileEnded](w, "there is room")
			event[SessionEnded](w, "one that is silent goes")
			noEvent[SessionEnded](w, "one is enough")
		}
	}
}

// TestRejectedFilesReserveNothing: files that the host rejects must not use up the
// budget of blocks.
func TestRejectedFilesReserveNothing(t *testing.T) {
	w := newWorld(t)
	w.toMidGroup()
	for id := range uint16(60) {
		w.fileInfo(id+1, 1<<38)
		w.opened(Opened{Action: Complete, Status: wire.StatusRejected, Text: "Not enough disk space"})
		w.wantComplete(id+1, wire.StatusRejected, "the disk is too small")
	}
	if w.reserved() != 0 {
		t.Errorf("%d blocks are reserved for files that nobody receives", w.reserved())
	}
	w.toReceiving(99, 3000)
}

// TestFailingJoinsAreLimited: an address that cannot be joined must not make us
// send an ABORT for every ANNOUNCE.
func TestFailingJoinsAreLimited(t *testing.T) {
	w := newWorld(t)
	aborts := 0
	for i := range 2000 {
		w.group = uint32(i + 1)
		w.announce(func(a *wire.Announce) { a.Private = netip.MustParseAddr("239.1.1.1") })
		for _, e := range w.events {
			if j, ok := e.(Join); ok {
				w.r.Joined(w.now, j.Session.SessionID, "no such device")
			}
		}
		w.poll()
		for _, p := range w.packets {
			if p.head.Func == wire.FuncAbort {
				aborts++
			}
		}
		w.forget()
	}
	if aborts != 65 { // that of the first Join, then the burst
		t.Errorf("%d ABORTs for 2000 ANNOUNCEs at one moment, want 65", aborts)
	}
	w.advance(time.Second)
	w.group = 0x7777
	w.announce()
	w.joined("")
	w.wantRegister("a second later, and the address works")
}
