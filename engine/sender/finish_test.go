package sender

import (
	"strings"
	"testing"
	"time"

	"uftp/engine/machine"
	"uftp/wire"
)

// finish takes uids through an empty file into the completion phase.
func finish(t *testing.T, set func(*Config), uids ...wire.UID) *rig {
	t.Helper()
	r := join(t, set, uids...)
	r.offer("f", 0)
	for _, u := range uids {
		r.complete(u, 1, wire.StatusNormal)
	}
	r.forget()
	r.endOfFiles()
	r.advance(ms)
	r.wantPhase("no more files", Finishing)
	return r
}

// said returns what was sent without the times, and forgets it.
func (r *rig) said() string {
	var s []string
	for _, line := range r.wire {
		_, what, _ := strings.Cut(line, " ")
		s = append(s, what)
	}
	r.wire = nil
	return strings.Join(s, "; ")
}

func (r *rig) wantSaid(why, want string) {
	r.t.Helper()
	if got := r.said(); got != want {
		r.t.Fatalf("%s:\n got %s\nwant %s", why, got, want)
	}
}

func TestCompletion(t *testing.T) {
	r := finish(t, nothing, 1, 2)
	r.wantSaid("everybody is asked", "DONE f0 s0 [1 2]")
	r.complete(1, 0, wire.StatusNormal)
	r.wantSaid("a client that has completed waits for the next round", "")
	r.advance(30 * ms)
	r.wantSaid("then it is confirmed, and the others are asked again", "DONE_CONF [1]; DONE f0 s0 [2]")
	r.wantDrop("a COMPLETE for a file", r.complete(2, 1, wire.StatusNormal), machine.DropFile)
	wantNone[Refused](r, "nobody wants to hear of it")
	r.complete(2, 0, wire.StatusNormal)
	r.wantSaid("all have completed: the last ones are confirmed at once", "DONE_CONF [2]")
	r.wantNotice("this is reported", LateCompletions)
	r.advance(19 * ms)
	r.wantSaid("not yet", "")
	r.advance(2 * ms)
	r.wantSaid("2·G later everybody is confirmed again", "DONE_CONF [1 2]")
	r.advance(28 * ms)
	wantNone[SessionEnded](r, "5·G are left for repeated COMPLETEs")
	r.complete(1, 0, wire.StatusNormal)
	r.wantSaid("one that did not hear it is answered at once", "DONE_CONF [1]")
	r.advance(49 * ms)
	wantNone[SessionEnded](r, "and gets 5·G again")
	r.advance(2 * ms)
	r.wantNotice("the end is reported", GroupComplete)
	r.wantExit("all is well", ExitOK)
	if e := want[SessionEnded](r, "the end"); !e.Complete || len(e.States) != 2 || e.States[0] != Done || e.Clients[1].UID != 2 {
		t.Errorf("ended with %+v", e)
	}
}

func TestLingerIsBounded(t *testing.T) {
	r := finish(t, nothing, 1)
	for range 60 {
		r.complete(1, 0, wire.StatusNormal)
		r.advance(40 * ms)
	}
	r.wantExit("a client that repeats COMPLETE for ever does not keep the session up", ExitOK)
}

func TestLateCompletesAreGathered(t *testing.T) {
	r := finish(t, nothing, 1, 2, 3, 4)
	for u := range wire.UID(4) {
		r.complete(u+1, 0, wire.StatusNormal)
	}
	r.advance(ms)
	r.forget()
	for u := range wire.UID(4) {
		r.complete(u+1, 0, wire.StatusNormal)
		r.advance(ms)
	}
	r.wantSaid("the first that repeats itself is answered at once", "DONE_CONF [1]")
	r.advance(10 * ms)
	r.wantSaid("1·G later all others with one message", "DONE_CONF [2 3 4]")
}

func TestGroupCompleteNeverComes(t *testing.T) {
	r := finish(t, func(c *Config) { c.Robust = 3 }, 1, 2)
	r.complete(2, 0, wire.StatusNormal)
	r.advance(89 * ms)
	r.wantSaid("rounds", "DONE f0 s0 [1 2]; DONE_CONF [2]; DONE f0 s0 [1]; DONE f0 s0 [1]")
	r.advance(finishLeast - 100*ms)
	if n, most := strings.Count(r.said(), "DONE f0 s0 [1]"), int(finishLeast/finishGap); n < most-1 || n > most {
		t.Errorf("asked %d times more, want about %d: the later rounds are further apart", n, most)
	}
	wantNone[ClientLost](r, "a client that puts its files in place is asked longer than Robust rounds on a fast network take")
	r.wantPhase("it still may answer", Finishing)
	r.advance(100*ms + finishGap)
	l := want[ClientLost](r, "the silent one is lost")
	if l.Client.UID != 1 || l.In != LostComplete {
		t.Errorf("lost: %+v", l)
	}
	r.advance(time.Second)
	if said := r.said(); strings.Contains(said, "ABORT") || !strings.HasSuffix(said, "DONE_CONF [2]") {
		t.Errorf("said %q: it may have all it needs, so no ABORT; the other is confirmed once more", said)
	}
	r.wantExit("one has confirmed", ExitOK)
}

