package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"uftp/tools/netlab"
)

// needTap is where tests about TAP devices end that cannot have them.
func needTap(t *testing.T) {
	t.Helper()
	fd, err := unix.Open(tunDevice, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err == nil {
		unix.Close(fd)
		return
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("%s: %v", tunDevice, err)
	}
	t.Skipf("not run: %s: %v", tunDevice, err)
}

// TestKinds: both kinds of interfaces in namespaces have the addresses, the MTU and
// a way for groups, carry datagrams of the whole MTU and super-frames, and go at the
// end with the namespaces.
func TestKinds(t *testing.T) {
	require(t)
	for _, kind := range []string{kindTap, kindVeth} {
		if kind == kindTap {
			needTap(t)
		}
		s := start(t, "-k", kind, "-m", "4000", "-d", "1ms")
		if !strings.Contains(s.stderr.String(), "2 namespaces with "+kind+" devices") {
			t.Errorf("%s: not said: %s", kind, s.stderr)
		}
		if text := s.command(s.hub, "ip", "-d", "link", "show", "eth0"); !strings.Contains(text, "mtu 4000") || !strings.Contains(text, map[string]string{kindTap: "tun type tap", kindVeth: "veth"}[kind]) {
			t.Errorf("%s: eth0 is %s", kind, text)
		}
		if text := s.command(s.hub, "ip", "route", "get", "230.4.4.1"); !strings.Contains(text, "dev eth0 src "+hub4) {
			t.Errorf("%s: the way to groups is %s", kind, text)
		}
		sink, source := udp(t, s.remote, remote4, 7003), udp(t, s.hub, hub4, 7004)
		raw, err := source.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.IPPROTO_UDP, unix.UDP_SEGMENT, 1000) })
		if err != nil {
			t.Fatal(err)
		}
		got := make(chan []arrival)
		go func() { got <- arrivals(sink, 11, 200*time.Millisecond) }()
		for _, n := range []int{1000, 8500, 600} {
			if _, err := source.WriteToUDP(make([]byte, n), to(remote4, 7003)); err != nil {
				t.Fatal(err)
			}
		}
		var sizes []int
		for _, a := range <-got {
			sizes = append(sizes, len(a.data))
		}
		if want := append(slices.Repeat([]int{1000}, 9), 500, 600); !slices.Equal(sizes, want) {
			t.Errorf("%s: datagrams of %d bytes arrive, want %d", kind, sizes, want)
		}
		echoed := udp(t, s.remote, remote4, 7005)
		go echo(echoed)
		big := udp(t, s.hub, hub4, 7006)
		if _, err := big.WriteToUDP(make([]byte, 4000-28), to(remote4, 7005)); err != nil {
			t.Fatal(err)
		}
		if a := arrivals(big, 1, 200*time.Millisecond); len(a) != 1 || len(a[0].data) != 4000-28 {
			t.Errorf("%s: %d datagrams of a whole MTU come back, want 1", kind, len(a))
		}
		doc := s.end()
		for _, d := range doc.Direction {
			if d.Artefacts != (directionJ{}).Artefacts || d.Frames == 0 {
				t.Errorf("%s: %+v, want frames and no artefacts", kind, d)
			}
		}
		for _, ns := range []string{s.hub, s.remote} {
			if _, err := os.Stat("/run/netns/" + ns); err == nil {
				t.Errorf("%s: namespace %s is left behind", kind, ns)
			}
		}
	}
}

// TestKindsAfterSignals: namespaces go after SIGINT as after SIGTERM, and when they
// cannot be made whole, those made before go too.
func TestKindsAfterSignals(t *testing.T) {
	require(t)
	s := start(t)
	s.cmd.Process.Signal(syscall.SIGINT)
	s.ended = true
	if err := s.cmd.Wait(); err != nil {
		t.Errorf("SIGINT: %v: %s", err, s.stderr)
	}
	dir, err := build()
	if err != nil {
		t.Fatal(err)
	}
	one, two := s.hub, s.remote
	// No interface takes an address twice; that shows after all was made.
	out, err := exec.Command(filepath.Join(dir, "uftp-linksim"), "-t", "30s", "-n", one+","+two,
		"-a", "10.0.0.1/8,10.0.0.2/8,10.0.0.3/8,10.0.0.2/8").CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 5 || !strings.Contains(string(out), "ip -n "+two+" addr add") {
		t.Errorf("an address that cannot be: %v: %s, want exit code 5 and the command", err, out)
	}
	for _, ns := range []string{one, two} {
		if _, err := os.Stat("/run/netns/" + ns); err == nil {
			t.Errorf("namespace %s is left behind", ns)
		}
	}
}

