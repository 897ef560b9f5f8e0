//go:build linux

package interop

import (
	"bytes"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"uftp/tools/netlab"
	"uftp/wire"
)

// aborts is section G of the list.
var aborts = []scenario{
	{id: "99", run: func(t *testing.T, e *env) {
		e.file("f", 4_000_000)
		r := e.rx(e.A)
		e.rx(e.B)
		p := e.txStart(hAB, "f")
		e.underWay(p)
		e.stop(r)
		res := e.end(p)
		e.want(res.Code == 0, "the session goes on, got code %d", res.Code)
		e.want(strings.Contains(res.Stderr, "Client shutting down"), "the sender prints A's reason")
		e.result(uidA, "f", "aborted")
		e.result(uidB, "f", "copy")
		e.got("f", e.B)
		e.holds(e.dest(e.A))
	}},
	{id: "100", run: func(t *testing.T, e *env) {
		e.file("f", 4_000_000)
		r := e.rx(e.A)
		rb := e.rx(e.B)
		p := e.txStart("-q", hAB, "f")
		e.underWay(p)
		e.stop(r)
		e.want(e.end(p).Code == 9, "exit code 9")
		e.result(uidA, "f", "aborted")
		e.result(uidB, "f", "aborted")
		e.log(rb, "aborted by server")
		e.holds(e.dest(e.B))
	}},
	{id: "101", run: func(t *testing.T, e *env) {
		e.file("f", 1000)
		r := e.rx(e.A)
		e.txCode(7, "-q", hAB, "f")
		e.connect("failed", uidA, uidB)
		e.log(r, "aborted by server")
		e.holds(e.dest(e.A))
	}},
	{id: "102", run: func(t *testing.T, e *env) {
		e.file("f", 20_000)
		e.file("g", 20_000)
		ra := e.rx(e.A)
		rb := e.rx(e.B)
		e.drop(e.S, netlab.Match{}.Func(complete).From(e.B), netlab.All())
		c := e.capture(e.S)
		e.txCode(9, "-q", hAB, "f", "g")
		e.dropped(e.S)
		e.log(ra, "aborted by server")
		e.log(rb, "aborted by server")
		e.want(len(e.packets(c).of(fileInfo).file(2)) == 0, "no second file")
		e.got("f", e.A, e.B)
	}},
	{id: "103", run: func(t *testing.T, e *env) {
		e.file("f", 20_000)
		e.file("g", 20_000)
		e.rx(e.A)
		e.rx(e.B)
		e.txCode(0, "-q", hAB, "-D", e.dest(e.B, "d"), "f", "g")
		for _, n := range []string{"f", "g"} {
			e.gotAs(n, e.dest(e.B, "d", n))
			e.result(uidA, e.dest(e.B, "d", n), "rejected")
			e.result(uidB, e.dest(e.B, "d", n), "copy")
		}
		e.holds(e.dest(e.A))
	}},
	{id: "104a", run: func(t *testing.T, e *env) { e.cutOff(syscall.SIGINT, "Server quit") }},
	{id: "104b", run: func(t *testing.T, e *env) { e.cutOff(syscall.SIGINT, "Server quit", "-t") }},
	{id: "104c", run: func(t *testing.T, e *env) { e.cutOff(syscall.SIGINT, "Server quit", "-T", e.mkdir("t")) }},
	{id: "105", run: func(t *testing.T, e *env) {
		e.file("f", 1000)
		e.rx(e.A)
		c := e.capture(e.S)
		p := e.txStart("-r", "0.3", hAB, "f")
		e.ok(p.WaitLog("Received REGISTER", soon))
		p.Signal(syscall.SIGTERM)
		res := e.end(p)
		aborts := e.packets(c).from(e.S).of(abort)
		if !e.OursTx {
			e.want(res.Code == 8 && len(aborts) == 0, "stock ends with code 8 and no ABORT, got %d and %d", res.Code, len(aborts))
			return
		}
		e.want(res.Code == 6 && len(aborts) > 0, "exit code 6 and an ABORT, got %d and %d", res.Code, len(aborts))
	}},
	{id: "106a", run: func(t *testing.T, e *env) { e.cutOff(syscall.SIGKILL, "Transfer timed out") }},
	{id: "106b", run: func(t *testing.T, e *env) { e.cutOff(syscall.SIGKILL, "Transfer timed out", "-t") }},
	{id: "106c", run: func(t *testing.T, e *env) { e.cutOff(syscall.SIGKILL, "Transfer timed out", "-T", e.mkdir("t")) }},
	{id: "106d", side: rxOnly, run: func(t *testing.T, e *env) {
		// The other way round: the receiver is killed and started again.
		e.file("f", 500_000)
		r := e.rx(e.A)
		p := e.txStart("-R", "1000", hA, "f")
		e.ok(r.WaitLog("FILEINFO_ACK sent", soon))
		e.ok(p.WaitUntil(func() bool { return e.anyFile(e.dest(e.A)) }, "a file at A", soon))
		r.Kill()
		left, err := netlab.List(e.dest(e.A))
		e.ok(err)
		e.want(len(left) == 1, "one file was being received, got %q", left)
		e.end(p)
		e.rx(e.A)
		if e.OursRx {
			left = nil // it had a temporary name, and nobody will finish it
		}
		e.holds(e.dest(e.A), left...)
	}},
	{id: "107", run: func(t *testing.T, e *env) {
		e.file("f", 1000)
		e.rx(e.A)
		e.txCode(10, hA, "nosuch")
		e.txCode(10, hA, "-X", e.write("f\n", "list"), "f")
		e.txCode(10, hA, "-D", "../f", "f")
	}},
	{id: "108", side: rxOnly, run: func(t *testing.T, e *env) {
		r := e.rx(e.A)
		f := e.fakeSender()
		f.announce()
		f.deliver(1, "one", []byte("1"))
		f.abort(0, wire.AbortCurrentFile) // between files: not meant for A
		f.deliver(2, "two", []byte("2"))
		f.offer(3, wire.TypeFile, "three", 2000)
		f.must(wire.FuncFileInfoAck)
		f.seg(3, 0, 0, make([]byte, 512))
		f.abort(0, wire.AbortCurrentFile)
		e.log(r, "so says the test")
		f.done(3, 0)
		f.none(wire.FuncStatus, 150*time.Millisecond)
		e.holds(e.dest(e.A), "one", "two")
	}},
	{id: "109", side: rxOnly, run: func(t *testing.T, e *env) {
		r := e.rx(e.A)
		f := e.fakeSender()
		f.announce()
		f.offer(1, wire.TypeFile, "one", 3)
		f.must(wire.FuncFileInfoAck)
		f.abort(0x0A580002, 0)
		f.seg(1, 0, 0, []byte("one"))
		f.done(1, 0)
		f.must(wire.FuncComplete)
		e.becomes(func() error { return sameText(e.dest(e.A, "one"), "one") })
		e.want(!strings.Contains(r.Stderr(), "so says the test"), "an ABORT for another host means nothing")
		f.abort(uidOfA, 0)
		e.log(r, "so says the test")
	}},
	{id: "110", side: rxOnly, run: func(t *testing.T, e *env) {
		e.rx(e.A)
		f := e.fakeSender()
		f.announce()
		f.offer(1, 9, "one", 3)
		x, err := wire.ParseAbort(f.must(wire.FuncAbort))
		e.ok(err)
		e.want(bytes.Contains(x.Text, []byte("Invalid file type")), "the reason, got %q", x.Text)
	}},
	{id: "111", run: func(t *testing.T, e *env) {
		e.file("f", 3_000_000) // 2.4 s: a longer gap than 4 s would end it by a time-out
		e.rx(e.A)
		p := e.txStart(patient, "-s", "20", hA, "f")
		e.underWay(p)
		e.ok(os.Truncate(e.src("f"), 100_000))
		if !e.OursTx {
			_, err := p.WaitFor(6 * time.Second)
			e.want(err != nil, "a stock sender never ends")
			return
		}
		res, err := p.WaitFor(20 * time.Second)
		e.ok(err)
		e.want(res.Code != 0, "the sender ends with an error")
		e.holds(e.dest(e.A))
	}},
	{id: "112", run: func(t *testing.T, e *env) {
		e.file("f", 4_000_000)
		text, err := os.ReadFile(e.src("f"))
		e.ok(err)
		e.rx(e.A)
		p := e.txStart(hA, "f")
		e.underWay(p)
		e.want(!p.Exited(), "the session still runs")
		f, err := os.OpenFile(e.src("f"), os.O_WRONLY|os.O_APPEND, 0)
		e.ok(err)
		_, err = f.Write(text[:700_000])
		e.ok(err)
		e.ok(f.Close())
		res, err := p.WaitFor(15 * time.Second)
		e.ok(err)
		e.want(res.Code == 0, "exit code 0, got %d", res.Code)
		e.becomes(func() error { return sameText(e.dest(e.A, "f"), string(text)) })
	}},
	{id: "113", run: func(t *testing.T, e *env) {
		e.file("f", 1000)
		// Under nohup the daemon would inherit that SIGHUP is ignored; not if it is caught.
		hup := make(chan os.Signal, 1)
		signal.Notify(hup, syscall.SIGHUP)
		defer signal.Stop(hup)
		r := e.rx(e.A)
		r.Signal(syscall.SIGHUP)
		limit := 300 * time.Millisecond
		if !e.OursRx {
			limit = soon
		}
		res, err := r.WaitFor(limit)
		if !e.OursRx {
			e.want(err == nil && res.Code == 129, "a stock daemon dies, got code %d (%v)", res.Code, err)
			return
		}
		if err == nil {
			e.want(res.Code == 129, "a daemon that SIGHUP ends says so, got code %d", res.Code)
			return
		}
		e.rx(e.A) // WaitFor has killed the one that lived on
		e.txCode(0, hA, "f")
	}},
	{id: "114", side: txOnly, run: func(t *testing.T, e *env) {
		e.file("f", 1000)
		e.udp(e.S, 5555)
		e.txCode(2, "-u", "5555", "f")
		e.txCode(2, "-M", "no.such.name.invalid", "f")
		e.txCode(2, "-M", "ff02::1:2:3", "f") // the default private address is of the other family
		e.txCode(4, "-L", e.in("nosuch", "log"), "f")
		if !e.OursTx { // ours knows no encryption yet
			e.txCode(3, "-Y", "aes256-cbc", "-k", e.in("nosuch"), "f")
		}
	}},
}

// cutOff sends a file over an old one, ends the sender in the middle with a
// signal and wants what the receiver then has, started with args.
func (e *env) cutOff(sig syscall.Signal, reason string, args ...string) {
	e.t.Helper()
	mode := "plain"
	if len(args) > 0 {
		mode = args[0]
	}
	e.file("f", 6_000_000) // 4.8 s
	e.write("old", "A", "f")
	r := e.rx(e.A, args...)
	p := e.txStart(hA, "f")
	e.ok(r.WaitLog("FILEINFO_ACK sent", soon))
	e.arrive(p, e.A, 300_000)
	p.Signal(sig)
	res := e.end(p)
	if sig == syscall.SIGINT {
		e.want(res.Code == 6, "exit code 6, got %d", res.Code)
	}
	e.log(r, reason)
	if mode == "plain" && !e.OursRx {
		e.holds(e.dest(e.A)) // a stock receiver has overwritten the old file
		return
	}
	e.holds(e.dest(e.A), "f")
	e.ok(sameText(e.dest(e.A, "f"), "old"))
	if mode == "-T" {
		e.want(e.await(func() bool { return e.anyFile(e.in("t")) }, soon), "the part received is kept for a restart")
	}
}
