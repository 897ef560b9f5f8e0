package receiver

import (
	"bytes"
	"testing"
	"time"

	"uftp/engine/machine"
	"uftp/wire"
)

// TestNoRoom: while the host cannot store, blocks are refused and stay missing, but the
// session lives and answers. Afterwards the whole file arrives.
func TestNoRoom(t *testing.T) {
	w := newWorld(t)
	w.toMidGroup(func(a *wire.Announce) { a.BlockSize = 64 })
	q := w.toReceiving(1, 10*64)
	l := &q.Layout
	w.data(1, l, 0, 0)
	w.r.NoRoom(true)
	w.data(1, l, 0, 0)
	w.wantDrop(machine.DropDuplicate, "a block that is here")
	for b := 1; b < 10; b++ {
		w.advance(w.session().idle / 2) // or the session would time out
		w.data(1, l, 0, b)
		w.wantDrop(machine.DropNoRoom, "a missing block")
	}
	w.wantPhase(Receiving)
	w.forget()
	w.done(1, 0, us)
	w.advance(2 * w.roundTrip())
	w.wantStatus(0, "fe03", "what was refused is asked for")
	w.r.NoRoom(false)
	for b := 1; b < 10; b++ {
		w.data(1, l, 0, b)
	}
	w.wantPhase(Closing)
	if !bytes.Equal(w.disk[q.Ref], pattern(l)) {
		t.Error("the host was given other bytes than were sent")
	}
}

// TestPatience: packets may wait for two GRTT of the quickest session, never for as
// long as a session would take to time out, and never less than 10 ms.
func TestPatience(t *testing.T) {
	w := newWorld(t)
	if p := w.r.Patience(); p < time.Minute {
		t.Errorf("%v without a session, want no haste", p)
	}
	for _, c := range []struct {
		code   uint8
		robust uint8
		low    time.Duration
		high   time.Duration
		why    string
	}{
		{code500ms, 20, time.Second, 1100 * time.Millisecond, "two round trips"},
		{code100ms, 20, 200 * time.Millisecond, 220 * time.Millisecond, "the quickest session counts"},
		{wire.EncodeGRTT(20), 1, 200 * time.Millisecond, 220 * time.Millisecond, "a slow one beside it changes nothing"},
		{wire.EncodeGRTT(0.001), 20, 10 * time.Millisecond, 10 * time.Millisecond, "the floor"},
	} {
		w.group++
		w.grtt = c.code
		w.announce(func(a *wire.Announce) { a.Robust = c.robust })
		if p := w.r.Patience(); p < c.low || p > c.high {
			t.Errorf("%s: %v, want %v to %v", c.why, p, c.low, c.high)
		}
	}
	w = newWorld(t)
	w.grtt = wire.EncodeGRTT(20)
	w.toMidGroup(func(a *wire.Announce) { a.Robust = 1 })
	if p, s := w.r.Patience(), w.session(); p != s.idle/2 {
		t.Errorf("%v, want half of the time-out %v", p, s.idle)
	}
}
