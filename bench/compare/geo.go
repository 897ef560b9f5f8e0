//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"uftp/tools/netlab"
)

// The satellite: preset geo of uftp-linksim, with fades on each downlink.
const (
	geoReceivers = 20
	geoSizeMiB   = 30
	geoRounds    = 3
	geoTimeout   = 3 * time.Minute
	geoKbps      = 42000 // of 1024 bit/s: 45 Mbit/s less the Ethernet headers, which -R does not count
	geoBursts    = "down=2%:5ms"
	geoBlock     = 1300
	geoGRTT      = "0.7:0.6:2" // of -r when tuned
	geoBuffer    = 16 << 20    // bytes, of -B of the receivers when tuned
	linkStart    = 10 * time.Second
)

var (
	errLink    = errors.New("uftp-linksim does not run")
	errLinkLie = errors.New("the link lost what it was not asked to")
)

// pairing is a sender and its receivers, tuned for such a link or not.
type pairing struct {
	sender, receiver kind
	tuned            bool
}

func (p pairing) String() string {
	settings := "default"
	if p.tuned {
		settings = "tuned"
	}
	return fmt.Sprintf("sender=%v/receivers=%v/settings=%s", variant{kind: p.sender}, variant{kind: p.receiver}, settings)
}

// settings returns further arguments of the sender, and the variant of the receivers.
func (p pairing) settings() (args []string, receivers variant) {
	if !p.tuned {
		return nil, variant{kind: p.receiver}
	}
	return []string{"-r", geoGRTT}, variant{kind: p.receiver, buffer: geoBuffer}
}

// geoPairings are all pairings, those with default settings first.
func geoPairings() (list []pairing) {
	for _, tuned := range []bool{false, true} {
		for _, p := range [][2]kind{{ours, ours}, {stock, stock}, {ours, stock}, {stock, ours}} {
			list = append(list, pairing{p[0], p[1], tuned})
		}
	}
	return list
}

// crossing is the result of one run over the satellite.
type crossing struct {
	elapsed   time.Duration // for the file, as its sender says
	whole     time.Duration // the whole command
	down      uint64        // bytes of Ethernet frames that the sender sent
	again     float64       // blocks sent again, parts of the file
	passes    int
	naks      int
	up        uint64 // bytes that all receivers sent
	downQueue uint64 // frames that overflowed the downlink
	upQueue   uint64 // and the return channels
	full      uint64 // datagrams that were dropped because a receiver's socket was full
}

// sky is the link while it runs, with the lab around its namespaces.
type sky struct {
	cmd   *exec.Cmd
	ended chan error
	stats string
	lab   *netlab.Lab
}