// TestKindWithoutTun: where the file of TAP devices is missing, veths take their place,
// unless the user insists.
func TestKindWithoutTun(t *testing.T) {
	netlab.Require(t, "go", "unshare", "mount")
	t.Parallel()
	dir, err := build()
	if err != nil {
		t.Fatal(err)
	}
	prefix := fmt.Sprintf("lsim%dw", os.Getpid())
	for kind, want := range map[string]struct {
		code int
		text string
	}{
		kindAny: {0, "2 namespaces with veth devices"},
		kindTap: {5, tunDevice + ": no such file"},
	} {
		// A mount namespace of its own, so that no other process misses the file.
		out, err := exec.Command("unshare", "-m", "sh", "-c", `mount -t tmpfs none /dev/net && exec "$@"`, "sh",
			filepath.Join(dir, "uftp-linksim"), "-n", prefix+"a,"+prefix+"b", "-k", kind, "-t", "300ms").CombinedOutput()
		code := 0
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			code = exit.ExitCode()
		}
		if code != want.code || !strings.Contains(string(out), want.text) {
			t.Errorf("-k %s: %v: %s, want exit code %d and %q", kind, err, out, want.code, want.text)
		}
		if left, err := filepath.Glob("/run/netns/" + prefix + "*"); err != nil || len(left) > 0 {
			t.Errorf("-k %s leaves %v", kind, left)
		}
	}
}

// TestKindsGone: an interface that its user deletes ends the command, which says which
// one it was.
func TestKindsGone(t *testing.T) {
	require(t)
	for _, kind := range []string{kindTap, kindVeth} {
		if kind == kindTap {
			needTap(t)
		}
		s := start(t, "-k", kind)
		s.command(s.remote, "ip", "link", "del", "eth0")
		s.ended = true
		err := s.cmd.Wait()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 2 || !strings.Contains(s.stderr.String(), "interface "+s.remote+":eth0 is gone") {
			t.Errorf("%s: %v, want exit code 2: %s", kind, err, s.stderr)
		}
		if _, err := os.Stat("/run/netns/" + s.hub); err == nil {
			t.Errorf("%s: a namespace is left behind", kind)
		}
	}
}

