package store

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"uftp/wire"
)

func TestSplitName(t *testing.T) {
	tests := []struct {
		name string
		want []string
		err  error
	}{
		{"f1", []string{"f1"}, nil},
		{"rem//s/f1", []string{"rem", "s", "f1"}, nil},
		{"./f1", []string{"f1"}, nil},
		{"a/./b/", []string{"a", "b"}, nil},
		{".", nil, nil},
		{"./", nil, nil},
		{"...", []string{"..."}, nil},
		{"..a/b..", []string{"..a", "b.."}, nil},
		{"a..b", []string{"a..b"}, nil},
		{"", nil, errNameEmpty},
		{"a\x00b", nil, errNameNUL},
		{"..", nil, errNameUp},
		{"../up", nil, errNameUp},
		{"a/..", nil, errNameUp},
		{"a/../b", nil, errNameUp},
		{"a..b/../../evil", nil, errNameUp},
		{`..\up`, nil, errNameUp},
		{`a\..\b`, nil, errNameUp},
		{`a/..\b`, nil, errNameUp},
		{`a\..`, nil, errNameUp},
	}
	for _, tt := range tests {
		got, err := splitName(tt.name)
		if !slices.Equal(got, tt.want) || err != tt.err {
			t.Errorf("splitName(%q) = %q, %v; want %q, %v", tt.name, got, err, tt.want, tt.err)
		}
	}
}

func TestAbsoluteNames(t *testing.T) {
	if filepath.Separator != '/' {
		t.Skip("names of this system look different")
	}
	tests := []struct {
		name, root, below string
		err               error
	}{
		{"/dest/abs", "/dest", "abs", nil},
		{"/dest//a/./f", "/dest", "a/f", nil},
		{"//dest/f", "/dest", "f", nil},
		{"/d2/sub/f", "/d2/sub", "f", nil},
		{"/d2/sib/f", "/d2", "sib/f", nil},
		{"/dest", "", "", errNameDest},
		{"/dest/", "", "", errNameDest},
		{"/dest/.", "", "", errNameDest},
		{"/d2/sub", "", "", errNameDest},
		{"/destevil/x", "", "", errNameAbs},
		{"/des", "", "", errNameAbs},
		{"/other/x", "", "", errNameAbs},
		{"/", "", "", errNameAbs},
		{"/dest/../etc/passwd", "", "", errNameUp},
		{"/dest/..", "", "", errNameUp},
	}
	for _, tt := range tests {
		p, err := locateAbs(tt.name, []string{"/dest", "/d2", "/d2/sub"})
		if err != tt.err || p.root != tt.root || strings.Join(p.elems, "/") != tt.below {
			t.Errorf("locateAbs(%q) = %+v, %v; want %s below %s, %v", tt.name, p, err, tt.below, tt.root, tt.err)
		}
	}
	p, err := locateAbs("/any/where", []string{"/"})
	if err != nil || p.path() != "/any/where" {
		t.Errorf("destination /: %+v, %v", p, err)
	}
}

func TestCheckLink(t *testing.T) {
	tests := []struct {
		at, text string
		ok       bool
		why      string
	}{
		{"l", "f", true, "beside it"},
		{"l", "dangling/x", true, "need not exist"},
		{"l", ".", true, "the destination itself"},
		{"l", "a..b", true, "dots in a name"},
		{"a/l", "../f", true, "climbs within the destination"},
		{"a/b/l", "../../f", true, "up to the destination"},
		{"a/b/l", ".././../f", true, "however written"},
		{"l", "", false, "empty"},
		{"l", "a\x00b", false, "NUL"},
		{"l", "/etc/passwd", false, "absolute"},
		{"l", "..", false, "the parent of the destination"},
		{"l", "../x", false, "leaves"},
		{"a/l", "../../x", false, "leaves"},
		{"a/b/l", "../../../x", false, "leaves"},
		{"l", "d/../x", false, "d may be a link itself: where .. leads is unknown"},
		{"a/l", "../d/..", false, "the same"},
	}
	for _, tt := range tests {
		elems, err := splitName(tt.at)
		if err != nil {
			t.Fatal(err)
		}
		for skip, elems := range [][]string{elems, append([]string{"_group"}, elems...)} {
			if err := checkLink(place{elems: elems, skip: skip}, tt.text); (err == nil) != tt.ok {
				t.Errorf("link %s -> %q, skip %d: %v, want ok = %v (%s)", tt.at, tt.text, skip, err, tt.ok, tt.why)
			}
		}
	}
}

