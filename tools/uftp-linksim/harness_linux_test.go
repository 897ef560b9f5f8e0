package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"uftp/tools/internal/link"
	"uftp/tools/netlab"
)

// patience is for what must happen, on however busy a machine.
const patience = time.Minute

// Addresses of the two ends.
const (
	hub4, remote4 = "198.18.0.1", "198.18.0.2"
	hub6, remote6 = "fd99::1", "fd99::2"
)

// build makes the programs, once.
var build = sync.OnceValues(func() (dir string, err error) {
	dir = filepath.Join(os.TempDir(), fmt.Sprintf("uftp-linksim-test-%d", os.Getpid()))
	cmd := exec.Command("go", "build", "-o", dir+"/", "uftp/cmd/uftp", "uftp/cmd/uftpd", "uftp/tools/uftp-linksim", "uftp/tools/uftp-replay")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return dir, fmt.Errorf("build: %w: %s", err, out)
	}
	return dir, nil
})

func cleanBuild() {
	os.RemoveAll(filepath.Join(os.TempDir(), fmt.Sprintf("uftp-linksim-test-%d", os.Getpid())))
}

// process is the command while it runs.
type process struct {
	t           testing.TB
	cmd         *exec.Cmd
	hub, remote string // namespaces
	stderr      *output
	stats       string
	log         string
	ended       bool
}

// output is what a command has said so far.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

var simNumber atomic.Int32

// launch starts a command line and waits until frames pass.
func launch(t testing.TB, argv ...string) *process {
	t.Helper()
	dir, err := build()
	if err != nil {
		t.Fatal(err)
	}
	s := &process{t: t, stderr: &output{}, stats: filepath.Join(t.TempDir(), "stats.json"), log: filepath.Join(t.TempDir(), "frames.jsonl")}
	argv = append(argv, "-S", s.stats, "-L", s.log)
	if i := slices.Index(argv, "uftp-linksim"); i >= 0 {
		argv[i] = filepath.Join(dir, argv[i])
	}
	s.cmd = exec.Command(argv[0], argv[1:]...)
	s.cmd.Stderr = s.stderr
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.end() })
	s.waitFor("running")
	return s
}

// start launches the command with namespaces of its own.
func start(t testing.TB, args ...string) *process {
	t.Helper()
	prefix := fmt.Sprintf("lsim%dx%d", os.Getpid(), simNumber.Add(1))
	s := launch(t, append([]string{"uftp-linksim", "-n", prefix + "h," + prefix + "r"}, args...)...)
	s.hub, s.remote = prefix+"h", prefix+"r"
	return s
}

func (s *process) waitFor(text string) {
	s.t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if strings.Contains(s.stderr.String(), text) {
			return
		}
	}
	s.t.Fatalf("no %q within %v: %s", text, patience, s.stderr)
}

// end stops the command and returns its counters.
func (s *process) end() (doc document) {
	s.t.Helper()
	if s.ended {
		return doc
	}
	s.ended = true
	s.cmd.Process.Signal(syscall.SIGTERM)
	if err := s.cmd.Wait(); err != nil {
		s.t.Errorf("ended with %v: %s", err, s.stderr)
	}
	text, err := os.ReadFile(s.stats)
	if err != nil {
		s.t.Error(err)
		return doc
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &doc); err != nil || !doc.Final {
		s.t.Errorf("last document %q: %v, want the final counters", lines[len(lines)-1], err)
	}
	for _, d := range doc.Direction {
		if d.Frames != d.Passed+d.LostQueue+d.LostEvent+d.LostBurst+d.LostSingle {
			s.t.Errorf("%s: %+v, want all frames accounted for", d.Name, d)
		}
	}
	return doc
}

// logLine is a line of the log.
type logLine struct {
	T     float64
	Dir   string
	N     uint64
	Bytes int
	Fate  string
	Sent  float64
	At    float64
	Copy  float64
}

// frames reads the log, frames of bytes in one direction.
func (s *process) frames(dir string, size int) (lines []logLine) {
	s.t.Helper()
	f, err := os.Open(s.log)
	if err != nil {
		s.t.Fatal(err)
	}
	defer f.Close()
	for sc := bufio.NewScanner(f); sc.Scan(); {
		var l logLine
		if err := json.Unmarshal(sc.Bytes(), &l); err != nil {
			s.t.Fatalf("log line %q: %v", sc.Text(), err)
		}
		if l.Dir == dir && l.Bytes == size {
			lines = append(lines, l)
		}
	}
	return lines
}

