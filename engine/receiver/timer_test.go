package receiver

import (
	"math"
	"testing"
	"time"

	"uftp/engine/clock"
	"uftp/wire"
)

// near compares times of the machine with those observed at the stock programs,
// which were read to about 1 %.
func near(got time.Duration, want time.Duration) bool {
	return math.Abs(float64(got-want)) <= 0.012*float64(want)
}

func robust(n uint8) func(*wire.Announce) { return func(a *wire.Announce) { a.Robust = n } }

func TestRegisterTimers(t *testing.T) {
	// docs/protocol.md, "Timers".
	for _, c := range []struct {
		name         string
		code, robust uint8
		every, limit time.Duration
		count        int
	}{
		{"G 0.1, R 10", code100ms, 10, 424 * time.Millisecond, 4240 * time.Millisecond, 10},
		{"G 0.01, R 20: the floor", code10ms, 20, 42 * time.Millisecond, 1010 * time.Millisecond, 24},
		{"R 0", code100ms, 0, 424 * time.Millisecond, 1270 * time.Millisecond, 3},
		{"G 1 µs counts as 1 ms", 0, 20, 4 * time.Millisecond, time.Second, 250},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.grtt = c.code
			start := w.now
			w.announce(robust(c.robust))
			w.joined("")
			w.advance(time.Minute)
			var at []clock.Time
			for len(w.packets) > 1 {
				at = append(at, w.packets[0].at)
				x := w.wantRegister("until the limit")
				held := at[len(at)-1].Sub(start)
				want := age(77_999_000, held)
				if x.Time != want {
					t.Fatalf("REGISTER after %v echoes %v, want %v", held, x.Time, want)
				}
			}
			if len(at) != c.count {
				t.Fatalf("%d REGISTERs, want %d", len(at), c.count)
			}
			for i := 1; i < len(at); i++ {
				if d := at[i].Sub(at[i-1]); !near(d, c.every) {
					t.Fatalf("REGISTER %d after %v, want %v", i, d, c.every)
				}
			}
			if d := w.packets[0].at.Sub(start); !near(d, c.limit) {
				t.Fatalf("given up after %v, want %v", d, c.limit)
			}
			w.wantAbort("Registration unconfirmed", "at the limit")
			w.wantEnded(false, EndTimeout)
		})
	}
}

func TestJoinThatNeverEnds(t *testing.T) {
	w := newWorld(t)
	w.announce()
	w.advance(999 * time.Millisecond)
	w.wantPhase(Joining)
	w.advance(2 * time.Millisecond)
	w.wantAbort("Registration unconfirmed", "the limit counts from the ANNOUNCE")
	w.wantEnded(false, EndTimeout)
	event[Leave](w, "the Join must be undone")
}

func TestIdleTimer(t *testing.T) {
	const long = 1058 * time.Millisecond // R 10 at G 0.1
	seg := func(w *world, id uint16, b int) {
		x := wire.FileSeg{FileID: id, Block: uint16(b), Data: make([]byte, 1000)}
		w.send(wire.FuncFileSeg, x.Append(nil))
	}
	for _, c := range []struct {
		name   string
		file   bool
		say    func(w *world)
		resets bool
	}{
		{"between files, DONE for others", false, func(w *world) { w.done(1, 0, other) }, true},
		{"between files, FILEINFO for others", false, func(w *world) {
			w.fileInfo(1, 5, func(x *wire.FileInfo) { x.Hosts = uids(other) })
		}, true},
		{"between files, ANNOUNCE", false, func(w *world) { w.announce() }, true},
		{"between files, KEYINFO", false, func(w *world) { w.send(wire.FuncKeyInfo, make([]byte, 12)) }, true},
		{"between files, a block", false, func(w *world) { seg(w, 3, 0) }, true},
		{"receiving, a block", true, func(w *world) { seg(w, 1, 0) }, true},
		{"receiving, a block of another file", true, func(w *world) { seg(w, 2, 0) }, false},
		{"receiving, a block out of range", true, func(w *world) { seg(w, 1, 99) }, false},
		{"receiving, FILEINFO again", true, func(w *world) { w.fileInfo(1, 9000) }, true},
		{"receiving, FILEINFO for others", true, func(w *world) {
			w.fileInfo(2, 5, func(x *wire.FileInfo) { x.Hosts = uids(other) })
		}, true},
		{"receiving, DONE for others", true, func(w *world) { w.done(1, 0, other) }, true},
		{"receiving, DONE of another file", true, func(w *world) { w.done(2, 0, us) }, false},
		{"receiving, DONE of the session", true, func(w *world) { w.done(0, 0, us) }, false},
		{"receiving, REG_CONF", true, func(w *world) { w.regConf(us) }, false},
		{"receiving, ANNOUNCE", true, func(w *world) { w.announce() }, false},
		{"receiving, another sender", true, func(w *world) { w.src = other; seg(w, 1, 0) }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.grtt = code100ms
			w.toMidGroup(robust(10))
			if c.file {
				w.toReceiving(1, 9000)
			}
			w.advance(long / 2)
			said := w.now
			c.say(w)
			w.advance(time.Minute)
			for w.packets[0].head.Func != wire.FuncAbort {
				w.packets = w.packets[1:]
			}
			want := long / 2
			if c.resets {
				want = long
			}
			if d := w.packets[0].at.Sub(said); !near(d, want) {
				t.Fatalf("timed out %v later, want %v", d, want)
			}
			w.wantAbort("Transfer timed out", "nothing came")
			w.wantEnded(false, EndTimeout)
		})
	}
}