// TestStar: what the hub sends goes to every end through a link with luck of its own
// and a return channel of its own; ends do not hear each other.
func TestStar(t *testing.T) {
	require(t)
	for _, kind := range []string{kindTap, kindVeth} {
		if kind == kindTap {
			needTap(t)
		}
		prefix := fmt.Sprintf("lsim%ds%s", os.Getpid(), kind)
		const links = 5
		names := []string{prefix + "h"}
		for i := range links {
			names = append(names, fmt.Sprint(prefix, i+1))
		}
		s := launch(t, "uftp-linksim", "-n", strings.Join(names, ","), "-k", kind, "-d", "10ms", "-l", "down=20%", "-r", "up=256k", "-s", "5")
		group := net.IPv4(239, 1, 2, 3)
		var sinks []*net.UDPConn
		for i, ns := range names[1:] {
			inside(t, ns, func() error {
				ifi, err := net.InterfaceByName("eth0")
				if err != nil {
					return err
				}
				c, err := net.ListenMulticastUDP("udp4", ifi, &net.UDPAddr{IP: group, Port: 7003})
				if err == nil {
					forceBuffer(t, c)
					sinks = append(sinks, c)
					t.Cleanup(func() { c.Close() })
				}
				return err
			})
			go echo(udp(t, ns, fmt.Sprintf("198.18.0.%d", i+2), 7001))
		}
		results := make([][]arrival, links)
		var readers sync.WaitGroup
		for i, c := range sinks {
			readers.Go(func() { results[i] = arrivalsToEnd(c) })
		}
		source := udp(t, names[0], hub4, 7004)
		const n = 2000
		for i := range n {
			if _, err := source.WriteToUDP([]byte{byte(i >> 8), byte(i), 9, 9}, &net.UDPAddr{IP: group, Port: 7003}); err != nil {
				t.Fatal(err)
			}
			if i%20 == 0 {
				time.Sleep(2 * time.Millisecond)
			}
		}
		sayEnd(t, source, &net.UDPAddr{IP: group, Port: 7003}, &readers)
		var seen []map[int]bool
		for i := range results {
			m := map[int]bool{}
			for _, a := range results[i] {
				m[int(a.data[0])<<8|int(a.data[1])] = true
			}
			if len(m) < n*77/100 || len(m) > n*83/100 {
				t.Errorf("%s: %d of %d arrive at end %d, want 80%%", kind, len(m), n, i+1)
			}
			for j, other := range seen {
				both := 0
				for k := range m {
					if other[k] {
						both++
					}
				}
				if both < n*59/100 || both > n*69/100 {
					t.Errorf("%s: %d of %d arrive at ends %d and %d, want 64%%: they know nothing of each other", kind, both, n, j+1, i+1)
				}
			}
			seen = append(seen, m)
		}
		// Replies come back, from each end; between ends there is no way.
		for i := range links {
			answered := false
			c := udp(t, names[0], hub4, 7010+i)
			for end := time.Now().Add(patience); !answered && time.Now().Before(end); {
				c.WriteToUDP([]byte("?"), to(fmt.Sprintf("198.18.0.%d", i+2), 7001))
				answered = len(arrivals(c, 0, 300*time.Millisecond)) > 0
			}
			if !answered {
				t.Errorf("%s: end %d does not answer", kind, i+1)
			}
		}
		ends := udp(t, names[1], "198.18.0.2", 7020)
		for range 3 {
			ends.WriteToUDP([]byte("?"), to("198.18.0.3", 7001)) // the address stays unknown
		}
		if a := arrivals(ends, 0, 500*time.Millisecond); len(a) > 0 {
			t.Errorf("%s: one end hears another", kind)
		}
		doc := s.end()
		if len(doc.Direction) != 2*links || doc.Hub != names[0]+":eth0" {
			t.Fatalf("%s: %+v, want two directions for each link", kind, doc)
		}
		down := doc.Direction[0]
		for i := range links {
			d, u := doc.Direction[2*i], doc.Direction[2*i+1]
			if d.End != names[i+1]+":eth0" || u.End != d.End || d.Name != "down" || u.Name != "up" {
				t.Errorf("%s: link %d is %s %s, %s %s", kind, i+1, d.End, d.Name, u.End, u.Name)
			}
			if d.Frames != down.Frames || d.Bytes != down.Bytes || d.LostSingle == 0 {
				t.Errorf("%s: link %d: %+v, want all that the hub sent, and loss", kind, i+1, d)
			}
			if u.Passed == 0 || u.Artefacts != (directionJ{}).Artefacts || d.Artefacts != (directionJ{}).Artefacts {
				t.Errorf("%s: link %d: %+v, want answers and no artefacts", kind, i+1, u)
			}
		}
	}
}

// TestPresetsLive: every preset carries frames both ways with the delay that it
// promises.
func TestPresetsLive(t *testing.T) {
	require(t)
	for preset, least := range map[string]time.Duration{"geo": 600 * time.Millisecond, "leo": 44 * time.Millisecond, "wifi": 4 * time.Millisecond, "lan10g": 20 * time.Microsecond} {
		t.Run(preset, func(t *testing.T) {
			t.Parallel()
			s := start(t, "-p", preset)
			go echo(udp(t, s.remote, remote4, 7001))
			c := udp(t, s.hub, hub4, 7002)
			best, answers := time.Hour, 0
			var began [40]time.Time
			for i := range began {
				began[i] = time.Now()
				if _, err := c.WriteToUDP([]byte{byte(i)}, to(remote4, 7001)); err != nil {
					t.Fatal(err)
				}
				for _, a := range arrivals(c, 0, 2*least+200*time.Millisecond) { // or later
					best = min(best, a.at.Sub(began[a.data[0]]))
					answers++
				}
				if answers >= 2 {
					break
				}
			}
			if answers == 0 || best < least {
				t.Errorf("%d answers, the first after %v, want at least %v", answers, best, least)
			}
			for _, d := range s.end().Direction {
				if d.Passed == 0 || d.Artefacts != (directionJ{}).Artefacts {
					t.Errorf("%+v, want frames and no artefacts", d)
				}
			}
		})
	}
}

