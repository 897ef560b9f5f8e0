package link

import (
	"testing"
	"time"
)

// TestPresetsDo holds each direction of each preset to what its description says, in
// virtual time: a flow below the rate for what the air does, one far above it for
// rate and queue.
func TestPresetsDo(t *testing.T) {
	ms := time.Millisecond
	for _, tt := range []struct {
		name        string
		up          bool
		least, most time.Duration // one way, without sending, queue and reordering
		rate        float64       // bit/s of frames of size bytes
		size        int
		queue       int
		lost        float64 // in bursts
		run         float64 // frames in the mean of a burst
		twice, late float64
		handover    bool
	}{
		{name: "geo", least: 300 * ms, most: 300 * ms, rate: 45e6, size: 1366, queue: 2 << 20},
		{name: "geo", up: true, least: 300 * ms, most: 300 * ms, rate: 256e3, size: 100, queue: 32 << 10},
		{name: "leo", least: 22 * ms, most: 28 * ms, rate: 150e6, size: 1366, queue: 1 << 20, lost: 0.002, run: 5, handover: true},
		{name: "leo", up: true, least: 22 * ms, most: 28 * ms, rate: 15e6, size: 100, queue: 256 << 10, lost: 0.002, run: 5, handover: true},
		{name: "wifi", least: 2 * ms, most: 6 * ms, rate: 100e6, size: 1366, queue: 256 << 10, lost: 0.005, run: 8, twice: 0.0001, late: 0.001},
		{name: "wifi", up: true, least: 2 * ms, most: 6 * ms, rate: 100e6, size: 100, queue: 256 << 10, lost: 0.005, run: 8, twice: 0.0001, late: 0.001},
		{name: "lan10g", least: ms / 100, most: ms / 100, rate: 10e9 * 8842 / (8842 + 24), size: 8842, queue: 2 << 20},
		{name: "lan10g", up: true, least: ms / 100, most: ms / 100, rate: 10e9 * 100 / (100 + 24), size: 100, queue: 2 << 20},
	} {
		p, _ := Preset(tt.name)
		cfg, side := p.Down, "down"
		if tt.up {
			cfg, side = p.Up, "up"
		}
		bits := float64(tt.size * 8)
		sending := time.Duration(bits / tt.rate * 1e9)

		// Half of the rate: no queue.
		const n = 400_000
		gap := 2 * sending
		l := open(t, cfg, 21, 0)
		fates := flow(l, n, tt.size, gap)
		bursts, runs, outage := 0, 0, 0
		for i, f := range fates {
			at := time.Duration(i) * gap
			// Handovers judge a frame when it has been sent.
			blind := tt.handover && at+sending >= 15*time.Second && (at+sending)%(15*time.Second) < 60*ms
			edge := tt.handover && (at+2*sending)%(15*time.Second) < 60*ms != ((at)%(15*time.Second) < 60*ms)
			switch f.Cause {
			case LostBurst:
				bursts++
				if i == 0 || fates[i-1].Cause != LostBurst {
					runs++
				}
				continue
			case LostEvent:
				outage++
				if !blind && !edge {
					t.Fatalf("%s %s: lost in an outage at %v, want handovers each 15 s only", tt.name, side, at)
				}
				continue
			case Passed:
			default:
				t.Fatalf("%s %s: frame %d: %v", tt.name, side, i, f.Cause)
			}
			if blind && !edge {
				t.Fatalf("%s %s: a frame passes in the handover at %v", tt.name, side, at)
			}
			took := f.At.Sub(start.Add(at)) - sending
			if took < tt.least-2 || !f.Held && took > tt.most+2 {
				t.Fatalf("%s %s: frame %d takes %v, want %v to %v", tt.name, side, i, took, tt.least, tt.most)
			}
		}
		c := l.Counters()
		if !near(float64(bursts), tt.lost*n, 0.15) || runs > 0 && !near(float64(bursts)/float64(runs), tt.run, 0.15) {
			t.Errorf("%s %s: %d of %d lost in %d bursts, want %g of all, %g in each", tt.name, side, bursts, n, runs, tt.lost, tt.run)
		}
		if tt.handover != (outage > 0) {
			t.Errorf("%s %s: %d lost in handovers", tt.name, side, outage)
		}
		if !near(float64(c.Copies), tt.twice*n, 0.5) || !near(float64(c.Held), tt.late*n, 0.2) || c.Damaged > 0 {
			t.Errorf("%s %s: %d twice, %d late, %d damaged, want %g and %g of %d, and none", tt.name, side, c.Copies, c.Held, c.Damaged, tt.twice, tt.late, n)
		}

		// Three times the rate: the queue stays full.
		l = open(t, cfg, 22, 1)
		flow(l, n, tt.size, sending/3)
		c = l.Counters()
		through := float64(c.Frames-c.LostQueue) * bits / (float64(n) * (sending / 3).Seconds())
		if most := tt.rate + float64(tt.queue)*8/(float64(n)*(sending/3).Seconds()); through > most*1.01 || through < tt.rate*0.98 {
			t.Errorf("%s %s: %.0f bit/s get through, want %.0f to %.0f, with what the queue takes", tt.name, side, through, tt.rate, most)
		}
		if c.QueuePeak > tt.queue || c.QueuePeak < tt.queue-tt.size || c.LostQueue < n/3 {
			t.Errorf("%s %s: queue at most %d bytes, %d dropped, want %d filled and kept", tt.name, side, c.QueuePeak, c.LostQueue, tt.queue)
		}
	}
}
