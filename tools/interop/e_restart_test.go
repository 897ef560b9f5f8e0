//go:build linux

package interop

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"uftp/tools/netlab"
)

// The file that sessions are cut in: at cutRate it takes 6 s, so that there is time
// to cut it, at restRate 2.4 s.
const (
	cutSize   = 6_000_000
	cutRate   = "8000"
	cutAt     = cutSize / 4
	restRate  = "20000"
	cutBlocks = (cutSize + 1299) / 1300
)

// restart is section E of the list.
var restart = []scenario{
	{id: "63", run: func(t *testing.T, e *env) {
		e.file("dirA/x", 5000)
		e.file("f1", 5000)
		e.write("old", "A", "dirA", "keepme")
		e.rx(e.A, "-T", e.mkdir("t"))
		e.txCode(0, hA, "dirA", "f1")
		e.holds(e.dest(e.A), "dirA/x", "f1")
		e.got("dirA/x", e.A)
		e.holds(e.in("t"))
	}},
	{id: "64", run: func(t *testing.T, e *env) {
		e.file("dirA/x", 5000)
		e.file("f1", 5000)
		e.write("old", "A", "dirA", "keepme")
		e.rx(e.A, "-i", "-T", e.mkdir("t"))
		e.txCode(0, hA, "dirA", "f1")
		e.holds(e.dest(e.A), "dirA/keepme", "dirA/x", "f1")
		e.got("f1", e.A)
		e.holds(e.in("t"))
	}},
	{id: "65", run: func(t *testing.T, e *env) {
		e.scripted()
		e.rx(e.A, "-s", e.script())
		e.txCode(0, hA, "f1", "dirA", "emptyd", "ln", "zero")
		e.calls([]string{"dirA/sub/y"}, []string{"dirA/x"}, []string{"f1"}, []string{"zero"})
	}},
	{id: "66a", run: func(t *testing.T, e *env) {
		e.scripted()
		e.rx(e.A, "-s", e.script(), "-T", e.mkdir("t"))
		e.txCode(0, hA, "f1", "dirA", "emptyd", "ln", "zero")
		e.calls([]string{"dirA", "emptyd", "f1", "ln", "zero"})
	}},
	{id: "66b", run: func(t *testing.T, e *env) {
		e.scripted()
		e.rx(e.A, "-s", e.script(), "-i", "-T", e.mkdir("t"))
		e.txCode(0, hA, "f1", "dirA", "emptyd", "ln", "zero")
		e.calls([]string{"dirA/sub/y"}, []string{"dirA/x"}, []string{"emptyd"}, []string{"f1"}, []string{"ln"}, []string{"zero"})
	}},
	{id: "67", run: func(t *testing.T, e *env) {
		e.file("long", 5_000_000) // 4 s
		e.file("short", 5000)
		script := e.in("nonexistent")
		e.ok(os.WriteFile(script, []byte("#!/bin/sh\n"), 0o755))
		e.rx(e.A, "-s", script)
		e.ok(os.Remove(script)) // ours does not start with a script that is not there
		one := e.txStart("-P", "230.6.6.1", hA, "long")
		e.ok(one.WaitUntil(func() bool { return e.anyFile(e.dest(e.A)) }, "the long file at A", soon))
		two := e.txRaw("-I", netlab.Device, "-r", "0.05", "-s", "10", "-R", "10000", "-U", "0x777", "-P", "230.6.6.2", hA, "short")
		e.want(e.end(two).Code == 0, "the short session ends well")
		e.want(e.end(one).Code == 0, "the long session ends well")
		if !e.OursRx {
			e.soonGone(e.dest(e.A, "long"), "stock deletes the file of the other session")
			return
		}
		e.got("long", e.A)
		e.got("short", e.A)
	}},
	{id: "68", run: func(t *testing.T, e *env) {
		r := e.rx(e.A, "-T", e.mkdir("t"))
		file := e.cutSession(hA)
		text, err := os.ReadFile(file)
		e.ok(err)
		e.want(len(text) == 12+300*2+156, "the sender's restart file holds two operands and one receiver, got %d bytes", len(text))
		gid := binary.LittleEndian.Uint32(text)
		e.want(filepath.Base(file) == fmt.Sprintf("_group_%08X_restart", gid), "the group ID %08X stands in the name %s", gid, filepath.Base(file))
		e.want(text[4] == 0 && text[8] == 2 && bytes.HasPrefix(text[12:], []byte("g\x00")) && bytes.HasPrefix(text[612:], []byte(uidA+"\x00")), "instance 0, operands, name of A")
		e.want(bytes.Equal(text[612+80:612+84], []byte{10, 88, 0, 1}), "the UID in network order")
		e.log(r, "Transfer aborted by server")
		e.holds(e.dest(e.A))
		group := e.in("t", fmt.Sprintf("_group_%08X", gid))
		// Ours replaces the record at once, then gives the file its name; stock's grows.
		stock := int64(336 + cutBlocks + 1) // header, and a byte for each block and section
		e.await(func() bool {
			st, err := os.Stat(group + "_restart")
			return err == nil && (e.OursRx || st.Size() >= stock) && e.exists(filepath.Join(group, "f1"))
		}, soon)
		st, err := os.Stat(filepath.Join(group, "f1"))
		e.want(err == nil && st.Size() > 0 && st.Size() <= cutSize, "the partial file is kept (%v)", err)
		e.gotAs("g", filepath.Join(group, "g"))
		if st, err = os.Stat(group + "_restart"); err != nil {
			t.Error(err)
		} else if !e.OursRx { // ours may use another form
			e.want(st.Size() == stock, "the receiver's state has %d bytes, got %d", stock, st.Size())
		}
	}},
	{id: "69", run: func(t *testing.T, e *env) {
		e.rx(e.A, "-T", e.mkdir("t"))
		file := e.cutSession(hA)
		e.resumes(file, true)
		e.holds(e.in("t"))
		e.want(e.exists(file), "the sender's restart file stays")
	}},
	{id: "70", run: func(t *testing.T, e *env) {
		r := e.rx(e.A, "-T", e.mkdir("t"))
		file := e.cutSession(hA)
		e.stop(r)
		e.rx(e.A, "-T", e.in("t"))
		e.resumes(file, true)
		e.holds(e.in("t"))
	}},
	{id: "71", run: func(t *testing.T, e *env) {
		e.rx(e.A, "-T", e.mkdir("t"))
		e.rx(e.B)
		file := e.cutSession(hAB)
		e.resumes(file, false)
		e.got("f1", e.B)
		e.got("g", e.B)
	}},
	{id: "72a", run: func(t *testing.T, e *env) {
		e.rx(e.A, "-T", e.mkdir("t"))
		file := e.cutSession(hA)
		e.file("f1", cutSize+700_000)
		e.resumes(file, false)
	}},
	{id: "72b", run: func(t *testing.T, e *env) {
		e.rx(e.A, "-T", e.mkdir("t"))
		file := e.cutSession(hA)
		e.ok(netlab.WriteRandom(e.src("f1"), cutSize, 99)) // a new time as well
		e.txCode(0, "-R", restRate, "-F", file)
		if !e.OursRx {
			e.soonExists(e.dest(e.A, "f1"), "the file is whole")
			e.want(netlab.SameContent(e.src("f1"), e.dest(e.A, "f1")) != nil, "stock mixes old and new blocks")
			return
		}
		e.got("f1", e.A)
	}},
	{id: "73", run: func(t *testing.T, e *env) {
		e.rx(e.A, "-T", e.mkdir("t"))
		file := e.cutSession(hA)
		p := e.txStart("-R", cutRate, "-F", file)
		e.ok(p.WaitLog("Sending FILEINFO", soon))
		time.Sleep(500 * time.Millisecond)
		p.Signal(syscall.SIGINT)
		e.want(e.end(p).Code == 6, "interrupted again")
		text, err := os.ReadFile(file)
		e.ok(err)
		e.want(len(text) > 4 && text[4] == 1, "instance 1 in the file")
		c := e.capture(e.S)
		e.resumes(file, true)
		first := e.packets(c).of(announce)[0]
		e.want(first.Payload[12] == 2, "the third attempt is instance 2, got %d", first.Payload[12])
		e.holds(e.in("t"))
	}},
	{id: "74", side: txOnly, run: func(t *testing.T, e *env) {
		head := func(instance, n byte, rest int) string {
			return string([]byte{1, 2, 3, 4, instance, 0, 0, 0, n, 0, 0, 0}) + strings.Repeat("f\x00", rest/2)
		}
		many := []byte(head(0, 0, 300))
		binary.LittleEndian.PutUint32(many[8:], 20000)
		for _, x := range []struct{ what, text string }{
			{"empty", ""},
			{"short", "abcdefgh"},
			{"no operands", head(0, 0, 156)},
			{"20000 operands", string(many)},
			{"instance 255", head(255, 1, 456)},
			{"short name", head(0, 1, 100)},
			{"partial record", head(0, 1, 300+100)},
		} {
			res := e.tx("-F", e.write(x.text, "bad"))
			e.want(res.Code == 1, "%s: exit code 1, got %d", x.what, res.Code)
		}
		e.want(e.tx("-F", e.in("none")).Code == 1, "missing: exit code 1")
	}},
	{id: "75", run: func(t *testing.T, e *env) {
		names := []string{"f", "g", "h"}
		for _, n := range names {
			e.file(n, 50_000)
		}
		e.rx(e.A, "-T", e.mkdir("t"))
		e.rx(e.B)
		e.drop(e.A, netlab.Match{}.Func(fileInfo).File(1), netlab.All())
		e.txCode(0, append([]string{"-f", hAB}, names...)...)
		e.dropped(e.A)
		for _, n := range names {
			e.got(n, e.B)
			e.result(uidB, n, "copy")
			e.missed(uidA, n)
		}
		text, err := os.ReadFile(e.restartFile())
		e.ok(err)
		e.want(len(text) == 12+300*3+156 && bytes.HasPrefix(text[912:], []byte(uidA+"\x00")), "the restart file lists A only, got %d bytes", len(text))
		e.clear(e.A)
		e.fresh()
		e.txCode(0, "-F", e.restartFile())
		for _, n := range names {
			e.got(n, e.A)
			e.result(uidA, n, "copy")
		}
	}},
	{id: "76", run: func(t *testing.T, e *env) {
		e.rx(e.A, "-T", e.mkdir("t"))
		e.drop(e.A, netlab.Match{}.Func(abort), netlab.All())
		file := e.cutSession(hA, "-r", "0.5:0.5:15")
		e.dropped(e.A)
		e.clear(e.A)
		e.txCode(0, "-r", "0.5:0.5:15", "-R", restRate, "-F", file)
		e.got("f1", e.A)
		e.got("g", e.A)
	}},
}

