package sender

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"uftp/engine/clock"
	"uftp/engine/machine"
	"uftp/wire"
)

// fast sends 16 blocks in a train, as fast as they are taken.
func fast(c *Config) { c.Rate = 0 }

func TestPassIsPaced(t *testing.T) {
	r := begin(t, func(c *Config) { c.Rate = 4_208_000 }, 20_500, 1) // 4 blocks a millisecond
	base := r.now
	r.advance(20 * ms)
	var got []string
	for _, p := range r.planned {
		got = append(got, fmt.Sprintf("%v:%s", p.Depart.Sub(base), ranges(p.Block[:p.N])))
	}
	if plan := "0s:0-3 1ms:4-7 2ms:8-11 3ms:12-15 4ms:16-19 5ms:20"; strings.Join(got, " ") != plan {
		t.Errorf("planned %v\nwant %s: a train is a millisecond of the rate", got, plan)
	}
	if !strings.HasSuffix(r.wire[len(r.wire)-1], "DONE f1 s0 [1]") {
		t.Errorf("sent %q, want DONE at the end", r.wire)
	}
	e, st := want[PassEnded](r, "the pass is reported"), r.s.Stats()
	if e.Pass != 1 || e.Packets != 21 || e.Bytes != 20_500 || e.Elapsed != 5*ms+250*time.Microsecond {
		t.Errorf("pass %+v", e)
	}
	if st.Counters.DataBytes != 20_500 || st.Blocks != 21 || st.Left != 0 || st.Pass != 1 || st.FileStart != base {
		t.Errorf("stats %+v", st)
	}
}

func TestTrainIsPlannedShortlyBefore(t *testing.T) {
	r := begin(t, func(c *Config) { c.Lookahead = 2500 * time.Microsecond }, 100_000, 1)
	if n := len(r.planned); n != 3 {
		t.Errorf("%d trains were planned at once, want those of 0, 1 and 2 ms", n)
	}
	if d := r.s.Deadline().Sub(r.now); d != 500*time.Microsecond {
		t.Errorf("the next deadline is %v away, want 500µs: Lookahead before the departure at 3 ms", d)
	}
	r.advance(499 * time.Microsecond)
	if n := len(r.planned); n != 3 {
		t.Errorf("%d trains before the deadline", n)
	}
	r.advance(time.Microsecond)
	if n := len(r.planned); n != 4 {
		t.Errorf("%d trains at the deadline, want 4", n)
	}
}

func TestDoneWaitsUntilDataHasLeft(t *testing.T) {
	r := begin(t, fast, 20_000, 1)
	r.hold = true
	r.forget()
	r.advance(10 * time.Second)
	r.wantWire("two trains are in the machine")
	r.s.Departed(r.now, 1)
	r.advance(time.Second)
	r.wantWire("one is left")
	r.s.Departed(r.now, 5)
	r.drain()
	r.wantSaid("all have left", "DONE f1 s0 [1]")
	r.s.Departed(r.now, 3)
	if r.s.pass.inFlight != 0 {
		t.Error("more trains have left than there were")
	}
}

func TestFlightIsBounded(t *testing.T) {
	r := join(t, func(c *Config) { c.Rate = 0; c.TrainBlocks = 1 }, 1)
	r.offer("f", 1_200_000)
	r.hold = true
	r.ack(1, 1, 0, false)
	if len(r.planned) != maxFlight {
		t.Fatalf("%d trains were planned while none left, want at most %d", len(r.planned), maxFlight)
	}
	r.s.Departed(r.now, 10)
	r.drain()
	if len(r.planned) != maxFlight+10 {
		t.Errorf("%d trains in all after 10 have left, want 10 more", len(r.planned))
	}
}

