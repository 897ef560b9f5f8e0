//go:build linux

package interop

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"uftp/tools/netlab"
)

// existing is section D of the list.
var existing = []scenario{
	{id: "48", run: func(t *testing.T, e *env) {
		e.oldTree()
		e.rx(e.A)
		e.txCode(0, hA, "f1", "f2", "emptyd", "ln", "dirA")
		e.replaced(false)
	}},
	{id: "49", run: func(t *testing.T, e *env) {
		e.oldTree()
		e.rx(e.A, "-A", e.mkdir("bk"))
		e.txCode(0, hA, "f1", "f2", "emptyd", "ln", "dirA")
		e.replaced(true)
		if e.OursRx {
			e.backups("dirA", "f1", "f2/inner", "ln -> zzz")
		} else {
			e.holds(e.in("bk"))
		}
	}},
	{id: "50", run: func(t *testing.T, e *env) {
		e.oldTree()
		e.rx(e.A, "-t", "-A", e.mkdir("bk"))
		e.txCode(0, hA, "f1", "f2", "emptyd", "ln", "dirA")
		e.got("f1", e.A)
		e.got("f2", e.A)
		if e.OursRx {
			e.holds(e.dest(e.A), "dirA/x", "emptyd/", "f1", "f2", "ln -> f1")
			e.backups("dirA", "f1", "f2/inner", "ln -> zzz")
		} else {
			e.holds(e.dest(e.A), "dirA/x", "emptyd/", "f1", "f2", "ln -> zzz")
			e.backups("f1", "f2/inner")
		}
	}},
	{id: "51", run: func(t *testing.T, e *env) {
		e.syncTree()
		e.rx(e.A)
		e.txCode(0, append([]string{hA, "-z"}, syncNames...)...)
		e.synced(false)
		got, overwritten := []string{"missing", "older", "size"}, "2"
		if !e.OursRx {
			got, overwritten = append(got, "dirolder"), "3"
		}
		for _, n := range got {
			e.got(n, e.A)
		}
		for _, n := range []string{"newer", "same"} {
			e.ok(sameText(e.dest(e.A, n), oldText(n)))
		}
		st := e.lines("STATS", uidA)
		e.want(len(st) == 1 && len(st[0]) > 4 && slices.Equal(st[0][2:5], []string{"1", overwritten, "2"}), "STATS counts 1 copy, %s overwritten, 2 skipped, got %q", overwritten, st)
	}},
	{id: "52", run: func(t *testing.T, e *env) {
		e.syncTree()
		e.rx(e.A, "-A", e.mkdir("bk"))
		e.txCode(0, append([]string{hA, "-z"}, syncNames...)...)
		e.synced(true)
		e.backups("dirolder/inner", "older", "size")
	}},
	{id: "53", run: func(t *testing.T, e *env) {
		e.syncTree()
		e.mkdir("src", "emptyd")
		e.link("same", "src", "ln")
		e.file("newdir/x", 100)
		e.rx(e.A)
		before, err := netlab.List(e.dest(e.A))
		e.ok(err)
		c := e.capture(e.S)
		e.txCode(0, append([]string{hA, "-Z", "emptyd", "ln", "newdir"}, syncNames...)...)
		e.synced(false)
		e.result(uidA, "emptyd", "copy")
		e.result(uidA, "ln", "copy")
		e.result(uidA, "newdir/x", "copy")
		if !e.OursRx {
			before = append(before, "newdir/") // stock makes parent directories even so
		}
		e.holds(e.dest(e.A), before...)
		for _, n := range []string{"older", "newer", "same", "size"} {
			e.ok(sameText(e.dest(e.A, n), oldText(n)))
		}
		e.want(len(e.packets(c).of(fileSeg)) == 0, "no data is sent")
	}},
	{id: "54", run: func(t *testing.T, e *env) {
		e.write("x", "A", "f1")
		e.write("x", "A", "dir", "sub", "y")
		e.write("x", "A", "stays")
		e.rx(e.A)
		c := e.capture(e.S)
		e.txCode(0, hA, "@DELETE:f1", "@DELETE:dir", "@DELETE:nosuch", "@FREESPACE")
		e.holds(e.dest(e.A), "stays")
		for _, n := range []string{"f1", "dir", "nosuch", "."} {
			e.result(uidA, n, "copy")
		}
		st := e.status()
		i := slices.IndexFunc(st, func(l []string) bool { return l[0] == "FREESPACE" })
		if i < 1 || len(st[i]) != 3 {
			t.Fatalf("want: a FREESPACE line, got %q", st)
		}
		free, err := strconv.ParseInt(st[i][2], 10, 64)
		var fs unix.Statfs_t
		e.ok(unix.Statfs(e.dest(e.A), &fs))
		really := int64(fs.Bavail) * fs.Bsize
		e.want(err == nil && st[i][1] == "." && free > really/2 && free < really*2, "FREESPACE;.;about %d, got %q", really, st[i])
		e.want(st[i-1][0] == "RESULT" && st[i-1][2] == ".", "it follows the RESULT line, got %q", st[i-1])
		e.wellFormed(c)
	}},
	{id: "55", run: func(t *testing.T, e *env) {
		e.write("x", "A", "f1")
		e.rx(e.A, "-A", e.mkdir("bk"))
		e.txCode(0, hA, "@DELETE:f1")
		e.holds(e.dest(e.A))
		e.backups("f1")
	}},
	{id: "56", run: func(t *testing.T, e *env) {
		for _, n := range []string{"dirA/a", "dirA/b", "dirA/x", "dirA/y", "x"} {
			e.write("x", "A", n)
		}
		e.rx(e.A)
		e.txCode(0, hA, "-D", "dirA", "@DELETE:a", "@DELETE:b")
		e.holds(e.dest(e.A), "dirA/x", "dirA/y", "x")
		e.txCode(0, hA, "-D", "dirA/y", "@DELETE:junk")
		e.holds(e.dest(e.A), "dirA/x", "x")
		e.txCode(0, hA, "@DELETE:dirA/x")
		e.holds(e.dest(e.A), "dirA/x")
	}},
	{id: "57", run: func(t *testing.T, e *env) {
		e.write("x", "A", "f1")
		e.write("x", "A", "dir", "y")
		e.rx(e.A)
		res := e.tx(hA, "@DELETE:")
		if !e.OursTx && !e.OursRx {
			e.want(res.Code == 0, "stock accepts that, got code %d", res.Code)
			e.soonGone(e.dest(e.A, "f1"), "stock empties the destination")
			return
		}
		e.want(res.Code != 0, "the sender refuses or the receiver rejects, got code 0")
		e.holds(e.dest(e.A), "dir/y", "f1")
	}},
	{id: "58", run: func(t *testing.T, e *env) {
		e.file("big", 2_000_000)
		e.file("later", 1000)
		e.smallDisk(e.dest(e.A))
		e.write("old", "A", "big")
		e.rx(e.A)
		e.rx(e.B)
		res := e.txCode(0, "-R", "50000", hAB, "big", "later")
		e.got("big", e.B)
		e.got("later", e.B)
		e.result(uidB, "big", "copy")
		if e.OursRx {
			e.ok(sameText(e.dest(e.A, "big"), "old")) // and the file alone, or the session, is refused
			big := e.lines("RESULT", uidA, "big")
			e.want(len(big) == 1 && (big[0][4] == "rejected" || big[0][4] == "aborted"), "A refuses the big file, got %q", big)
			return
		}
		e.want(strings.Contains(res.Stderr, "Not enough disk space"), "A says why")
		e.result(uidA, "big", "aborted")
		e.result(uidA, "later", "aborted")
	}},
	{id: "59", run: func(t *testing.T, e *env) {
		e.file("f", 600_000)
		e.smallDisk(e.dest(e.A))
		r := e.rx(e.A)
		p := e.txStart("-R", "1000", hA, "f") // takes 4.8 s
		e.ok(p.WaitUntil(func() bool { return e.anyFile(e.dest(e.A)) }, "the file at A", soon))
		time.Sleep(500 * time.Millisecond)
		fill, err := os.Create(e.dest(e.A, "fill"))
		e.ok(err)
		defer fill.Close()
		for b := make([]byte, 4096); err == nil; {
			_, err = fill.Write(b)
		}
		if !e.OursRx {
			res, err := p.WaitFor(8 * time.Second)
			e.want(err != nil, "the session with a stock receiver never ends, it ended with code %d", res.Code)
			return
		}
		res := e.end(p)
		if res.Code == 0 { // the receiver had reserved the space
			e.got("f", e.A)
			return
		}
		e.want(res.Code == 9, "the sender ends with code 9 after the receiver's ABORT, got %d", res.Code)
		e.want(strings.Contains(res.Stderr, "aborted by "+uidA), "A says why")
		e.want(!e.exists(e.dest(e.A, "f")), "no half file under the final name")
		e.want(!r.Exited(), "the receiver lives on")
	}},
	{id: "60", run: func(t *testing.T, e *env) {
		e.file("f1", 5000)
		out := e.write("precious", "out", "t")
		e.link(out, "A", "f1")
		e.rx(e.A)
		e.txCode(0, hA, "f1")
		if !e.OursRx {
			e.becomes(func() error { return netlab.SameContent(e.src("f1"), out) }) // written through the link
			return
		}
		e.got("f1", e.A)
		e.ok(sameText(out, "precious"))
	}},
	{id: "61", run: func(t *testing.T, e *env) {
		e.file("f1", 5000)
		e.mkdir("A", "a..b")
		e.rx(e.A)
		res := e.tx(hA, "-D", "a..b/../../evil", "f1")
		if !e.OursRx && !e.OursTx {
			e.want(res.Code == 0, "stock accepts that, got code %d", res.Code)
			e.soonExists(e.in("evil"), "stock writes outside the destination")
			return
		}
		if e.OursRx {
			e.want(res.Code != 0, "the name is refused, got code 0")
			e.want(!e.exists(e.in("evil")), "nothing outside the destination")
			e.holds(e.dest(e.A), "a..b/")
		}
	}},
	{id: "62", run: func(t *testing.T, e *env) {
		e.file("f1", 5000)
		e.mkdir("Aevil")
		e.rx(e.A)
		res := e.tx(hA, "-D", e.in("Aevil", "x"), "f1")
		if !e.OursRx {
			e.want(res.Code == 0, "stock accepts that, got code %d", res.Code)
			e.soonExists(e.in("Aevil", "x"), "stock takes /destevil for /dest")
			return
		}
		e.want(res.Code == 10, "rejected, got code %d", res.Code)
		e.holds(e.in("Aevil"))
	}},
}

