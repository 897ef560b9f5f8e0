package main

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"uftp/engine/clock"
	"uftp/engine/receiver"
	"uftp/engine/sender"
	"uftp/engine/sim"
	"uftp/pcap"
	"uftp/wire"
)

// TestOverSatellite captures a session of ours over 600 ms of round trip with bursts
// of loss, at either end: what was sent is shown and rebuilt, our receiver gives the
// captured answers again, and our sender takes the captured steps.
func TestOverSatellite(t *testing.T) {
	const oneWay = 300 * time.Millisecond
	w := sim.New(5)
	path := sim.Path{Delay: oneWay, Burst: sim.Bursts(0.05, 8)}
	w.AddReceiverOn(receiver.Config{}, path, sim.Path{Delay: oneWay})
	s := w.AddSender(sender.Config{Rate: 45_000_000 / 8, GRTT: time.Second}, &sim.File{Name: "scene.tif", Size: 3_000_000, MTime: 1_700_000_000, Seed: 9})
	var here, there []pcap.Datagram // at the sender, at the receiver
	w.Tap = func(at clock.Time, from, to netip.AddrPort, data []byte) {
		d := pcap.Datagram{Time: time.Unix(0, int64(at)), Src: from, Dst: to, Payload: bytes.Clone(data)}
		if h, _, err := wire.ParseHeader(data); err == nil && h.Src == s.Config.UID {
			here = append(here, d)
			d.Time = d.Time.Add(oneWay) // it is heard later
			there = append(there, d)
			return
		}
		there = append(there, d)
		d.Time = d.Time.Add(oneWay)
		here = append(here, d)
	}
	if err := w.Run(5 * time.Minute); err != nil {
		t.Fatal(err)
	}
	name := save(t, there)
	seen := want(t, 0, "inspect", "--summary", name)
	if strings.Contains(seen, "anomaly") || !strings.Contains(seen, "for 2308 blocks in") {
		t.Errorf("%s, want a session without anomalies", seen)
	}
	dir := t.TempDir()
	want(t, 0, "extract", name, dir)
	info, err := os.Stat(filepath.Join(dir, fmt.Sprintf("%08x", s.Config.Group), "scene.tif"))
	if err != nil || info.Size() != 3_000_000 || info.ModTime().Unix() != 1_700_000_000 {
		t.Errorf("%v, %v, want the file with its size and time", info, err)
	}
	if out := want(t, 0, "receiver", name); !strings.Contains(out, "6 answers equal, 1 files; 0s early to 0s late") {
		t.Errorf("%s, want all answers at their times", out)
	}
	if out := want(t, 0, "sender", save(t, here)); !strings.Contains(out, "6 steps equal") {
		t.Errorf("%s, want all steps", out)
	}
}

// save writes a capture, sorted by time.
func save(t *testing.T, list []pcap.Datagram) (name string) {
	t.Helper()
	slices.SortStableFunc(list, func(a, b pcap.Datagram) int { return a.Time.Compare(b.Time) })
	var b bytes.Buffer
	p, err := pcap.NewWriter(&b, pcap.Classic)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range list {
		if err := p.Write(d); err != nil {
			t.Fatal(err)
		}
	}
	name = filepath.Join(t.TempDir(), "geo.pcap")
	if err := os.WriteFile(name, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}