func TestSlowRoundsAreCounted(t *testing.T) {
	r := finish(t, func(c *Config) { c.Robust = 400 }, 1)
	r.advance(11900 * ms)
	wantNone[ClientLost](r, "Robust rounds of 3·G")
	r.advance(100*ms + finishGap)
	want[ClientLost](r, "no more of them where they take longer than finishLeast")
}

// TestSuccessIsConfirmed: a file that is complete at a receiver counts for the exit code
// only if that receiver has confirmed the session, however it left.
func TestSuccessIsConfirmed(t *testing.T) {
	quit := func(c *Config) { c.QuitOnError = true }
	for _, c := range []struct {
		why  string
		set  func(*Config)
		do   func(r *rig)
		exit Exit
	}{
		{"all confirm", nothing, func(r *rig) {
			r.complete(1, 0, wire.StatusNormal)
			r.complete(2, 0, wire.StatusNormal)
		}, ExitOK},
		{"one aborts, one confirms", nothing, func(r *rig) {
			r.abort(1, "read-only file system")
			r.complete(2, 0, wire.StatusNormal)
		}, ExitOK},
		{"all abort", nothing, func(r *rig) {
			r.abort(1, "read-only file system")
			r.abort(2, "read-only file system")
		}, ExitNoneSent},
		{"all vanish", nothing, func(r *rig) {}, ExitNoneSent},
		{"one aborts, one vanishes", nothing, func(r *rig) { r.abort(1, "no space") }, ExitNoneSent},
		{"an ABORT behind COMPLETE takes it back", nothing, func(r *rig) {
			r.complete(1, 0, wire.StatusNormal)
			r.abort(1, "cannot move")
		}, ExitNoneSent},
		{"COMPLETE from a client that is out", nothing, func(r *rig) {
			r.abort(1, "no space")
			r.complete(1, 0, wire.StatusNormal)
		}, ExitNoneSent},
		{"-q, one vanishes", quit, func(r *rig) { r.complete(1, 0, wire.StatusNormal) }, ExitNoneSent},
		{"-q, one aborts", quit, func(r *rig) {
			r.complete(1, 0, wire.StatusNormal)
			r.abort(2, "no space")
		}, ExitNoneSent},
		{"-q, all confirm", quit, func(r *rig) {
			r.complete(1, 0, wire.StatusNormal)
			r.complete(2, 0, wire.StatusNormal)
		}, ExitOK},
		{"a signal", nothing, func(r *rig) { r.s.Stop(r.now) }, ExitSignal},
	} {
		t.Run(c.why, func(t *testing.T) {
			r := finish(t, c.set, 1, 2)
			c.do(r)
			r.advance(2 * finishLeast)
			r.wantExit(c.why, c.exit)
		})
	}
}

func TestSuccessIsOfOneReceiver(t *testing.T) {
	r := join(t, nothing, 1, 2)
	r.offer("f", 0)
	r.complete(1, 1, wire.StatusNormal)
	r.complete(2, 1, wire.StatusRejected)
	r.endOfFiles()
	r.advance(ms)
	r.abort(1, "cannot move")
	r.complete(2, 0, wire.StatusNormal)
	r.advance(2 * finishLeast)
	r.wantExit("one client has confirmed but refused the file, the other has taken it but not confirmed", ExitNoneSent)
}

func TestQuitOnErrorInCompletion(t *testing.T) {
	r := finish(t, func(c *Config) { c.QuitOnError = true }, 1, 2, 3)
	r.complete(1, 0, wire.StatusNormal)
	r.forget()
	r.abort(2, "Client shutting down")
	r.advance(ms)
	r.wantSaid("a client that has completed is let go, the others are aborted",
		"DONE_CONF [1]; ABORT 0 A client aborted, aborting all")
	r.wantExit("with QuitOnError everybody has to confirm", ExitNoneSent)
	r.wantState("completed", 1, Done)
	r.wantState("not completed", 3, Aborted)
}