func TestIdleFloor(t *testing.T) {
	w := newWorld(t)
	w.toMidGroup() // G 0.0105, R 20: 0.21 s
	w.advance(999 * time.Millisecond)
	w.wantPhase(MidGroup)
	w.advance(2 * time.Millisecond)
	w.wantAbort("Transfer timed out", "after one second")
}

func TestCompletionTimers(t *testing.T) {
	w := newWorld(t)
	w.toMidGroup()
	start := w.now
	w.done(0, 0, us)
	w.advance(time.Minute)
	n := len(w.packets)
	for i := range n {
		if d := w.packets[0].at.Sub(start); !near(d, time.Duration(i)*42109*time.Microsecond) {
			t.Fatalf("COMPLETE %d after %v", i, d)
		}
		w.wantComplete(0, wire.StatusNormal, "again")
	}
	if n != 24 {
		t.Fatalf("%d COMPLETEs, want one every 42 ms for 1.01 s", n)
	}
	w.wantEnded(true, EndUnconfirmed)
}

func TestGRTTChange(t *testing.T) {
	t.Run("a running timer is measured anew from its start", func(t *testing.T) {
		w := newWorld(t)
		w.grtt = code500ms
		w.toMidGroup(robust(10)) // idle 5.32 s
		w.advance(900 * time.Millisecond)
		w.src, w.grtt = other, code10ms
		w.regConf(us)
		if w.roundTrip() < 500*time.Millisecond {
			t.Fatal("a stranger changed GRTT")
		}
		start := w.session().start[idleTimer]
		w.src, w.grtt = them, code100ms
		w.done(1, 0, other)
		if got := w.session().due[idleTimer].Sub(w.now); !near(got, 1058*time.Millisecond) {
			t.Fatalf("idle timer has %v to go", got)
		}
		w.grtt = code500ms
		w.send(wire.FuncDone, []byte{byte(wire.FuncDone), 9, 0, 0}) // too short to mean anything, but the header counts
		if got := w.session().due[idleTimer].Sub(start); !near(got, 900*time.Millisecond+5322*time.Millisecond) {
			t.Fatalf("idle timer is %v long since the first start", got)
		}
	})
	t.Run("REGISTER keeps its limit", func(t *testing.T) {
		w := newWorld(t)
		w.grtt = code500ms
		start := w.now
		w.announce(robust(10)) // limit 21.3 s
		w.joined("")
		w.forget()
		w.grtt = code100ms
		w.regConf(other) // brings the new GRTT
		w.advance(430 * time.Millisecond)
		w.wantRegister("4·G of the new GRTT after the first")
		w.advance(time.Minute)
		last := w.packets[len(w.packets)-1]
		if d := last.at.Sub(start); !near(d, 21289*time.Millisecond) && d > 21800*time.Millisecond {
			t.Fatalf("given up after %v, want the limit of the ANNOUNCE's GRTT", d)
		}
	})
	t.Run("1 ms does not count", func(t *testing.T) {
		w := newWorld(t)
		w.toMidGroup()
		g := w.roundTrip()
		w.grtt = code10ms + 1 // 11.4 ms
		w.done(1, 0, other)
		if w.roundTrip() != g {
			t.Fatalf("GRTT went from %v to %v", g, w.roundTrip())
		}
		w.grtt = code10ms + 2 // 12.3 ms
		w.done(1, 0, other)
		if w.roundTrip() == g {
			t.Fatalf("GRTT stayed at %v", g)
		}
	})
}

// The host may take its time: the sender is not blamed for it.
func TestNoIdleTimerWhileTheHostWorks(t *testing.T) {
	w := newWorld(t)
	w.toMidGroup()
	w.fileInfo(1, 2000)
	w.advance(time.Minute)
	w.wantPhase(Opening)
	q := w.opened(Opened{Action: Receive})
	w.wantAck(1, false, "open at last")
	w.data(1, &q.Layout, 0, 0)
	w.data(1, &q.Layout, 0, 1)
	w.advance(time.Minute)
	w.wantPhase(Closing)
	w.closed("")
	w.advance(999 * time.Millisecond)
	w.wantPhase(MidGroup)
	w.advance(2 * time.Millisecond)
	w.wantAbort("Transfer timed out", "one second after the host was ready")
}

func TestAge(t *testing.T) {
	for _, c := range []struct {
		in   wire.Stamp
		held time.Duration
		want wire.Stamp
	}{
		{5_000_010, 0, 5_000_010},
		{5_999_999, time.Microsecond, 6_000_000},
		{5_000_001, 2500 * time.Millisecond, 7_500_001},
		{1_000_000, -time.Second, 1_000_000},
	} {
		if got := age(c.in, c.held); got != c.want {
			t.Errorf("%v after %v is %v, want %v", c.in, c.held, got, c.want)
		}
	}
}

// TestGRTTMovesTheTimeout: a GRTT that changes counts for the time-out that runs, in each
// phase that has one, though the packet itself is no sign of life.
func TestGRTTMovesTheTimeout(t *testing.T) {
	for _, phase := range []Phase{MidGroup, Receiving} {
		w := newWorld(t)
		w.grtt = code100ms
		w.toMidGroup()
		if phase == Receiving {
			w.toReceiving(1, 9000)
		}
		started := w.now
		w.advance(time.Second)
		w.grtt = code500ms
		w.doneConf(other)
		if phase == MidGroup {
			started = w.now // there any message is one
		}
		want := 20 * w.roundTrip()
		if want < 10*time.Second {
			t.Fatalf("%v: the GRTT is %v", phase, w.roundTrip())
		}
		w.advance(started.Add(want).Sub(w.now) - 1)
		if w.session() == nil {
			t.Fatalf("%v: it ends by the old GRTT", phase)
		}
		w.forget()
		w.advance(1)
		w.wantEnded(false, EndTimeout)
	}
}
