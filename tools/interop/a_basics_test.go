//go:build linux

package interop

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"uftp/tools/netlab"
	"uftp/wire"
)

// Message numbers, short.
const (
	announce    = uint8(wire.FuncAnnounce)
	register    = uint8(wire.FuncRegister)
	regConf     = uint8(wire.FuncRegConf)
	fileInfo    = uint8(wire.FuncFileInfo)
	fileInfoAck = uint8(wire.FuncFileInfoAck)
	fileSeg     = uint8(wire.FuncFileSeg)
	done        = uint8(wire.FuncDone)
	status      = uint8(wire.FuncStatus)
	complete    = uint8(wire.FuncComplete)
	doneConf    = uint8(wire.FuncDoneConf)
	abort       = uint8(wire.FuncAbort)
)

// basics is section A of the list.
var basics = []scenario{
	{id: "01", run: func(t *testing.T, e *env) {
		e.file("f1", 300_000)
		e.rx(e.A)
		e.rx(e.B)
		c := e.capture(e.S)
		e.txCode(0, "f1")
		e.got("f1", e.A, e.B)
		e.connect("success", uidA, uidB)
		e.result(uidA, "f1", "copy")
		e.result(uidB, "f1", "copy")
		e.want(len(e.lines("HSTATS")) == 1 && len(e.lines("STATS", uidA)) == 1 && len(e.lines("STATS", uidB)) == 1, "HSTATS and STATS lines, got %q", e.status())
		tr := e.packets(c)
		e.want(len(tr.of(announce)) == 10, "an open group is announced R times, got %d", len(tr.of(announce)))
		e.wellFormed(c)
	}},
	{id: "02", run: func(t *testing.T, e *env) {
		e.file("f1", 300_000)
		e.rx(e.A)
		e.rx(e.B)
		c := e.capture(e.S)
		e.txCode(0, "-r", "0.5", hAB, "f1") // announcements are 3·G = 1.5 s apart
		e.got("f1", e.A, e.B)
		e.result(uidA, "f1", "copy")
		e.result(uidB, "f1", "copy")
		tr := e.packets(c)
		reg, conf, info := tr.of(register), tr.of(regConf), tr.of(fileInfo)
		if len(reg) < 2 || len(conf) == 0 || len(info) == 0 {
			t.Fatalf("want REGISTER from both, REG_CONF and FILEINFO, got %d, %d, %d", len(reg), len(conf), len(info))
		}
		second := reg.where(func(p netlab.Packet) bool { return p.Src.Addr() != reg[0].Src.Addr() })[0]
		e.want(conf[len(conf)-1].Time.Sub(second.Time) < time.Second, "REG_CONF at once after the last REGISTER")
		e.want(info[0].Time.Sub(second.Time) < 1400*time.Millisecond, "FILEINFO 1·G after that")
		e.want(len(tr.of(announce)) <= 3, "no more ANNOUNCE than needed, got %d", len(tr.of(announce)))
	}},
	{id: "03", run: func(t *testing.T, e *env) {
		e.file("empty", 0)
		e.rx(e.A)
		e.txCode(0, hA, "empty")
		e.got("empty", e.A)
		e.result(uidA, "empty", "copy")
	}},
	{id: "04", run: func(t *testing.T, e *env) {
		e.tree()
		e.rx(e.A)
		c := e.capture(e.S)
		p := e.txStart(hA, "dirA", "emptydir", "f1", "link", "dangling", "fifo", "missing")
		res := e.end(p)
		e.want(res.Code == 0, "exit code 0 although operands are missing, got %d", res.Code)
		e.holds(e.dest(e.A), "dangling -> nowhere", "dirA/sub/y", "dirA/x", "emptydir/", "f1", "link -> f1")
		e.want(strings.Contains(res.Stderr, "missing"), "an error line names the missing operand")
		e.want(len(e.lines("RESULT", uidA, "fifo")) == 0, "the fifo is skipped")
		for _, f := range []string{"f1", "dirA/x", "dirA/sub/y"} {
			e.got(f, e.A)
		}
		e.wellFormed(c)
	}},
	{id: "05", run: func(t *testing.T, e *env) {
		e.tree()
		e.link("dirA", "src", "dirlink")
		e.rx(e.A)
		res := e.txCode(0, hA, "-l", "f1", "link", "dangling", "dirlink")
		e.holds(e.dest(e.A), "dirlink/sub/y", "dirlink/x", "f1", "link")
		e.gotAs("f1", e.dest(e.A, "link"))
		e.gotAs("dirA/sub/y", e.dest(e.A, "dirlink/sub/y"))
		e.want(strings.Contains(res.Stderr, "dangling"), "an error line names the dangling link")
	}},
	{id: "06", run: func(t *testing.T, e *env) {
		e.tree()
		e.ok(os.Remove(e.src("fifo")))
		e.rx(e.A)
		e.txCode(0, hA, ".")
		e.gotTree(e.A)
		e.result(uidA, "./f1", "copy")
		e.result(uidA, "./dirA/x", "copy")
	}},
	{id: "07", run: func(t *testing.T, e *env) {
		for i := range 500 {
			e.file(fmt.Sprintf("many/n%03d", i), int64(i))
		}
		e.rx(e.A)
		e.rx(e.B)
		p := e.txRaw("-I", netlab.Device, "-R", "10000", "-r", "0.5:0.1:15", hAB, "many")
		res := e.end(p)
		e.want(res.Code == 0, "exit code 0, got %d", res.Code)
		for _, h := range []*netlab.Host{e.A, e.B} {
			e.holds(e.dest(h), listed("many", 500)...)
			e.gotTree(h)
		}
		e.want(res.Took < 40*time.Second, "500 tiny files take seconds, not a wait of G = 0.1 s each; took %v", res.Took)
	}},
	{id: "08", alone: true, run: func(t *testing.T, e *env) {
		e.file("big", 100_000_000)
		e.rx(e.A, "-B", "4000000")
		e.txCode(0, hA, "-R", "-1", "-B", "4000000", "big")
		e.got("big", e.A)
	}},
	{id: "09", run: func(t *testing.T, e *env) {
		e.file("f", 1_000_001)
		e.rx(e.A)
		e.txCode(0, hA, "-b", "8800", "f")
		e.got("f", e.A)
	}},
	{id: "10", run: func(t *testing.T, e *env) {
		e.file("f", 3_000_000)
		e.rx(e.A)
		c := e.capture(e.S)
		e.txCode(0, hA, "-b", "512", "-R", "50000", "f")
		e.got("f", e.A)
		segs := e.packets(c).of(fileSeg).from(e.S)
		blocks := map[uint16]uint16{}
		for _, p := range segs {
			blocks[word(p, 20)] = max(blocks[word(p, 20)], word(p, 22)+1)
		}
		e.want(len(blocks) == 2 && blocks[0] == 2930 && blocks[1] == 2930, "two sections of 2930 blocks, got %v", blocks)
	}},
	{id: "11", run: func(t *testing.T, e *env) {
		e.file("f", 200_000)
		e.rx(e.S)
		e.txCode(0, "f")
		e.got("f", e.S)
		e.result(uidS, "f", "copy")
	}},
	{id: "12", run: func(t *testing.T, e *env) {
		e.file("f", 50_000)
		e.rx(e.A, "-p", "2000")
		e.txCode(0, "-p", "2000", hA, "f")
		e.got("f", e.A)
		e.txCode(7, hA, "f") // nobody listens on 1044
	}},
	{id: "13", run: func(t *testing.T, e *env) {
		e.file("f", 50_000)
		e.rx(e.A, "-M", "230.9.9.1,230.9.9.2")
		c := e.capture(e.S)
		e.txCode(0, "-M", "230.9.9.2", hA, "f")
		e.got("f", e.A)
		e.want(e.packets(c).of(announce)[0].Dst.Addr().String() == "230.9.9.2", "ANNOUNCE goes to the public address")
		e.txCode(7, hA, "f") // the default group is not joined
	}},
	{id: "14", run: func(t *testing.T, e *env) {
		e.file("f", 50_000)
		e.file("g", 50_000)
		e.rx(e.A)
		e.txCode(0, "-P", "230.4.4.1", hA, "f")
		e.got("f", e.A)
		e.txCode(0, hA, "g") // the receiver is still in the public group
		e.got("g", e.A)
	}},
	{id: "15", run: func(t *testing.T, e *env) {
		e.file("f", 100_000)
		p := e.rx(e.A)
		c := e.capture(e.S)
		e.txCode(0, "-M", "10.88.0.1", hA, "f")
		e.got("f", e.A)
		e.log(p, "0.0.0.0")
		for _, x := range e.packets(c).from(e.S) {
			if x.Dst.Addr() != e.A.IPv4 {
				t.Fatalf("want: everything goes to A, got a packet to %v", x.Dst)
			}
		}
	}},
	{id: "16", run: func(t *testing.T, e *env) {
		e.file("f", 100_000)
		e.rx(e.A)
		e.rx(e.B)
		e.txCode(0, "-M", "10.88.0.255", "f")
		e.got("f", e.A, e.B)
	}},
	{id: "17", run: func(t *testing.T, e *env) {
		e.file("f", 100_000)
		e.rx(e.A, "-I", "eth0/6", "-M", "ff02::1:2:3")
		c := e.capture(e.S)
		e.txCode(0, "-I", "eth0/6", "-M", "ff02::1:2:3", "-P", "ff02::4:5:x", "f")
		e.got("f", e.A)
		e.connect("success", "0x01000000")
		e.wellFormed(c)
	}},
	{id: "18", run: func(t *testing.T, e *env) {
		e.file("f", 100_000)
		e.file("g", 100_000)
		e.rx(e.A, "-I", "eth0,eth0/6", "-M", "230.4.4.1,ff02::1:2:3")
		e.txCode(0, "f")
		e.txCode(0, "-I", "eth0/6", "-M", "ff02::1:2:3", "-P", "ff02::4:5:x", "g")
		e.got("f", e.A)
		e.got("g", e.A)
	}},
	{id: "19", run: func(t *testing.T, e *env) {
		e.file("f", 20_000)
		e.rx(e.A, "-Q", "0x0a")
		c := e.capture(e.S)
		e.txCode(0, "-t", "5", "-Q", "46", "-u", "5555", hA, "f")
		tr := e.packets(c)
		e.want(len(tr.from(e.A)) > 3, "packets from A")
		for _, p := range tr.from(e.S) {
			if p.Src.Port() != 5555 || p.TTL != 5 || p.TOS != 0xb8 {
				t.Fatalf("want: S sends from port 5555 with TTL 5, TOS 0xb8; got %d, %d, %#x", p.Src.Port(), p.TTL, p.TOS)
			}
		}
		for _, p := range tr.from(e.A) {
			if p.Src.Port() != 1044 || p.Dst.Port() != 5555 || p.TTL != 64 || p.TOS != 0x28 {
				t.Fatalf("want: A answers from port 1044 to 5555 with TTL 64, TOS 0x28; got %v to %v, %d, %#x", p.Src, p.Dst, p.TTL, p.TOS)
			}
		}
	}},
	{id: "20", run: func(t *testing.T, e *env) {
		e.file("f", 20_000)
		p := e.start(e.A, e.dir, e.bin.path("uftpd", e.OursRx), "-q", "-I", netlab.Device, "-D", e.dest(e.A),
			"-L", e.in("log"), "-P", e.in("pid"), "-N", "5", "-F", e.in("rs"))
		res := e.end(p)
		e.want(res.Code == 0, "the parent ends with code 0, got %d", res.Code)
		pid := 0
		e.await(func() bool {
			text, _ := os.ReadFile(e.in("pid"))
			fmt.Sscan(string(text), &pid)
			return pid != 0
		}, soon)
		if pid == 0 {
			t.Fatal("want: the pid file holds a number")
		}
		defer syscall.Kill(pid, syscall.SIGTERM)
		own, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
		e.ok(err)
		nice := func() bool { v, err := unix.Getpriority(unix.PRIO_PROCESS, pid); return err == nil && v == own-5 }
		e.want(e.await(nice, soon), "the daemon is nicer by 5")
		cwd, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid))
		e.want(err == nil && cwd == "/", "the daemon's directory is /, got %q (%v)", cwd, err)
		e.logged(e.in("log"), ready)
		e.txCode(0, hA, "f")
		e.got("f", e.A)
		e.logged(e.in("log"), "Name of file to receive: f")
		e.logged(e.in("rs"), "CONNECT;")
		e.logged(e.in("rs"), ";f;19KB;copied")
	}},
	{id: "21", side: rxOnly, run: func(t *testing.T, e *env) {
		e.rx(e.A)
		p := e.start(e.A, e.dir, e.bin.path("uftpd", e.OursRx), "-d", "-q", "-I", netlab.Device, "-D", e.mkdir("other"))
		res := e.end(p)
		e.want(res.Code == 2, "a second daemon on the port ends with code 2, got %d", res.Code)
	}},
	{id: "22", run: func(t *testing.T, e *env) {
		e.file("f", 400_000)
		e.file("g", 400_000)
		e.rx(e.A)
		one := e.txStart(hA, "f")
		two := e.txStart("-U", "0x777", "-P", "230.6.6.6", hA, "g")
		a, b := e.end(one), e.end(two)
		e.want(a.Code == 0 && b.Code == 0, "both senders end with code 0, got %d and %d", a.Code, b.Code)
		e.got("f", e.A)
		e.got("g", e.A)
	}},
}

// tree makes one of everything that can be sent, and a fifo.
func (e *env) tree() {
	e.t.Helper()
	e.file("f1", 30_000)
	e.file("dirA/x", 5000)
	e.file("dirA/sub/y", 100)
	e.mkdir("src", "emptydir")
	e.link("f1", "src", "link")
	e.link("nowhere", "src", "dangling")
	e.ok(syscall.Mkfifo(e.src("fifo"), 0o644))
}

// listed names n files as scenario 07 makes them.
func listed(dir string, n int) []string {
	var names []string
	for i := range n {
		names = append(names, fmt.Sprintf("%s/n%03d", dir, i))
	}
	return names
}
