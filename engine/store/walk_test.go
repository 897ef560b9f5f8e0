package store

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"uftp/wire"
)

// makeTree makes files (their content is their path), directories (trailing slash) and
// links ("name -> target") below a new directory and makes it the current one.
func makeTree(t *testing.T, items ...string) string {
	t.Helper()
	dir := t.TempDir()
	t.Chdir(dir)
	for _, it := range items {
		name, target, link := strings.Cut(it, " -> ")
		p := filepath.Join(dir, name)
		parent := filepath.Dir(p)
		if strings.HasSuffix(name, "/") {
			parent = p
		}
		if err := os.MkdirAll(parent, 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		switch {
		case strings.HasSuffix(name, "/"):
		case link:
			err = os.Symlink(target, p)
		default:
			err = os.WriteFile(p, []byte(name), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// walkAll lists everything: wire names, links as "name -> target", directories with a
// trailing slash, deletes and queries with their type, skips as "! level line".
func walkAll(cfg WalkConfig) []string {
	var got []string
	w := NewWalker(cfg)
	for {
		e, skip, more := w.Next()
		if !more {
			return got
		}
		if skip != nil && skip.Dir {
			continue
		}
		if skip != nil {
			got = append(got, fmt.Sprintf("! %d %s", skip.Level, skip.Reason))
			continue
		}
		s := e.Name
		switch e.Type {
		case wire.TypeDir:
			s += "/"
		case wire.TypeLink:
			s += " -> " + e.Link
		case wire.TypeDelete:
			s = "delete " + s
		case wire.TypeFreeSpace:
			s = "space " + s
		}
		got = append(got, s)
	}
}

// TestNames checks the names that operands and options give, row by row: those of stock, unless a
// row says otherwise.
func TestNames(t *testing.T) {
	src := makeTree(t, "f1", "f2", "dirA/x", "dirA/sub/y", "deep/a/b/c", "s/f1", "s/f2", "p/a/q")
	all := []string{"./deep/a/b/c", "./dirA/sub/y", "./dirA/x", "./f1", "./f2", "./p/a/q", "./s/f1", "./s/f2"}
	ops := func(o ...string) []string { return o }
	for _, c := range []struct {
		cfg  WalkConfig
		want []string
		why  string
	}{
		{WalkConfig{Operands: ops("f1", "./f1", src+"/f1")}, ops("f1", "f1", "f1"), "a file has its last component as name"},
		{WalkConfig{Operands: ops("dirA")}, ops("dirA/sub/y", "dirA/x"), "a directory gives its tree, sorted"},
		{WalkConfig{Operands: ops("dirA//")}, ops("dirA/sub/y", "dirA/x"), "trailing slashes do not count"},
		{WalkConfig{Operands: ops("dirA/x")}, ops("x"), "the directory part is no part of the name"},
		{WalkConfig{Operands: ops("deep/a")}, ops("a/b/c"), "the last component leads the tree"},
		{WalkConfig{Operands: ops(".")}, all, "the current directory keeps its dot"},
		{WalkConfig{Operands: ops("")}, all, "an empty operand is the current directory"},
		{WalkConfig{Operands: ops("f1", "f1")}, ops("f1", "f1"), "the same operand twice is sent twice"},
		{WalkConfig{DestName: "new", Operands: ops("f1")}, ops("new"), "-D renames a single file"},
		{WalkConfig{DestName: "new", Operands: ops("dirA")}, ops("new/sub/y", "new/x"), "-D renames a single directory"},
		{WalkConfig{DestName: "new", Operands: ops("f1", "f2")}, ops("new/f1", "new/f2"), "-D is a directory for several operands"},
		{WalkConfig{DestName: "new", DestIsDir: true, Operands: ops("f1")}, ops("new/f1"), "-o makes -D a directory"},
		{WalkConfig{DestName: "new/sub/", Operands: ops("f1")}, ops("new/sub"), "the trailing slash of -D does not count"},
		{WalkConfig{DestName: "a/b", DestIsDir: true, Operands: ops("dirA")}, ops("a/b/dirA/sub/y", "a/b/dirA/x"), "-D may have several components"},
		{WalkConfig{DestName: "/dest/abs", Operands: ops("f1")}, ops("/dest/abs"), "-D may be absolute"},
		{WalkConfig{DestName: "/dest/abs", Operands: ops("f1", "f2")}, ops("/dest/abs/f1", "/dest/abs/f2"), "absolute directory"},
		{WalkConfig{DestName: "/dest", Operands: ops("f1")}, ops("/dest"), "whether /dest is allowed is the receiver's business"},
		{WalkConfig{DestName: "../up", Operands: ops("f1")}, ops("../up"), "so are dots"},
		{WalkConfig{DestName: "a/../b", Operands: ops("f1")}, ops("a/../b"), "so are dots inside"},
		{WalkConfig{DestName: "..x", Operands: ops("f1")}, ops("..x"), "dots in a component are fine"},

		{WalkConfig{Bases: ops("deep"), Operands: ops("deep/a")}, ops("a/b/c"), "the slash behind a base goes"},
		{WalkConfig{Bases: ops("deep/"), Operands: ops("deep/a")}, ops("a/b/c"), "a base may end in a slash"},
		{WalkConfig{Bases: ops("dee"), Operands: ops("deep/a")}, ops("! 1 Skipping deep/a: doesn't match any base"), "a base matches whole components only"},
		{WalkConfig{Bases: ops("", "dee", "deep/a", "deep"), Operands: ops("deep/a/b")}, ops("b/c"), "the first base that matches counts"},
		{WalkConfig{Bases: ops("/"), Operands: ops(src + "/f1")}, ops(strings.TrimLeft(filepath.ToSlash(src), "/") + "/f1"), "the root as base makes names relative"},
		{WalkConfig{Bases: ops(src), DestName: "rem", Operands: ops(src+"/s/f1", src+"/s/f2")}, ops("rem/s/f1", "rem/s/f2"), "base and -D"},
		{WalkConfig{Bases: ops(src), DestName: "rem", DestIsDir: true, Operands: ops(src + "/s/f2")}, ops("rem/s/f2"), "base and -D -o"},
		{WalkConfig{Bases: ops(src), DestName: "rem", Operands: ops(src + "/s/f2")}, ops("rem"), "-D names a single operand whatever the base"},
		{WalkConfig{Bases: ops("nomatch"), Operands: ops("f1")}, ops("! 1 Skipping f1: doesn't match any base"), "no base matches"},
		{WalkConfig{Bases: ops("deep"), Operands: ops("deep/")}, ops("a/b/c"), "a directory that is the base gives its entries"},
		{WalkConfig{Bases: ops("f1"), Operands: ops("f1")}, ops("! 1 Skipping f1: no name is left without its base"), "a file that is the base has no name left"},
		{WalkConfig{Bases: ops("f1"), DestName: "d", DestIsDir: true, Operands: ops("f1")}, ops("! 1 Skipping f1: no name is left without its base"), "nor below -D -o"},
		{WalkConfig{Bases: ops("f1"), DestName: "d", Operands: ops("f1")}, ops("d"), "but -D alone names it"},

		{WalkConfig{Operands: ops("@DELETE:zz/yy/", "@FREESPACE", "@freespace")}, ops("delete yy", "space .", "! 0 Error getting file status for @freespace: No such file or directory"), "metafiles need nothing here"},
		{WalkConfig{DestName: "dirA/x", Operands: ops("@DELETE:junk")}, ops("delete dirA/x"), "-D is the name to delete"},
		{WalkConfig{DestName: "dirA", Operands: ops("@DELETE:a", "@DELETE:s/b", "@FREESPACE")}, ops("delete dirA/a", "delete dirA/b", "space ."), "-D as directory of deletes"},
		{WalkConfig{DestName: "sub", DestIsDir: true, Operands: ops("@DELETE:x")}, ops("delete sub/x"), "-D -o is one too"},
		{WalkConfig{Bases: ops("@DELETE:"), Operands: ops("@DELETE:x", "@FREESPACE")}, ops("! 1 Skipping @DELETE:x: doesn't match any base", "space ."), "no base matches a delete"},
	} {
		if got := walkAll(c.cfg); !slices.Equal(got, c.want) {
			t.Errorf("%s: %+v gives\n%q, want\n%q", c.why, c.cfg, got, c.want)
		}
	}
}

func TestDeleteOfWholeDestinationRefused(t *testing.T) {
	for _, c := range []struct {
		dest string
		dir  bool
		op   string
	}{
		{"", false, "@DELETE:"}, {"", false, "@DELETE:."}, {"", false, "@DELETE:./"}, {"", false, "@DELETE:.."},
		{"", false, "@DELETE:a/.."}, {"", false, "@DELETE:/"}, {"", false, "@DELETE:///"},
		{".", false, "@DELETE:x"}, {"a/..", false, "@DELETE:x"}, {"/", false, "@DELETE:x"}, {"x", true, "@DELETE:"}, {"x", false, "@DELETE:"},
	} {
		got := walkAll(WalkConfig{DestName: c.dest, DestIsDir: c.dir, Operands: []string{c.op}})
		want := "! 0 Skipping " + c.op + ": refusing to delete a whole directory; name a file or directory in it"
		if len(got) != 1 || got[0] != want {
			t.Errorf("-D %q %s gives %q, want one refusal", c.dest, c.op, got)
		}
	}
}

func TestExclude(t *testing.T) {
	src := makeTree(t, "f1", "f2", "#f1", "f1 ", "dirA/x", "dirA/sub/y", "deep/a/b/c", "only/z")
	x := []string{"dirA/x", "f1", "./f2", "missing", "b", "a/b", "dirA/", "only/z", "new"}
	for _, c := range []struct {
		ops  []string
		want []string
		why  string
	}{
		{[]string{"dirA"}, []string{"dirA/sub/y", "! 2 Skipping dirA/x"}, "entries are compared with the operand in front"},
		{[]string{"dirA/x"}, []string{"x"}, "but without the operand's parent"},
		{[]string{"f1", src + "/f1", "#f1", "f1 "}, []string{"! 2 Skipping f1", "! 2 Skipping f1", "#f1", "f1 "}, "only exact matches count"},
		{[]string{"missing"}, []string{"! 0 Error getting file status for missing: No such file or directory"}, "what is not there is an error first"},
		{[]string{"deep/a"}, []string{"! 2 Skipping a/b"}, "an excluded directory takes its tree along"},
		{[]string{"only"}, []string{"! 2 Skipping only/z"}, "a directory whose entries are all excluded sends nothing"},
		{[]string{"."}, []string{"./#f1", "./deep/a/b/c", "./dirA/sub/y", "./dirA/x", "./f1", "./f1 ", "! 2 Skipping ./f2", "./only/z"}, "below the dot, paths start with it"},
	} {
		if got := walkAll(WalkConfig{Operands: c.ops, Exclude: x}); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q gives\n%q, want\n%q", c.why, c.ops, got, c.want)
		}
	}
	got := walkAll(WalkConfig{Operands: []string{"#f1"}, Exclude: x, DestName: "new"})
	if want := []string{"new"}; !slices.Equal(got, want) {
		t.Errorf("excludes are not compared with destination names: got %q, want %q", got, want)
	}
}

func TestLinks(t *testing.T) {
	makeTree(t, "f", "d/x", "link -> f", "dlink -> d", "dangling -> gone", "loop/self -> ../loop", "loop/q", "l2 -> l3", "l3 -> l2",
		"long -> "+strings.Repeat("t", 296), "longer -> "+strings.Repeat("t", 297))
	ops := []string{"link", "dlink", "dlink/", "dangling", "loop", "l2", "long"}
	want := []string{"link -> f", "dlink -> d", "dlink -> d", "dangling -> gone", "loop/q", "loop/self -> ../loop", "l2 -> l3", "long -> " + strings.Repeat("t", 296)}
	if got := walkAll(WalkConfig{Operands: ops}); !slices.Equal(got, want) {
		t.Errorf("links are sent as links: got\n%q, want\n%q", got, want)
	}
	want = []string{"link", "dlink/x", "dlink/x", "! 0 Error getting file status for dangling: No such file or directory",
		"loop/q", "! 1 Skipping loop/self: directory loop through a symbolic link", "! 0 Error getting file status for l2: Too many levels of symbolic links"}
	if got := walkAll(WalkConfig{Operands: ops[:6], FollowLinks: true}); !slices.Equal(got, want) {
		t.Errorf("-l follows links: got\n%q, want\n%q", got, want)
	}
	got := walkAll(WalkConfig{Operands: []string{"longer"}})
	if w := "! 0 Combined file name longer and link " + strings.Repeat("t", 297) + " too long"; len(got) != 1 || got[0] != w {
		t.Errorf("name field and link must fit 300 bytes together: got %q", got)
	}
}

func TestEmptyAndFull(t *testing.T) {
	makeTree(t, "em/", "full/em/", "full/zero")
	if err := os.WriteFile("full/zero", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if got, want := walkAll(WalkConfig{Operands: []string{"em", "full"}}), []string{"em/", "full/em/", "full/zero"}; !slices.Equal(got, want) {
		t.Errorf("only empty directories are entries of their own: got %q, want %q", got, want)
	}
	if got := walkAll(WalkConfig{Operands: []string{"em"}, Bases: []string{"em"}}); len(got) != 1 || got[0][0] != '!' {
		t.Errorf("an empty directory that is its base has no name: got %q", got)
	}
	if got := walkAll(WalkConfig{}); len(got) != 0 {
		t.Errorf("no operands give nothing, got %q", got)
	}
}

func TestLongPaths(t *testing.T) {
	comp := strings.Repeat("c", 70)
	deep := strings.Repeat(comp+"/", 3)
	makeTree(t, "d/"+deep+strings.Repeat("x", 84), "d/"+deep+strings.Repeat("y", 85), "f")
	got := walkAll(WalkConfig{Operands: []string{"d"}})
	want := []string{"d/" + deep + strings.Repeat("x", 84), "! 0 Max pathname length exceeded: d/" + deep + strings.Repeat("y", 85)}
	if !slices.Equal(got, want) {
		t.Errorf("299 bytes are the longest path: got\n%q, want\n%q", got, want)
	}
	dest := strings.Repeat("n", 297)
	got = walkAll(WalkConfig{DestName: dest, DestIsDir: true, Operands: []string{"f"}})
	if want := []string{dest + "/f"}; !slices.Equal(got, want) {
		t.Errorf("299 bytes are the longest name: got %q", got)
	}
	got = walkAll(WalkConfig{DestName: dest + "n", DestIsDir: true, Operands: []string{"f", "@DELETE:x"}})
	if want := []string{"! 0 Max pathname length exceeded: " + dest + "n/f", "! 0 Max pathname length exceeded: " + dest + "n/x"}; !slices.Equal(got, want) {
		t.Errorf("a longer name is skipped: got %q", got)
	}
	op := strings.Repeat("./", 149) + "ff"
	if got, want := walkAll(WalkConfig{Operands: []string{op}}), "! 0 Max pathname length exceeded: "+op; len(got) != 1 || got[0] != want {
		t.Errorf("an operand of 300 bytes is skipped, not cut: got %q", got)
	}
}

func TestEntryFields(t *testing.T) {
	makeTree(t, "d/f", "old")
	if err := os.Chtimes("d/f", time.Time{}, time.Unix(1_700_000_000, 999_999_999)); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes("old", time.Time{}, time.Unix(-5, 0)); err != nil {
		t.Fatal(err)
	}
	w := NewWalker(WalkConfig{Operands: []string{"./d/f", "old", "@DELETE:a/b"}, DestName: "n"})
	e, _, _ := w.Next()
	e.seen = nil
	if want := (Entry{Path: "f", Local: "./d/f", Name: "n/f", Size: 3, MTime: 1_700_000_000}); e != want {
		t.Errorf("entry of a file is %+v, want %+v", e, want)
	}
	if e, _, _ = w.Next(); e.MTime != 1<<32-5 {
		t.Errorf("a time before 1970 is sent as %d, want it with its sign", e.MTime)
	}
	if e, _, _ = w.Next(); e != (Entry{Path: "b", Type: wire.TypeDelete, Name: "n/b"}) {
		t.Errorf("entry of a delete is %+v", e)
	}
	for range 2 {
		if _, skip, more := w.Next(); skip != nil || more {
			t.Error("after the last entry there is nothing more, however often one asks")
		}
	}
}

// TestHeadings: like the stock sender, the log has a heading with the path of each object,
// directories too, but none for an operand that is refused because of its form.
func TestHeadings(t *testing.T) {
	long := strings.Repeat("n", 120)
	makeTree(t, "a", "d/in/3", "empty/", "ex/a/1", "ex/b", long+"/"+long+"/"+long)
	for _, c := range []struct {
		cfg  WalkConfig
		want []string
	}{
		{
			WalkConfig{Operands: []string{"a", "missing", "empty", "./ex/", "d", "."}, Exclude: []string{"ex/a", "d/in/3", "./a", "./d", "./ex", "./empty", "./" + long}},
			[]string{
				"a", "missing", "Error getting file status for missing: No such file or directory", "empty",
				"ex", "ex/a", "Skipping ex/a", "ex/b", "d", "d/in", "d/in/3", "Skipping d/in/3",
				".", "./a", "Skipping ./a", "./d", "Skipping ./d", "./empty", "Skipping ./empty", "./ex", "Skipping ./ex", "./" + long, "Skipping ./" + long,
			},
		},
		{
			WalkConfig{Operands: []string{"d", "a", "@DELETE:z", "@FREESPACE"}, Bases: []string{"d"}},
			[]string{"d", "d/in", "d/in/3", "Skipping a: doesn't match any base", "Skipping @DELETE:z: doesn't match any base", "."},
		},
		{
			WalkConfig{Operands: []string{long}},
			[]string{long, long + "/" + long, "Max pathname length exceeded: " + long + "/" + long + "/" + long},
		},
	} {
		var got []string
		w := NewWalker(c.cfg)
		for {
			e, skip, more := w.Next()
			if !more {
				break
			}
			switch {
			case skip == nil:
				got = append(got, e.Path)
			case skip.Dir:
				got = append(got, skip.Path)
			case skip.Early:
				got = append(got, skip.Reason)
			default:
				got = append(got, skip.Path, skip.Reason)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%+v says\n%q, want\n%q", c.cfg, got, c.want)
		}
	}
}

// TestVanishing removes and adds things between two calls of Next.
func TestVanishing(t *testing.T) {
	makeTree(t, "d/a", "d/b", "d/c/x", "d/e", "z")
	w := NewWalker(WalkConfig{Operands: []string{"d", "z"}})
	if _, skip, _ := w.Next(); skip == nil || !skip.Dir || skip.Path != "d" {
		t.Fatalf("first is %+v, want the directory itself", skip)
	}
	if e, _, _ := w.Next(); e.Name != "d/a" {
		t.Fatalf("then comes %q", e.Name)
	}
	os.Remove("d/b")
	os.RemoveAll("d/c")
	os.WriteFile("d/c", []byte("now a file"), 0o644)
	os.WriteFile("d/d", nil, 0o644)
	os.Remove("z")
	var got []string
	for {
		e, skip, more := w.Next()
		if !more {
			break
		}
		switch {
		case skip == nil:
			got = append(got, e.Name)
		case !skip.Dir:
			got = append(got, skip.Reason)
		}
	}
	want := []string{"Error getting file status for d/b: No such file or directory", "d/c", "d/e", "Error getting file status for z: No such file or directory"}
	if !slices.Equal(got, want) {
		t.Errorf("what vanished is skipped, what changed is taken as it is now: got %q, want %q", got, want)
	}
}

func TestUnreadable(t *testing.T) {
	if runtime.GOOS == "windows" || os.Getuid() == 0 {
		t.Skip("file modes do not stop this user")
	}
	makeTree(t, "f", "d/x", "p/q/x")
	os.Chmod("f", 0)
	for _, d := range []string{"d", "p/q"} {
		os.Chmod(d, 0)
		defer os.Chmod(d, 0o755)
	}
	want := []string{
		"! 0 Error reading file f: Permission denied", "! 0 Failed to open directory ./d: Permission denied",
		"! 0 Failed to open directory ./p/q: Permission denied", "! 0 Failed to open directory p/q: Permission denied",
	}
	if got := walkAll(WalkConfig{Operands: []string{"f", "d", "p", "p/q"}}); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
