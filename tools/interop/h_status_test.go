//go:build linux

package interop

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"uftp/tools/netlab"
	"uftp/wire"
)

// statusLines is section H of the list.
var statusLines = []scenario{
	{id: "115", run: func(t *testing.T, e *env) {
		e.file("f", 1000)
		e.rx(e.A)
		res := e.txCode(0, "-T", "-S", "@LOG", hA, "f")
		stamped := false
		found := map[string]int{}
		for line := range strings.Lines(res.Stderr) {
			stamped = stamped || strings.HasPrefix(line, "20")
			found[strings.Split(line, ";")[0]]++
		}
		e.want(found["CONNECT"] == 1 && found["RESULT"] == 1 && found["HSTATS"] == 1 && found["STATS"] == 1, "status lines in the log without time stamp, got %v", found)
		e.want(stamped, "other lines have one")
	}},
	{id: "116", run: func(t *testing.T, e *env) {
		e.file("f", 1000)
		e.rx(e.A)
		e.txCode(0, hA, "f")
		e.txCode(0, hA, "f")
		e.want(len(e.lines("RESULT", uidA, "f")) == 2 && len(e.lines("HSTATS")) == 2, "the second session's lines follow the first's, got %q", e.status())
	}},
	{id: "117", run: func(t *testing.T, e *env) {
		e.file("f", 4_000_000)
		r := e.rx(e.A)
		e.rx(e.B)
		p := e.txStart("-x", "0", "-H", uidA+","+uidB+",0xbeef", "f")
		e.underWay(p)
		e.stop(r)
		res := e.end(p)
		e.want(res.Code == 0, "exit code 0, got %d", res.Code)
		got := strings.TrimSpace(res.Stdout + res.Stderr)
		e.want(got == "0x0A580001      Aborted\n0xbeef          Mute", "two lines and nothing else, got %q", got)
	}},
	{id: "118", run: func(t *testing.T, e *env) {
		e.file("f", 12_000_000)
		p := e.start(e.A, e.dir, e.bin.path("uftpd", e.OursRx), "-q", "-I", netlab.Device, "-D", e.dest(e.A),
			"-x", "5", "-L", e.in("rlog"), "-P", e.in("pid"), "-g", "1", "-n", "2")
		e.want(e.end(p).Code == 0, "the parent ends with code 0")
		e.logged(e.in("rlog"), ready)
		e.txCode(0, "-R", "50000", "-s", "40", "-b", "512", "-x", "5", "-L", e.in("log"), "-g", "1", "-n", "3", hA, "f")
		e.got("f", e.A)
		e.rolled("log", 3)
		e.rolled("rlog", 2)
	}},
	{id: "119", run: func(t *testing.T, e *env) {
		e.file("f", 1000)
		e.rx(e.A)
		hosts := e.write("127.0.0.1 localhost\n10.88.0.1 clienta\n", "hosts")
		args := append([]string{"unshare", "-m", "sh", "-c", `mount --bind "$0" /etc/hosts && exec "$@"`, hosts, e.bin.path("uftp", e.OursTx)},
			e.txArgs([]string{"-H", "clienta", "f"})...)
		res := e.end(e.start(e.S, e.in("src"), args...))
		e.want(res.Code == 0, "exit code 0, got %d", res.Code)
		e.got("f", e.A)
		e.connect("success", "clienta")
		e.result("clienta", "f", "copy")
		e.want(len(e.lines("STATS", "clienta")) == 1 && strings.Contains(res.Stderr, "clienta"), "the name in STATS and in the log")
	}},
	{id: "120", run: func(t *testing.T, e *env) {
		e.file("f", 4_000_000)
		r := e.rx(e.A, "-F", e.in("rs"))
		p := e.txStart(hA, "f")
		e.underWay(p)
		e.logged(e.in("rs"), ";0A580064;")
		text, _ := os.ReadFile(e.in("rs"))
		e.want(strings.HasPrefix(string(text), "CONNECT;"), "the receiver's CONNECT line appears at once, got %q", text)
		sender := len(e.lines("CONNECT", "success", uidA))
		e.want(!p.Exited(), "the session still runs")
		if e.OursTx {
			e.want(sender == 1, "the sender's CONNECT line appears at once")
		} else {
			e.want(sender == 0, "a stock sender keeps its lines to the end")
		}
		e.want(e.end(p).Code == 0, "exit code 0")
		e.want(e.await(func() bool {
			text, _ = os.ReadFile(e.in("rs"))
			return strings.Contains(string(text), "RESULT;") && strings.Contains(string(text), ";f;3906KB;copied\n")
		}, soon), "the receiver's RESULT line, got %q", text)
		e.want(!r.Exited(), "the receiver lives on")
	}},
	{id: "121", side: rxOnly, run: func(t *testing.T, e *env) {
		proxy := e.udp(e.B, 1055)
		e.rx(e.A, "-H", "10.88.0.2:1055", "-h", "1")
		var times []time.Time
		b := make([]byte, 2000)
		for range 3 {
			e.ok(proxy.SetReadDeadline(time.Now().Add(soon)))
			n, from, err := proxy.ReadFromUDPAddrPort(b)
			e.ok(err)
			times = append(times, time.Now())
			h, msg, err := wire.ParseHeader(b[:n])
			e.ok(err)
			x, err := wire.ParseHBReq(msg)
			e.ok(err)
			e.want(h.Func == wire.FuncHBReq && h.Group == 0 && h.Src == uidOfA && x.Nonce == 0 && len(x.PublicKey) == 0 && from.Port() == 1044,
				"a plain HB_REQ from A's port 1044, got %+v %+v from %v", h, x, from)
		}
		gap := times[2].Sub(times[0]) / 2
		e.want(gap > 700*time.Millisecond && gap < 3*time.Second, "one each second, got %v", gap)
	}},
	{id: "123", run: func(t *testing.T, e *env) {
		e.file("f", 1000)
		addr := func(verb string) {
			res, err := e.A.Run(soon, "ip", "addr", verb, "10.88.0.51/24", "dev", netlab.Device)
			e.ok(err)
			e.want(res.Code == 0, "ip addr %s works: %s", verb, res.Stderr)
		}
		addr("add")
		defer addr("del")
		p := e.start(e.A, e.dir, e.bin.path("uftpd", e.OursRx), "-d", "-q", "-D", e.dest(e.A))
		if !e.OursRx {
			e.want(e.end(p).Code == 2, "a stock daemon does not start")
			return
		}
		e.ok(p.WaitLog(ready, startMax))
		e.txCode(0, hA, "f")
		e.got("f", e.A)
	}},
}

// rolled wants log.1 .. log.n of about 1000000 bytes, and no more.
func (e *env) rolled(name string, n int) {
	e.t.Helper()
	// A receiver may still write when the sender has ended.
	e.becomes(func() error {
		for i := 1; i <= n; i++ {
			st, err := os.Stat(e.in(fmt.Sprintf("%s.%d", name, i)))
			if err != nil || st.Size() < 900_000 || st.Size() >= 1_100_000 {
				return fmt.Errorf("want: %s.%d of about 1000000 bytes, got %v (%v)", name, i, size(st), err)
			}
		}
		all, _ := filepath.Glob(e.in(name + "*"))
		if len(all) != n+1 {
			return fmt.Errorf("want: %s and %d older ones, got %q", name, n, all)
		}
		return nil
	})
}

func size(st os.FileInfo) int64 {
	if st == nil {
		return -1
	}
	return st.Size()
}