func TestTrainsStayInSections(t *testing.T) {
	// 17 blocks more than two sections of 4096: three sections of 2737 and 2736.
	r := join(t, func(c *Config) { c.BlockSize = 512; c.Rate = 0 }, 1)
	r.offer("f", (2*4096+17)*512)
	r.ack(1, 1, 0, false)
	r.advance(ms)
	var sections []int
	for _, e := range r.events {
		if s, ok := e.(SectionStarted); ok {
			sections = append(sections, s.Section)
		}
	}
	if fmt.Sprint(sections) != "[0 1 2]" {
		t.Errorf("sections %v were reported, want 0 1 2", sections)
	}
	blocks := 0
	for _, p := range r.planned {
		a, _ := p.Layout.Section(int(p.Block[0]))
		b, _ := p.Layout.Section(int(p.Block[p.N-1]))
		if a != b {
			t.Fatalf("a train goes from section %d to %d", a, b)
		}
		if int(p.Block[0]) != blocks {
			t.Fatalf("a train starts at block %d, want %d", p.Block[0], blocks)
		}
		blocks += p.N
	}
	if blocks != 2*4096+17 {
		t.Errorf("%d blocks were sent", blocks)
	}
	if last := r.wire[len(r.wire)-1]; !strings.HasSuffix(last, "DONE f1 s2 [1]") {
		t.Errorf("sent %q last, want DONE for the last section", last)
	}
}

func TestRepair(t *testing.T) {
	r := begin(t, fast, 40_100, 1, 2, 3)
	r.advance(ms)
	r.forget()
	t0 := r.now
	r.wantDrop("client 1 misses some", r.status(1, 1, 0, 3, 4, 9), machine.DropNone)
	r.wantNotice("the rewind timer starts", RewindStarted)
	r.wantState("a client that NAKs is not asked again", 1, ActiveNAK)
	n := want[NAKs](r, "they are reported")
	if n.Client.UID != 1 || n.Section != 0 || n.Count != 3 || n.Excess {
		t.Errorf("reported %+v", n)
	}
	r.advance(2 * ms)
	r.status(2, 1, 0, 4, 40)
	r.advance(27 * ms)
	r.wantSaid("3·G after the first DONE those that are silent are asked again", "DONE f1 s0 [3]")
	r.forget()
	r.advance(t0.Add(30 * ms).Sub(r.now))
	r.wantNotice("3·G after the first NAK the next pass starts", RewindTripped)
	r.wantSaid("what is missing anywhere is sent once, in order, and everybody is asked", "TRAIN f1 3-4,9,40; DONE f1 s0 [1 2 3]")
	st := r.s.Stats().Counters
	if st.RepairPackets != 4 || st.RepairBytes != 3*1000+100 || st.DataPackets != 45 || st.NAKs != 5 {
		t.Errorf("counters %+v", st)
	}
	for u := range wire.UID(3) {
		r.complete(u+1, 1, wire.StatusNormal)
	}
	e := want[FileEnded](r, "the file is over")
	if e.Passes != 2 || e.Results[0].NAKs != 3 || e.Results[1].NAKs != 2 {
		t.Errorf("outcome %+v", e)
	}
}

func TestNextPassComesEarly(t *testing.T) {
	r := begin(t, fast, 40_100, 1, 2, 3)
	r.advance(ms)
	r.status(1, 1, 0, 3)
	r.status(2, 1, 0, 4)
	r.forget()
	r.advance(9 * ms)
	r.wantSaid("client 3 has not answered, the others wait with it", "")
	r.complete(3, 1, wire.StatusNormal)
	r.advance(2 * ms)
	r.status(2, 1, 0, 9)
	r.advance(2400 * time.Microsecond)
	r.wantSaid("everybody has answered, but an answer came less than a quarter of G ago", "")
	r.advance(200 * time.Microsecond)
	r.wantNotice("a quarter of G after the last answer", RewindTripped)
	r.advance(ms)
	r.wantSaid("the next pass starts", "TRAIN f1 3-4,9; DONE f1 s0 [1 2]")

	r = begin(t, with(fast, func(c *Config) { c.MaxPasses = 9 }), 40_100, 1)
	r.advance(ms)
	r.status(1, 1, 0, 3)
	r.forget()
	r.advance(29 * ms)
	r.wantSaid("where passes are counted 3·G is waited in any case", "DONE f1 s0 []")
	r.advance(2 * ms)
	r.wantSaid("then the next pass starts", "TRAIN f1 3; DONE f1 s0 [1]")
}