func TestOutsideLinks(t *testing.T) {
	for _, allow := range []bool{false, true} {
		h := newHall(t, func(c *SinkConfig) { c.AllowOutsideLinks = allow })
		for _, text := range []string{"/etc/passwd", "../../x"} {
			h.write("dest/l", "old", oldStamp)
			req := h.request(wire.TypeLink, "l", 0)
			req.Link = text
			a := h.complete(req)
			if allow {
				h.wantStatus(a, wire.StatusNormal, "allowed")
				h.wantTree("dest", "link made", "l -> "+text)
				// A link that was accepted is still not followed.
				h.wantStatus(h.complete(h.file("l/x", "x")), wire.StatusRejected, "through the link")
				if err := os.Remove(h.at("dest/l")); err != nil {
					t.Fatal(err)
				}
			} else {
				h.wantStatus(a, wire.StatusRejected, "leads out")
				h.wantTree("dest", "what was there stays", "l = old")
			}
		}
		req := h.request(wire.TypeLink, "e", 0)
		h.wantStatus(h.complete(req), wire.StatusRejected, "empty text is never allowed")
	}
}

// TestHoles tries every name of docs/protocol.md, "Names and paths", that leads out of the
// destination.
func TestHoles(t *testing.T) {
	setup := func(t *testing.T) *hall {
		h := newHall(t, nil)
		h.mkdir("dest/a..b")
		h.mkdir("destevil")
		h.write("outside/t", "precious", oldStamp)
		h.write("dest/sub/keep", "keep", oldStamp)
		h.link(h.at("outside"), "dest/out")
		h.link("../outside", "dest/sub/up")
		return h
	}
	t.Run("names", func(t *testing.T) {
		h := setup(t)
		before := h.tree(".")
		for _, name := range []string{
			"a..b/../../evil", "../evil", "sub/../../evil", `..\evil`, "..", "", ".", "./", "//", "a\x00b",
			h.at("destevil") + "/x", h.at("dest"), h.at("dest") + "/", h.at("dest") + "/../evil", "/etc/passwd",
			"out/t", "out/new", "out/new/deeper", "sub/up/t", "sub/up/new/x", h.at("dest") + "/out/t",
		} {
			for _, typ := range []wire.FileType{wire.TypeFile, wire.TypeLink, wire.TypeDelete, wire.TypeDir} {
				if typ == wire.TypeDir && (name == "." || name == "./") {
					continue // the destination exists: skipped
				}
				for _, preview := range []bool{false, true} {
					req := h.request(typ, name, 0)
					req.Link, req.Preview = "x", preview
					a := h.complete(req)
					h.wantStatus(a, wire.StatusRejected, fmt.Sprintf("type %d, name %q, preview %v", typ, name, preview))
				}
			}
		}
		h.wantTree(".", "nothing changed anywhere", before...)
	})
	t.Run("final link", func(t *testing.T) {
		h := setup(t)
		h.receive(h.file("out", "text"), "text")
		h.wantTree("outside", "a final link is replaced, not followed", "t = precious")
	})
	t.Run("delete of the destination", func(t *testing.T) {
		h := setup(t)
		before := h.tree(".")
		for _, name := range []string{".", "./.", h.at("dest")} {
			h.wantStatus(h.complete(h.request(wire.TypeDelete, name, 0)), wire.StatusRejected, name)
		}
		h.wantTree(".", "nothing is deleted", before...)
	})
	t.Run("mode of the destination", func(t *testing.T) {
		h := setup(t)
		before, _ := os.Stat(h.at("dest"))
		h.complete(h.file(".", "x"))
		h.complete(h.request(wire.TypeDir, ".", 0))
		after, _ := os.Stat(h.at("dest"))
		if before.Mode() != after.Mode() {
			t.Errorf("mode of the destination changed from %v to %v", before.Mode(), after.Mode())
		}
	})
}

// TestLinkedParents puts a link at every depth of a path, leading in and out.
func TestLinkedParents(t *testing.T) {
	const name = "a/b/c/d/f"
	elems := strings.Split(name, "/")
	for depth := 1; depth < len(elems); depth++ {
		for _, target := range []string{"outside", "dest/elsewhere"} {
			h := newHall(t, nil)
			h.write(target+"/b/c/d/f", "precious", oldStamp)
			h.write(target+"/f", "precious", oldStamp)
			at := "dest/" + strings.Join(elems[:depth], "/")
			h.mkdir(filepath.Dir(at))
			h.link(h.at(target), at)
			before := h.tree(".")
			for _, typ := range []wire.FileType{wire.TypeFile, wire.TypeDir, wire.TypeLink, wire.TypeDelete} {
				req := h.request(typ, name, 0)
				req.Link = "x"
				h.wantStatus(h.complete(req), wire.StatusRejected, fmt.Sprintf("%s is a link to %s, type %d", at, target, typ))
			}
			h.wantTree(".", "nothing changed", before...)
		}
	}
}

