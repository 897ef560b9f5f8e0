package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"uftp/tools/netlab"
)

// TestGeo: a round trip of 600 ms for both families, with ARP and ND; 256 kbit/s on
// the way back, of which the queue keeps a second.
func TestGeo(t *testing.T) {
	require(t)
	s := start(t, "-p", "geo")
	for _, ends := range [][2]string{{hub4, remote4}, {hub6, remote6}} {
		go echo(udp(t, s.remote, ends[1], 7001))
		if rtt := roundTrip(t, udp(t, s.hub, ends[0], 7002), to(ends[1], 7001), 700*time.Millisecond); rtt < 600*time.Millisecond || rtt > 700*time.Millisecond {
			t.Errorf("round trip to %s: %v, want 600 ms and a little for the rate", ends[1], rtt)
		}
	}
	// 60 datagrams at once: 1442 bytes as frames, 45 ms each at 256 kbit/s. A busy machine
	// may be late with the first or the last one: then it is tried again.
	const at, gap = 60, 1442 * 8 / 256e3 // s
	sink := udp(t, s.hub, hub4, 7003)
	source := udp(t, s.remote, remote4, 7004)
	var arrived []int
	for rate := 0.0; rate < 235_000 || rate > 265_000; {
		if len(arrived) == 20 {
			t.Fatalf("%.0f bit/s on the way back, want 256000", rate)
		}
		var got []arrival
		var reader sync.WaitGroup
		reader.Go(func() { got = arrivalsToEnd(sink) })
		for range at {
			if _, err := source.WriteToUDP(make([]byte, 1400), to(hub4, 7003)); err != nil {
				t.Fatal(err)
			}
		}
		sayEnd(t, source, to(hub4, 7003), &reader)
		arrived = append(arrived, len(got))
		// No datagram is early, so the least late one of each half shows the pace.
		if half := len(got) / 2; half > 0 {
			late := [2]float64{math.Inf(1), math.Inf(1)}
			for i, a := range got[:2*half] {
				late[i/half] = min(late[i/half], a.at.Sub(got[0].at).Seconds()-float64(i)*gap)
			}
			rate = 1442 * 8 / (gap + (late[1]-late[0])/float64(half))
		}
	}
	doc := s.end()
	lines := s.frames("up", 1442)
	if len(lines) != at*len(arrived) {
		t.Fatalf("%d frames in the log, want %d", len(lines), at*len(arrived))
	}
	dropped := 0
	for try, n := range arrived {
		var passed []logLine
		all := lines[at*try : at*(try+1)]
		for _, l := range all {
			if l.Fate == "pass" {
				passed = append(passed, l)
			}
		}
		left := int((all[at-1].T - all[0].T) / gap) // while they came
		if n != len(passed) || n < 21 || n > 23+left {
			t.Fatalf("%d of 60 datagrams arrive, %d by the log, want the 22 that a queue of 32 KiB holds and at most %d more", n, len(passed), left+1)
		}
		dropped += at - n
		for i, l := range passed[1:] {
			// One that comes when the one before has left need not wait.
			if want := max(l.T, passed[i].Sent) + gap; math.Abs(l.Sent-want) > 1e-6 {
				t.Fatalf("datagram %d leaves at %v s, want %v s", i+1, l.Sent, want)
			}
		}
	}
	if up := doc.Direction[1]; up.LostQueue < uint64(dropped) || up.QueuePeakB > 32<<10 || doc.Preset != "geo" {
		t.Errorf("%+v, want %d dropped by the queue", up, dropped)
	}
}