func TestNAKsWhileAPassRuns(t *testing.T) {
	// Two sections of 4000 blocks, a block a millisecond: the pass takes 8 s.
	set := func(c *Config) { c.Lookahead = 0 }
	for _, c := range []struct {
		why      string
		at       time.Duration // into pass 2, which sends blocks 100, 200 … of section 0 and 4100 … of section 1
		section  int
		block    int
		drop     machine.Drop
		inPass2  string
		inPass3  string
		listed   bool // is the client asked at the end of pass 2?
		noPass3  bool
		wantNAKs bool
	}{
		{why: "ahead of the walk: in this pass", at: 2 * ms, section: 1, block: 50, inPass2: "100 200 300 400 4050 4100 4200", listed: true, noPass3: true},
		{why: "ahead of the walk, marked anyway", at: 2 * ms, section: 1, block: 100, inPass2: "100 200 300 400 4100 4200", listed: true, noPass3: true},
		{why: "behind the walk: in the next pass", at: 5500 * time.Microsecond, section: 0, block: 50, inPass2: "100 200 300 400 4100 4200", inPass3: "50"},
		{why: "in the section being sent: dropped", at: 2 * ms, section: 0, block: 50, drop: machine.DropPhase, inPass2: "100 200 300 400 4100 4200", listed: true, noPass3: true},
	} {
		r := begin(t, set, 8000*1000+1, 1, 2)
		r.advance(8100 * ms)
		r.status(1, 1, 0, 100, 200, 300, 400)
		r.status(1, 1, 1, 99, 199) // the first section has 4001 blocks
		r.forget()
		r.until("the second pass", func() bool { return r.s.pass.number > 1 })
		begun := r.s.pass.began
		r.advance(begun.Add(c.at).Sub(r.now))
		block := c.block
		if c.section == 1 {
			block--
		}
		r.wantDrop(c.why, r.status(2, 1, c.section, block), c.drop)
		r.advance(10 * ms)
		var sent []string
		for _, p := range r.planned {
			sent = append(sent, ranges(p.Block[:p.N]))
		}
		if got := strings.Join(sent, " "); got != c.inPass2 {
			t.Errorf("%s: pass 2 sent %s, want %s", c.why, got, c.inPass2)
		}
		done := r.wire[len(r.wire)-1]
		if strings.HasSuffix(done, "[1 2]") != c.listed || !strings.Contains(done, "DONE") {
			t.Errorf("%s: pass 2 ends with %q, want client 2 listed: %v", c.why, done, c.listed)
		}
		r.planned = nil
		r.complete(1, 1, wire.StatusNormal)
		r.advance(40 * ms)
		sent = nil
		for _, p := range r.planned {
			sent = append(sent, ranges(p.Block[:p.N]))
		}
		if got := strings.Join(sent, " "); got != c.inPass3 || (r.s.pass.number == 2) != c.noPass3 {
			t.Errorf("%s: after pass 2 sent %q in pass %d, want %q", c.why, got, r.s.pass.number, c.inPass3)
		}
	}
}

// What is planned but still in the machine is being sent.
func TestSectionInFlightIsBeingSent(t *testing.T) {
	r := join(t, func(c *Config) { c.BlockSize = 512; c.Rate = 0 }, 1)
	r.offer("f", 2*4096*512+1)
	r.hold = true
	r.ack(1, 1, 0, false)
	if !r.s.pass.walking || r.s.pass.section != 2 {
		t.Fatalf("section %d is planned, want all three in the machine", r.s.pass.section)
	}
	for section := range 3 {
		r.wantDrop("all is in the machine yet", r.status(1, 1, section, 1), machine.DropPhase)
	}
	n := 0
	for _, p := range r.planned {
		if s, _ := p.Layout.Section(int(p.Block[0])); s == 0 {
			n++
		}
	}
	r.s.Departed(r.now, n)
	r.wantDrop("section 0 has left", r.status(1, 1, 0, 1), machine.DropNone)
	r.wantDrop("section 1 has not", r.status(1, 1, 1, 1), machine.DropPhase)
}

func TestDoneIsRepeatedRobustTimes(t *testing.T) {
	r := begin(t, with(fast, func(c *Config) { c.Robust = 3 }), 1000, 1, 2)
	t0 := r.now
	r.advance(89 * ms)
	r.wantWire("DONE every 3·G", r.at(t0)+"TRAIN f1 0", r.at(t0)+"DONE f1 s0 [1 2]",
		r.at(t0.Add(30*ms))+"DONE f1 s0 [1 2]", r.at(t0.Add(60*ms))+"DONE f1 s0 [1 2]")
	wantNone[ClientLost](r, "the last DONE gets its 3·G")
	r.complete(2, 1, wire.StatusNormal)
	r.advance(2 * ms)
	r.wantNotice("then the rest is given up", DataTimedOut)
	r.wantState("silent", 1, Lost)
	r.wantSaid("it gets an ABORT", "ABORT 1 Lost connection")
	r.wantPhase("a client that has the file goes on", BetweenFiles)
	e := want[FileEnded](r, "the outcome is reported")
	if e.Results[0].State != Lost || e.Results[1].State != Done || e.Results[1].Elapsed != 89*ms || e.Elapsed != 89*ms {
		t.Errorf("outcome %+v", e)
	}
}

