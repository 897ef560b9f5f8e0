package link

import (
	"slices"
	"time"

	"uftp/engine/sim"
)

// Profile is a known link in both directions, seen from the side that sends most.
type Profile struct {
	Name     string
	Text     string // one line for help
	Down, Up Config
}

// Presets returns all profiles, which the caller may change.
func Presets() []Profile {
	return []Profile{
		{
			// A geostationary satellite with a return channel for answers only. The
			// queues hold what shapers of that size usually do: 0.35 s and 1 s.
			Name: "geo", Text: "600 ms round trip, 45 Mbit/s down, 256 kbit/s up, no loss",
			Down: Config{Delay: 300 * time.Millisecond, Rate: 45_000_000, Queue: 2 << 20},
			Up:   Config{Delay: 300 * time.Millisecond, Rate: 256_000, Queue: 32 << 10},
		},
		{
			// A constellation in low orbit: another satellite each 15 s.
			Name: "leo", Text: "50 ms round trip with jitter, 150 Mbit/s down, 15 Mbit/s up,\n0.2% loss in bursts, 60 ms without a link every 15 s",
			Down: Config{Delay: 22 * time.Millisecond, Jitter: 6 * time.Millisecond, Rate: 150_000_000, Queue: 1 << 20,
				Burst: sim.Bursts(0.002, 5), Events: []Event{handover}},
			Up: Config{Delay: 22 * time.Millisecond, Jitter: 6 * time.Millisecond, Rate: 15_000_000, Queue: 256 << 10,
				Burst: sim.Bursts(0.002, 5), Events: []Event{handover}},
		},
		{
			Name: "wifi", Text: "2 to 6 ms one way, 100 Mbit/s, 0.5% loss in bursts,\nsome frames twice or out of order",
			Down: wifi(), Up: wifi(),
		},
		{
			// 24 bytes: preamble, gap and checksum of a frame on the wire.
			Name: "lan10g", Text: "10 Gbit/s with a short queue, 10 µs",
			Down: Config{Delay: 10 * time.Microsecond, Rate: 10_000_000_000, Queue: 2 << 20, Overhead: 24},
			Up:   Config{Delay: 10 * time.Microsecond, Rate: 10_000_000_000, Queue: 2 << 20, Overhead: 24},
		},
	}
}

var handover = Event{From: 15 * time.Second, Length: 60 * time.Millisecond, Every: 15 * time.Second, Loss: 1}

func wifi() Config {
	return Config{
		Delay: 2 * time.Millisecond, Jitter: 4 * time.Millisecond, Rate: 100_000_000, Queue: 256 << 10,
		Burst: sim.Bursts(0.005, 8), Dup: 0.0001, Reorder: 0.001, ReorderBy: 2 * time.Millisecond,
	}
}

// Preset returns the profile of a name.
func Preset(name string) (p Profile, ok bool) {
	all := Presets()
	i := slices.IndexFunc(all, func(p Profile) bool { return p.Name == name })
	if i < 0 {
		return p, false
	}
	return all[i], true
}