// TestFrames: what is no IP passes as it is, with its tags, groups and length.
func TestFrames(t *testing.T) {
	require(t)
	s := start(t)
	open := func(ns string) (p *port) {
		inside(t, ns, func() (err error) {
			p, err = openPort("eth0")
			return err
		})
		t.Cleanup(p.close)
		return p
	}
	source, sink := open(s.hub), open(s.remote)
	var out txSide
	out.link()
	head := []byte{0x01, 0, 0x5e, 1, 2, 3, 2, 0, 0, 0, 0, 9}
	for _, tt := range []struct {
		name string
		tail []byte
		size int
	}{
		{"a group and a kind of its own", []byte{0x88, 0xb5}, 60},
		{"short", []byte{0x88, 0xb5, 1}, 15},
		{"in a VLAN with a priority", []byte{0x81, 0, 0x60, 7, 0x88, 0xb5}, 100},
		{"in two VLANs", []byte{0x88, 0xa8, 0, 9, 0x81, 0, 0, 7, 0x88, 0xb5}, 1514},
	} {
		frame := append(append(make([]byte, vnetLen), head...), tt.tail...)
		for i := len(frame); i < vnetLen+tt.size; i++ {
			frame = append(frame, byte(i))
		}
		out.load(0, frame)
		if n, err := source.send(&out, 0, 1); n != 1 {
			t.Fatalf("%s: %v", tt.name, err)
		}
		var got []byte
		for until := time.Now().Add(patience); got == nil && time.Now().Before(until); time.Sleep(5 * time.Millisecond) {
			n, err := sink.receive()
			if err != nil {
				t.Fatal(err)
			}
			for i := range n {
				if f, _, ok := sink.frame(i); ok && bytes.HasPrefix(f, head) {
					got = bytes.Clone(f)
				}
			}
		}
		if !bytes.Equal(got, frame[vnetLen:]) {
			t.Errorf("%s: %x arrives, want %x", tt.name, got, frame[vnetLen:])
		}
	}
}

// TestLossLogOutage: what arrives is what the log says, the share lost what was
// asked for, the outage as long as it was to be; the same seed loses the same.
func TestLossLogOutage(t *testing.T) {
	require(t)
	var fates [2]map[uint64]string
	for run := range fates {
		s := start(t, "-d", "20ms", "-l", "down=8%", "-b", "down=4%:10", "-O", "down=2500ms+1s", "-s", "77")
		for _, ns := range []string{s.hub, s.remote} { // only our frames shall be counted
			s.command(ns, "ip", "link", "set", "eth0", "arp", "off")
		}
		sink, source := udp(t, s.remote, remote4, 7003), udp(t, s.hub, hub4, 7004)
		mac := strings.Fields(s.command(s.remote, "cat", "/sys/class/net/eth0/address"))[0]
		s.command(s.hub, "ip", "neigh", "replace", remote4, "lladdr", mac, "dev", "eth0")
		var got []arrival
		var reader sync.WaitGroup
		reader.Go(func() { got = arrivalsToEnd(sink) })
		const n = 4000
		for i := range n {
			source.WriteToUDP(binary.BigEndian.AppendUint32(make([]byte, 196), uint32(i)), to(remote4, 7003))
			time.Sleep(time.Millisecond)
		}
		sayEnd(t, source, to(remote4, 7003), &reader)
		doc := s.end()
		lines := s.frames("down", 242)
		if len(lines) != n {
			t.Fatalf("%d frames in the log, want %d", len(lines), n)
		}
		next, out := 0, 0
		fates[run] = map[uint64]string{}
		for i, l := range lines {
			fates[run][l.N] = l.Fate
			if in := l.Sent >= 2.5 && l.Sent < 3.5; in != (l.Fate == "outage") {
				t.Fatalf("frame %d at %v s: %q, want the outage from 2.5 s to 3.5 s", i, l.Sent, l.Fate)
			} else if in {
				out++
			}
			if l.Fate != "pass" {
				continue
			}
			if next == len(got) {
				t.Fatalf("datagram %d passed by the log, but did not arrive", i)
			}
			if num := binary.BigEndian.Uint32(got[next].data[196:]); num != uint32(i) {
				t.Fatalf("datagram %d arrives where the log lets %d pass", num, i)
			}
			if late := l.At - l.T; late < 0.0199 || late > 0.0201 {
				t.Fatalf("frame %d is to arrive after %v s, want 20 ms", i, late)
			}
			next++
		}
		if next != len(got) {
			t.Errorf("%d datagrams arrived, %d by the log", len(got), next)
		}
		d := doc.Direction[0]
		air := float64(d.Frames - d.LostEvent)
		if share := float64(d.LostSingle+d.LostBurst) / air; share < 0.08 || share > 0.16 {
			t.Errorf("%.3f lost, want 8%% and 4%% in bursts", share)
		}
		if out == 0 || d.LostEvent < uint64(out) || d.LostBurst == 0 || doc.Direction[1].LostSingle != 0 {
			t.Errorf("%+v, want losses of every kind downwards and none upwards", doc)
		}
	}
	// The outage hides some fates, at a moment that is not the same twice: what both
	// runs show must agree.
	again := 0
	for n, f := range fates[0] {
		g, both := fates[1][n]
		if !both || f == "outage" || g == "outage" {
			continue
		}
		if f != g {
			t.Errorf("frame %d: %q, and %q with the same seed", n, f, g)
		}
		if f != "pass" {
			again++
		}
	}
	if again < 100 {
		t.Errorf("%d losses came again, want hundreds", again)
	}
}