// A list that just fills its datagram needs no second, empty one.
func TestNoEmptyPart(t *testing.T) {
	var uids []wire.UID
	for i := range 130 {
		uids = append(uids, wire.UID(i+1))
	}
	// With a limit of passes, or else the next pass would come before the next DONE.
	r := begin(t, with(fast, func(c *Config) { c.BlockSize, c.MaxPasses = 512, 9 }), 1000, uids...)
	r.complete(129, 1, wire.StatusNormal)
	r.complete(130, 1, wire.StatusNormal)
	r.forget()
	r.advance(ms)
	if len(r.wire) != 1 || !strings.HasSuffix(r.wire[0], " 127 128]") {
		t.Errorf("sent %q, want one DONE for 128 clients", r.wire)
	}
	for u := range wire.UID(128) {
		r.status(u+1, 1, 0, 0)
	}
	r.status(1, 1, 0, 1)
	r.forget()
	r.advance(29 * ms)
	r.wantSaid("with nobody to ask DONE is sent all the same", "DONE f1 s0 []")
}

func TestDataRestartsAttempts(t *testing.T) {
	r := begin(t, with(fast, func(c *Config) { c.Robust = 2 }), 5000, 1, 2)
	for range 5 {
		r.advance(40 * ms) // DONE twice
		r.status(1, 1, 0, 2)
		r.advance(31 * ms)
	}
	r.wantPhase("as long as there are NAKs nobody is given up", Data)
	if r.s.pass.number < 5 {
		t.Errorf("pass %d, want one after each NAK", r.s.pass.number)
	}
}

func TestNobodyFinishes(t *testing.T) {
	r := begin(t, with(fast, func(c *Config) { c.Robust = 2 }), 1000, 1)
	r.advance(time.Second)
	r.wantExit("the only client is lost", ExitNoFile)
	if e := want[SessionEnded](r, "no completion phase"); e.Complete {
		t.Error("a failed session has no completion phase")
	}
}

func TestEmptyFile(t *testing.T) {
	r := begin(t, nothing, 0, 1)
	r.advance(ms)
	r.wantSaid("an empty file is asked for at once", "DONE f1 s0 [1]")
	r.wantDrop("it has no sections", r.status(1, 1, 0, 1), machine.DropRange)
	r.complete(1, 1, wire.StatusNormal)
	if e := want[FileEnded](r, "done"); e.Passes != 1 || e.Results[0].State != Done {
		t.Errorf("outcome %+v", e)
	}
}

func TestResume(t *testing.T) {
	for _, c := range []struct {
		why     string
		partial [2]bool
		full    bool
	}{
		{"all have a part: what is missing is asked for first", [2]bool{true, true}, false},
		{"one has nothing: all is sent", [2]bool{true, false}, true},
	} {
		r := join(t, fast, 1, 2)
		r.offer("f", 40_000)
		r.forget()
		r.ack(1, 1, 0, c.partial[0])
		r.ack(2, 1, 0, c.partial[1])
		if c.full {
			if st := r.s.Stats(); st.Counters.DataPackets != 40 {
				t.Errorf("%s: %d blocks were sent, want 40", c.why, st.Counters.DataPackets)
			}
			continue
		}
		r.wantSaid(c.why, "DONE f1 s0 [1 2]")
		r.wantDrop("the answers come at once and count", r.status(1, 1, 0, 5, 6), machine.DropNone)
		r.wantDrop("the answers come at once and count", r.status(2, 1, 0, 6, 7), machine.DropNone)
		r.advance(31 * ms)
		r.wantSaid("only what is missing is sent", "TRAIN f1 5-7; DONE f1 s0 [1 2]")
		if st := r.s.Stats().Counters; st.DataPackets != 3 || st.RepairPackets != 0 {
			t.Errorf("counters %+v: a first copy is no repair", st)
		}
	}
}