// oldTree makes the old entries at A and the sources that replace them.
func (e *env) oldTree() {
	e.t.Helper()
	e.file("f1", 40_000)
	e.file("f2", 20_000)
	e.file("dirA/x", 5000)
	e.mkdir("src", "emptyd")
	e.link("f1", "src", "ln")

	old := e.write("old f1", "A", "f1")
	e.ok(os.Chmod(old, 0o600))
	e.ok(os.Chtimes(old, time.Time{}, time.Unix(1_577_900_000, 0)))
	e.write("old inner", "A", "f2", "inner")
	e.mkdir("A", "emptyd")
	e.link("zzz", "A", "ln")
	e.write("old dirA", "A", "dirA")
}

// replaced wants what scenario 48 says. Ours replaces a directory that holds something
// only where it goes to a backup.
func (e *env) replaced(backup bool) {
	e.t.Helper()
	e.got("f1", e.A)
	e.got("dirA/x", e.A)
	e.result(uidA, "f1", "copy")
	switch {
	case e.OursRx && backup:
		e.got("f2", e.A)
		e.holds(e.dest(e.A), "dirA/x", "emptyd/", "f1", "f2", "ln -> f1")
		e.result(uidA, "emptyd", "skipped")
		return
	case e.OursRx:
		e.holds(e.dest(e.A), "dirA/x", "emptyd/", "f1", "f2/inner", "ln -> f1")
		e.result(uidA, "emptyd", "skipped")
		e.result(uidA, "f2", "rejected")
		return
	}
	e.holds(e.dest(e.A), "dirA/x", "emptyd/", "f1", "f2/inner", "ln -> zzz")
	for _, n := range []string{"f2", "emptyd", "ln"} {
		e.result(uidA, n, "rejected")
	}
}