// TestDamageCopies: damaged frames are found by the checksum, although the sender
// left it to the card; copies arrive twice, held ones late. Two flipped bits can
// cancel in a sum of 16 bits: of 1 to 8 flips one in 200 is not found. Frames are held for
// longer than a busy machine lets us wait between two of them.
func TestDamageCopies(t *testing.T) {
	require(t)
	s := start(t, "-d", "5ms", "-c", "down=30%", "-D", "down=20%", "-o", "down=20%:100ms")
	sink, source := udp(t, s.remote, remote4, 7003), udp(t, s.hub, hub4, 7004)
	go echo(udp(t, s.remote, remote4, 7001))
	// Damaged ARP requests are repeated only after a second.
	mac := strings.Fields(s.command(s.remote, "cat", "/sys/class/net/eth0/address"))[0]
	s.command(s.hub, "ip", "neigh", "replace", remote4, "lladdr", mac, "dev", "eth0")
	var got []arrival
	var reader sync.WaitGroup
	reader.Go(func() { got = arrivalsToEnd(sink) })
	body := func(i int) []byte {
		b := make([]byte, 1000)
		r := rand.New(rand.NewPCG(1, uint64(i)))
		for j := range b {
			b[j] = byte(r.Uint32())
		}
		return binary.BigEndian.AppendUint32(b, uint32(i))
	}
	const n = 1500
	for i := range n {
		source.WriteToUDP(body(i), to(remote4, 7003))
		time.Sleep(500 * time.Microsecond)
	}
	time.Sleep(time.Second) // what is held comes before the end
	sayEnd(t, source, to(remote4, 7003), &reader)
	seen := map[uint32]int{}
	overtaken, missed, last := 0, 0, uint32(0)
	for _, a := range got {
		i := binary.BigEndian.Uint32(a.data[len(a.data)-4:])
		if len(a.data) != 1004 || i >= n || !bytes.Equal(a.data, body(int(i))) {
			missed++
			continue
		}
		if seen[i]++; i < last {
			overtaken++
		}
		last = max(last, i)
	}
	twice := 0
	for _, times := range seen {
		twice += times - 1
	}
	if missed > n*3/10*3/100 {
		t.Errorf("%d damaged datagrams got through, want the checksum to find nearly all", missed)
	}
	if len(seen) < n*63/100 || len(seen) > n*77/100 { // six standard deviations
		t.Errorf("%d of %d arrive whole, want 70%%", len(seen), n)
	}
	if twice < n*8/100 || twice > n*20/100 || overtaken < n*10/100 {
		t.Errorf("%d come twice, %d late; want 14%% and at least 10%% of %d", twice, overtaken, n)
	}
	if d := s.end().Direction[0]; d.Corrupted < n/4 || d.Duplicated < n/6 || d.Reordered < n/6 {
		t.Errorf("%+v, want damage, copies and reordering counted", d)
	}
}