// A client that is done already says nothing about how to start.
func TestResumeWithADoneClient(t *testing.T) {
	r := join(t, fast, 1, 2)
	r.offer("f", 40_000)
	r.forget()
	r.complete(1, 1, wire.StatusNormal)
	r.ack(2, 1, 0, true)
	r.wantSaid("the other has a part", "DONE f1 s0 [2]")
}

func TestExcessiveNAKs(t *testing.T) {
	five := []int{0, 1, 2, 3, 4}
	for _, c := range []struct {
		why   string
		pct   int
		count int
		naks  [][]int
		after State
		left  int
	}{
		{"20 % is not above 20", 20, 1, [][]int{five}, ActiveNAK, 5},
		{"20 % is above 19", 19, 1, [][]int{five}, Aborted, 0},
		{"two are forgiven, and recorded", 0, 3, [][]int{{24}, {24}}, ActiveNAK, 1},
		{"few enough do not count", 4, 3, [][]int{{24}, five, {24}, five}, ActiveNAK, 6},
		{"the third is too much", 4, 3, [][]int{five, {24}, five, five}, Aborted, 6},
		{"100 is never excessive", 100, 1, [][]int{{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24}}, ActiveNAK, 25},
		{"blocks of the last, unfilled byte do not count, as in stock", 0, 1, [][]int{{24}}, ActiveNAK, 1},
		{"those of whole bytes do", 0, 1, [][]int{{23}}, Aborted, 0},
	} {
		r := begin(t, with(fast, func(g *Config) { g.MaxNAKPct, g.MaxNAKCount = c.pct, c.count }), 25_000, 1, 2)
		r.advance(ms)
		r.forget()
		for _, naks := range c.naks {
			r.status(1, 1, 0, naks...)
		}
		r.wantState(c.why, 1, c.after)
		if n := r.s.Stats().Left; n != c.left {
			t.Errorf("%s: %d blocks are needed, want %d: those of an aborted client are not recorded", c.why, n, c.left)
		}
		aborted := c.after == Aborted
		if said := r.said(); aborted != (said == "ABORT 1 Excessive NAKs received") {
			t.Errorf("%s: sent %q", c.why, said)
		}
		excess := false
		for _, e := range r.events {
			if n, ok := e.(NAKs); ok {
				excess = n.Excess
			}
		}
		if excess != aborted {
			t.Errorf("%s: the last NAKs were reported with excess %v", c.why, excess)
		}
	}
}

func TestMaxPasses(t *testing.T) {
	for _, passes := range []int{1, 3, 200} {
		r := begin(t, with(fast, func(c *Config) { c.MaxPasses = passes }), 5000, 1, 2)
		r.complete(2, 1, wire.StatusNormal)
		for range passes + 2 {
			r.status(1, 1, 0, 2)
			r.advance(31 * ms)
		}
		e := want[FileEnded](r, "the passes are used up")
		if e.Passes != passes || e.Results[0].State != Aborted || e.Results[1].State != Done {
			t.Errorf("limit %d: %+v", passes, e)
		}
		r.wantNotice("this is reported", PassesExceeded)
		if last := r.wire[len(r.wire)-1]; !strings.HasSuffix(last, "ABORT 1 Max passes exceeded") {
			t.Errorf("sent %q last", last)
		}
		r.wantPhase("a client that has it goes on", BetweenFiles)
	}
}

func TestTimeLimit(t *testing.T) {
	for _, c := range []struct {
		why    string
		weight int
		rate   int64
		limit  time.Duration // 0 = none
	}{
		{"110 % of 4.75 s, in whole seconds", 110, 1_052_000, 5 * time.Second},
		{"small files have no limit", 20, 1_052_000, 0},
		{"without a rate there is no ideal", 110, 0, 0},
		{"no weight", 0, 1_052_000, 0},
	} {
		r := begin(t, func(g *Config) { g.TxWeight, g.Rate, g.Robust = c.weight, c.rate, 50 }, 5_000_000, 1, 2)
		began := r.now
		r.complete(2, 1, wire.StatusNormal)
		for r.now < began.Add(8*time.Second) && r.s.phase == Data {
			r.advance(20 * ms)
			if !r.s.pass.walking && r.s.phase == Data {
				r.status(1, 1, 0, 1)
			}
		}
		if c.limit == 0 {
			r.wantPhase(c.why, Data)
			continue
		}
		if d := r.now.Sub(began); d < c.limit || d > c.limit+20*ms {
			t.Errorf("%s: given up after %v, want %v", c.why, d, c.limit)
		}
		r.wantNotice(c.why, TimeExceeded)
		if last := r.wire[len(r.wire)-1]; !strings.HasSuffix(last, "ABORT 0 file Max file transfer time exceeded") {
			t.Errorf("%s: sent %q last, want an ABORT of this file only", c.why, last)
		}
		r.wantState("a client that has it stays", 2, Done)
		if e := want[FileEnded](r, c.why); e.Results[0].State != Aborted || e.Results[1].State != Done {
			t.Errorf("%s: outcome %+v", c.why, e.Results)
		}
		r.wantPhase("the session goes on", BetweenFiles)
	}
}