func TestStop(t *testing.T) {
	const quitText = "ABORT 0 Server quit, aborting all"
	for _, c := range []struct {
		why   string
		setup func() *rig
		said  string
		state State // of client 1 afterwards
	}{
		{"announce phase, nobody here", func() *rig { return newRig(t, hosts(1)) }, quitText, Mute},
		{"announce phase", func() *rig {
			r := newRig(t, hosts(1, 2))
			r.register(1, 0)
			return r
		}, quitText, Aborted},
		{"between files", func() *rig { return join(t, nothing, 1) }, quitText, Aborted},
		{"fileinfo phase", func() *rig {
			r := join(t, nothing, 1)
			r.offer("f", 10)
			return r
		}, quitText, Aborted},
		{"data phase", func() *rig { return begin(t, nothing, 1e6, 1) }, quitText, Aborted},
		{"data phase, client 1 has it", func() *rig {
			r := begin(t, nothing, 1e6, 1, 2)
			r.complete(1, 1, wire.StatusNormal)
			return r
		}, quitText, Aborted},
		{"completion phase", func() *rig { return finish(t, nothing, 1) }, quitText, Aborted},
		{"completion phase, client 1 has completed", func() *rig {
			r := finish(t, nothing, 1, 2)
			r.complete(1, 0, wire.StatusNormal)
			return r
		}, "DONE_CONF [1]; " + quitText, Done},
		{"completion phase, all have completed", func() *rig {
			r := finish(t, nothing, 1)
			r.complete(1, 0, wire.StatusNormal)
			return r
		}, "", Done},
	} {
		r := c.setup()
		file := r.s.phase == FileInfo || r.s.phase == Data
		r.forget()
		r.s.Stop(r.now)
		r.s.Stop(r.now)
		if err := r.s.Offer(r.now, File{Name: "f"}); err != ErrNotAsked {
			t.Errorf("%s: a stopped session takes a file: %v", c.why, err)
		}
		r.s.EndOfFiles(r.now)
		r.advance(ms)
		r.wantSaid(c.why, c.said)
		r.wantExit(c.why, ExitSignal)
		r.wantState(c.why, 1, c.state)
		if _, ok := got[FileEnded](r); ok != file {
			t.Errorf("%s: the outcome of a file was reported: %v, want %v", c.why, ok, file)
		}
		r.s.Stop(r.now)
		r.wantDrop(c.why+": after the end", r.complete(1, 0, 0), machine.DropPhase)
	}
}

func TestRosterAndStats(t *testing.T) {
	r := newRig(t, func(c *Config) {
		c.Hosts = []Host{{UID: 1, Name: "a"}, {UID: 2, Name: "p", IsProxy: true}, {UID: 1, Name: "again"}, {UID: 3, Name: "c"}}
	})
	r.register(3, 0)
	var names []string
	var states []State
	for i := range r.s.roster.Len() {
		names = append(names, r.s.client(i).Name)
		states = append(states, r.s.roster.At(i).state)
	}
	if strings.Join(names, " ") != "a p c" || states[2] != Active || states[1] != Mute {
		t.Errorf("roster %v %v, want each host once, in order", names, states)
	}
	st := r.s.Stats()
	if st.States[Mute] != 1 || st.States[Active] != 1 || st.Phase != Announcing || st.Rate != r.cfg.Rate {
		t.Errorf("stats %+v, want one mute and one active client; proxies do not count", st)
	}
}

// TestPaceOfABORTs: those to single clients leave one packet interval apart, 1 ms at most.
func TestPaceOfABORTs(t *testing.T) {
	for _, c := range []struct {
		why  string
		rate int64
		gap  time.Duration
	}{
		{"a fast rate", 10_520_000, 100 * time.Microsecond},
		{"a slow rate", 105_200, ms},
	} {
		uids := make([]wire.UID, 50)
		for i := range uids {
			uids[i] = wire.UID(i + 1)
		}
		r := join(t, nothing, uids...)
		r.s.grtt.interval = packetInterval(r.s.packetBytes, c.rate)
		began := r.now
		for i := range uids {
			r.s.abortClient(i, "gone")
		}
		r.s.pollNow = true
		r.advance(time.Duration(len(uids)-1)*c.gap - 1)
		sent := strings.Count(r.said(), "ABORT")
		if sent != len(uids)-1 {
			t.Errorf("%s: %d ABORTs in %v, want %d", c.why, sent, r.now.Sub(began), len(uids)-1)
		}
		r.advance(1)
		if n := strings.Count(r.said(), "ABORT"); n != 1 {
			t.Errorf("%s: %d ABORTs at the end, want 1", c.why, n)
		}
	}
}