// TestTCP: streams, for which kernels make super-frames, cross cut and whole.
func TestTCP(t *testing.T) {
	require(t)
	s := start(t, "-m", "9000", "-d", "2ms", "-r", "1G", "-l", "0.01%")
	data := make([]byte, 24<<20)
	rand.NewChaCha8([32]byte{1}).Read(data)
	for _, ends := range [][2]string{{s.remote, remote4}, {s.remote, remote6}, {s.hub, hub4}} {
		var l net.Listener
		inside(t, ends[0], func() (err error) {
			l, err = net.Listen("tcp", net.JoinHostPort(ends[1], "7005"))
			return err
		})
		sum := make(chan [32]byte)
		go func() {
			h := sha256.New()
			if c, err := l.Accept(); err == nil {
				io.Copy(h, c)
				c.Close()
			}
			sum <- [32]byte(h.Sum(nil))
		}()
		from := s.hub
		if ends[0] == s.hub {
			from = s.remote
		}
		inside(t, from, func() error {
			c, err := net.DialTimeout("tcp", l.Addr().String(), patience)
			if err != nil {
				l.Close()
				return err
			}
			_, err = c.Write(data)
			return errors.Join(err, c.Close())
		})
		if got := <-sum; got != sha256.Sum256(data) {
			t.Errorf("stream to %s is not what was sent", ends[1])
		}
		l.Close()
	}
	d := s.end().Direction[0]
	if mean := float64(d.Bytes) / float64(d.Frames); mean > 9014 || d.Frames < 2*uint64(len(data))/9000 || d.Artefacts.Unreadable+d.Artefacts.TooLong > 0 {
		t.Errorf("%+v: %.0f bytes a frame, want frames of the MTU and none unreadable", d, mean)
	}
}

// TestTransfers: our programs and the stock ones send a file over Wi-Fi, by
// multicast.
func TestTransfers(t *testing.T) {
	netlab.Require(t, "go", "uftp", "uftpd")
	t.Parallel()
	s := start(t, "-p", "wifi")
	ours, err := build()
	if err != nil {
		t.Fatal(err)
	}
	lab := netlab.Around([]netlab.Place{{Namespace: s.hub, IPv4: netip.MustParseAddr(hub4)}, {Namespace: s.remote, IPv4: netip.MustParseAddr(remote4)}})
	defer lab.Close()
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := netlab.WriteRandom(file, 4<<20, 3); err != nil {
		t.Fatal(err)
	}
	for i, bin := range []string{ours + "/", ""} {
		dest := filepath.Join(dir, fmt.Sprint("dest", i))
		if err := os.Mkdir(dest, 0o755); err != nil {
			t.Fatal(err)
		}
		rx, err := lab.Receiver(0).Start(netlab.Spec{Argv: []string{bin + "uftpd", "-d", "-q", "-I", "eth0", "-D", dest}})
		if err != nil {
			t.Fatal(err)
		}
		if err := rx.WaitUDP(1044, patience); err != nil {
			t.Fatal(err, rx.Stderr())
		}
		res, err := lab.Sender().Run(2*time.Minute, bin+"uftp", "-I", "eth0", "-R", "30000", file)
		if err != nil || res.Code != 0 {
			t.Errorf("%suftp ends with %d, %v: %s%s", bin, res.Code, err, res.Stderr, rx.Stderr())
		}
		rx.Signal(syscall.SIGTERM)
		if _, err := rx.WaitFor(patience); err != nil {
			t.Errorf("%suftpd: %v", bin, err)
		}
		if err := netlab.SameContent(file, filepath.Join(dest, "file")); err != nil {
			t.Errorf("%suftp: %v", bin, err)
		}
	}
	d := s.end().Direction[0]
	if d.LostBurst == 0 || d.Artefacts.Unreadable+d.Artefacts.TooLong+d.Artefacts.NoMemory > 0 {
		t.Errorf("%+v, want loss by the link alone", d)
	}
}

