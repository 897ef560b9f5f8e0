//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"uftp/tools/netlab"
)

const (
	port      = 1044
	iperfPort = 5201
	startMax  = 5 * time.Second
	peakEvery = 20 * time.Millisecond
	iperfTime = 2 // seconds of one run
)

// unlimited is the rate, Mbit/s, of a run that is as fast as the program can.
const unlimited = 0

var (
	errFailed  = errors.New("did not end with 0")
	errMissing = errors.New("a receiver has not got the file")
	errOutput  = errors.New("no figures in the output")
)

// measurement is the result of one run.
type measurement struct {
	bytes   int64         // that each receiver got
	elapsed time.Duration // for them
	whole   time.Duration // the whole command
	files   int
	peak    [2]int64 // memory of the sender and of the receiver with most, bytes
}

// gbps is the rate in Gbit/s (10^9) of file bytes to each receiver.
func (m measurement) gbps() float64 {
	if m.elapsed <= 0 {
		return 0
	}
	return float64(m.bytes) * 8 / float64(m.elapsed.Nanoseconds())
}

// bench runs programs.
type bench struct {
	ctx     context.Context // ends when the user stops the program
	bin     string          // of our programs
	dir     string          // in memory
	file    string          // or the directory with many
	size    int64           // of all files
	timeout time.Duration
	lab     *netlab.Lab
	labOf   labConfig
}

// labConfig describes the lab of a case.
type labConfig struct{ mtu, receivers int }

// openLab gives the case a clean network.
func (b *bench) openLab(c testCase) error {
	want := labConfig{c.mtu(), c.receivers}
	if b.lab == nil || b.labOf != want {
		if err := b.closeLab(); err != nil {
			return err
		}
		lab, err := netlab.Open(netlab.Config{Receivers: c.receivers, MTU: want.mtu})
		if err != nil {
			return err
		}
		b.lab, b.labOf = lab, want
	}
	if err := b.lab.Reset(); err != nil {
		return err
	}
	segs := "65535"
	if c.lossPct > 0 {
		segs = "1" // see doc.go
		for _, h := range b.lab.Receivers() {
			if err := h.Drop(netlab.Match{}, netlab.Percent(c.lossPct)); err != nil {
				return err
			}
		}
	}
	return b.gso(segs)
}

// gso sets how many segments the sender's interface takes at once.
func (b *bench) gso(segs string) error {
	res, err := b.lab.Sender().Run(startMax, "ip", "link", "set", "dev", netlab.Device, "gso_max_segs", segs)
	if err == nil && res.Code != 0 {
		err = fmt.Errorf("%s: %w: %s", res.Command, errFailed, res.Stderr)
	}
	return err
}

func (b *bench) closeLab() error {
	if b.lab == nil {
		return nil
	}
	lab := b.lab
	b.lab = nil
	return lab.Close()
}

// run runs a variant once at a rate in Mbit/s (10^6).
func (b *bench) run(c testCase, v variant, rate int) (measurement, error) {
	if v.kind == iperf {
		return b.runIperf(c, rate)
	}
	return b.runTransfer(c, v, rate, nil)
}

// path is the path of a variant's program.
func (b *bench) path(v variant, program string) string {
	if v.kind == ours || v.kind == mixed && program == "uftp" {
		return filepath.Join(b.bin, program)
	}
	return program
}

// kbps is a rate in Mbit/s as -R takes it.
func kbps(rate int) string {
	if rate == unlimited {
		return "-1"
	}
	return strconv.Itoa(rate * 1_000_000 / 1024)
}

// receivers are running receivers.
type receivers struct {
	procs []*netlab.Proc
	uids  []string // for -H of the sender
	dests []string // directories that they receive into

	senderPeak atomic.Int64 // memory of their sender, bytes
}

// startReceivers starts a receiver in each host of the lab. The caller must close them, also
// after an error.
func (b *bench) startReceivers(v variant) (*receivers, error) {
	c := &receivers{}
	for i, h := range b.lab.Receivers() {
		dest := filepath.Join(b.dir, fmt.Sprintf("dest%d", i))
		if err := os.Mkdir(dest, 0o755); err != nil {
			return c, err
		}
		c.dests = append(c.dests, dest)
		argv := append([]string{b.path(v, "uftpd"), "-d", "-q", "-I", netlab.Device, "-D", dest}, v.buffers()...)
		p, err := h.Start(netlab.Spec{Argv: argv, Dir: b.dir})
		if err != nil {
			return c, err
		}
		c.procs = append(c.procs, p)
		if err := p.WaitUDP(port, startMax); err != nil {
			return c, fmt.Errorf("%w: %s", err, p.Stderr())
		}
		c.uids = append(c.uids, h.UID())
	}
	time.Sleep(50 * time.Millisecond) // joins follow the bind at once
	return c, nil
}

