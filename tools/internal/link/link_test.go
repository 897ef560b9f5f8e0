package link

import (
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"uftp/engine/clock"
	"uftp/engine/sim"
)

const start = clock.Time(1_700_000_000_000_000_000)

func open(t *testing.T, cfg Config, seed, direction uint64) *Link {
	t.Helper()
	l, err := New(cfg, seed, direction, start)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// flow carries n frames of size bytes, one each gap, and returns their fates.
func flow(l *Link, n, size int, gap time.Duration) []Fate {
	fates := make([]Fate, n)
	for i := range fates {
		fates[i] = l.Carry(start.Add(time.Duration(i)*gap), size)
	}
	return fates
}

func count(fates []Fate, c Cause) (n int) {
	for i := range fates {
		if fates[i].Cause == c {
			n++
		}
	}
	return n
}

// near reports whether got is within tolerance (a share) of want.
func near(got, want, tolerance float64) bool { return math.Abs(got-want) <= tolerance*want }

func TestNothingImposed(t *testing.T) {
	l := open(t, Config{}, 1, 0)
	for i, f := range flow(l, 1000, 1500, time.Microsecond) {
		if f.Cause != Passed || f.At != start.Add(time.Duration(i)*time.Microsecond) || f.Copy != 0 || f.Damage != 0 {
			t.Fatalf("frame %d: %+v, want it to arrive when it came", i, f)
		}
	}
}

func TestRateSpacesFrames(t *testing.T) {
	// 1500 bytes at 12 Mbit/s take 1 ms.
	l := open(t, Config{Rate: 12_000_000, Queue: 1 << 20, Delay: 300 * time.Millisecond}, 1, 0)
	for i, f := range flow(l, 100, 1500, 0) {
		want := start.Add(300*time.Millisecond + time.Duration(i+1)*time.Millisecond)
		if f.At != want || f.Queued != i*1500 {
			t.Fatalf("frame %d arrives %v after the start with %d bytes before it, want %v with %d", i, f.At.Sub(start), f.Queued, want.Sub(start), i*1500)
		}
	}
	c := l.Counters()
	if c.QueuePeak != 150_000 || c.WaitMax != 100*time.Millisecond {
		t.Errorf("queue at most %d bytes, %v, want 150000 bytes and 100ms", c.QueuePeak, c.WaitMax)
	}
	// After a pause the transmitter is free at once.
	late := start.Add(time.Second)
	if f := l.Carry(late, 1500); f.At != late.Add(301*time.Millisecond) || f.Queued != 0 {
		t.Errorf("after a pause: %+v, want no queue", f)
	}
}

func TestOverheadTakesRate(t *testing.T) {
	l := open(t, Config{Rate: 8_000_000, Overhead: 24}, 1, 0)
	if f := l.Carry(start, 976); f.Sent != start.Add(time.Millisecond) {
		t.Errorf("976+24 bytes at 1 byte/µs take %v, want 1ms", f.Sent.Sub(start))
	}
}

func TestQueueDropsTail(t *testing.T) {
	// Room for ten frames; 1 ms each.
	l := open(t, Config{Rate: 12_000_000, Queue: 15_000}, 1, 0)
	fates := flow(l, 25, 1500, 0)
	for i, f := range fates {
		if want := map[bool]Cause{true: Passed, false: LostQueue}[i < 10]; f.Cause != want {
			t.Fatalf("frame %d of a burst: %v, want %v: ten fit", i, f.Cause, want)
		}
	}
	// When one has been sent there is room for one.
	for i, want := range []Cause{Passed, LostQueue} {
		if f := l.Carry(start.Add(time.Millisecond), 1500); f.Cause != want {
			t.Errorf("frame %d after 1 ms: %v, want %v", i, f.Cause, want)
		}
	}
	// A frame larger than the whole queue passes when the transmitter is idle.
	if f := l.Carry(start.Add(time.Minute), 20_000); f.Cause != Passed {
		t.Errorf("large frame on an idle link: %v, want pass", f.Cause)
	}
	// No overload can push more through than the rate.
	l = open(t, Config{Rate: 10_000_000, Queue: 100_000}, 1, 0)
	fates = flow(l, 100_000, 1250, 100*time.Microsecond) // 100 Mbit/s for 10 s
	if passed := count(fates, Passed); !near(float64(passed), 10_000+80, 0.002) {
		t.Errorf("%d frames of 1 ms passed in 10 s, want 10000 and what the queue holds", passed)
	}
	if c := l.Counters(); c.Passed+c.LostQueue != c.Frames || c.QueuePeak > 100_000 {
		t.Errorf("%+v, want frames accounted for and a queue of 100000 bytes at most", c)
	}
}

func TestTinyFramesCannotOutgrowTheQueue(t *testing.T) {
	l := open(t, Config{Rate: 1000, Queue: 420}, 1, 0)
	if passed := count(flow(l, 1000, 14, 0), Passed); passed > 420/frameMin+1 {
		t.Errorf("%d frames wait, want the ring to bound them", passed)
	}
}

func TestIndependentLoss(t *testing.T) {
	const n = 200_000
	fates := flow(open(t, Config{Loss: 0.02}, 7, 0), n, 100, time.Microsecond)
	lost := count(fates, LostSingle)
	if !near(float64(lost), 0.02*n, 0.05) {
		t.Errorf("%d of %d lost, want 2%%", lost, n)
	}
	pairs := 0
	for i := 1; i < n; i++ {
		if fates[i].Cause == LostSingle && fates[i-1].Cause == LostSingle {
			pairs++
		}
	}
	if !near(float64(pairs), 0.0004*n, 0.4) {
		t.Errorf("%d pairs lost in a row, want some %d: one loss says nothing about the next", pairs, int(0.0004*n))
	}
}

func TestGilbertElliott(t *testing.T) {
	const n = 500_000
	tests := []struct {
		name          string
		burst         sim.Burst
		share, length float64
	}{
		{"5% in bursts of 30", sim.Bursts(0.05, 30), 0.05, 30},
		{"2% in bursts of 8", sim.Bursts(0.02, 8), 0.02, 8},
		// Bad for 10 of 110 frames, of which half are lost; runs of loss end by a lucky
		// frame or by leaving: 1/(1-0.5*0.9).
		{"half of a bad state", sim.Burst{Enter: 0.01, Leave: 0.1, Loss: 0.5}, 0.5 / 11, 1 / (1 - 0.45)},
	}
	for _, tt := range tests {
		fates := flow(open(t, Config{Burst: tt.burst}, 3, 0), n, 100, time.Microsecond)
		lost, runs := 0, 0
		for i := range fates {
			if fates[i].Cause != LostBurst {
				continue
			}
			lost++
			if i == 0 || fates[i-1].Cause != LostBurst {
				runs++
			}
		}
		if share := float64(lost) / n; !near(share, tt.share, 0.07) {
			t.Errorf("%s: %.4f lost, want %.4f", tt.name, share, tt.share)
		}
		if length := float64(lost) / float64(runs); !near(length, tt.length, 0.07) {
			t.Errorf("%s: runs of %.2f, want %.2f", tt.name, length, tt.length)
		}
	}
}

func TestFadesLastInTime(t *testing.T) {
	const share, length = 0.04, 5 * time.Millisecond
	for _, gap := range []time.Duration{100 * time.Microsecond, 500 * time.Microsecond} {
		const n = 1_000_000
		fates := flow(open(t, Config{Fades: Fades{share, length}}, 3, 0), n, 100, gap)
		lost, runs := 0, 0
		for i := range fates {
			if fates[i].Cause == LostBurst {
				lost++
				if i == 0 || fates[i-1].Cause != LostBurst {
					runs++
				}
			}
		}
		if got := float64(lost) / n; !near(got, share, 0.15) {
			t.Errorf("a frame each %v: %.4f lost, want %v", gap, got, share)
		}
		// A run seen each gap ends when the next frame meets a good link.
		if got := float64(lost) / float64(runs) * float64(gap); !near(got, float64(length), 0.15) {
			t.Errorf("a frame each %v: runs of %v, want %v", gap, time.Duration(got), length)
		}
	}
	// Rare frames meet a link that has forgotten.
	fates := flow(open(t, Config{Fades: Fades{0.2, length}}, 3, 0), 50_000, 100, time.Second)
	pairs := 0
	for i := 1; i < len(fates); i++ {
		if fates[i].Cause == LostBurst && fates[i-1].Cause == LostBurst {
			pairs++
		}
	}
	if lost := count(fates, LostBurst); !near(float64(lost), 10_000, 0.05) || !near(float64(pairs), 2000, 0.1) {
		t.Errorf("%d of 50000 rare frames lost, %d pairs in a row; want 10000 and 2000: they know nothing of each other", lost, pairs)
	}
	if fates := flow(open(t, Config{Fades: Fades{1, length}}, 3, 0), 1000, 100, gapShort); count(fates, LostBurst) != 1000 {
		t.Error("a share of 1 lets frames pass")
	}
}

const gapShort = time.Microsecond

func TestDelayDistribution(t *testing.T) {
	const n = 100_000
	// Frames are further apart than the jitter, so each shows its own.
	fates := flow(open(t, Config{Delay: 20 * time.Millisecond, Jitter: 10 * time.Millisecond}, 5, 0), n, 100, 11*time.Millisecond)
	var sum float64
	var bins [10]int
	for i, f := range fates {
		d := f.At.Sub(start.Add(time.Duration(i) * 11 * time.Millisecond))
		if d < 20*time.Millisecond || d > 30*time.Millisecond {
			t.Fatalf("frame %d took %v, want 20 to 30 ms", i, d)
		}
		sum += d.Seconds()
		bins[min(9, int((d-20*time.Millisecond)/time.Millisecond))]++
	}
	if mean := sum / n; !near(mean, 0.025, 0.005) {
		t.Errorf("mean delay %.5f s, want 0.025", mean)
	}
	for i, b := range bins {
		if !near(float64(b), n/10, 0.05) {
			t.Errorf("%d frames took %d to %d ms, want a tenth of all: jitter is even", b, 20+i, 21+i)
		}
	}
}

func TestJitterKeepsOrder(t *testing.T) {
	var last clock.Time
	for i, f := range flow(open(t, Config{Delay: time.Millisecond, Jitter: 50 * time.Millisecond}, 5, 0), 10_000, 100, 10*time.Microsecond) {
		if f.At < last {
			t.Fatalf("frame %d overtakes the one before", i)
		}
		last = f.At
	}
}

func TestReorder(t *testing.T) {
	const n = 100_000
	fates := flow(open(t, Config{Delay: time.Millisecond, Reorder: 0.05, ReorderBy: 3 * time.Millisecond}, 5, 0), n, 100, 100*time.Microsecond)
	held, overtaken := 0, 0
	for i, f := range fates {
		due := start.Add(time.Duration(i)*100*time.Microsecond + time.Millisecond)
		switch late := f.At.Sub(due); {
		case f.Held && (late <= 0 || late > 3*time.Millisecond+1):
			t.Fatalf("frame %d is held back by %v, want up to 3 ms", i, late)
		case !f.Held && late != 0:
			t.Fatalf("frame %d is %v late, want only chosen ones to be", i, late)
		case f.Held:
			held++
		}
		if i+1 < n && fates[i+1].At < f.At {
			overtaken++
		}
	}
	if !near(float64(held), 0.05*n, 0.05) || overtaken < held*9/10 {
		t.Errorf("%d held back, %d overtaken, want 5%% of %d and nearly all of them", held, overtaken, n)
	}
}

func TestDuplicateAndCorrupt(t *testing.T) {
	const n = 100_000
	l := open(t, Config{Dup: 0.01, Corrupt: 0.03}, 5, 0)
	copies, damaged := 0, 0
	for i, f := range flow(l, n, 100, time.Microsecond) {
		if f.Copy != 0 {
			copies++
			if d := f.Copy.Sub(f.At); d <= 0 || d > dupWithin+1 {
				t.Fatalf("copy of frame %d comes %v later, want up to 2 ms", i, d)
			}
		}
		if f.Damage != 0 {
			damaged++
		}
	}
	if !near(float64(copies), 0.01*n, 0.1) || !near(float64(damaged), 0.03*n, 0.1) {
		t.Errorf("%d copies, %d damaged, want 1%% and 3%% of %d", copies, damaged, n)
	}
	if c := l.Counters(); c.Copies != uint64(copies) || c.Damaged != uint64(damaged) {
		t.Errorf("counted %d and %d, want %d and %d", c.Copies, c.Damaged, copies, damaged)
	}
}

func TestDamage(t *testing.T) {
	changed := 0
	for seed := uint64(1); seed <= 500; seed++ {
		frame, again := make([]byte, 200), make([]byte, 200)
		flips := Damage(frame, seed)
		if flips < 1 || flips > 8 || Damage(again, seed) != flips || !slices.Equal(frame, again) {
			t.Fatalf("seed %d flips %d bits, want 1 to 8 and the same again", seed, flips)
		}
		for i, b := range frame {
			if b != 0 && i < 14 {
				t.Fatalf("seed %d damages the Ethernet header", seed)
			}
		}
		if slices.ContainsFunc(frame, func(b byte) bool { return b != 0 }) {
			changed++
		}
	}
	if changed < 490 {
		t.Errorf("only %d of 500 frames are damaged", changed)
	}
	if Damage(make([]byte, 14), 1) != 0 {
		t.Error("a frame without content has nothing to damage")
	}
}

func TestEvents(t *testing.T) {
	s := time.Second
	l := open(t, Config{Delay: s / 10, Rate: 100_000_000, Queue: 1 << 20, Events: []Event{
		{From: 10 * s, Length: 2 * s, Loss: 1},
		{From: 30 * s, Length: s, Every: 10 * s, Delay: s / 20},
		{From: 100 * s, Length: 10 * s, Loss: 0.25, Rate: 1_000_000},
	}}, 9, 0)
	faded, during := 0, 0
	for i := range 120_000 {
		since := time.Duration(i) * time.Millisecond
		f := l.Carry(start.Add(since), 125) // 10 µs; under the fade 1 ms
		switch sec := i / 1000; {
		case sec >= 10 && sec < 12 && i%1000 > 0 && i%1000 < 999:
			if f.Cause != LostEvent {
				t.Fatalf("at %v: %v, want nothing to pass in an outage", since, f.Cause)
			}
		case sec >= 100 && sec < 110:
			during++
			if f.Cause == LostEvent {
				faded++
			} else if took := f.Sent.Sub(start.Add(since)); i > 100_100 && i < 109_900 && took < 900*time.Microsecond {
				t.Fatalf("at %v a frame is sent in %v, want 1 ms under the fade", since, took)
			}
		case i%1000 > 10 && i%1000 < 990: // not at the edges
			want := s/10 + 10*time.Microsecond
			if sec >= 30 && sec%10 == 0 {
				want += s / 20
			}
			if got := f.At.Sub(start.Add(since)); f.Cause != Passed || got < want || got > want+2*time.Microsecond && sec%10 != 1 && sec != 112 {
				t.Fatalf("at %v: %v after %v, want %v", since, f.Cause, got, want)
			}
		}
	}
	if !near(float64(faded), 0.25*float64(during), 0.08) {
		t.Errorf("%d of %d lost under the fade, want a quarter", faded, during)
	}
}

// TestLuckIsTheFramesOwn: what queue and time do to others must not change the
// luck of a frame.
func TestLuckIsTheFramesOwn(t *testing.T) {
	cfg := Config{Loss: 0.05, Burst: sim.Bursts(0.05, 5), Dup: 0.05, Reorder: 0.05, Corrupt: 0.05, Jitter: time.Millisecond,
		Events: []Event{{From: time.Second, Length: time.Second, Loss: 0.5}}}
	quiet := flow(open(t, cfg, 11, 0), 20_000, 1000, time.Millisecond)
	cfg.Rate, cfg.Queue = 6_000_000, 20_000 // drops a quarter
	busy := flow(open(t, cfg, 11, 0), 20_000, 1000, time.Millisecond)
	if n := count(busy, LostQueue); n < 4000 {
		t.Fatalf("only %d dropped by the queue", n)
	}
	for i := range quiet {
		q, b := &quiet[i], &busy[i]
		if b.Cause == LostQueue || b.Cause == LostEvent || q.Cause == LostEvent {
			continue
		}
		if q.Cause != b.Cause || q.Held != b.Held || q.Damage != b.Damage || (q.Copy == 0) != (b.Copy == 0) {
			t.Fatalf("frame %d: %+v when busy, %+v when not", i, *b, *q)
		}
	}
	same := flow(open(t, cfg, 11, 0), 20_000, 1000, time.Millisecond)
	if !slices.Equal(same, busy) {
		t.Error("same seed, other fates")
	}
	for _, other := range []*Link{open(t, cfg, 12, 0), open(t, cfg, 11, 1)} {
		if slices.Equal(flow(other, 20_000, 1000, time.Millisecond), busy) {
			t.Error("another seed or direction, same fates")
		}
	}
}

func TestCheck(t *testing.T) {
	s := time.Second
	for what, cfg := range map[string]Config{
		"delay":          {Delay: -1},
		"long delay":     {Delay: 2 * time.Minute},
		"rate":           {Rate: 999},
		"queue":          {Queue: QueueMax + 1},
		"overhead":       {Overhead: -1},
		"loss":           {Loss: 1.1},
		"not a number":   {Loss: math.NaN()},
		"burst":          {Burst: sim.Burst{Enter: 2}},
		"fades":          {Fades: Fades{Share: 0.1}},
		"empty event":    {Events: []Event{{}}},
		"event too long": {Events: []Event{{Length: 2 * s, Every: s}}},
		"event loss":     {Events: []Event{{Length: s, Loss: -1}}},
		"many events":    {Events: make([]Event, EventsMax+1)},
	} {
		if _, err := New(cfg, 1, 0, start); !errors.Is(err, ErrConfig) {
			t.Errorf("%s: %v, want ErrConfig", what, err)
		}
	}
}

func TestPresets(t *testing.T) {
	for _, p := range Presets() {
		for _, c := range []Config{p.Down, p.Up} {
			if err := c.Check(); err != nil {
				t.Errorf("%s: %v", p.Name, err)
			}
		}
		if got, ok := Preset(p.Name); !ok || got.Text != p.Text {
			t.Errorf("preset %s is not found by its name", p.Name)
		}
	}
	geo, _ := Preset("geo")
	if geo.Down.Delay+geo.Up.Delay != 600*time.Millisecond || geo.Down.Rate != 45_000_000 || geo.Up.Rate != 256_000 {
		t.Errorf("geo is %+v, want 600 ms, 45 Mbit/s, 256 kbit/s", geo)
	}
	if _, ok := Preset("moon"); ok {
		t.Error("an unknown preset is found")
	}
}

func TestNoAllocations(t *testing.T) {
	p, _ := Preset("wifi")
	cfg := p.Down
	cfg.Corrupt, cfg.Loss, cfg.Fades = 0.1, 0.1, Fades{0.1, time.Second}
	l := open(t, cfg, 1, 0)
	s := clock.NewQueue[int32](4)
	now := start
	frame := make([]byte, 1500)
	if n := testing.AllocsPerRun(2000, func() {
		now = now.Add(50 * time.Microsecond)
		f := l.Carry(now, 1500)
		s.Push(f.At, 1)
		s.Push(f.Copy, 2)
		Damage(frame, f.Damage)
		s.Pop()
		s.Pop()
	}); n != 0 {
		t.Errorf("%v allocations a frame, want none", n)
	}
}

func BenchmarkCarry(b *testing.B) {
	p, _ := Preset("wifi")
	l, err := New(p.Down, 1, 0, start)
	if err != nil {
		b.Fatal(err)
	}
	s := clock.NewQueue[int32](4096)
	now := start
	b.SetBytes(1500)
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(100 * time.Microsecond)
		if f := l.Carry(now, 1500); f.Cause == Passed {
			s.Push(f.At, 0)
		}
		for s.Next() <= now {
			s.Pop()
		}
	}
}
