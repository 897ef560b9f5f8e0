//go:build linux

package netlab

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// listen opens a UDP socket on a host, for multicast group too if that is not empty.
func listen(t *testing.T, h *Host, port int, group string) *net.UDPConn {
	t.Helper()
	var c *net.UDPConn
	err := h.Do(func() (err error) {
		if group == "" {
			c, err = net.ListenUDP("udp", &net.UDPAddr{Port: port})
			return err
		}
		ifi, err := net.InterfaceByName(Device)
		if err != nil {
			return err
		}
		c, err = net.ListenMulticastUDP("udp", ifi, &net.UDPAddr{IP: net.ParseIP(group), Port: port})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// send sends n datagrams; each is a plain UFTP header of message number fn, and
// its number in the block field.
func send(t *testing.T, c *net.UDPConn, to string, port, n int, fn uint8) {
	t.Helper()
	for i := range n {
		b := make([]byte, 64)
		b[0], b[1], b[22], b[23] = 0x40, fn, byte(i>>8), byte(i)
		if _, err := c.WriteToUDP(b, &net.UDPAddr{IP: net.ParseIP(to), Port: port, Zone: zone(to)}); err != nil {
			t.Fatal(err)
		}
	}
}

func zone(addr string) string {
	if strings.HasPrefix(addr, "ff02") {
		return Device
	}
	return ""
}

// count reads until nothing more comes. It waits long for as many as are expected,
// because the machine may be busy, and shortly for any beyond.
func count(t *testing.T, c *net.UDPConn, expected int) int {
	t.Helper()
	b := make([]byte, 100)
	for n := 0; ; n++ {
		wait := 10 * time.Second
		if n >= expected {
			wait = 200 * time.Millisecond
		}
		c.SetReadDeadline(time.Now().Add(wait))
		if _, _, err := c.ReadFromUDP(b); err != nil {
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatal(err)
			}
			return n
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestReach(t *testing.T) {
	l := New(t, Config{Receivers: 2})
	s := listen(t, l.Sender(), 0, "")
	tests := []struct {
		name, group, to string
	}{
		{"unicast", "", "10.88.0.1"},
		{"multicast reaches members over the only route", "230.4.4.1", "230.4.4.1"},
		{"IPv6 unicast works at once, without duplicate detection", "", "fd88::1"},
		{"IPv6 multicast", "ff02::1:2:3", "ff02::1:2:3"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := listen(t, l.Receiver(0), 0, tt.group)
			port := c.LocalAddr().(*net.UDPAddr).Port
			send(t, s, tt.to, port, 3, 9)
			if got := count(t, c, 3); got != 3 {
				t.Errorf("got %d of 3 datagrams", got)
			}
		})
	}
	if got := l.Receiver(1).UID(); got != "0x0A580002" {
		t.Errorf("UID of B is %s", got)
	}
}

func TestDrop(t *testing.T) {
	l := New(t, Config{Receivers: 1})
	a := l.Receiver(0)
	s, c := listen(t, l.Sender(), 0, ""), listen(t, a, 2000, "")
	tests := []struct {
		name     string
		match    Match
		share    Share
		min, max int // of 100 FILESEG and then 100 DONE, what arrives
	}{
		{"all of one message type", Match{}.Func(9), All(), 100, 100},
		{"all of several types", Match{}.Func(9, 10), All(), 0, 0},
		{"every second of one type", Match{}.Func(9), EveryNth(2), 150, 150},
		{"a third at random", Match{}, Percent(33), 100, 170},
		{"some blocks", Match{}.Func(9).Blocks(10, 19), All(), 190, 190},
		{"one file ID that was not sent", Match{}.Func(9).File(7), All(), 200, 200},
		{"the ID that was sent", Match{}.Func(9).File(0), All(), 100, 100},
		{"another section than was sent", Match{}.Func(9).Section(1), All(), 200, 200},
		{"all from the sender", Match{}.From(l.Sender()), All(), 0, 0},
		{"all from somebody else", Match{}.From(a), All(), 200, 200},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			must(t, a.Drop(tt.match, tt.share))
			send(t, s, "10.88.0.1", 2000, 100, 9)
			send(t, s, "10.88.0.1", 2000, 100, 10)
			got := count(t, c, tt.min)
			if got < tt.min || got > tt.max {
				t.Errorf("%d datagrams arrived, want %d..%d", got, tt.min, tt.max)
			}
			if dropped, err := a.Dropped(); err != nil || dropped != 200-got {
				t.Errorf("counted %d dropped (%v), want %d", dropped, err, 200-got)
			}
			must(t, a.ClearDrops())
			send(t, s, "10.88.0.1", 2000, 10, 9)
			if got := count(t, c, 10); got != 10 {
				t.Errorf("%d of 10 datagrams arrived after the rules were gone", got)
			}
		})
	}
	if err := a.Drop(Match{}.Func(9).and("no such word"), All()); !errors.Is(err, ErrRule) {
		t.Errorf("a rule that nft cannot read gave %v", err)
	}
}

func TestLinkStates(t *testing.T) {
	l := New(t, Config{Receivers: 1})
	a := l.Receiver(0)
	s, c := listen(t, l.Sender(), 0, ""), listen(t, a, 2000, "")
	arrives := func(what string, want int) {
		t.Helper()
		send(t, s, "10.88.0.1", 2000, 5, 9)
		if got := count(t, c, want); got != want {
			t.Errorf("%s: %d of 5 datagrams arrived, want %d", what, got, want)
		}
	}
	arrives("new lab", 5)
	must(t, a.Unplug())
	arrives("unplugged", 0)
	must(t, a.Plug())
	arrives("plugged in again", 5)
	must(t, a.Unplug())
	must(t, a.Drop(Match{}, All()))
	must(t, l.Sender().Limit(1000, 3000))
	must(t, l.Reset())
	arrives("after Reset", 5)

	must(t, l.Sender().Limit(100, 2000))
	began := time.Now()
	send(t, s, "10.88.0.1", 2000, 400, 9) // 400 of 106 bytes: more than burst and queue hold
	if got := count(t, c, 100); got >= 400 || got < 100 {
		t.Errorf("%d of 400 datagrams passed the limit", got)
	}
	if took := time.Since(began); took < 100*time.Millisecond {
		t.Errorf("took %v, the queue of 2000 bytes alone needs 160 ms", took)
	}
	must(t, l.Sender().Unlimit())

	must(t, a.Down(true))
	must(t, a.Down(false))
	arrives("interface down and up", 5)
	if out, err := a.Run(15*time.Second, "ip", "-4", "route", "get", "230.4.4.1"); err != nil || out.Code != 0 {
		t.Errorf("no multicast route after down and up: %v %+v", err, out)
	}
}

func TestMTU(t *testing.T) {
	l := New(t, Config{Receivers: 1, MTU: 9000})
	s, c := listen(t, l.Sender(), 0, ""), listen(t, l.Receiver(0), 2000, "")
	cp, err := l.Receiver(0).Capture(filepath.Join(t.TempDir(), "x.pcap"))
	must(t, err)
	if _, err := s.WriteToUDP(make([]byte, 8900), &net.UDPAddr{IP: net.ParseIP("10.88.0.1"), Port: 2000}); err != nil {
		t.Fatal(err)
	}
	if got := count(t, c, 1); got != 1 {
		t.Fatalf("the jumbo datagram did not arrive")
	}
	packets, err := cp.Packets()
	must(t, err)
	if len(packets) != 1 || len(packets[0].Payload) != 8900 {
		t.Errorf("want one datagram of 8900 bytes in one piece, got %d", len(packets))
	}
}

func TestProc(t *testing.T) {
	l := New(t, Config{Receivers: 1})
	a := l.Receiver(0)

	res, err := a.Run(15*time.Second, "sh", "-c", "echo out; echo err >&2; exit 3")
	if err != nil || res.Code != 3 || res.Stdout != "out\n" || res.Stderr != "err\n" {
		t.Errorf("run: %v %+v", err, res)
	}
	if res, err = a.Run(15*time.Second, "ip", "-br", "-4", "addr", "show", Device); err != nil || !strings.Contains(res.Stdout, "10.88.0.1/24") {
		t.Errorf("commands do not run in the namespace: %v %+v", err, res)
	}
	if _, err = a.Run(50*time.Millisecond, "sleep", "30"); !errors.Is(err, ErrStillRunning) {
		t.Errorf("timeout gave %v", err)
	}
	if _, err = a.Run(time.Second, "/no/such/program"); err == nil {
		t.Error("a missing program gave no error")
	}

	p, err := a.Start(Spec{
		Argv: []string{"sh", "-c", `trap 'echo bye $X; exit 6' TERM; echo ready >&2; while :; do sleep 0.01; done`},
		Env:  []string{"X=7"},
	})
	must(t, err)
	must(t, p.WaitLog("ready", 15*time.Second))
	if err := p.WaitLog("nothing like that", 30*time.Millisecond); !errors.Is(err, ErrNoLine) {
		t.Errorf("waiting for a line that never comes gave %v", err)
	}
	p.Signal(syscall.SIGTERM)
	if res, err = p.WaitFor(15 * time.Second); err != nil || res.Code != 6 || res.Stdout != "bye 7\n" {
		t.Errorf("after SIGTERM: %v %+v", err, res)
	}
	if err := p.WaitLog("nothing like that", time.Minute); !errors.Is(err, ErrNoLine) {
		t.Errorf("waiting for a line of a dead process gave %v", err)
	}

	if p, err = a.Start(Spec{Argv: []string{"sleep", "30"}}); err != nil {
		t.Fatal(err)
	}
	p.Kill()
	if res, _ = p.Wait(context.Background()); res.Code != 128+9 {
		t.Errorf("killed by signal 9: code %d", res.Code)
	}
}

func TestCapture(t *testing.T) {
	Require(t, "tshark")
	l := New(t, Config{Receivers: 1})
	s, a := l.Sender(), l.Receiver(0)
	conn := listen(t, s, 5555, "")
	listen(t, a, 1044, "")
	record := func(payloads ...[]byte) *Capture {
		t.Helper()
		cp, err := s.Capture(filepath.Join(t.TempDir(), "x.pcap"))
		must(t, err)
		for _, b := range payloads {
			if _, err := conn.WriteToUDP(b, &net.UDPAddr{IP: net.ParseIP("10.88.0.1"), Port: 1044}); err != nil {
				t.Fatal(err)
			}
		}
		// The first waits for the address of the other side.
		for end := time.Now().Add(time.Minute); ; time.Sleep(pollEvery) {
			if packets, _ := cp.SoFar(); len(packets) >= len(payloads) {
				break
			} else if time.Now().After(end) {
				t.Fatalf("%d of %d datagrams recorded", len(packets), len(payloads))
			}
		}
		return cp
	}
	// DONE with one UID, see docs/protocol.md, "Header" and "DONE".
	good := []byte{0x40, 10, 0, 1, 10, 88, 0, 100, 1, 2, 3, 4, 0, 0x6a, 0x18, 0, 10, 2, 0, 1, 0, 0, 0, 0, 10, 88, 0, 1}
	cp := record(good, good)
	must(t, cp.Check())
	packets, err := cp.Packets()
	must(t, err)
	if len(packets) != 2 || packets[0].Func() != 10 || packets[1].Src.Port() != 5555 || packets[1].Dst.String() != "10.88.0.1:1044" || packets[0].TTL != 64 {
		t.Errorf("captured %+v", packets)
	}
	if err := record(good, good[:20]).Check(); !errors.Is(err, ErrMalformed) {
		t.Errorf("a datagram cut in its message passed: %v", err)
	}
	if err := record().Check(); !errors.Is(err, ErrMalformed) {
		t.Errorf("an empty capture passed: %v", err)
	}
	cp = record()
	cp.proc.Signal(syscall.SIGSTOP)
	const many = 5000
	for range many {
		_, err := conn.WriteToUDP(good, &net.UDPAddr{IP: net.ParseIP("10.88.0.1"), Port: 1044})
		must(t, err)
	}
	cp.proc.Signal(syscall.SIGCONT)
	if packets, err = cp.Packets(); err != nil || len(packets) != many || cp.Missed() != 0 {
		t.Errorf("a late tcpdump records %d of %d datagrams and misses %d: %v", len(packets), many, cp.Missed(), err)
	}
}

func TestTwoLabsAndCleanUp(t *testing.T) {
	Require(t)
	one, err := Open(Config{Receivers: 1})
	must(t, err)
	two := New(t, Config{Receivers: 1})
	bg, err := one.Sender().Start(Spec{Argv: []string{"sh", "-c", "setsid sleep 1000 & echo $!; wait"}})
	must(t, err)
	must(t, bg.WaitLog("\n", 15*time.Second))
	pid := strings.TrimSpace(bg.Stdout())
	name := one.name
	must(t, one.Close())
	if left, _ := filepath.Glob(filepath.Join(netnsDir, name+"-*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	if state, err := os.ReadFile("/proc/" + pid + "/stat"); err == nil && !strings.Contains(string(state), ") Z ") {
		t.Errorf("a background process outlives its lab: %s", state)
	}
	c := listen(t, two.Receiver(0), 2000, "")
	send(t, listen(t, two.Sender(), 0, ""), "10.88.0.1", 2000, 1, 9)
	if got := count(t, c, 1); got != 1 {
		t.Error("closing one lab broke another")
	}

	// A lab of a process that is gone: a finished child's ID serves as its name.
	child := exec.Command("true")
	must(t, child.Run())
	dead := namePrefix + strconv.Itoa(child.Process.Pid) + "x1-s"
	must(t, ipBatch("", "netns add "+dead+"\n"))
	sweep()
	if _, err := os.Stat(filepath.Join(netnsDir, dead)); err == nil {
		t.Errorf("%s was not swept", dead)
	}
	if _, err := os.Stat(filepath.Join(netnsDir, two.sender.ns)); err != nil {
		t.Errorf("sweep took a living lab: %v", err)
	}
	if _, err := Open(Config{Receivers: MaxReceivers + 1}); !errors.Is(err, ErrReceivers) {
		t.Errorf("too many receivers gave %v", err)
	}
}

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	in := func(parts ...string) string { return filepath.Join(append([]string{dir}, parts...)...) }
	for _, side := range []string{"a", "b"} {
		must(t, WriteRandom(in(side, "sub/f"), 100_000, 7))
		must(t, os.MkdirAll(in(side, "empty"), 0o755))
		must(t, os.Symlink("sub/f", in(side, "ln")))
		must(t, os.Chtimes(in(side, "sub/f"), time.Time{}, time.Unix(1e9, 5)))
		must(t, os.Chmod(in(side, "sub"), 0o755))
	}
	must(t, SameTree(in("a"), in("b")))
	names, err := List(in("a"))
	if want := []string{"empty/", "ln -> sub/f", "sub/f"}; err != nil || strings.Join(names, "|") != strings.Join(want, "|") {
		t.Errorf("List: %q %v, want %q", names, err, want)
	}
	tests := []struct {
		name     string
		do, undo func() error
	}{
		{"content", func() error { return WriteRandom(in("b/sub/f"), 100_000, 8) }, func() error { return WriteRandom(in("b/sub/f"), 100_000, 7) }},
		{"size", func() error { return os.Truncate(in("b/sub/f"), 99_999) }, func() error { return WriteRandom(in("b/sub/f"), 100_000, 7) }},
		{"time", func() error { return os.Chtimes(in("b/sub/f"), time.Time{}, time.Unix(1e9+1, 0)) }, nil},
		{"file mode", func() error { return os.Chmod(in("b/sub/f"), 0o600) }, func() error { return os.Chmod(in("b/sub/f"), 0o644) }},
		{"directory mode", func() error { return os.Chmod(in("b/empty"), 0o700) }, func() error { return os.Chmod(in("b/empty"), 0o755) }},
		{"missing", func() error { return os.Remove(in("b/ln")) }, func() error { return os.Symlink("sub/f", in("b/ln")) }},
		{"link text", func() error { os.Remove(in("b/ln")); return os.Symlink("sub", in("b/ln")) }, func() error { os.Remove(in("b/ln")); return os.Symlink("sub/f", in("b/ln")) }},
		{"extra", func() error { return WriteRandom(in("b/x"), 0, 0) }, func() error { return os.Remove(in("b/x")) }},
	}
	for _, tt := range tests {
		must(t, tt.do())
		if err := SameTree(in("a"), in("b")); !errors.Is(err, ErrDiffer) {
			t.Errorf("a difference in %s gave %v", tt.name, err)
		}
		if tt.undo != nil {
			must(t, tt.undo())
		}
		must(t, os.Chtimes(in("b/sub/f"), time.Time{}, time.Unix(1e9, 0)))
		must(t, SameTree(in("a"), in("b")))
	}
}

// TestAround runs programs in namespaces of another one, and leaves them there.
func TestAround(t *testing.T) {
	l := New(t, Config{Receivers: 1})
	s, r := l.Sender(), l.Receiver(0)
	around := Around([]Place{{s.ns, s.IPv4}, {r.ns, r.IPv4}})
	if got := around.Receiver(0).UID(); got != r.UID() || around.Receiver(0).Name != "A" {
		t.Errorf("the receiver is %s with UID %s, want A with %s", around.Receiver(0).Name, got, r.UID())
	}
	p, err := around.Receiver(0).Start(Spec{Argv: []string{"sleep", "100"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := around.Close(); err != nil || !p.Exited() {
		t.Errorf("%v, process ended: %v; want it to end with the lab around it", err, p.Exited())
	}
	if res, err := s.Run(15*time.Second, "true"); err != nil || res.Code != 0 {
		t.Errorf("%+v, %v, want the namespaces to stay", res, err)
	}
}

// A daemon that went into the background has given its port back when a lab is reset.
func TestResetFreesPorts(t *testing.T) {
	Require(t, "iperf3")
	l := New(t, Config{Receivers: 1})
	h := l.Receiver(0)
	for i := range 20 {
		res, err := h.Run(15*time.Second, "iperf3", "-s", "-D", "-p", "5201")
		must(t, err)
		taken := func() bool {
			return h.Do(func() error {
				c, err := net.Listen("tcp4", ":5201")
				if err == nil {
					c.Close()
				}
				return err
			}) != nil
		}
		// We look the port up. To try it would be to occupy it for a moment.
		listens := func() bool {
			var text []byte
			must(t, h.Do(func() error {
				for _, family := range []string{"tcp", "tcp6"} {
					part, err := os.ReadFile("/proc/thread-self/net/" + family)
					if err != nil {
						return err
					}
					text = append(text, part...)
				}
				return nil
			}))
			return bytes.Contains(text, []byte(":1451 "))
		}
		for end := time.Now().Add(30 * time.Second); !listens(); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("iperf3 does not listen: %+v", res)
			}
		}
		must(t, l.Reset())
		if taken() {
			t.Fatalf("round %d: the port of a killed daemon is still taken", i)
		}
	}
}