// TestTxDropped reads the kernel's table of interfaces.
func TestTxDropped(t *testing.T) {
	const head = "Inter-|   Receive                                                |  Transmit\n" +
		" face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n"
	for _, tt := range []struct {
		why, table string
		want       uint64
		ok         bool
	}{
		{"the twelfth column", head + "    lo: 1 2 3 4 5 6 7 8 9 10 11 99 13 14 15 16\n  eth0:    1       2    3    4    5     6          7         8     9      10   11   12    13    14      15         16\n", 12, true},
		{"no space behind the colon", "eth0:1 2 3 4 5 6 7 8 9 10 11 18446744073709551615 13", 1<<64 - 1, true},
		{"another interface", head + " eth01: 1 2 3 4 5 6 7 8 9 10 11 12\n", 0, false},
		{"cut off", "eth0: 1 2 3", 0, false},
		{"no number", "eth0: 1 2 3 x", 0, false},
		{"nothing", "", 0, false},
	} {
		if got, ok := txDropped([]byte(tt.table), []byte("eth0:")); got != tt.want || ok != tt.ok {
			t.Errorf("%s: %d, %v, want %d, %v", tt.why, got, ok, tt.want, tt.ok)
		}
	}
}

// TestCaptureOverSatellite: what our sender and receiver capture of their session over
// preset geo, with bursts that take 5 % each way, can be inspected, extracted and
// played into our receiver, and into our sender. A replay keeps time exactly; programs
// that a busy machine holds up may answer otherwise, and then it is tried again.
func TestCaptureOverSatellite(t *testing.T) {
	require(t)
	differs := captureOverSatellite(t)
	for try := 0; differs != "" && try < 3 && !t.Failed(); try++ {
		t.Logf("tried again: %s", differs)
		differs = captureOverSatellite(t)
	}
	if differs != "" {
		t.Error(differs)
	}
}

// captureOverSatellite does it once, and returns what a replay found to differ.
func captureOverSatellite(t *testing.T) (differs string) {
	s := start(t, "-p", "geo", "-b", "5%:5ms", "-s", "4")
	bin, err := build()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	if err := os.Mkdir(in("dest"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := netlab.WriteRandom(in("scene.tif"), 3_000_000, 9); err != nil {
		t.Fatal(err)
	}
	lab := netlab.Around([]netlab.Place{{Namespace: s.hub, IPv4: netip.MustParseAddr(hub4)}, {Namespace: s.remote, IPv4: netip.MustParseAddr(remote4)}})
	defer lab.Close()
	rx, err := lab.Receiver(0).Start(netlab.Spec{Argv: []string{filepath.Join(bin, "uftpd"), "-d", "-q", "-I", "eth0", "-D", in("dest"), "--pcap", in("there.pcap")}})
	if err != nil {
		t.Fatal(err)
	}
	if err := rx.WaitUDP(1044, patience); err != nil {
		t.Fatal(err, rx.Stderr())
	}
	res, err := lab.Sender().Run(2*time.Minute, filepath.Join(bin, "uftp"), "-I", "eth0", "-R", "20000", "-H", lab.Receiver(0).UID(), "--pcap", in("here.pcap"), in("scene.tif"))
	if err != nil || res.Code != 0 {
		t.Fatalf("uftp ends with %d, %v: %s", res.Code, err, res.Stderr)
	}
	rx.Signal(syscall.SIGTERM) // the capture is whole at the end
	if res, err := rx.WaitFor(patience); err != nil {
		t.Fatalf("uftpd: %v: %s", err, res.Stderr)
	}
	if lost := s.end().Direction[0].LostBurst; lost == 0 {
		t.Error("no burst took anything")
	}
	for _, args := range [][]string{
		{"inspect", "--summary", in("there.pcap")}, {"inspect", "--summary", in("here.pcap")},
		{"extract", in("there.pcap"), in("out.there")}, {"extract", in("here.pcap"), in("out.here")},
		{"receiver", in("there.pcap")}, {"sender", in("here.pcap")},
	} {
		out, err := exec.Command(filepath.Join(bin, "uftp-replay"), args...).CombinedOutput()
		switch played := args[0] == "receiver" || args[0] == "sender"; {
		case strings.Contains(string(out), "anomaly"), err != nil && !played:
			t.Errorf("uftp-replay %v: %v: %s", args, err, out)
		case err != nil:
			differs += fmt.Sprintf("uftp-replay %v: %v: %s", args, err, out)
		}
	}
	for _, from := range []string{"there", "here"} {
		found, err := filepath.Glob(in("out." + from + "/*/scene.tif"))
		if err != nil || len(found) != 1 {
			t.Errorf("extracted from what was captured %s: %v, want the file", from, found)
			continue
		}
		if err := netlab.SameContent(in("scene.tif"), found[0]); err != nil {
			t.Error(err)
		}
	}
	if err := netlab.SameContent(in("scene.tif"), in("dest/scene.tif")); err != nil {
		t.Error(err)
	}
	return differs
}
