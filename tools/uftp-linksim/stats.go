package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"uftp/tools/internal/link"
)

// counters are those of one direction. The link's own count what it did on purpose; the
// others count failures of this command or the system.
type counters struct {
	link.Counters
	Sent        uint64 // frames that went out, copies too
	InFlight    int
	NoMemory    uint64 // no free slot for a frame under way
	TooLong     uint64 // longer than the other interface's MTU
	Unreadable  uint64 // truncated, or super-frames of an unknown kind
	SendErrors  uint64 // refused by the other interface
	KernelDrops uint64 // came faster than this command could read
	LateMax     time.Duration
}

// artefacts counts losses that no model asked for.
func (c *counters) artefacts() uint64 {
	return c.NoMemory + c.TooLong + c.Unreadable + c.SendErrors + c.KernelDrops
}

// document is the JSON form: one object a line.
type document struct {
	Version   int          `json:"version"`
	Final     bool         `json:"final"`
	Seconds   float64      `json:"elapsed_s"`
	Seed      uint64       `json:"seed"`
	Preset    string       `json:"preset,omitempty"`
	Hub       string       `json:"hub"`        // the first end
	Direction []directionJ `json:"directions"` // of each link down, then up
}

type directionJ struct {
	End        string  `json:"end"` // of the link, the one that is not the hub
	Name       string  `json:"direction"`
	Frames     uint64  `json:"frames"`
	Bytes      uint64  `json:"bytes"`
	Passed     uint64  `json:"passed_frames"`
	PassedB    uint64  `json:"passed_bytes"`
	LostQueue  uint64  `json:"lost_queue"`
	LostEvent  uint64  `json:"lost_outage"`
	LostBurst  uint64  `json:"lost_burst"`
	LostSingle uint64  `json:"lost_single"`
	Duplicated uint64  `json:"duplicated"`
	Reordered  uint64  `json:"reordered"`
	Corrupted  uint64  `json:"corrupted"`
	QueuePeakB int     `json:"queue_peak_bytes"`
	WaitMaxS   float64 `json:"wait_max_s"`
	Sent       uint64  `json:"sent_frames"`
	InFlight   int     `json:"in_flight_frames"`
	LateMaxS   float64 `json:"late_max_s"`
	Artefacts  struct {
		NoMemory    uint64 `json:"no_memory"`
		TooLong     uint64 `json:"too_long"`
		Unreadable  uint64 `json:"unreadable"`
		SendErrors  uint64 `json:"send_errors"`
		KernelDrops uint64 `json:"kernel_drops"`
	} `json:"artefacts"`
}

var directionNames = [2]string{"down", "up"}

func (d *directionJ) fill(end, name string, c *counters) {
	*d = directionJ{
		End: end, Name: name, Frames: c.Frames, Bytes: c.Bytes, Passed: c.Passed, PassedB: c.PassedBytes,
		LostQueue: c.LostQueue, LostEvent: c.LostEvent, LostBurst: c.LostBurst, LostSingle: c.LostSingle,
		Duplicated: c.Copies, Reordered: c.Held, Corrupted: c.Damaged,
		QueuePeakB: c.QueuePeak, WaitMaxS: c.WaitMax.Seconds(), Sent: c.Sent, InFlight: c.InFlight, LateMaxS: c.LateMax.Seconds(),
	}
	a := &d.Artefacts
	a.NoMemory, a.TooLong, a.Unreadable, a.SendErrors, a.KernelDrops = c.NoMemory, c.TooLong, c.Unreadable, c.SendErrors, c.KernelDrops
}

// asJSON returns the document as a line; all are the links.
func (o *options) asJSON(at time.Duration, final bool, names []string, all [][2]counters) []byte {
	doc := document{Version: 1, Final: final, Seconds: at.Seconds(), Seed: o.seed, Preset: o.preset, Hub: names[0]}
	doc.Direction = make([]directionJ, 2*len(all))
	for i := range doc.Direction {
		doc.Direction[i].fill(names[1+i/2], directionNames[i%2], &all[i/2][i%2])
	}
	line, err := json.Marshal(doc)
	if err != nil {
		panic(err) // numbers and strings only
	}
	return append(line, '\n')
}

// asText returns the counters for people: a line for each direction of each link,
// and a warning if frames were lost that no option asked for.
func asText(at time.Duration, names []string, all [][2]counters) string {
	var b strings.Builder
	for i := range 2 * len(all) {
		c, name := &all[i/2][i%2], directionNames[i%2]
		if len(all) > 1 {
			name = names[1+i/2] + " " + name
		}
		fmt.Fprintf(&b, "%8.1fs %-4s %d frames (%d bytes), passed %d; lost %d in queue, %d in outages, %d in bursts, %d singly; "+
			"%d twice, %d reordered, %d damaged; queue at most %d bytes, %v\n",
			at.Seconds(), name, c.Frames, c.Bytes, c.Passed, c.LostQueue, c.LostEvent, c.LostBurst, c.LostSingle,
			c.Copies, c.Held, c.Damaged, c.QueuePeak, c.WaitMax.Round(time.Microsecond))
		if c.artefacts() > 0 {
			fmt.Fprintf(&b, "Warning: %s lost what no option asked for: %d frames without memory (-M), %d too long for the interface, "+
				"%d unreadable, %d refused by the interface, %d dropped before they were read\n",
				name, c.NoMemory, c.TooLong, c.Unreadable, c.SendErrors, c.KernelDrops)
		}
	}
	return b.String()
}