// backups wants these names, and no others, in the backup of A's destination:
// bk/YYYYMMDD/HHMMSS/ and the whole path.
func (e *env) backups(names ...string) {
	e.t.Helper()
	list := func() []string {
		all, err := netlab.List(e.in("bk"))
		e.ok(err)
		stamp := regexp.MustCompile(`^\d{8}/\d{6}/` + regexp.QuoteMeta(rel(e.dest(e.A))) + "/")
		for i, n := range all {
			all[i] = stamp.ReplaceAllString(n, "")
		}
		slices.Sort(all)
		return all
	}
	e.want(e.await(func() bool { return slices.Equal(list(), names) }, soon), "backups %q, got %q", names, list())
}

// syncNames are the files of scenario 51.
var syncNames = []string{"missing", "older", "newer", "same", "size", "dirolder"}

// syncTree makes the sources and, at A, what they are compared with: the name
// says what the target is.
func (e *env) syncTree() {
	e.t.Helper()
	for _, n := range syncNames {
		e.file(n, int64(len(oldText(n))))
		st, err := os.Stat(e.src(n))
		e.ok(err)
		when := map[string]time.Duration{"older": -time.Minute, "newer": time.Minute, "dirolder": -time.Minute}[n]
		path := e.dest(e.A, n)
		switch n {
		case "missing":
			continue
		case "dirolder":
			e.write("x", "A", n, "inner")
		default:
			e.write(oldText(n), "A", n)
		}
		if n == "size" {
			e.file(n, 5000)
			e.ok(os.Chtimes(e.src(n), time.Time{}, st.ModTime()))
		}
		e.ok(os.Chtimes(path, time.Time{}, st.ModTime().Truncate(time.Second).Add(when)))
	}
}

func oldText(name string) string { return "what was here before, " + name }

// synced wants the statuses of scenario 51. Ours keeps a directory that holds something
// unless it goes to a backup.
func (e *env) synced(backup bool) {
	e.t.Helper()
	dir := "overwritten"
	if e.OursRx && !backup {
		dir = "rejected"
	}
	for n, st := range map[string]string{
		"missing": "copy", "older": "overwritten", "newer": "skipped", "same": "skipped", "size": "overwritten", "dirolder": dir,
	} {
		e.result(uidA, n, st)
	}
}

func sameText(path, text string) error {
	got, err := os.ReadFile(path)
	if err == nil && string(got) != text {
		err = fmt.Errorf("want: %s still holds %q", path, text)
	}
	return err
}

// smallDisk puts a file system of 1 MB on a directory.
func (e *env) smallDisk(dir string) {
	e.t.Helper()
	e.ok(syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"))
	// The receiver may still have files open there, so detach.
	e.t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			e.t.Error(err)
		}
	})
}

// anyFile reports whether there is a regular file below dir.
func (e *env) anyFile(dir string) bool {
	found := false
	_ = filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
		found = found || err == nil && d.Type().IsRegular()
		return nil
	})
	return found
}