func TestFileFails(t *testing.T) {
	for _, phase := range []Phase{FileInfo, Data} {
		r := join(t, nothing, 1, 2)
		r.offer("f", 1e6)
		if phase == Data {
			r.ack(1, 1, 0, false)
		}
		r.complete(2, 1, wire.StatusSkipped)
		r.wantPhase("ready", phase)
		r.s.FileFailed(r.now, 9, "of another file")
		r.wantPhase("another file does not matter", phase)
		r.forget()
		r.s.FileFailed(r.now, 1, "it shrank")
		r.s.FileFailed(r.now, 1, "it shrank")
		r.advance(ms)
		r.wantSaid("those that receive it are aborted", "ABORT 0 file Cannot read file: it shrank")
		e := want[FileEnded](r, "the outcome is reported")
		if e.Err != "Cannot read file: it shrank" || e.Results[0].State != Aborted || e.Results[1].State != Done {
			t.Errorf("outcome %+v", e)
		}
		want[CloseFile](r, "the file is closed")
		r.wantPhase("the others go on", BetweenFiles)
	}
}

// TestFilesBehindALostOne: a file that is given up is no reason to keep others back. Clients
// that stay get them; those that have left are named.
func TestFilesBehindALostOne(t *testing.T) {
	fails := func(r *rig) { r.s.FileFailed(r.now, 1, "gone") }
	tooLong := func(r *rig) {
		for r.s.phase == Data {
			if r.advance(20 * ms); !r.walking() {
				r.status(1, 1, 0, 1)
			}
		}
	}
	for _, c := range []struct {
		why  string
		lose func(r *rig)
	}{{"it cannot be read", fails}, {"it takes too long", tooLong}} {
		t.Run(c.why, func(t *testing.T) {
			lost := func(uids ...wire.UID) *rig {
				r := begin(t, func(c *Config) { c.TxWeight, c.Robust = 110, 20 }, 2e6, uids...)
				c.lose(r)
				r.advance(ms)
				r.wantPhase("the session goes on", BetweenFiles)
				r.forget()
				return r
			}
			r := lost(1, 2)
			r.offer("g", 0)
			r.wantSaid("everybody is asked", "FILEINFO f2 g [1 2]")
			r.complete(1, 2, wire.StatusNormal)
			r.advance(ms)
			r.ack(2, 1, 0, false)
			r.wantSaid("a client that has not heard of it gets an ABORT once more", "ABORT 2 file The file was given up")
			r.ack(2, 1, 0, false)
			r.wantSaid("once a round", "")
			r.advance(5 * time.Second)
			r.wantState("a client that does not answer has left", 2, Lost)
			r.endOfFiles()
			r.complete(1, 0, wire.StatusNormal)
			r.advance(5 * time.Second)
			r.wantExit("one file reached nobody", ExitNoFile)
			if e := want[SessionEnded](r, "the end"); len(e.Left) != 1 || e.Clients[e.Left[0]].UID != 2 {
				t.Errorf("left: %v, want client 2", e.Left)
			}

			r = lost(1)
			r.endOfFiles()
			r.complete(1, 0, wire.StatusNormal)
			r.advance(5 * time.Second)
			r.wantExit("the only file", ExitNoFile)
			if e := want[SessionEnded](r, "the end"); len(e.Left) != 0 || len(e.Lacking) != 1 || e.States[0] != Done {
				t.Errorf("ended %+v", e)
			}

			r = lost(1)
			r.offer("g", 0)
			r.advance(5 * time.Second)
			r.wantExit("all have left", ExitNoFileInfo)
			if e := want[SessionEnded](r, "the end"); len(e.Left) != 1 {
				t.Errorf("left: %v", e.Left)
			}
		})
	}
}