// TestInterfaces: two interfaces that are there, counters at intervals, and an
// interface that goes away.
func TestInterfaces(t *testing.T) {
	require(t)
	prefix := fmt.Sprintf("lsim%di", os.Getpid())
	ip := func(args ...string) {
		t.Helper()
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			t.Fatalf("ip %v: %v: %s", args, err, out)
		}
	}
	for _, ns := range []string{"m", "a", "b"} {
		ip("netns", "add", prefix+ns)
		t.Cleanup(func() { exec.Command("ip", "netns", "del", prefix+ns).Run() })
	}
	for i, ns := range []string{"a", "b"} {
		ip("-n", prefix+"m", "link", "add", "mid"+ns, "type", "veth", "peer", "name", "eth0", "netns", prefix+ns)
		ip("-n", prefix+"m", "link", "set", "mid"+ns, "up")
		ip("-n", prefix+ns, "addr", "add", fmt.Sprintf("198.18.0.%d/24", i+1), "dev", "eth0")
		ip("-n", prefix+ns, "link", "set", "eth0", "up")
	}
	ip("-n", prefix+"m", "addr", "add", "192.0.2.1/32", "dev", "mida")
	s := launch(t, "ip", "netns", "exec", prefix+"m", "uftp-linksim", "mida", "midb", "-d", "30ms", "-i", "1s")
	if !strings.Contains(s.stderr.String(), "Warning: this host has addresses on mida (192.0.2.1/32") {
		t.Errorf("no warning of the address: %s", s.stderr)
	}
	go echo(udp(t, prefix+"b", remote4, 7001))
	if rtt := roundTrip(t, udp(t, prefix+"a", hub4, 7002), to(remote4, 7001), 90*time.Millisecond); rtt < 60*time.Millisecond || rtt > 90*time.Millisecond {
		t.Errorf("round trip %v, want 60 ms", rtt)
	}
	s.waitFor(" up   ")
	ip("-n", prefix+"b", "link", "del", "eth0")
	s.ended = true
	err := s.cmd.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 2 || !strings.Contains(s.stderr.String(), "interface midb is gone") {
		t.Errorf("an interface that goes away: %v, want exit code 2: %s", err, s.stderr)
	}
}

// TestNamespaceExists: what others use is not touched; and counters on demand.
func TestNamespaceExists(t *testing.T) {
	require(t)
	s := start(t, "-t", "10m")
	dir, err := build()
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(filepath.Join(dir, "uftp-linksim"), "-n", "lsim-free,"+s.hub).CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 5 || !strings.Contains(string(out), "namespace "+s.hub+" exists") {
		t.Errorf("%v: %s, want exit code 5 and the reason", err, out)
	}
	for ns, want := range map[string]bool{"lsim-free": false, s.hub: true} {
		if _, err := os.Stat("/run/netns/" + ns); (err == nil) != want {
			t.Errorf("namespace %s: %v", ns, err)
		}
	}
	if strings.Contains(s.stderr.String(), " up   ") {
		t.Errorf("counters that nobody asked for: %s", s.stderr)
	}
	s.cmd.Process.Signal(syscall.SIGUSR1)
	s.waitFor(" up   ")
	s.end()
	if _, err := os.Stat("/run/netns/" + s.hub); err == nil {
		t.Error("a namespace of its own is left behind")
	}
}

// TestTakeAllocatesNothing: the way of a frame from the socket's buffers to the
// schedule, whole or to be cut.
func TestTakeAllocatesNothing(t *testing.T) {
	o, err := parse("x", "y", "-l", "1%", "-D", "10%", "-c", "10%", "-j", "1ms")
	if err != nil {
		t.Fatal(err)
	}
	p := &port{fd: -1, mtu: 1500}
	p.rx.link()
	for i, s := range []super{{udp: true, payload: 1000, size: 1000}, {payload: 60000, size: 1400}} {
		frame, v, _ := s.build(t)
		if i == 0 {
			v.gso = gsoNone
		}
		raw := p.rx.bufs[i][headroom:]
		raw[0], raw[1] = v.flags, v.gso
		for j, n := range []uint16{v.size, v.csumStart, v.csumOffset} {
			binary.NativeEndian.PutUint16(raw[4+2*j:], n)
		}
		p.rx.heads[i].Len = uint32(vnetLen + copy(raw[vnetLen:], frame))
		p.rx.heads[i].Hdr.SetControllen(0)
	}
	d := fakeDirection(t, o, p)
	now := d.timer.start
	if n := testing.AllocsPerRun(500, func() {
		now = now.Add(time.Millisecond)
		d.take(now, 0)
		d.take(now, 1)
		for g := d.legs[0]; g.due.Len() > 0; {
			_, slot := g.due.Pop()
			d.free = append(d.free, slot)
		}
	}); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
	g := d.legs[0]
	if c := g.link.Counters(); c.Frames != 501*(1+43) || g.n.artefacts() > 0 {
		t.Errorf("%d frames, want 44 each time: %+v", c.Frames, g.n)
	}
}
