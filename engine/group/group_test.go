package group

import (
	"errors"
	"testing"
	"time"

	"uftp/engine/clock"
	"uftp/wire"
)

func TestRoster(t *testing.T) {
	r := NewRoster[string](3)
	for i, u := range []wire.UID{7, 5, 0xffffffff} {
		place, err := r.Add(u, u.String())
		if err != nil || place != i {
			t.Fatalf("member %v got place %d, %v; want %d in order of coming", u, place, err, i)
		}
	}
	for _, c := range []struct {
		why   string
		uid   wire.UID
		err   error
		place int
	}{
		{"a known UID keeps its place", 5, ErrListed, 1},
		{"UID 0 names nobody", 0, ErrUID, 0},
		{"the limit holds", 8, ErrFull, 0},
	} {
		if place, err := r.Add(c.uid, "x"); !errors.Is(err, c.err) || place != c.place {
			t.Errorf("%s: got %d, %v; want %d, %v", c.why, place, err, c.place, c.err)
		}
	}
	if i, ok := r.Find(0xffffffff); !ok || i != 2 || *r.At(i) != "0xFFFFFFFF" || r.UID(i) != 0xffffffff {
		t.Errorf("found the last one at %d, %v", i, ok)
	}
	if _, ok := r.Find(8); ok || r.Len() != 3 {
		t.Error("a refused member must leave no trace")
	}
}

func TestGRTT(t *testing.T) {
	const ms = time.Millisecond
	type step struct {
		rtt  []time.Duration // measured before the update
		next bool            // a phase ends after it
		want time.Duration
	}
	for _, c := range []struct {
		why           string
		start, lo, hi time.Duration
		steps         []step
	}{
		{
			why: "the first measurement is taken as it is", start: 500 * ms, lo: 10 * ms, hi: 15 * time.Second,
			steps: []step{{nil, false, 500 * ms}, {[]time.Duration{20 * ms, 30 * ms, 5 * ms}, false, 30 * ms}},
		},
		{
			why: "shrinking goes by tenths, growing at once", start: 500 * ms, lo: 10 * ms, hi: 15 * time.Second,
			steps: []step{
				{[]time.Duration{382_700 * time.Microsecond}, true, 382_700 * time.Microsecond},
				{[]time.Duration{ms}, true, 344_430 * time.Microsecond},
				{[]time.Duration{ms}, true, 309_987 * time.Microsecond},
				{[]time.Duration{ms}, true, 278_988_300},
				{[]time.Duration{700 * ms}, true, 700 * ms},
			},
		},
		{
			why: "limits hold", start: 100 * ms, lo: 50 * ms, hi: 300 * ms,
			steps: []step{{[]time.Duration{478 * ms}, true, 300 * ms}, {[]time.Duration{ms}, true, 270 * ms}},
		},
		{
			why: "the first one may be below the start by much, down to the minimum", start: 500 * ms, lo: 10 * ms, hi: 15 * time.Second,
			steps: []step{{[]time.Duration{-5 * ms}, true, 10 * ms}},
		},
		{
			why: "samples of a past phase do not count", start: 500 * ms, lo: 10 * ms, hi: 15 * time.Second,
			steps: []step{{[]time.Duration{200 * ms}, true, 200 * ms}, {nil, false, 200 * ms}, {nil, false, 200 * ms}},
		},
	} {
		g := NewGRTT(c.start, c.lo, c.hi)
		for i, s := range c.steps {
			for _, rtt := range s.rtt {
				g.Measure(rtt)
			}
			before := g.Value()
			if changed := g.Update(); changed != (g.Value() != before) {
				t.Errorf("%s: step %d says changed=%v", c.why, i, changed)
			}
			if g.Value() != s.want {
				t.Errorf("%s: step %d gives %v, want %v", c.why, i, g.Value(), s.want)
			}
			if s.next {
				g.NextPhase()
			}
		}
	}
}

func TestGRTTRecount(t *testing.T) {
	g := NewGRTT(time.Second, 0, time.Minute)
	old := g.Measure(9 * time.Second)
	g.NextPhase()
	a, b := g.Measure(2*time.Second), g.Measure(0)
	if b.rtt != RTTFloor {
		t.Errorf("a time of 0 counts as %v, want %v", b.rtt, RTTFloor)
	}
	g.Recount()
	g.Count(old)
	g.Count(b)
	g.Count(Sample{})
	g.Update()
	if g.Value() != RTTFloor {
		t.Errorf("without the member that had %v the group has %v, want %v", a.rtt, g.Value(), RTTFloor)
	}
}

func TestTimers(t *testing.T) {
	var ts Timers
	if ts.Next() != clock.Never || ts.Due(0, clock.Never) {
		t.Fatal("the zero table has nothing armed")
	}
	ts.Set(3, 30)
	ts.Set(7, 20)
	ts.Set(0, 40)
	if ts.Next() != 20 || !ts.Armed(7) {
		t.Errorf("next is at %d, want the earliest, 20", ts.Next())
	}
	if ts.Due(7, 19) || !ts.Due(7, 20) || ts.Due(7, 21) {
		t.Error("a timer is due from its moment on, and once")
	}
	ts.Set(3, 50)
	if ts.Due(3, 49) || ts.Next() != 40 {
		t.Error("setting a timer again moves it")
	}
	ts.Stop(0)
	if ts.Next() != 50 {
		t.Errorf("next is at %d, want 50 after the earlier one was stopped", ts.Next())
	}
	ts.StopAll()
	if ts.Next() != clock.Never {
		t.Error("StopAll leaves none")
	}
}

func TestTimersThatWaitForSent(t *testing.T) {
	var ts Timers
	for i := range 4 {
		ts.SetWhenSent(i)
	}
	if ts.Next() != clock.Never || ts.Armed(2) {
		t.Error("a timer runs before Sent")
	}
	ts.Stop(1)
	length := func(i int) time.Duration { return time.Duration(10 * i) }
	ts.Sent(100, length)
	for i, want := range []bool{true, false, true, true} {
		if ts.Armed(i) != want {
			t.Errorf("timer %d is armed: %v, want %v", i, !want, want)
		}
	}
	if ts.Due(3, 129) || !ts.Due(3, 130) {
		t.Error("a timer runs for its length from Sent on")
	}
	ts.Sent(200, length)
	if ts.Armed(3) {
		t.Error("Sent arms a timer once")
	}
	ts.SetWhenSent(3)
	ts.StopAll()
	if ts.Sent(300, length); ts.Armed(3) {
		t.Error("StopAll stops those that wait, too")
	}
}
