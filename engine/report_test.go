package engine

import (
	"testing"
	"time"
)

// TestClockIsSet sets the system's clock while the monotonic clock goes on.
func TestClockIsSet(t *testing.T) {
	w := newWall()
	start := w.start
	steps := []struct {
		name  string
		after time.Duration // since the start
		shown time.Duration // by the system's clock, since the start
		want  time.Duration // the time reported for a moment at after, since the start
	}{
		{"at the start", 0, 0, 0},
		{"later", time.Hour, time.Hour, time.Hour},
		{"the clocks are not read at the same moment", 2 * time.Hour, 2*time.Hour + setMin/2, 2 * time.Hour},
		{"set ahead by years", 3 * time.Hour, 20000 * time.Hour, 20000 * time.Hour},
		{"that lasts", 4 * time.Hour, 20001*time.Hour - setMin/2, 20001 * time.Hour},
		{"set back", 5 * time.Hour, 5*time.Hour + time.Second, 5*time.Hour + time.Second},
		{"a leap second", 6 * time.Hour, 6 * time.Hour, 6 * time.Hour},
	}
	for _, s := range steps {
		at := w.base.Add(s.after)
		got := w.timeAt(at, at, start.Add(s.shown))
		if d := got.Round(0).Sub(start.Round(0)); d != s.want {
			t.Errorf("%s: given as %v after the start, want %v", s.name, d, s.want)
		}
		past := w.timeAt(at.Add(-time.Minute), at, start.Add(s.shown))
		if d := got.Round(0).Sub(past.Round(0)); d != time.Minute {
			t.Errorf("%s: a minute is given as %v", s.name, d)
		}
	}
}

// TestClockIsAsked leaves a clock that was set ahead and has been set back since nobody
// looked.
func TestClockIsAsked(t *testing.T) {
	w := newWall()
	w.set = 24 * time.Hour
	before := time.Now()
	got := w.time(w.now())
	if after := time.Now(); got.Before(before.Add(-setMin)) || got.After(after.Add(setMin)) {
		t.Errorf("the present is given as %v, want %v to %v", got, before, after)
	}
}