func TestQuitOnErrorInData(t *testing.T) {
	t.Run("a client aborts", func(t *testing.T) {
		r := begin(t, func(c *Config) { c.QuitOnError = true }, 1e6, 1, 2)
		r.complete(2, 1, wire.StatusNormal)
		r.forget()
		r.abort(1, "Client shutting down")
		r.advance(ms)
		r.wantSaid("all are aborted, no data follows", "ABORT 0 A client aborted, aborting all")
		r.wantExit("quit on error", ExitNoFile)
		r.wantState("everybody is out", 2, Aborted)
		if e := want[FileEnded](r, "the outcome is reported"); e.Results[1].State != Done {
			t.Errorf("client 2 had the file: %+v", e.Results[1])
		}
	})
	t.Run("a client is lost", func(t *testing.T) {
		r := begin(t, with(fast, func(c *Config) { c.QuitOnError = true; c.Robust = 1 }), 1e3, 1, 2)
		r.complete(2, 1, wire.StatusNormal)
		r.forget()
		r.advance(time.Second)
		if !strings.Contains(strings.Join(r.wire, ";"), "ABORT 0 A client dropped out, aborting all") {
			t.Errorf("sent %q", r.wire)
		}
		r.wantExit("quit on error", ExitNoFile)
	})
}

func TestAllAbort(t *testing.T) {
	r := begin(t, nothing, 1e6, 1, 2)
	r.advance(5 * ms)
	r.abort(1, "No space")
	r.abort(2, "No space")
	r.advance(ms)
	r.wantExit("nobody is left: no more data", ExitNoFile)
	if st := r.s.Stats(); st.Counters.DataPackets > 20 {
		t.Errorf("%d packets", st.Counters.DataPackets)
	}
}

// A pass must not make up for the time since the last one.
func TestNoBurstAtPassStart(t *testing.T) {
	r := begin(t, nothing, 50_000, 1)
	r.advance(60 * ms)
	var all []int
	for i := range 50 {
		all = append(all, i)
	}
	r.advance(200 * ms)
	r.status(1, 1, 0, all...)
	r.planned = nil
	r.advance(100 * ms)
	if len(r.planned) != 50 {
		t.Fatalf("%d trains in pass 2", len(r.planned))
	}
	checkRate(t, r, ms)
}

// A host that was away catches up a millisecond, no more.
func TestNoBurstAfterAStall(t *testing.T) {
	r := begin(t, nothing, 200_000, 1)
	r.advance(50 * ms)
	r.planned = nil
	r.now = r.now.Add(100 * ms) // nobody polls
	r.leave()
	r.drain()
	at := 0
	for _, p := range r.planned {
		if p.Depart == r.now {
			at++
		}
	}
	if at > 2 {
		t.Errorf("%d packets leave at once after a stall, want the capped burst", at)
	}
	r.advance(50 * ms)
	checkRate(t, r, ms)
}

// checkRate checks that the trains of r obey one block each gap, with one
// millisecond of burst.
func checkRate(t *testing.T, r *rig, gap time.Duration) {
	t.Helper()
	blocks := 0
	for _, p := range r.planned {
		allowed := int(p.Depart.Sub(r.planned[0].Depart)/gap) + 2
		blocks += p.N
		if blocks > allowed {
			t.Fatalf("%d blocks after %v, want at most %d", blocks, p.Depart.Sub(r.planned[0].Depart), allowed)
		}
	}
}

func TestCompleteAnswers(t *testing.T) {
	r := begin(t, fast, 5000, 1, 2)
	r.advance(ms)
	r.forget()
	m := wire.Complete{FileID: 1, Clients: wire.AppendUID(nil, 2)}
	r.wantDrop("in the name of others", r.deliver(1, m.Append(message(1, wire.FuncComplete))), machine.DropFunction)
	r.wantDrop("another file", r.complete(1, 7, wire.StatusNormal), machine.DropFile)
	r.wantDrop("the end of a session that is not over", r.complete(1, 0, wire.StatusNormal), machine.DropFile)
	r.wantState("nothing of this counts", 1, Active)
	r.wantDrop("an unknown status", r.complete(1, 1, 9), machine.DropNone)
	r.wantState("means done", 1, Done)
	r.forget()
	r.wantDrop("again", r.complete(1, 1, 9), machine.DropNone)
	if h := want[Heard](r, "it is reported"); !h.Repeat {
		t.Errorf("reported as %+v", h)
	}
	r.wantDrop("NAKs of one that has it", r.status(1, 1, 0, 1), machine.DropPhase)
	r.complete(2, 1, wire.StatusNormal)
	r.wantDrop("a repeated one after the file is over", r.complete(2, 1, wire.StatusNormal), machine.DropPhase)
}

