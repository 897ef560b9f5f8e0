package engine

import (
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"uftp/engine/machine"
	"uftp/engine/netio"
	"uftp/engine/tap"
)

// TestHostTicks: stats are due by the clock while a session runs, in a core that is always
// busy as in one that sleeps.
func TestHostTicks(t *testing.T) {
	for _, busy := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			var at []time.Duration
			began := time.Now()
			h := newHost(newWall(), newFakeConn(), netio.Config{}, time.Second, false, func(_ time.Time, ev machine.Event) {
				if _, ok := ev.(SendTick); ok {
					at = append(at, time.Since(began))
				}
			})
			h.stats = func() machine.Event { return SendTick{} }
			turns := func(d time.Duration) {
				for end := h.wall.now().Add(d); h.wall.now() < end; {
					h.due(h.wall.now())
					if busy {
						time.Sleep(10 * time.Millisecond)
					} else {
						h.sleep(h.idle(end), nil, nil)
					}
				}
			}
			turns(time.Minute)
			h.active(h.wall.now(), true)
			turns(2500 * time.Millisecond)
			h.active(h.wall.now(), false)
			turns(time.Minute)
			h.finish("", nil, nil)
			want := []time.Duration{time.Minute, time.Minute + time.Second, time.Minute + 2*time.Second}
			if !slices.Equal(at, want) {
				t.Errorf("busy %v: ticks at %v, want %v", busy, at, want)
			}
		})
	}
}

// TestHostFinish: the end closes the socket and then waits for goroutines, for as long as the
// limit says, and reports what it leaves behind. The last report is the role's.
func TestHostFinish(t *testing.T) {
	for _, hangs := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			var got []machine.Event
			h := newHost(newWall(), newFakeConn(), netio.Config{}, 0, false, func(_ time.Time, ev machine.Event) { got = append(got, ev) })
			free := make(chan struct{})
			h.run(func() {
				<-h.quit
				h.notes.Put(Note{Text: "the last words of a goroutine"})
				if hangs {
					<-free
				}
			})
			last := make(chan struct{})
			began := time.Now()
			h.finish("a disk", func() { close(last) }, func() { h.put(ReceiveStopped{}) })
			took := time.Since(began)
			want := []machine.Event{Note{Text: "the last words of a goroutine"}, ReceiveStopped{}}
			if hangs {
				want = slices.Insert(want, 0, machine.Event(LeftBehind{"a disk"}))
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("reports %v, want %v", got, want)
			}
			if over(last) == hangs || hangs != (took > 0) || took > StopLimit {
				t.Errorf("hangs %v: the end took %v, last was called: %v", hangs, took, over(last))
			}
			close(free)
			synctest.Wait() // now all ends that was left behind, or the bubble says so
		})
	}
}

// TestElapsed: a capture whose disk is slow is no part of the time that a run reports.
func TestElapsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const opening, running, writing = time.Second, time.Minute, 2 * time.Second
		h := newHost(newWall(), newFakeConn(), netio.Config{}, 0, false, nil)
		pause := opening
		in, _, err := h.capture(capturedTo(filepath.Join(t.TempDir(), "c"), 1<<20, 2), netio.Config{}, tap.Control, tap.Control, func() {
			time.Sleep(pause)
		})
		if err != nil {
			t.Fatal(err)
		}
		pause = writing
		time.Sleep(running)
		in.Received([]netio.RxSlot{{Buf: make([]byte, 20), N: 20, From: rxAddr, To: rxAddr.Addr()}})
		began := time.Now()
		h.finish("", nil, func() {
			if got, took := h.runStats().Elapsed, time.Since(began); got != opening+running || took != writing {
				t.Errorf("%v after an end that took %v, want %v and %v", got, took, opening+running, writing)
			}
		})
	})
}