// inside runs fn in a namespace, on a thread that ends with it. Sockets opened
// there stay there.
func inside(t *testing.T, ns string, fn func() error) {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		fd, err := unix.Open("/run/netns/"+ns, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err == nil {
			err = unix.Setns(fd, unix.CLONE_NEWNET)
			unix.Close(fd)
		}
		if err == nil {
			err = fn()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// udp opens a socket in a namespace.
func udp(t *testing.T, ns, addr string, port int) *net.UDPConn {
	t.Helper()
	var c *net.UDPConn
	inside(t, ns, func() (err error) {
		c, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(addr), uint16(port))))
		return err
	})
	forceBuffer(t, c)
	t.Cleanup(func() { c.Close() })
	return c
}

// forceBuffer gives a socket a buffer for all datagrams that come before the next read.
func forceBuffer(t *testing.T, c *net.UDPConn) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var refused error
	err = raw.Control(func(fd uintptr) {
		refused = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 8<<20)
	})
	if err = errors.Join(err, refused); err != nil {
		t.Fatal(err)
	}
}

func to(addr string, port int) *net.UDPAddr {
	return net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(addr), uint16(port)))
}

// echo answers all datagrams at a socket until it is closed.
func echo(c *net.UDPConn) {
	buf := make([]byte, 65536)
	for {
		n, from, err := c.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		c.WriteToUDPAddrPort(buf[:n], from)
	}
}

// roundTrip is the shortest of several round trips of UDP. There are more of them until
// one takes at most enough: a busy machine adds to some.
func roundTrip(t *testing.T, c *net.UDPConn, peer *net.UDPAddr, enough time.Duration) time.Duration {
	t.Helper()
	best := time.Hour
	buf := make([]byte, 100)
	for i := 0; i < 4 || i < 100 && best > enough; i++ {
		began := time.Now()
		if _, err := c.WriteToUDP([]byte{byte(i)}, peer); err != nil {
			t.Fatal(err)
		}
		c.SetReadDeadline(began.Add(patience))
		for {
			if _, _, err := c.ReadFromUDP(buf); err != nil {
				t.Fatalf("no answer from %v: %v", peer, err)
			}
			if buf[0] == byte(i) {
				break
			}
		}
		best = min(best, time.Since(began))
	}
	return best
}

// arrivals gathers datagrams: n of them, however long they take, and what comes soon
// after the last.
func arrivals(c *net.UDPConn, n int, soon time.Duration) (got []arrival) {
	buf := make([]byte, 65536)
	for {
		wait := soon
		if len(got) < n {
			wait = patience
		}
		c.SetReadDeadline(time.Now().Add(wait))
		size, _, err := c.ReadFromUDPAddrPort(buf)
		if err != nil {
			return got
		}
		got = append(got, arrival{time.Now(), bytes.Clone(buf[:size])})
	}
}

// endMark begins the datagram at which a reader of arrivalsToEnd stops. A number follows.
const endMark = "the end "

// sayEnd sends end marks until all readers have ended, as a link may lose some.
func sayEnd(t *testing.T, c *net.UDPConn, peer *net.UDPAddr, readers *sync.WaitGroup) {
	t.Helper()
	ended := make(chan struct{})
	go func() { readers.Wait(); close(ended) }()
	for i := byte(0); ; i = min(i+1, 9) {
		select {
		case <-ended:
			return
		case <-time.After(20 * time.Millisecond):
			if _, err := c.WriteToUDP([]byte(endMark+string('0'+rune(i))), peer); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// arrivalsToEnd gathers datagrams until an end mark has come that left well behind the
// others, so that those held back are there too.
func arrivalsToEnd(c *net.UDPConn) (got []arrival) {
	buf := make([]byte, 65536)
	for {
		c.SetReadDeadline(time.Now().Add(patience))
		n, _, err := c.ReadFromUDPAddrPort(buf)
		if err != nil {
			return got
		}
		if number, isEnd := bytes.CutPrefix(buf[:n], []byte(endMark)); !isEnd {
			got = append(got, arrival{time.Now(), bytes.Clone(buf[:n])})
		} else if string(number) >= "2" {
			return got
		}
	}
}

type arrival struct {
	at   time.Time
	data []byte
}

func require(t *testing.T) {
	t.Helper()
	netlab.Require(t, "go")
	t.Parallel()
}

// command runs a command in a namespace to its end and returns its output.
func (s *process) command(ns string, argv ...string) string {
	s.t.Helper()
	out, err := exec.Command("ip", append([]string{"netns", "exec", ns}, argv...)...).CombinedOutput()
	if err != nil {
		s.t.Fatalf("%s: %v: %s", strings.Join(argv, " "), err, out)
	}
	return string(out)
}

// fakeDirection is a direction from a port without a socket.
func fakeDirection(t *testing.T, o *options, from *port) *direction {
	t.Helper()
	timer := newTimer()
	l, err := link.New(o.down, 1, 0, timer.start)
	if err != nil {
		t.Fatal(err)
	}
	return newDirection(from, []*leg{newLeg(from, l, nil)}, timer, 1<<20, &atomic.Bool{})
}
