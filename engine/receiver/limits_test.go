package receiver

import (
	"net/netip"
	"testing"
	"time"

	"uftp/wire"
)

// TestPatienceHasAnEnd: what an ANNOUNCE says about time must not hold a slot for days.
func TestPatienceHasAnEnd(t *testing.T) {
	w := newWorld(t)
	w.grtt = 255 // 1000 s
	w.announce(func(a *wire.Announce) { a.Robust = 255 })
	w.joined("")
	w.forget()
	w.advance(time.Hour + 2*4000*time.Second) // checked at each retry, every 4·G
	w.wantEnded(false, EndTimeout)
	if w.r.sessions != 0 {
		t.Error("the slot must be free again")
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
	if w.r.blocks != 0 {
		t.Errorf("%d blocks are reserved for files that nobody receives", w.r.blocks)
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
	if aborts == 0 || aborts > refusalsMax+1 {
		t.Errorf("%d ABORTs for 2000 ANNOUNCEs at one moment, want some, at most %d", aborts, refusalsMax+1)
	}
	w.advance(time.Second)
	w.group = 0x7777
	w.announce()
	w.joined("")
	w.wantRegister("a second later, and the address works")
}
