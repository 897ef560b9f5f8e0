//go:build linux

package interop

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"uftp/tools/netlab"
	"uftp/wire"
)

// loss is section F of the list.
var loss = []scenario{
	{id: "77", run: func(t *testing.T, e *env) {
		e.file("f", 3_000_000)
		e.rx(e.A)
		e.rx(e.B)
		e.drop(e.A, netlab.Match{}.Func(fileSeg), netlab.Percent(5))
		e.drop(e.B, netlab.Match{}.Func(fileSeg), netlab.Percent(5))
		c := e.capture(e.S)
		e.txCode(0, "-b", "512", hAB, "f")
		e.got("f", e.A, e.B)
		e.dropped(e.A)
		tr := e.packets(c)
		segs, naks := tr.of(fileSeg), tr.of(status)
		// How many there are is up to chance and to the machine.
		e.want(segs.passes() >= 2 && segs.passes() <= 1+len(naks), "2 passes and more, each asked for by one of %d STATUS, got %d", len(naks), segs.passes())
		firstDone := tr.of(done)[0].Time
		early := naks.where(func(p netlab.Packet) bool { return word(p, 20) == 0 && p.Time.Before(firstDone) })
		second := segs.where(func(p netlab.Packet) bool { return word(p, 20) == 1 })
		e.want(len(early) >= 2 && early[0].Time.After(second[0].Time), "both ask for section 0 after section 1 has begun and before DONE, got %d", len(early))
		e.wellFormed(c)
	}},
	{id: "78", run: func(t *testing.T, e *env) {
		var list []string
		for i := range 21 {
			list = append(list, fmt.Sprintf("f%02d", i))
			e.file(list[i], int64(i*i*300))
		}
		all := []*netlab.Host{e.A, e.B, e.C}
		for _, h := range all {
			e.rx(h)
		}
		for _, h := range append(all, e.S) {
			e.drop(h, netlab.Match{}, netlab.Percent(10))
		}
		e.txCode(0, append([]string{"-r", "0.1", "-s", "40", hABC}, list...)...)
		for _, f := range list {
			e.got(f, all...)
			e.result(uidA, f, "copy")
		}
		e.dropped(e.S)
	}},
	{id: "79", run: func(t *testing.T, e *env) {
		e.file("f", 20_000_000)
		e.rx(e.A, "-c", "10240")
		e.drop(e.A, netlab.Match{}.Func(fileSeg), netlab.Percent(1))
		e.txCode(0, "-R", "100000", hA, "f")
		e.got("f", e.A)
		e.dropped(e.A)
	}},
	{id: "80", run: func(t *testing.T, e *env) {
		e.file("f", 300_000)
		e.file("g", 30_000)
		e.mkdir("src", "d")
		for _, h := range []*netlab.Host{e.A, e.B} {
			e.rx(h, "-T", e.mkdir("t"+h.Name))
			for _, fn := range []uint8{announce, regConf, fileInfo, done, doneConf} {
				e.drop(h, netlab.Match{}.Func(fn), netlab.EveryNth(2))
			}
			e.drop(h, netlab.Match{}.Func(fileSeg), netlab.Percent(10))
			for _, fn := range []uint8{register, fileInfoAck, status, complete} {
				e.drop(e.S, netlab.Match{}.Func(fn).From(h), netlab.EveryNth(2))
			}
		}
		e.txCode(0, "-s", "40", hAB, "f", "g", "d")
		for _, h := range []*netlab.Host{e.A, e.B} {
			e.got("f", h)
			e.got("g", h)
			e.holds(e.dest(h), "d/", "f", "g")
			e.holds(e.in("t" + h.Name))
		}
		e.dropped(e.S)
	}},
	{id: "82", run: func(t *testing.T, e *env) {
		e.file("f", 1000)
		r := e.rx(e.A)
		e.drop(e.S, netlab.Match{}.Func(register), netlab.All())
		c := e.capture(e.S)
		e.txCode(7, "-r", "0.1", hA, "f")
		e.log(r, "Registration unconfirmed")
		e.seen(c, "ABORT from A", func(tr trace) bool { return len(tr.of(abort).from(e.A)) > 0 })
		tr := e.packets(c)
		reg, aborts := tr.of(register), tr.of(abort).from(e.A)
		if len(reg) < 2 || len(aborts) != 1 {
			t.Fatalf("want: REGISTER again and again and one ABORT, got %d and %d", len(reg), len(aborts))
		}
		gap, took := reg.span()/time.Duration(len(reg)-1), aborts[0].Time.Sub(reg[0].Time)
		e.want(took > 4*time.Second && took < 8*time.Second, "REGISTER again and again for 4·R·G = 4.2 s, got %v", took)
		e.want(gap > 380*time.Millisecond && gap < 900*time.Millisecond, "REGISTER every 4·G = 0.42 s, got %v", gap)
	}},
	{id: "83", run: func(t *testing.T, e *env) {
		e.file("f", 20_000)
		e.rx(e.A)
		e.drop(e.A, netlab.Match{}.Func(regConf), netlab.All())
		e.txCode(0, hA, "f")
		e.dropped(e.A)
		e.got("f", e.A)
	}},
	{id: "84", run: func(t *testing.T, e *env) {
		e.file("f", 20_000)
		e.rx(e.A)
		e.drop(e.A, netlab.Match{}.Func(fileInfo), netlab.All())
		c := e.capture(e.S)
		e.txCode(8, hA, "f")
		tr := e.packets(c).from(e.S)
		info := tr.of(fileInfo)
		if g := info.grtt(); 3*10*g < 900*time.Millisecond {
			e.want(len(info) == 10, "FILEINFO is sent R times, got %d", len(info))
		} else { // a machine so busy that A gives up before, after 1 s
			e.want(len(info) > 1, "FILEINFO is sent again, got %d", len(info))
		}
		e.want(len(tr.of(done)) == 0, "no DONE at all")
	}},
	{id: "85", run: func(t *testing.T, e *env) {
		e.file("f", 20_000)
		r := e.rx(e.A)
		e.drop(e.S, netlab.Match{}.Func(complete), netlab.All())
		c := e.capture(e.S)
		e.txCode(9, hA, "f")
		e.dropped(e.S)
		e.result(uidA, "f", "lost")
		e.got("f", e.A)
		if e.OursTx {
			e.log(r, "Transfer aborted by server") // ours sends it to the lost receiver
		} else {
			e.log(r, "Transfer timed out")
		}
		tr := e.packets(c).from(e.S)
		segs := tr.of(fileSeg)
		dones := tr.of(done).where(func(p netlab.Packet) bool { return p.Time.After(segs[len(segs)-1].Time) })
		if len(dones) != 10 {
			t.Fatalf("want: DONE is sent R times after the last block, got %d", len(dones))
		}
		var cycles time.Duration
		for i := range dones[1:] {
			cycles += 3 * dones[i:].grtt()
		}
		e.want(dones.span() > cycles*8/10 && dones.span() < 2*cycles+2*time.Second, "DONE every 3·G, nine times in %v, got %v", cycles, dones.span())
	}},
	{id: "86", run: func(t *testing.T, e *env) {
		e.file("f", 20_000)
		e.rx(e.A, "-T", e.mkdir("t"))
		e.drop(e.S, netlab.Match{}.Func(complete).File(0), netlab.All())
		c := e.capture(e.S)
		code := 0
		if e.OursTx {
			code = 10 // no receiver confirmed the session, so none is known to have the file
		}
		res := e.txCode(code, hA, "f")
		e.want(strings.Contains(res.Stderr, "Couldn't get COMPLETE for group"), "the sender says that it missed the group's COMPLETE")
		e.got("f", e.A)
		moved := time.Now()
		time.Sleep(200 * time.Millisecond) // a COMPLETE too many would come now
		tr := e.packets(c)
		ask, last := tr.of(done).file(0), tr.of(complete).file(0)
		if len(ask) == 0 || len(last) < 2 {
			t.Fatalf("want: DONE for the group and COMPLETE again and again, got %d and %d", len(ask), len(last))
		}
		// One more than by the timer for each DONE that finds A slow to answer.
		g := ask.grtt()
		limit, gap := max(time.Second, 4*10*g), last.span()/time.Duration(len(last)-1)
		e.want(len(last) <= int(limit/(4*g))+2+len(ask), "COMPLETE no more often than every 4·G with G = %v, got %d in %v", g, len(last), limit)
		e.want(gap < 8*g+200*time.Millisecond, "COMPLETE every 4·G with G = %v, got %v", g, gap)
		e.want(last.span() < limit+time.Second, "for %v, got %v", limit, last.span())
		e.want(moved.Sub(ask[0].Time) > limit*9/10, "A waits %v before it gives up and moves the file, got %v", limit, moved.Sub(ask[0].Time))
	}},
	{id: "87", run: func(t *testing.T, e *env) {
		e.file("f", 20_000)
		e.rx(e.A, "-T", e.mkdir("t"))
		e.drop(e.A, netlab.Match{}.Func(doneConf), netlab.All())
		e.txCode(0, hA, "f")
		e.got("f", e.A)
		e.dropped(e.A)
		e.holds(e.in("t"))
	}},
	{id: "88", run: func(t *testing.T, e *env) {
		e.file("f", 100_000)
		r := e.rx(e.A)
		e.rx(e.B)
		e.drop(e.A, netlab.Match{}.Func(fileSeg).Blocks(5, 5), netlab.All())
		c := e.capture(e.S)
		e.txCode(0, "-a", "3", hAB, "f")
		e.log(r, "Max passes exceeded")
		e.result(uidA, "f", "aborted")
		e.result(uidB, "f", "copy")
		e.got("f", e.B)
		fives := e.packets(c).of(fileSeg).where(func(p netlab.Packet) bool { return word(p, 22) == 5 })
		e.want(len(fives) == 3, "the block is sent in 3 passes, got %d", len(fives))
		e.wellFormed(c)
	}},
	{id: "89", run: func(t *testing.T, e *env) {
		e.file("f", 20_000)
		e.rx(e.A)
		e.rx(e.B)
		e.drop(e.A, netlab.Match{}.Func(fileSeg).Blocks(5, 5), netlab.All())
		c := e.capture(e.S)
		e.txCode(0, "-a", "130", hAB, "f")
		e.result(uidA, "f", "aborted")
		e.got("f", e.B)
		fives := e.packets(c).of(fileSeg).where(func(p netlab.Packet) bool { return word(p, 22) == 5 })
		passes := 1 // stock cuts the number to 8 bits
		if e.OursTx {
			passes = 130
		}
		e.want(len(fives) == passes, "the block is sent in %d passes, got %d", passes, len(fives))
	}},
	{id: "90a", run: func(t *testing.T, e *env) { e.excessive(1, "-N", "10", "-m", "1") }},
	{id: "90b", run: func(t *testing.T, e *env) { e.excessive(3, "-N", "0", "-m", "3") }},
	{id: "91", run: func(t *testing.T, e *env) {
		e.file("f", 1_250_000)
		e.file("g", 10_000)
		e.rx(e.A)
		e.rx(e.B)
		e.drop(e.A, netlab.Match{}.Func(fileSeg).Blocks(5, 5), netlab.All())
		// The data take 2 s, the limit is 5 s; stock may be early by a second.
		res := e.tx("-W", "300", "-R", "5000", hAB, "f", "g")
		e.result(uidA, "f", "aborted")
		e.result(uidB, "f", "copy")
		e.got("f", e.B)
		if !e.OursTx {
			e.want(res.Code == 8, "stock throws B out, too, and ends with code 8, got %d", res.Code)
			return
		}
		e.want(res.Code == 0, "the session goes on for B, got code %d", res.Code)
		e.got("g", e.B)
		e.result(uidB, "g", "copy")
	}},
	{id: "92", run: func(t *testing.T, e *env) {
		for _, n := range []string{"f", "g", "h"} {
			e.file(n, 5000)
		}
		r := e.rx(e.A)
		c := e.capture(e.S)
		r.Signal(syscall.SIGSTOP)
		p := e.txStart("-s", "40", hA, "f", "g", "h")
		e.seen(c, "ANNOUNCE", func(tr trace) bool { return len(tr.of(announce)) > 0 })
		time.Sleep(350 * time.Millisecond)
		r.Signal(syscall.SIGCONT)
		e.want(e.end(p).Code == 0, "exit code 0")
		tr := e.packets(c)
		if len(tr.of(register)) == 0 {
			t.Fatal("want: REGISTER")
		}
		pause := tr.of(register)[0].Time.Sub(tr.of(announce)[0].Time).Seconds()
		info := tr.of(fileInfo)
		var g []float64
		for id := uint16(1); id <= 3; id++ {
			if of := info.file(id); len(of) > 0 {
				g = append(g, wire.DecodeGRTT(of[0].Payload[13]))
			}
		}
		if len(g) != 3 {
			t.Fatalf("want: three files, got %d", len(g))
		}
		e.want(pause > 0.35 && g[0] > 0.6*pause && g[0] < 1.5*pause, "G is about the %v s that A did not answer, got %v", pause, g)
		e.want(g[1] < g[0] && g[2] < g[1] && g[2] > 0.7*g[0], "then it shrinks by a tenth a file, got %v", g)
	}},
	{id: "93", run: func(t *testing.T, e *env) {
		e.file("f", 3_000_000)
		r := e.rx(e.A)
		p := e.txStart(patient, "-s", "20", hA, "f")
		e.underWay(p)
		r.Signal(syscall.SIGSTOP)
		time.Sleep(700 * time.Millisecond)
		e.want(!p.Exited(), "the session still runs")
		r.Signal(syscall.SIGCONT)
		e.want(e.end(p).Code == 0, "exit code 0")
		e.got("f", e.A)
	}},
	{id: "94a", run: func(t *testing.T, e *env) {
		e.file("f", 3_000_000)
		e.rx(e.A)
		e.rx(e.B)
		p := e.txStart(patient, "-s", "20", hAB, "f")
		e.underWay(p)
		e.ok(e.A.Unplug())
		time.Sleep(700 * time.Millisecond)
		e.want(!p.Exited(), "the session still runs")
		e.ok(e.A.Plug())
		e.want(e.end(p).Code == 0, "exit code 0")
		e.got("f", e.A, e.B)
	}},
	{id: "94b", run: func(t *testing.T, e *env) {
		e.file("f", 3_000_000)
		r := e.rx(e.A)
		e.rx(e.B)
		p := e.txStart("-s", "20", hAB, "f")
		e.underWay(p)
		e.ok(e.A.Unplug())
		e.log(r, "Transfer timed out")
		time.Sleep(time.Second)
		e.ok(e.A.Plug())
		e.want(e.end(p).Code == 0, "exit code 0")
		e.got("f", e.B)
		e.holds(e.dest(e.A))
		e.missed(uidA, "f")
	}},
	{id: "95", run: func(t *testing.T, e *env) {
		e.file("f", 1000)
		e.rx(e.A)
		// A packet takes 1.17 s; a G of 0.01 s lets the receiver give up before.
		if !e.OursTx {
			e.txCode(7, "-R", "9", "f")
			return
		}
		e.txCode(0, "-R", "9", "--register-count", "1", "f") // or else R rounds of 3.5 s
		e.got("f", e.A)
	}},
	{id: "96", run: func(t *testing.T, e *env) {
		e.file("f", 220*1300)
		e.rx(e.A)
		e.drop(e.A, netlab.Match{}.Func(fileSeg).Blocks(0, 199), netlab.All())
		c := e.capture(e.S)
		p := e.txStart("-r", "0.5:0.5:15", "-R", "2000", hA, "f")
		e.ok(p.WaitUntil(func() bool {
			tr, _ := c.SoFar()
			return len(trace(tr).of(status)) > 0
		}, "STATUS", sessionMax))
		e.dropped(e.A)
		e.clear(e.A)
		e.want(e.end(p).Code == 0, "exit code 0")
		e.got("f", e.A)
		segs := e.packets(c).of(fileSeg)
		if len(segs) < 420 {
			t.Fatalf("want: 220 blocks and then 200 again, got %d", len(segs))
		}
		again := segs[220:270]
		took := again.span() // 49 intervals of 5.28 ms = 259 ms
		if !e.OursTx {
			burst := 0
			for i := range again[1:] {
				if again[i:i+2].span() < 2*time.Millisecond {
					burst++
				}
			}
			e.want(burst > 35, "stock begins pass 2 with a burst, %d of 49 blocks at once in %v", burst, took)
			return
		}
		e.want(took > 200*time.Millisecond, "pass 2 is paced from its start, 50 blocks took %v", took)
	}},
	{id: "97", side: rxOnly, run: func(t *testing.T, e *env) {
		e.rx(e.A)
		for i, start := range []uint16{32767, 40000} {
			f := e.fakeSender()
			f.seq = start
			f.announce()
			name := fmt.Sprint("f", start)
			if e.OursRx {
				f.deliver(1, name, []byte("whatever the number"))
				f.done(0, 0)
				f.must(wire.FuncComplete)
				e.becomes(func() error { return sameText(e.dest(e.A, name), "whatever the number") })
				conf := wire.HostList{Func: wire.FuncDoneConf, Hosts: wire.AppendUID(nil, uidOfA)}
				f.send(wire.FuncDoneConf, conf.Append)
				time.Sleep(100 * time.Millisecond)
				continue
			}
			f.offer(1, wire.TypeFile, name, 10)
			f.none(wire.FuncFileInfoAck, 300*time.Millisecond)
			if i == 0 {
				f.abort(0, 0)
				time.Sleep(50 * time.Millisecond)
			}
		}
	}},
	{id: "98", side: rxOnly, run: func(t *testing.T, e *env) {
		e.rx(e.A)
		f := e.fakeSender()
		f.robust = 200 // A gives up after R·G = 4 s without a word
		f.announce()
		const blocks = 12000
		f.offer(1, wire.TypeFile, "f", blocks*512)
		f.must(wire.FuncFileInfoAck)
		data := make([]byte, 512)
		for s := range uint16(3) {
			f.seg(1, s, 0, data)
		}
		quiet := 800 * time.Millisecond
		heads := f.sections(quiet)
		f.done(1, 2)
		one := f.sections(quiet)
		f.done(1, 2)
		two := f.sections(quiet)
		if e.OursRx { // ours may ask for everything at the first chance
			all := slices.Concat(heads, one, two)
			for s := range 3 {
				e.want(slices.Contains(all, s), "section %d is asked for, got %v / %v / %v", s, heads, one, two)
			}
			return
		}
		e.want(slices.Equal(heads, []int{0}) && slices.Equal(one, []int{2}) && slices.Equal(two, []int{0, 1, 2}), "STATUS for 0 / 2 / 0 1 2, got %v / %v / %v", heads, one, two)
	}},
}

