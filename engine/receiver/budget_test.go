package receiver

import (
	"testing"
	"time"

	"uftp/engine/clock"
)

// spend fails as many signatures of cost µs as the budget allows at one moment.
func (b *failBudget) spend(now clock.Time, cost int, near bool, sessions int) (n int) {
	for b.allows(now, near, sessions) {
		b.book(now, cost, near)
		n++
	}
	return n
}

// TestFailBudget: a session fails signatures for workBurst at once and for its share a second;
// one more needs the time that the debt of the last one takes.
func TestFailBudget(t *testing.T) {
	const cost = 70 // µs; does not divide workBurst
	const most = workBurst/cost + 1
	for _, c := range []struct {
		why      string
		near     bool
		sessions int
		rate     int // µs a second
	}{
		{"the only session", true, 1, failWork},
		{"one of 50 sessions", true, 50, failWork / 50},
		{"the only session, from elsewhere", false, 1, farFailWork},
		{"one of 50 sessions, from elsewhere", false, 50, farFailWork / 50},
		{"one of more sessions than µs", true, 2 * failWork, 1},
	} {
		var b failBudget
		now := clock.Time(1_700_000_000e9)
		if n := b.spend(now, cost, c.near, c.sessions); n != most {
			t.Errorf("%s: %d at once, want %d", c.why, n, most)
		}
		debt := time.Duration(most*cost-workBurst) * time.Second / time.Duration(c.rate)
		if b.allows(now.Add(debt-1), c.near, c.sessions) {
			t.Errorf("%s: one more before the debt of %v is paid", c.why, debt)
		}
		if !b.allows(now.Add(debt), c.near, c.sessions) {
			t.Errorf("%s: none after the debt of %v is paid", c.why, debt)
		}
		if n := b.spend(now.Add(100*24*time.Hour), cost, c.near, c.sessions); n > most {
			t.Errorf("%s: %d at once after a long rest, want at most %d", c.why, n, most)
		}
	}
}

// TestFarFailuresLeaveTime: wrong signatures from elsewhere count for the sender's address too,
// but use up less than its share.
func TestFarFailuresLeaveTime(t *testing.T) {
	const cost = 70
	var b failBudget
	now := clock.Time(1_700_000_000e9)
	b.spend(now, cost, false, 1)
	if b.allows(now, true, 1) {
		t.Error("the first burst from elsewhere does not count for the sender's address")
	}
	for range 1000 { // 10 s
		now = now.Add(10 * time.Millisecond)
		b.spend(now, cost, false, 1)
	}
	if !b.allows(now, true, 1) {
		t.Error("a flood from elsewhere leaves no time for the sender's address")
	}
}

// TestFailBudgetOfChangingSessions: a host that starts and ends sessions gets no more out of
// the budget of one of them than if it were alone.
func TestFailBudgetOfChangingSessions(t *testing.T) {
	const cost, span = 70, 20 * time.Second
	for _, sessions := range [][]int{{1, 100}, {100, 1}, {1, 2, 3, 50}} {
		var b failBudget
		start := clock.Time(1_700_000_000e9)
		spent := 0
		for i := 0; time.Duration(i)*time.Millisecond < span; i++ {
			now := start.Add(time.Duration(i) * time.Millisecond)
			spent += cost * b.spend(now, cost, true, sessions[i%len(sessions)])
		}
		if most := workBurst + failWork*int(span/time.Second) + cost; spent > most {
			t.Errorf("%v sessions in turn: %d µs in %v, want at most %d", sessions, spent, span, most)
		}
	}
}