// peak returns the memory of the receiver that holds most, bytes. They must be running.
func (c *receivers) peak() (most int64) {
	for _, p := range c.procs {
		most = max(most, peakMemory(p))
	}
	return most
}

// peakMemory is the most memory that a running process has held, bytes, 0 for one that
// has ended.
func peakMemory(p *netlab.Proc) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Pid()))
	if err != nil {
		return 0
	}
	_, after, _ := strings.Cut(string(text), "VmHWM:")
	var kib int64
	fmt.Sscan(after, &kib)
	return kib << 10
}

func (c *receivers) close() {
	for _, p := range c.procs {
		p.Kill()
	}
	for _, d := range c.dests {
		os.RemoveAll(d)
	}
}

// send runs a sender to its end, calls after, and checks that every receiver has the file.
func (b *bench) send(argv []string, c *receivers, after func() error) (res netlab.Result, err error) {
	p, err := b.lab.Sender().Start(netlab.Spec{Argv: argv, Dir: b.dir})
	if err != nil {
		return res, errors.Join(err, after())
	}
	// A sender takes all its memory soon. It ends by itself, so we look while it runs.
	go func() {
		for !p.Exited() {
			c.senderPeak.Store(max(c.senderPeak.Load(), peakMemory(p)))
			time.Sleep(peakEvery)
		}
	}()
	res, err = b.wait(p)
	if err = errors.Join(err, after()); err != nil {
		return res, err
	}
	if res.Code != 0 {
		return res, fmt.Errorf("%s: %w but with %d: %s", res.Command, errFailed, res.Code, lastLines(res.Stderr, 4))
	}
	for _, d := range c.dests {
		if err := sameFiles(b.file, filepath.Join(d, filepath.Base(b.file))); err != nil {
			return res, err
		}
	}
	return res, nil
}

// runTransfer sends the file and checks that every receiver has it. during, if it is not
// nil, is called before the sender starts, and the function that it returns after the
// sender has ended.
func (b *bench) runTransfer(c testCase, v variant, rate int, during func() (after func() error, err error)) (m measurement, err error) {
	all, err := b.startReceivers(v)
	defer all.close()
	if err != nil {
		return m, err
	}
	argv := append([]string{
		b.path(v, "uftp"), "-I", netlab.Device, "-r", "0.05", "-H", strings.Join(all.uids, ","), "-Y", c.cipher, "-b", strconv.Itoa(c.block), "-R", kbps(rate),
	}, v.buffers()...)
	after := func() error { return nil }
	if during != nil {
		if after, err = during(); err != nil {
			return m, err
		}
	}
	res, err := b.send(append(argv, b.file), all, after)
	if err != nil {
		return m, err
	}
	m = measurement{bytes: b.size, whole: res.Took, files: c.files, peak: [2]int64{all.senderPeak.Load(), all.peak()}}
	if c.files > 1 {
		m.elapsed = res.Took // users wait for the whole command; each file has only its own time
		return m, nil
	}
	m.elapsed, err = elapsed(res.Stdout + res.Stderr)
	return m, err
}

// makeFiles has the next runs send one file of size bytes, or n small ones.
func (b *bench) makeFiles(n int, size int64) error {
	if n > 1 {
		b.file, b.size = filepath.Join(b.dir, fmt.Sprintf("files%d", n)), int64(n)*smallBytes
	} else {
		b.file, b.size = filepath.Join(b.dir, "file"), size
	}
	if _, err := os.Stat(b.file); err == nil {
		return nil
	}
	if n == 1 {
		return netlab.WriteRandom(b.file, size, 1)
	}
	for i := range n {
		if err := netlab.WriteRandom(filepath.Join(b.file, fmt.Sprint(i)), smallBytes, uint64(i)); err != nil {
			return err
		}
	}
	return nil
}

// wait waits for the end of a run, up to the time limit.
func (b *bench) wait(p *netlab.Proc) (netlab.Result, error) {
	ctx, cancel := context.WithTimeout(b.ctx, b.timeout)
	defer cancel()
	return p.Wait(ctx)
}

// lastLines are the last lines of a text, joined by slashes.
func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], " / ")
}

var elapsedLine = regexp.MustCompile(`Total elapsed time: ([0-9.]+) seconds`)

