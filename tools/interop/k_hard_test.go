//go:build linux

package interop

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"uftp/tools/netlab"
)

// hard is what the list does not number: large packets, the other protocol,
// bad lines, receivers that die, and sessions that one implementation begins
// and the other one ends.
var hard = []scenario{
	{id: "X1", alone: true, run: func(t *testing.T, e *env) {
		lab := netlab.New(t, netlab.Config{Receivers: 1, MTU: 9000})
		e.S, e.A = lab.Sender(), lab.Receiver(0)
		e.file("f", 50_000_000)
		e.rx(e.A, "-B", "4000000")
		c := e.capture(e.S)
		e.txCode(0, "-b", "8800", "-R", "400000", "-B", "4000000", hA, "f")
		e.got("f", e.A)
		segs := e.packets(c).of(fileSeg)
		e.want(len(segs) > 0 && len(segs[0].Payload) == 8824, "a block travels in one packet of 8824 bytes")
	}},
	{id: "X2", run: func(t *testing.T, e *env) {
		e.file("f", 400_000)
		e.file("d/g", 3000)
		for _, h := range []*netlab.Host{e.A, e.B} {
			e.rx(h, "-I", "eth0/6", "-M", "ff02::1:2:3")
			e.drop(h, netlab.Match{}.Func(fileSeg), netlab.Percent(5))
		}
		e.txCode(0, "-I", "eth0/6", "-M", "ff02::1:2:3", "-P", "ff02::4:5:x", "-H0x01000000,0x02000000", "f", "d")
		for _, n := range []string{"f", "d/g"} {
			e.got(n, e.A, e.B)
			e.result("0x01000000", n, "copy")
			e.result("0x02000000", n, "copy")
		}
		e.dropped(e.A)
	}},
	{id: "X3", run: func(t *testing.T, e *env) {
		e.file("f", 1_000_000)
		e.file("g", 7)
		all := []*netlab.Host{e.A, e.B, e.C}
		for _, h := range all {
			e.rx(h)
			e.drop(h, netlab.Match{}, netlab.Percent(30))
		}
		c := e.capture(e.S)
		e.txCode(0, "-s", "40", hABC, "f", "g")
		e.got("f", all...)
		e.got("g", all...)
		e.dropped(e.A)
		e.wellFormed(c)
	}},
	{id: "X4", run: func(t *testing.T, e *env) {
		e.file("f", 1_000_000)
		e.file("g", 7)
		all := []*netlab.Host{e.A, e.B, e.C}
		for _, h := range all {
			e.rx(h)
			e.drop(h, netlab.Match{}.Func(fileSeg), netlab.Percent(2))
		}
		e.drop(e.S, netlab.Match{}, netlab.Percent(40)) // the way back
		e.txCode(0, "-s", "40", hABC, "f", "g")
		e.got("f", all...)
		e.got("g", all...)
		e.dropped(e.S)
	}},
	{id: "X5a", run: func(t *testing.T, e *env) {
		e.file("f", 4_000_000)
		ra := e.rx(e.A)
		e.rx(e.B)
		p := e.txStart(hAB, "f")
		e.underWay(p)
		ra.Kill()
		e.want(e.end(p).Code == 0, "the session goes on for B")
		e.result(uidA, "f", "lost")
		e.result(uidB, "f", "copy")
		e.got("f", e.B)
		e.rx(e.A) // what the dead one left is no obstacle
		e.fresh()
		e.txCode(0, hA, "f")
		e.result(uidA, "f", "copy")
		e.got("f", e.A)
	}},
	{id: "X5b", run: func(t *testing.T, e *env) {
		e.file("f", cutSize)
		e.file("g", 10_000)
		ra := e.rx(e.A, "-T", e.mkdir("t"))
		e.rx(e.B)
		p := e.txStart("-f", "-R", cutRate, hAB, "g", "f")
		e.ok(p.WaitUntil(func() bool { return e.anyFile(e.in("t")) }, "a file at A", soon))
		e.arrive(p, e.A, cutAt)
		if e.OursRx {
			arrived := time.Now()
			e.ok(p.WaitUntil(func() bool {
				found, _ := filepath.Glob(e.in("t", "_group_*_restart"))
				if len(found) != 1 {
					return false
				}
				st, err := os.Stat(found[0])
				return err == nil && st.ModTime().After(arrived)
			}, "a record of what has come to A", soon))
		}
		ra.Kill()
		e.want(e.end(p).Code == 0, "the session goes on for B")
		e.got("f", e.B)
		e.rx(e.A, "-T", e.in("t"))
		c := e.capture(e.S)
		e.fresh()
		e.txCode(0, "-R", restRate, "-F", e.restartFile())
		e.got("f", e.A)
		e.got("g", e.A)
		e.result(uidA, "f", "copy")
		if e.OursRx {
			blocks := e.packets(c).of(fileSeg).file(2).blocks()
			e.want(blocks > 0 && blocks < cutBlocks*9/10, "a killed receiver resumes from what it has on disk, %d of %d blocks sent", blocks, cutBlocks)
		}
	}},
	{id: "X6", run: func(t *testing.T, e *env) {
		e.file("f", 600_000)
		e.file("g", 600_000)
		for _, h := range []*netlab.Host{e.A, e.B} {
			e.rx(h)
			e.drop(h, netlab.Match{}.Func(fileSeg), netlab.Percent(10))
		}
		other := e.mkdir("S2")
		e.ok(netlab.WriteRandom(other+"/h", 600_000, 5))
		one := e.txStart("-P", "230.6.6.1", hAB, "f")
		two := e.txStart("-U", "0x777", "-P", "230.6.6.2", hAB, "g")
		// The third has the way round: C sends, A and B receive.
		three := e.start(e.C, other, e.bin.path("uftp", e.OursTx), "-I", netlab.Device, "-r", "0.05", "-s", "10", "-R", "10000", hAB, "h")
		for _, p := range []*netlab.Proc{one, two, three} {
			res := e.end(p)
			e.want(res.Code == 0, "each session ends well, got code %d: %s", res.Code, p.Command)
		}
		e.got("f", e.A, e.B)
		e.got("g", e.A, e.B)
		for _, h := range []*netlab.Host{e.A, e.B} {
			e.becomes(func() error { return netlab.SameFile(other+"/h", e.dest(h, "h")) })
		}
	}},
	// The sender that began is the other implementation than the one that ends.
	{id: "X7a", run: func(t *testing.T, e *env) {
		e.rx(e.A, "-T", e.mkdir("t"))
		file := e.cutSessionAs(!e.OursTx, hA)
		e.resumes(file, true)
		e.holds(e.in("t"))
	}},
	// The same with the receiver: the state on disk changes hands.
	{id: "X7b", run: func(t *testing.T, e *env) {
		r := e.rxAs(!e.OursRx, e.A, "-T", e.mkdir("t"))
		file := e.cutSession(hA)
		e.stop(r)
		e.rx(e.A, "-T", e.in("t"))
		e.resumes(file, true)
	}},
	{id: "X8", run: func(t *testing.T, e *env) {
		e.file("f", 1_000_000)
		e.rx(e.A)
		e.ok(e.S.Limit(5000, 30_000)) // half the rate that the sender believes in
		res := e.txCode(0, "-s", "30", hA, "f")
		e.got("f", e.A)
		e.want(res.Took > time.Second, "the line holds 5 Mbit/s, took %v", res.Took)
	}},
	{id: "X9", run: func(t *testing.T, e *env) {
		e.file("f", 4_000_000)
		r := e.rx(e.A)
		p := e.txStart(hA, "f")
		e.underWay(p)
		e.ok(e.S.Down(true))
		time.Sleep(300 * time.Millisecond)
		e.ok(e.S.Down(false))
		res := e.end(p)
		if res.Code == 0 {
			e.got("f", e.A)
			return
		}
		e.want(res.Code == 9 && !strings.Contains(res.Stderr, "panic"), "the session ends with an error, got code %d", res.Code)
		r.Signal(syscall.SIGTERM)
		_, err := r.WaitFor(soon)
		e.ok(err)
		e.want(!e.exists(e.dest(e.A, "f")), "no half file under the final name")
	}},
	{id: "X10", run: func(t *testing.T, e *env) {
		var list []string
		for i, size := range []int64{0, 1, 511, 512, 513, 1299, 1300, 1301, 2600, 8 * 1300} {
			list = append(list, fmt.Sprintf("f%d", i))
			e.file(list[i], size)
		}
		r := e.rx(e.A, "-t")
		for _, bs := range []string{"512", "1300", "8800"} {
			e.txCode(0, append([]string{"-b", bs, hA}, list...)...)
			for _, f := range list {
				e.got(f, e.A)
			}
			e.named([]naming{{list[:1], 0, list[:1]}})
		}
		e.want(!r.Exited(), "the receiver lives on")
	}},
	// A small file to a receiver that is known to be there.
	{id: "X11", run: func(t *testing.T, e *env) {
		e.file("f", 1000)
		e.rx(e.A)
		if !e.OursTx {
			res := e.txCode(0, "-r", "0.5", "f")
			e.want(res.Took > 1500*time.Millisecond, "stock waits for all announcements, took %v", res.Took)
			return
		}
		// With a G of 5 s any wait for a timer would take longer.
		p := e.txRaw("-I", netlab.Device, "-S", e.st, "-r", "5", "--register-count", "1", "f")
		res := e.end(p)
		e.want(res.Code == 0 && res.Took < 4*time.Second, "at once, took %v with code %d", res.Took, res.Code)
		e.got("f", e.A)
		e.fresh()
		e.txCode(0, "--register-quiet", "0.05", "f")
		e.result(uidA, "f", "copy")
	}},
	// Ours without the batching of the kernel, and with workers.
	{id: "X12", run: func(t *testing.T, e *env) {
		e.file("f", 2_000_000)
		for _, option := range []string{"--no-gso", "--no-gro", "--portable-io", "--workers=2"} {
			tx, rx := []string{"-R", "100000", hA, "f"}, []string{}
			if e.OursTx {
				tx = append([]string{option}, tx...)
			}
			if e.OursRx {
				rx = append(rx, option)
			}
			r := e.rx(e.A, rx...)
			e.txCode(0, tx...)
			e.got("f", e.A)
			e.stop(r)
			e.ok(os.Remove(e.dest(e.A, "f")))
		}
	}},
	// The rate follows the receivers: two through a cable of 40 Mbit/s with a queue of
	// 25 ms, and one that also loses datagrams. The sender learns of it only by the losses.
	{id: "X13", side: ourSender, run: func(t *testing.T, e *env) {
		const size = 20_000_000
		e.file("f", size)
		for _, h := range []*netlab.Host{e.A, e.B, e.C} {
			e.rx(h)
		}
		e.ok(e.S.Limit(40_000, 125_000))
		e.drop(e.C, netlab.Match{}.Func(fileSeg), netlab.Percent(0.5))
		c := e.capture(e.S)
		res := e.txCode(0, "--json", "-R", "auto:init=2000:max=400000", "-r", "0.05", hABC, "f")
		e.got("f", e.A, e.B, e.C)
		var ended struct {
			Event string
			Again int64   `json:"bytes_retransmitted"`
			Took  float64 `json:"elapsed"`
		}
		changes := 0
		for line := range strings.Lines(res.Stdout) {
			e.ok(json.Unmarshal([]byte(line), &ended))
			if ended.Event == "rate_changed" {
				changes++
			}
		}
		// The cable carries the file in 4 s. A sender that went on at its limit of 400
		// Mbit/s would send it ten times, one that stayed at its start would take 80 s.
		e.want(changes > 4, "the rate is felt for, it changed %d times", changes)
		e.want(ended.Event == "session_ended" && ended.Again < size/4, "%d bytes of %d were sent again, want a quarter at most", ended.Again, size)
		e.want(ended.Took < 60, "it took %v s, 4 would do", ended.Took)
		e.wellFormed(c)
	}},
}