// A client that says it misses nothing, again and again, is asked as often as a
// silent one.
func TestEmptyNAKsAreNoAnswer(t *testing.T) {
	r := begin(t, with(fast, func(c *Config) { c.Robust = 3 }), 5000, 1)
	for range 20 {
		r.advance(10 * ms)
		r.status(1, 1, 0)
	}
	r.wantExit("it is given up", ExitNoFile)
}

// Sequence numbers run through all phases and wrap.
func TestSequenceNumbersWrap(t *testing.T) {
	r := begin(t, func(c *Config) { c.BlockSize = 512; c.Rate = 0 }, 70_000*512, 1)
	r.advance(ms)
	r.complete(1, 1, wire.StatusNormal) // the rig has checked each number
	st := r.s.Stats().Counters
	if sent := st.DataPackets + st.Control; sent < 70_000 || uint16(sent) != r.seq {
		t.Errorf("%d datagrams, the next has number %d", sent, r.seq)
	}
}

func TestDataPathAllocatesNothing(t *testing.T) {
	cfg := newRig(t, nil).cfg
	cfg.Rate, cfg.TrainBlocks = 0, 64
	hosts(1)(&cfg)
	now := clock.Time(1e18)
	s := New(cfg, now)
	var out machine.Out
	poll := func() machine.Kind { return s.Poll(now, &out) }
	idle := func() { pollTo(t, s, now, &out, machine.Idle) }
	idle()
	s.Handle(now, arrived(addr(1), (&wire.Register{Time: wire.Stamp(now.Micros())}).Append(wire.Version4, message(1, wire.FuncRegister))))
	for n := 0; s.phase == Announcing; n++ {
		if n > 10_000 {
			t.Fatal("registration does not end")
		}
		now = now.Add(ms)
		idle()
	}
	if err := s.Offer(now, File{Name: "f", Size: 30_000_000}); err != nil {
		t.Fatal(err)
	}
	idle()
	s.Handle(now, arrived(addr(1), (&wire.FileInfoAck{FileID: 1, Time: wire.Stamp(now.Micros())}).Append(wire.Version4, message(1, wire.FuncFileInfoAck))))
	pollTo(t, s, now, &out, machine.TrainKind)
	trains := testing.AllocsPerRun(100, func() {
		for poll() == machine.EventKind {
		}
		s.Departed(now, 1)
	})
	if trains != 0 || out.Train.N != 64 {
		t.Errorf("Poll allocates %v times for a train, want 0", trains)
	}
	r := rig{s: s}
	pkt := r.statusOf(1, 1, 2, 5, 6, 7)
	status := testing.AllocsPerRun(100, func() {
		if d := s.Handle(now, arrived(addr(1), pkt)).Drop; d != machine.DropNone {
			t.Fatalf("STATUS was %q", d)
		}
	})
	if status != 0 {
		t.Errorf("Handle allocates %v times for a STATUS, want 0", status)
	}
	if n := s.Stats().Counters.ReportsLost; n != 0 {
		t.Errorf("%d reports lost", n)
	}
}

// TestFarLimits: limits of centuries are over in centuries, not at once.
func TestFarLimits(t *testing.T) {
	for _, c := range []struct {
		rate   int64
		weight int
		size   int64
		block  int
	}{{128, 10000, 9_900_000_000, 1000}, {128, 10000, 80_000_000_000, 8800}, {1, 110, 9_900_000_000, 1000}} {
		r := join(t, func(c *Config) {}, 1)
		r.s.cfg.Rate, r.s.cfg.TxWeight, r.s.cfg.BlockSize = c.rate, c.weight, c.block
		r.hold = true
		r.offer("f", c.size)
		r.ack(1, 1, 0, false)
		r.advance(5 * ms)
		r.wantPhase(fmt.Sprintf("%+v", c), Data)
	}
}