// elapsed finds the time of the last file in the output of a sender.
func elapsed(text string) (time.Duration, error) {
	all := elapsedLine.FindAllStringSubmatch(text, -1)
	if len(all) == 0 {
		return 0, errOutput
	}
	s, err := strconv.ParseFloat(all[len(all)-1][1], 64)
	if err != nil || s <= 0 {
		return 0, fmt.Errorf("%w: %s", errOutput, all[len(all)-1][0])
	}
	return time.Duration(s * 1e9), nil
}

// sameFiles compares a file, or those of a directory, with what arrived.
func sameFiles(want, got string) error {
	entries, err := os.ReadDir(want)
	if errors.Is(err, syscall.ENOTDIR) {
		return sameBytes(want, got)
	}
	for _, e := range entries {
		err = errors.Join(err, sameBytes(filepath.Join(want, e.Name()), filepath.Join(got, e.Name())))
	}
	return err
}

// sameBytes compares a file with what arrived.
func sameBytes(want, got string) error {
	w, err := os.Open(want)
	if err != nil {
		return err
	}
	defer w.Close()
	g, err := os.Open(got)
	if err != nil {
		return fmt.Errorf("%w: %w", errMissing, err)
	}
	defer g.Close()
	a, b := make([]byte, 1<<20), make([]byte, 1<<20)
	for {
		n, errW := io.ReadFull(w, a)
		k, errG := io.ReadFull(g, b)
		if n != k || !bytes.Equal(a[:n], b[:k]) {
			return fmt.Errorf("%w: %s differs", errMissing, got)
		}
		if errW != nil || errG != nil {
			if errW == io.EOF || errW == io.ErrUnexpectedEOF {
				errW = nil
			}
			if errG == io.EOF || errG == io.ErrUnexpectedEOF {
				errG = nil
			}
			return errors.Join(errW, errG)
		}
	}
}

// runIperf measures how much plain UDP arrives with datagrams as large as ours.
func (b *bench) runIperf(c testCase, rate int) (m measurement, err error) {
	srv, err := b.lab.Receiver(0).Start(netlab.Spec{Argv: []string{"iperf3", "-s", "-1", "-J"}})
	if err != nil {
		return m, err
	}
	defer srv.Kill()
	time.Sleep(200 * time.Millisecond) // it listens on TCP, which WaitUDP does not see
	p, err := b.lab.Sender().Start(netlab.Spec{Argv: []string{"iperf3", "-c", b.lab.Receiver(0).IPv4.String(), "-p", strconv.Itoa(iperfPort),
		"-u", "-J", "-l", strconv.Itoa(c.block + headerBytes), "-t", strconv.Itoa(iperfTime), "-b", strconv.Itoa(rate) + "M"}})
	if err != nil {
		return m, err
	}
	res, err := b.wait(p)
	if err != nil {
		return m, err
	}
	if res.Code != 0 {
		return m, fmt.Errorf("%s: %w but with %d", res.Command, errFailed, res.Code)
	}
	m, err = readIperf([]byte(res.Stdout))
	m.whole = res.Took
	return m, err
}

// readIperf reads from the client's report how much the server received.
func readIperf(text []byte) (m measurement, err error) {
	var report struct {
		End struct {
			Sum struct {
				Seconds float64
				Bytes   float64 // sent
				Lost    float64 `json:"lost_percent"`
			}
			Received *struct {
				Seconds float64
				Bytes   float64
				Lost    float64 `json:"lost_percent"`
			} `json:"sum_received"`
		}
	}
	if err := json.Unmarshal(text, &report); err != nil {
		return m, fmt.Errorf("%w: %w", errOutput, err)
	}
	got, seconds := report.End.Sum.Bytes*(1-report.End.Sum.Lost/100), report.End.Sum.Seconds
	if r := report.End.Received; r != nil && r.Seconds > 0 {
		got, seconds = r.Bytes, r.Seconds
	}
	if seconds <= 0 || got <= 0 {
		return m, errOutput
	}
	return measurement{bytes: int64(got), elapsed: time.Duration(seconds * 1e9)}, nil
}

// buildOurs compiles our programs into dir.
func buildOurs(dir string) error {
	cmd := exec.Command("go", "build", "-o", dir+string(filepath.Separator), "uftp/cmd/uftp", "uftp/cmd/uftpd", "uftp/tools/uftp-linksim", "uftp/tools/uftp-replay")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build our programs: %w: %s", err, out)
	}
	return nil
}
