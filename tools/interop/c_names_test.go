//go:build linux

package interop

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// naming is one command line and what it leaves in the receiver's directory.
type naming struct {
	args  []string
	code  int
	files []string
}

// named runs command lines one after the other against one receiver, each into
// an empty directory.
func (e *env) named(rows []naming) {
	e.t.Helper()
	for _, r := range rows {
		e.ok(os.RemoveAll(e.dest(e.A)))
		e.mkdir("A")
		before := e.t.Failed()
		e.txCode(r.code, append([]string{hA}, r.args...)...)
		e.holds(e.dest(e.A), r.files...)
		if e.t.Failed() && !before {
			e.t.Logf("that was: %q", r.args)
		}
	}
}

// nameTree is the tree of the examples in the list.
func (e *env) nameTree() {
	for _, n := range []string{"f1", "f2", "dirA/x", "dirA/sub/y", "deep/a/b/c"} {
		e.file(n, 1000)
	}
}

// names is section C of the list.
var names = []scenario{
	{id: "39", run: func(t *testing.T, e *env) {
		e.nameTree()
		e.rx(e.A)
		e.named([]naming{
			{[]string{e.src("f1")}, 0, []string{"f1"}},
			{[]string{"dirA/"}, 0, []string{"dirA/sub/y", "dirA/x"}},
			{[]string{"dirA/x"}, 0, []string{"x"}},
			{[]string{"deep/a"}, 0, []string{"a/b/c"}},
			{[]string{"-D", "new", "f1"}, 0, []string{"new"}},
			{[]string{"-D", "new", "f1", "f2"}, 0, []string{"new/f1", "new/f2"}},
			{[]string{"-D", "new", "-o", "f1"}, 0, []string{"new/f1"}},
			{[]string{"-D", "new", "dirA"}, 0, []string{"new/sub/y", "new/x"}},
			{[]string{"-D", "a/b", "-o", "dirA"}, 0, []string{"a/b/dirA/sub/y", "a/b/dirA/x"}},
			{[]string{"-D", "new/sub/", "f1"}, 0, []string{"new/sub"}},
			{[]string{"-D", "..x", "f1"}, 0, []string{"..x"}},
			{[]string{"-D", "a..b", "f1"}, 0, []string{"a..b"}},
			{[]string{"f1", "-D", "new", "f2"}, 0, []string{"new/f1", "new/f2"}},
		})
	}},
	{id: "39b", side: txOnly, run: func(t *testing.T, e *env) {
		// What scripts read in the log, line by line, without what depends on time.
		e.nameTree()
		e.rx(e.A)
		res := e.tx(hA, "deep/a", "missing", "f1")
		number := regexp.MustCompile(`-?[0-9]+\.[0-9]{2,3}`)
		var got []string
		for line := range strings.SplitSeq(res.Stderr, "\n") {
			switch word, _, _ := strings.Cut(line, " "); {
			case len(got) == 0 && word != "-----": // registration
			case word == "Sending" || word == "Received" || word == "Got" || word == "Starting":
			default:
				got = append(got, number.ReplaceAllString(strings.Join(strings.Fields(line), " "), "N"))
			}
		}
		end := slices.Index(got, "Finishing group")
		e.want(end > 0, "the log ends with the group, got %q", got)
		done := []string{
			"Bytes: 1000 Blocks: 1 Sections: 1", "Transfer status:", "Host: " + uidA + " Status: Completed time: N seconds",
			"Total elapsed time: N seconds", "Overall throughput: N KB/s",
		}
		want := []string{"----- a -----", "----- a/b -----", "----- a/b/c -----", "File ID: 0001 Name: a/b/c", "sending as: a/b/c"}
		want = append(want, done...)
		want = append(want, "----- missing -----", "Error getting file status for missing: No such file or directory")
		want = append(want, "----- f1 -----", "File ID: 0002 Name: f1", "sending as: f1")
		want = append(append(want, done...), "-----------------------------", "Finishing group")
		e.want(slices.Equal(got[:end+1], want), "the lines of stock, got %q, want %q", got[:end+1], want)
	}},
	{id: "40", run: func(t *testing.T, e *env) {
		e.nameTree()
		rx := e.rx(e.A)
		e.named([]naming{
			{[]string{"-D", e.dest(e.A, "abs"), "f1"}, 0, []string{"abs"}},
			{[]string{"-D", e.dest(e.A, "abs"), "f1", "f2"}, 0, []string{"abs/f1", "abs/f2"}},
			{[]string{"-D", e.dest(e.A), "f1"}, 10, nil},
			{[]string{"-D", e.in("other", "x"), "f1"}, 10, nil},
		})
		e.want(!e.exists(e.in("other")), "nothing outside the destination")
		e.result(uidA, e.in("other", "x"), "rejected")
		var said, why string
		e.want(e.await(func() (all bool) {
			_, said, _ = strings.Cut(rx.Stderr(), "Name of file to receive: "+e.in("other", "x"))
			why, _, all = strings.Cut(said, "COMPLETE sent")
			return all
		}, soon), "the log shows the answer")
		e.want(strings.Contains(why, "doesn't match any dest directory"), "the log says why before it says what was answered, got %q", said)
	}},
	{id: "41", run: func(t *testing.T, e *env) {
		e.nameTree()
		e.rx(e.A)
		e.named([]naming{
			{[]string{"-D", "../up", "f1"}, 10, nil},
			{[]string{"-D", "a/../b", "f1"}, 10, nil},
		})
		e.want(!e.exists(e.in("up")), "nothing outside the destination")
	}},
	{id: "42", run: func(t *testing.T, e *env) {
		e.nameTree()
		e.rx(e.A)
		noSlash := naming{[]string{"-E", "deep", "deep/a"}, 10, nil}
		if e.OursTx {
			noSlash.code, noSlash.files = 0, []string{"a/b/c"}
		}
		e.named([]naming{
			{[]string{"-E", "deep/", "deep/a"}, 0, []string{"a/b/c"}},
			noSlash,
			{[]string{"-E", "nomatch", "f1"}, 10, nil},
			{[]string{"-E", e.src("deep"), "-D", "rem", e.src("deep/a"), e.src("deep/a/b")}, 0, []string{"rem/a/b/c"}},
		})
	}},
	{id: "43", run: func(t *testing.T, e *env) {
		e.nameTree()
		e.rx(e.A)
		e.named([]naming{
			{[]string{"-X", e.write("dirA/x\n#f1\r\nf1 \n\n", "x1"), "dirA", "f1"}, 0, []string{"dirA/sub/y", "f1"}},
			{[]string{"-X", e.write("dirA\r\n", "x2"), "dirA", "f1"}, 0, []string{"f1"}},
			{[]string{"-X", e.write("x\n", "x3"), "dirA/x", "dirA"}, 0, []string{"dirA/sub/y", "dirA/x"}},
			{[]string{"-X", e.write("f1\n", "x4"), "-X", e.write("f2\n", "x5"), "f1", "f2"}, 10, nil},
		})
	}},
	{id: "44", run: func(t *testing.T, e *env) {
		e.nameTree()
		e.rx(e.A)
		list := e.write("f1\r\n\ndirA\n", "list")
		e.named([]naming{
			{[]string{"-i", list}, 0, []string{"dirA/sub/y", "dirA/x", "f1"}},
			{[]string{"-i", list, "f2"}, 0, []string{"dirA/sub/y", "dirA/x", "f1"}},
			{[]string{"-i", list, "-i", list}, 1, nil},
		})
		e.want(strings.Contains(e.procs[2].Stderr(), "ignoring paths"), "a warning that operands are ignored, got %q", e.procs[2].Stderr())
		p := e.start(e.S, e.in("src"), "sh", "-c",
			"printf 'f2\\n' | exec "+strings.Join(append([]string{e.bin.path("uftp", e.OursTx)}, e.txArgs([]string{hA, "-i", "-"})...), " "))
		e.want(e.end(p).Code == 0, "a list from standard input works")
		e.holds(e.dest(e.A), "f2")
	}},
	{id: "45", run: func(t *testing.T, e *env) {
		e.nameTree()
		e.rx(e.A, "-D", e.mkdir("d1")+","+e.mkdir("d2"))
		e.txCode(0, hA, "-D", e.in("d2", "sub"), "f1", "f2")
		e.txCode(0, hA, "f1")
		e.holds(e.in("d1"), "f1")
		e.holds(e.in("d2"), "sub/f1", "sub/f2")
	}},
	{id: "46", run: func(t *testing.T, e *env) {
		e.nameTree()
		e.rx(e.A, "-T", e.mkdir("tmp2"))
		e.named([]naming{{[]string{"-D", e.dest(e.A, "abs"), "f1"}, 10, nil}})
	}},
	{id: "47", run: func(t *testing.T, e *env) {
		e.nameTree()
		e.rx(e.A)
		fits, long := e.longName(262), e.longName(282)
		e.named([]naming{{[]string{"-D", fits, "f1"}, 0, []string{fits}}})
		e.ok(os.RemoveAll(e.dest(e.A)))
		e.mkdir("A")
		res := e.tx(hA, "-D", long, "f1")
		if e.OursRx && res.Code == 0 { // ours need not have the limit
			e.gotAs("f1", e.dest(e.A, long))
			return
		}
		e.want(res.Code == 10, "a path of 282 characters is rejected, got code %d", res.Code)
		e.want(!e.exists(e.dest(e.A, long)), "a rejected file does not exist")
	}},
}

// longName is a name below A's destination whose whole path has n characters.
func (e *env) longName(n int) string {
	name := strings.Repeat("p", 60) + "/" + strings.Repeat("q", 60) + "/"
	return name + strings.Repeat("r", n-len(e.dest(e.A))-1-len(name))
}

// rel is a path below the root directory, as backups repeat it.
func rel(path string) string {
	r, _ := filepath.Rel("/", path)
	return r
}