// cutSession sends g and then f1 with -f, interrupts the sender when about a
// quarter of f1 has come to A and returns the path of its restart file.
func (e *env) cutSession(args ...string) string {
	e.t.Helper()
	return e.cutSessionAs(e.OursTx, args...)
}

func (e *env) cutSessionAs(ours bool, args ...string) string {
	e.t.Helper()
	e.file("g", 10_000)
	e.file("f1", cutSize)
	p := e.txAs(ours, e.txArgs(append([]string{"-f", "-R", cutRate}, append(args, "g", "f1")...))...)
	begun := func() bool { // ours has another name for it until the end
		found, _ := filepath.Glob(e.in("t", "_group_*", "f1*"))
		return len(found) > 0
	}
	e.ok(p.WaitUntil(begun, "f1 at A", soon))
	e.arrive(p, e.A, cutAt)
	p.Signal(syscall.SIGINT)
	res := e.end(p)
	e.want(res.Code == 6, "an interrupted sender ends with code 6, got %d", res.Code)
	return e.restartFile()
}

// restartFile is the path of the sender's one restart file.
func (e *env) restartFile() string {
	e.t.Helper()
	found, err := filepath.Glob(e.src("_group_*_restart"))
	e.ok(err)
	if len(found) != 1 {
		e.t.Fatalf("want: one restart file, got %q", found)
	}
	return found[0]
}