// openSky starts the satellite with a seed.
func (b *bench) openSky(seed, receivers int) (*sky, error) {
	var places []netlab.Place
	var names []string
	for i := range receivers + 1 {
		name := fmt.Sprintf("sky%dx%d", os.Getpid(), i)
		names = append(names, name)
		places = append(places, netlab.Place{Namespace: name, IPv4: netip.AddrFrom4([4]byte{198, 18, 0, byte(i + 1)})})
	}
	s := &sky{stats: filepath.Join(b.dir, "link.json"), lab: netlab.Around(places), ended: make(chan error, 1)}
	said := filepath.Join(b.dir, "link.txt")
	f, err := os.Create(said)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	s.cmd = exec.Command(filepath.Join(b.bin, "uftp-linksim"), "-n", strings.Join(names, ","), "-p", "geo", "-b", geoBursts,
		"-s", strconv.Itoa(seed), "-S", s.stats)
	s.cmd.Stderr = f
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { s.ended <- s.cmd.Wait() }()
	for limit := time.Now().Add(linkStart); ; {
		text, err := os.ReadFile(said)
		switch {
		case err != nil:
			return nil, errors.Join(err, s.close())
		case bytes.Contains(text, []byte(", running\n")):
			return s, nil
		case time.Now().After(limit) || b.ctx.Err() != nil || len(s.ended) > 0:
			return nil, errors.Join(fmt.Errorf("%w: %s", errLink, text), s.close())
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// close ends the processes and the link, which writes its counters at its end.
func (s *sky) close() error {
	err := s.lab.Close()
	_ = s.cmd.Process.Signal(syscall.SIGTERM) // it may have ended by itself
	return errors.Join(err, <-s.ended)
}

// introduce enters the sender's Ethernet address at the receivers, as the modem of a routed
// link knows it. Else the first answer of each would take one round trip more, and all
// timers would follow it.
func (s *sky) introduce() error {
	var ifi *net.Interface
	hub := s.lab.Sender()
	err := hub.Do(func() (err error) {
		ifi, err = net.InterfaceByName(netlab.Device)
		return err
	})
	if err != nil {
		return err
	}
	for _, h := range s.lab.Receivers() {
		res, err := h.Run(startMax, "ip", "neigh", "replace", hub.IPv4.String(), "lladdr", ifi.HardwareAddr.String(), "nud", "permanent", "dev", netlab.Device)
		if err == nil && res.Code != 0 {
			err = fmt.Errorf("%s: %w: %s", res.Command, errFailed, res.Stderr)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// cross sends the file over the satellite once.
func (b *bench) cross(p pairing, receivers, seed int) (c crossing, err error) {
	s, err := b.openSky(seed, receivers)
	if err != nil {
		return c, err
	}
	b.lab = s.lab
	res, full, err := b.overSky(s, p)
	b.lab = nil
	if err = errors.Join(err, s.close()); err != nil {
		return c, err
	}
	c.whole, c.full = res.Took, full
	if c.elapsed, err = elapsed(res.Stdout + res.Stderr); err != nil {
		return c, err
	}
	if err := c.readLink(s.stats); err != nil {
		return c, err
	}
	return c, c.readCapture(filepath.Join(b.bin, "uftp-replay"), b.capture())
}

func (b *bench) capture() string { return filepath.Join(b.dir, "geo.pcap") }

// overSky runs the programs and returns how many datagrams full sockets have dropped.
func (b *bench) overSky(s *sky, p pairing) (res netlab.Result, full uint64, err error) {
	if err := s.introduce(); err != nil {
		return res, 0, err
	}
	args, receivers := p.settings()
	all, err := b.startReceivers(receivers)
	defer all.close()
	if err != nil {
		return res, 0, err
	}
	taken, err := s.lab.Sender().Capture(b.capture())
	if err != nil {
		return res, 0, err
	}
	argv := []string{b.path(variant{kind: p.sender}, "uftp"), "-I", netlab.Device, "-H", strings.Join(all.uids, ","), "-b", strconv.Itoa(geoBlock), "-R", strconv.Itoa(geoKbps)}
	argv = append(argv, args...)
	if res, err = b.send(append(argv, b.file), all, taken.Stop); err != nil {
		return res, 0, err
	}
	for _, r := range all.procs {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/snmp", r.Pid()))
		if err != nil {
			return res, 0, err
		}
		n, err := receiveErrors(string(text))
		if err != nil {
			return res, 0, err
		}
		full += n
	}
	return res, full, nil
}

// receiveErrors finds in the kernel's table how many datagrams full sockets have dropped: a
// line of names, then one of numbers.
func receiveErrors(snmp string) (uint64, error) {
	var names []string
	for line := range strings.Lines(snmp) {
		words := strings.Fields(line)
		if len(words) == 0 || words[0] != "Udp:" {
			continue
		}
		if names == nil {
			names = words
			continue
		}
		if i := slices.Index(names, "RcvbufErrors"); i > 0 && i < len(words) {
			return strconv.ParseUint(words[i], 10, 64)
		}
	}
	return 0, fmt.Errorf("%w: no RcvbufErrors", errOutput)
}

// readLink reads the counters of the link.
func (c *crossing) readLink(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var doc struct {
		Directions []struct {
			Direction string
			Bytes     uint64
			LostQueue uint64 `json:"lost_queue"`
			Artefacts map[string]uint64
		}
	}
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	if err := json.Unmarshal(lines[len(lines)-1], &doc); err != nil || len(doc.Directions) == 0 {
		return fmt.Errorf("%w: counters of the link: %v", errOutput, err)
	}
	c.down = doc.Directions[0].Bytes // all links carry the same
	for _, d := range doc.Directions {
		if d.Direction == "up" {
			c.up += d.Bytes
			c.upQueue += d.LostQueue
		} else {
			c.downQueue = max(c.downQueue, d.LostQueue)
		}
		for name, n := range d.Artefacts {
			if n > 0 {
				return fmt.Errorf("%w: %d frames, %s", errLinkLie, n, name)
			}
		}
	}
	return nil
}

// readCapture reads the summary that uftp-replay makes of the capture.
func (c *crossing) readCapture(replay, path string) error {
	out, err := exec.Command(replay, "inspect", "--summary", "--json", path).Output()
	if err != nil {
		return fmt.Errorf("uftp-replay inspect: %w", err)
	}
	var doc struct {
		Files []struct {
			Passes, Naks int
			Again        float64 `json:"sent_again"`
		}
	}
	if err := json.NewDecoder(bytes.NewReader(out)).Decode(&doc); err != nil || len(doc.Files) != 1 {
		return fmt.Errorf("%w: the capture holds %d files: %v", errOutput, len(doc.Files), err)
	}
	c.passes, c.naks, c.again = doc.Files[0].Passes, doc.Files[0].Naks, doc.Files[0].Again
	return nil
}

// geoLine is one run in the format of Go benchmarks.
func geoLine(p pairing, size int64, c crossing) string {
	return fmt.Sprintf("BenchmarkGeo/%v\t1\t%d ns/op\t%.2f MB/s\t%.3f command-s\t%.2f down-MB\t%.1f %%again\t%d passes\t%d NAKs\t%.1f up-kB\t%d down-overflows\t%d up-overflows\t%d no-room",
		p, c.elapsed.Nanoseconds(), float64(size)/1e6/c.elapsed.Seconds(), c.whole.Seconds(), float64(c.down)/1e6, 100*c.again,
		c.passes, c.naks, float64(c.up)/1e3, c.downQueue, c.upQueue, c.full)
}

// geo runs all pairings in rounds. In one round the link has the same seed for all.
func (b *bench) geo(s settings, out, progress io.Writer) error {
	all := geoPairings()
	runs := make([][]crossing, len(all))
	failed := make([]int, len(all))
	for round := range s.rounds {
		for i, p := range all {
			c, err := b.cross(p, s.receivers, round+1)
			if b.ctx.Err() != nil {
				return b.ctx.Err()
			}
			if err != nil {
				failed[i]++
				fmt.Fprintf(progress, "%v: %v\n", p, err)
				continue
			}
			runs[i] = append(runs[i], c)
			fmt.Fprintln(out, geoLine(p, b.size, c))
		}
	}
	return writeGeo(out, all, runs, failed)
}

// writeGeo writes the medians of each pairing.
func writeGeo(w io.Writer, all []pairing, runs [][]crossing, failed []int) error {
	var t strings.Builder
	fmt.Fprintf(&t, "\n# %-42s %17s %10s %8s %7s %6s %6s %7s %7s %6s\n", "medians", "file s (lo-hi)", "command s", "down MB", "again", "passes", "NAKs", "up kB", "no room", "failed")
	for i, p := range all {
		r := runs[i]
		if len(r) == 0 {
			fmt.Fprintf(&t, "# %-42v never came across, %d times\n", p, failed[i])
			continue
		}
		seconds := func(c crossing) float64 { return c.elapsed.Seconds() }
		low, high := slices.MinFunc(r, func(x, y crossing) int { return int(x.elapsed - y.elapsed) }), slices.MaxFunc(r, func(x, y crossing) int { return int(x.elapsed - y.elapsed) })
		fmt.Fprintf(&t, "# %-42v %5.1f (%4.1f-%4.1f) %10.1f %8.2f %6.1f%% %6.0f %6.0f %7.1f %7.0f %6d\n", p,
			middle(r, seconds), low.elapsed.Seconds(), high.elapsed.Seconds(),
			middle(r, func(c crossing) float64 { return c.whole.Seconds() }),
			middle(r, func(c crossing) float64 { return float64(c.down) / 1e6 }),
			middle(r, func(c crossing) float64 { return 100 * c.again }),
			middle(r, func(c crossing) float64 { return float64(c.passes) }),
			middle(r, func(c crossing) float64 { return float64(c.naks) }),
			middle(r, func(c crossing) float64 { return float64(c.up) / 1e3 }),
			middle(r, func(c crossing) float64 { return float64(c.full) }), failed[i])
	}
	_, err := io.WriteString(w, t.String())
	return err
}

// middle is the median of a figure of the runs.
func middle(runs []crossing, figure func(crossing) float64) float64 {
	var v []float64
	for _, c := range runs {
		v = append(v, figure(c))
	}
	_, m, _ := spread(v)
	return m
}
