//go:build linux

package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/google/gopacket/pcapgo"

	"uftp/tools/netlab"
)

const (
	// window is the span over which a rate must hold, pacedTime how long data flows.
	window    = 10 * time.Millisecond
	pacedTime = 2 // seconds

	etherBytes = 14
	snapBytes  = 96 // the headers are all we look at
)

var errCapture = errors.New("the capture has not got all data")

// departure is a train that left: when, and its length in bytes of IP packets, as -R counts
// them.
type departure struct {
	at    time.Duration
	bytes int
}

// evenness measures how far departures are from an even flow.
type evenness struct {
	total    float64 // rate from the first to the last departure, part of the asked one
	worstPct float64 // of the rate over spans of one window and little more
	p99Pct   float64 // 99 % of such spans are nearer to the asked rate
	within2  float64 // percent of such spans that are within 2 % of the asked rate
	burst    time.Duration
	gap      time.Duration // the longest from one departure to the next
	train    time.Duration // the longest train, as time at the rate
}

// judge compares departures with a rate in bytes/s. A span runs from one departure
// to another, so the length of trains does not matter. Burst is the largest amount of data
// ahead of the rate, as time at the rate: one train if the flow is even.
func judge(list []departure, rate float64) evenness {
	var e evenness
	if len(list) < 2 {
		return e
	}
	length := func(bytes float64) time.Duration { return time.Duration(bytes / rate * 1e9) }
	sum := 0
	for _, d := range list[:len(list)-1] {
		sum += d.bytes
	}
	e.total = float64(sum) / (list[len(list)-1].at - list[0].at).Seconds() / rate

	level, last := 0.0, list[0].at
	for _, d := range list {
		level = max(0, level-rate*(d.at-last).Seconds()) + float64(d.bytes)
		e.burst = max(e.burst, length(level))
		e.gap = max(e.gap, d.at-last)
		e.train = max(e.train, length(float64(d.bytes)))
		last = d.at
	}

	var off []float64
	sum = 0
	for i, j := 0, 0; i < len(list); i++ {
		for j < len(list) && list[j].at-list[i].at < window {
			sum += list[j].bytes
			j++
		}
		if j == len(list) {
			break
		}
		got := float64(sum) / (list[j].at - list[i].at).Seconds()
		off = append(off, 100*math.Abs(got/rate-1))
		sum -= list[i].bytes
	}
	if len(off) == 0 {
		return e
	}
	slices.Sort(off)
	e.worstPct, e.p99Pct = off[len(off)-1], off[len(off)*99/100]
	n, _ := slices.BinarySearch(off, 2)
	e.within2 = 100 * float64(n) / float64(len(off))
	return e
}

// readDepartures reads the first blocks datagrams of data out of a capture, each with
// block bytes of file: the first pass, without a short last block. A train that
// the kernel did not cut is one record.
func readDepartures(path string, block int, blocks int64) ([]departure, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r, err := pcapgo.NewReader(f)
	if err != nil {
		return nil, err
	}
	var list []departure
	var first time.Time
	for blocks > 0 {
		_, info, err := r.ReadPacketData()
		if err != nil {
			return nil, fmt.Errorf("%w: %d datagrams missing, %v", errCapture, blocks, err)
		}
		payload := info.Length - etherBytes - ipUDPBytes
		n := (payload + block + headerBytes - 1) / (block + headerBytes)
		if first.IsZero() {
			first = info.Timestamp
		}
		list = append(list, departure{info.Timestamp.Sub(first), payload + n*ipUDPBytes})
		blocks -= int64(n)
	}
	return list, nil
}

// record starts a capture of the sender's data and returns the function that ends it.
func (b *bench) record(path string, block int) (stop func() error, err error) {
	p, err := b.lab.Sender().Start(netlab.Spec{Argv: []string{
		"tcpdump", "-Z", "root", "-i", netlab.Device, "-n", "-s", fmt.Sprint(snapBytes), "-B", "65536",
		"--immediate-mode", "--time-stamp-precision=nano", "-w", path,
		fmt.Sprintf("udp and src host %v and greater %d", b.lab.Sender().IPv4, block),
	}})
	if err != nil {
		return nil, err
	}
	if err := p.WaitLog("listening on", startMax); err != nil {
		return nil, err
	}
	return func() error {
		time.Sleep(100 * time.Millisecond) // packets in the kernel's ring still count
		p.Signal(syscall.SIGTERM)
		_, err := p.WaitFor(startMax)
		return err
	}, nil
}

// pacing sends at each rate and prints how even the departures were.
func (b *bench) pacing(s settings, out io.Writer) error {
	for _, c := range s.cases {
		if c.cipher != "none" || c.receivers != 1 || c.lossPct != 0 {
			continue
		}
		if err := b.openLab(c); err != nil {
			return err
		}
		for _, rate := range s.rates {
			if rate == unlimited {
				continue
			}
			for range s.rounds {
				line, err := b.pacingRun(c, rate)
				if b.ctx.Err() != nil {
					return b.ctx.Err()
				}
				if err != nil {
					line = fmt.Sprintf("# %v at %d Mbit/s: %v", c, rate, err)
				}
				fmt.Fprintln(out, line)
			}
		}
	}
	return nil
}

func (b *bench) pacingRun(c testCase, rate int) (string, error) {
	part := *b
	part.size = min(b.size, int64(rate)*1_000_000/8*pacedTime)
	part.file = filepath.Join(b.dir, "part")
	if err := netlab.WriteRandom(part.file, part.size, 2); err != nil {
		return "", err
	}
	defer os.Remove(part.file)
	path := filepath.Join(b.dir, "departures.pcap")
	defer os.Remove(path)
	if _, err := part.runTransfer(c, variant{ours, bufMax}, rate, func() (func() error, error) { return part.record(path, c.block) }); err != nil {
		return "", err
	}
	list, err := readDepartures(path, c.block, part.size/int64(c.block))
	if err != nil {
		return "", err
	}
	e := judge(list, float64(rate*1_000_000/1024)*128)
	return fmt.Sprintf("BenchmarkPacing/block=%d/rate=%dM\t1\t%d ns/op\t%.2f %%rate\t%.2f %%off-10ms-worst\t%.2f %%off-10ms-p99\t%.1f %%spans-within-2%%\t%.3f burst-ms\t%.3f gap-ms\t%.3f train-ms",
		c.block, rate, (list[len(list)-1].at - list[0].at).Nanoseconds(), 100*e.total, e.worstPct, e.p99Pct, e.within2,
		e.burst.Seconds()*1e3, e.gap.Seconds()*1e3, e.train.Seconds()*1e3), nil
}