// resumes runs the session again from its restart file and wants everything at
// A: with only the missing blocks sent, or all of them.
func (e *env) resumes(file string, partly bool) {
	e.t.Helper()
	c := e.capture(e.S)
	e.txCode(0, "-R", restRate, "-F", file)
	e.got("f1", e.A)
	e.got("g", e.A)
	tr := e.packets(c).from(e.S).of(fileSeg, done).where(func(p netlab.Packet) bool { return word(p, 18) == 2 })
	blocks := tr.of(fileSeg).blocks() // how often is a matter of what is lost now
	if !partly {
		e.want(blocks >= cutBlocks, "all %d blocks are sent again, got %d", cutBlocks, blocks)
		return
	}
	e.want(len(tr) > 0 && tr[0].Func() == done, "the resumed file begins with DONE")
	// About a quarter was there; a receiver under load may have had less.
	e.want(blocks > 0 && blocks < cutBlocks*9/10, "only the missing of %d blocks are sent, got %d", cutBlocks, blocks)
}

// blocks is how many blocks of a file FILESEG carry.
func (tr trace) blocks() int {
	seen := make(map[[2]uint16]bool)
	for _, p := range tr {
		seen[[2]uint16{word(p, 20), word(p, 22)}] = true
	}
	return len(seen)
}

// scripted makes the sources of scenario 65.
func (e *env) scripted() {
	e.t.Helper()
	e.file("f1", 5000)
	e.file("dirA/x", 100)
	e.file("dirA/sub/y", 100)
	e.mkdir("src", "emptyd")
	e.link("f1", "src", "ln")
	e.file("zero", 0)
}

// script makes a program that notes its arguments.
func (e *env) script() string {
	e.t.Helper()
	path := e.write("#!/bin/sh\necho \"$*\" >> "+e.in("calls")+"\n", "s.sh")
	e.ok(os.Chmod(path, 0o755))
	return path
}

// calls wants the script to have been called once for each list of paths
// below A's destination, in any order, with -I and a group ID.
func (e *env) calls(lists ...[]string) {
	e.t.Helper()
	var want []string
	for _, l := range lists {
		want = append(want, strings.Join(l, " "))
	}
	slices.Sort(want)
	read := func() []string {
		text, _ := os.ReadFile(e.in("calls"))
		var got []string
		for line := range strings.Lines(string(text)) {
			f := strings.Fields(line)
			if len(f) < 3 || f[0] != "-I" || len(f[1]) != 8 || strings.ToUpper(f[1]) != f[1] {
				got = append(got, "not -I GID path: "+line)
				continue
			}
			for i := range f[2:] {
				f[2+i] = strings.TrimPrefix(f[2+i], e.dest(e.A)+"/")
			}
			slices.Sort(f[2:]) // order within a call is that of the directory
			got = append(got, strings.Join(f[2:], " "))
		}
		slices.Sort(got)
		return got
	}
	e.want(e.await(func() bool { return slices.Equal(read(), want) }, soon), "script calls %q, got %q", want, read())
	time.Sleep(100 * time.Millisecond)
	e.want(len(read()) == len(want), "no further call, got %q", read())
}
