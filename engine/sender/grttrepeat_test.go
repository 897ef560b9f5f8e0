package sender

import (
	"testing"
	"time"

	"uftp/wire"
)

// TestLongerGRTTIsRepeated has a slow client answer in each phase. Receivers that know
// the short GRTT wait for 1 s, and rounds by the long one are further apart. Between them the
// sender repeats the new value, and no round is lost by it.
func TestLongerGRTTIsRepeated(t *testing.T) {
	t.Run("announce", func(t *testing.T) {
		r := newRig(t, nothing)
		r.register(5, 0)
		r.advance(1500 * ms)
		r.register(6, 800*ms)
		r.advance(31 * ms)
		r.forget()
		r.advance(2500 * ms)
		r.wantWire("two more ANNOUNCEs follow, each a quarter of 1 s later",
			"1780.1 ANNOUNCE []", "2030.1 ANNOUNCE []", "3930.1 ANNOUNCE []")
		for i, h := range r.headers {
			if g := wire.DecodeGRTT(h.GRTT); g < 0.8 || g > 0.87 {
				t.Errorf("datagram %d says a GRTT of %v s, want the new 0.8", i, g)
			}
		}
		r.advance(8 * 2400 * ms)
		rounds := 0
		for _, e := range r.events {
			if e, ok := e.(Sent); ok && e.Round == 10 {
				rounds++
			}
		}
		if rounds != 1 {
			t.Errorf("ANNOUNCE 10 was sent %d times, want once: repetitions count as no round", rounds)
		}
	})
	t.Run("late", func(t *testing.T) {
		r := newRig(t, hosts(1, 2))
		r.register(1, 0)
		r.advance(1501 * ms)
		r.register(2, 900*ms)
		r.drain()
		r.forget()
		r.advance(899 * ms)
		r.wantPhase("the sender waits 1·G for clients that repeat REGISTER", Announcing)
		r.wantWire("no host is missing, but clients wait", "1751 DONE f1 s0 []", "2001 DONE f1 s0 []")
	})
	t.Run("between files", func(t *testing.T) {
		r := newRig(t, func(c *Config) { c.Robust = 2 })
		r.register(1, 0)
		r.advance(1500 * ms)
		r.register(2, 900*ms)
		r.advance(32 * ms) // the last round ends with a REG_CONF
		r.wantPhase("the group is complete", BetweenFiles)
		r.forget()
		r.advance(300 * ms)
		r.wantWire("those that wait for the next file hear of it", "1755.05 DONE f1 s0 []", "1780.05 DONE f1 s0 []")
	})
	t.Run("file", func(t *testing.T) {
		r := newRig(t, hosts(1, 2))
		r.register(1, 0)
		r.advance(1500 * ms)
		r.register(2, 0)
		r.advance(12 * ms)
		r.offer("f", 10)
		r.forget()
		r.ack(1, 1, 0, false)
		r.ack(2, 1, 600*ms, false)
		r.wantPhase("all have answered", Data)
		r.advance(1900 * ms)
		r.wantWire("DONE is repeated behind the data of a short file",
			"1512 TRAIN f1 0", "1513 DONE f1 s0 [1 2]", "1762 DONE f1 s0 [1 2]", "2012 DONE f1 s0 [1 2]", "3313 DONE f1 s0 [1 2]")
	})
	t.Run("little", func(t *testing.T) {
		r := newRig(t, nothing)
		r.register(5, 0)
		r.advance(1500 * ms)
		r.register(6, 120*ms) // 10 · 0.12 s is just above 1 s
		r.advance(31 * ms)
		r.forget()
		r.advance(360 * ms)
		r.wantWire("receivers that wait for 1 s hear enough of rounds every 0.36 s", "1890.1 ANNOUNCE []")
	})
	t.Run("twice", func(t *testing.T) {
		var w repeats
		w.begin(2 * time.Second)
		w.left--
		w.begin(40 * time.Second)
		if w.left != repeatCount || w.gap != 500*ms {
			t.Errorf("after a second rise %d words %v apart are left, want %d for those that missed the first, 500ms apart", w.left, w.gap, repeatCount)
		}
	})
}