// passes is how often the block numbers of FILESEG begin again.
func (tr trace) passes() int {
	n, last := 0, -1
	for _, p := range tr {
		at := int(word(p, 20))<<16 | int(word(p, 22))
		if n == 0 || at < last {
			n++
		}
		last = at
	}
	return n
}

// grtt is G in the first packet of a sender.
func (tr trace) grtt() time.Duration {
	return time.Duration(wire.DecodeGRTT(tr[0].Payload[13]) * float64(time.Second))
}

// patient keeps G at 0.2 s at least: with -s 20 a receiver waits 4 s for the sender
// before it gives up, not 1 s.
const patient = "-r0.2:0.2:15"

// underWay waits until a file is being received at A and a part of it has come: 0.25 s
// of the data at the usual rate.
func (e *env) underWay(p *netlab.Proc) {
	e.t.Helper()
	e.ok(p.WaitUntil(func() bool { return e.anyFile(e.dest(e.A)) }, "a file at A", soon))
	e.arrive(p, e.A, 300_000)
}

// excessive is scenario 90: A is aborted at STATUS number n.
func (e *env) excessive(n int, args ...string) {
	e.t.Helper()
	e.file("f", 100_000)
	e.rx(e.A)
	e.rx(e.B)
	e.drop(e.A, netlab.Match{}.Func(fileSeg).Blocks(0, 30), netlab.All()) // 31 of 77 blocks
	c := e.capture(e.S)
	res := e.txCode(0, append(args, hAB, "f")...)
	e.want(strings.Contains(res.Stderr, "excessive NAKs"), "the sender says why it aborts A")
	e.result(uidA, "f", "aborted")
	e.result(uidB, "f", "copy")
	e.got("f", e.B)
	tr := e.packets(c)
	aborts := tr.of(abort).from(e.S)
	e.want(len(aborts) == 1, "one ABORT, got %d", len(aborts))
	if len(aborts) > 0 {
		// A may repeat itself before a sender on a busy machine has read the last one.
		naks := len(tr.of(status).from(e.A).where(func(p netlab.Packet) bool { return p.Time.Before(aborts[0].Time) }))
		e.want(naks >= n && naks <= n+2, "A is aborted at STATUS %d, got %d", n, naks)
	}
	e.soonGone(e.dest(e.A, "f"), "no half file at A")
}