// TestParentSwappedBeforeFinish swaps the parent for a link while the file is received, once before
// and once after the directory existed.
func TestParentSwappedBeforeFinish(t *testing.T) {
	for _, existed := range []bool{false, true} {
		h := newHall(t, nil)
		if existed {
			h.mkdir("dest/d")
		}
		_, f := h.s.Open(h.file("d/f", "text"))
		if err := f.WriteAt([][]byte{[]byte("text")}, 0); err != nil {
			t.Fatal(err)
		}
		if existed {
			if err := os.Rename(h.at("dest/d"), h.at("dest/moved")); err != nil {
				t.Fatal(err)
			}
		}
		h.link(h.at("outside"), "dest/d")
		if _, err := f.Finish(); err == nil {
			t.Error("Finish through a link: want an error")
		}
		h.wantTree("outside", "nothing went out")
		for _, l := range h.tree("dest") {
			if strings.Contains(l, "~uftp") {
				t.Errorf("temporary left: %s", l)
			}
		}
	}
}

// TestParentRace keeps swapping a parent between a directory and a link to the outside: whether or
// not a file arrives, none may arrive outside.
func TestParentRace(t *testing.T) {
	h := newHall(t, nil)
	h.mkdir("dest/real")
	h.link(h.at("outside"), "dest/evil")
	stop := make(chan struct{})
	var done sync.WaitGroup
	done.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			os.Rename(h.at("dest/real"), h.at("dest/d"))
			os.Rename(h.at("dest/d"), h.at("dest/real"))
			os.Rename(h.at("dest/evil"), h.at("dest/d"))
			os.Rename(h.at("dest/d"), h.at("dest/evil"))
		}
	})
	for range 400 {
		req := h.file("d/f", "text")
		_, f := h.s.Open(req)
		if f == nil {
			continue
		}
		if err := f.WriteAt([][]byte{[]byte("text")}, 0); err != nil {
			t.Error(err)
		}
		f.Finish()
		h.s.Open(h.request(wire.TypeDelete, "d/keep", 0))
	}
	close(stop)
	done.Wait()
	h.wantTree("outside", "nothing went out")
}

func FuzzName(f *testing.F) {
	for _, s := range []string{"f1", "./f1", "rem//s/f1", "../up", "a..b/../../evil", `a\..\b`, "/dest/x", "/destevil", "\x00", "."} {
		f.Add(s, "x")
	}
	f.Add("a/l", "../x")
	f.Add("l", "a/../../x")
	dests := []string{"/dest", "/dest2/sub"}
	f.Fuzz(func(t *testing.T, name, link string) {
		var p place
		var err error
		if strings.HasPrefix(name, "/") {
			p, err = locateAbs(name, dests)
		} else {
			p = place{root: "/dest"}
			p.elems, err = splitName(name)
		}
		if err != nil {
			return
		}
		for _, e := range p.elems {
			if e == "" || e == "." || e == ".." || strings.ContainsAny(e, "/\x00") {
				t.Fatalf("%q: element %q", name, e)
			}
		}
		if !slices.Contains(dests, p.root) {
			t.Fatalf("%q: root %q", name, p.root)
		}
		if got := p.path(); !p.isRoot() && !strings.HasPrefix(got, p.root+"/") {
			t.Fatalf("%q: path %q is not below %q", name, got, p.root)
		}
		if p.isRoot() {
			return
		}
		if temp := tempName(p.last(), 1, 2); len(temp) > maxName && len(p.last()) <= maxName || !isTemp(temp, 1) || isTemp(temp, 2) {
			t.Fatalf("%q: temporary name %q", name, temp)
		}
		if checkLink(p, link) == nil {
			dir := filepath.Join(p.root, filepath.Join(p.elems[:len(p.elems)-1]...))
			if to := filepath.Join(dir, link); to != p.root && !strings.HasPrefix(to, p.root+"/") {
				t.Fatalf("link %q -> %q leads to %q", name, link, to)
			}
		}
	})
}

// Windows drops the end of some names.
func TestNamesThatLoseTheirEnd(t *testing.T) {
	for name, want := range map[string]bool{"a": false, "a.b": false, " a": false, ".a": false, "a.": true, "a ": true, "a. .": true, "...": true} {
		if got := cutsEnd("windows", name); got != want {
			t.Errorf("%q on Windows: %v, want %v", name, got, want)
		}
		if cutsEnd("linux", name) {
			t.Errorf("%q on Linux is refused", name)
		}
	}
}
