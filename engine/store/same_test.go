//go:build linux || darwin || freebsd

package store

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"uftp/wire"
)

// In these tests several receivers get the same file of the same session into one directory. Locks
// of two handles exclude each other, in one process or in two.

// TestSameFileTwice: two processes receive the same file of the same session into the same
// directory.
func TestSameFileTwice(t *testing.T) {
	h := newHall(t, nil)
	h.mkdir("dest/sub")
	h.receiveElsewhere()
	h.receive(h.file("sub/f", "ours"), "ours")
	if got, want := h.inSub(), []string{"f", tempName("f", testGroup, 1)}; !slices.Equal(got, want) {
		t.Errorf("there is %q, want %q: the other's stays as it is", got, want)
	}
}

// TestSameAtOnce: two receivers do so at the same time, many times, while others start beside them:
// all get the file.
func TestSameAtOnce(t *testing.T) {
	const rounds = 400
	for _, x := range []struct {
		why  string
		typ  wire.FileType
		meet bool // both have opened it before either finishes it
	}{
		{"files, both open", wire.TypeFile, true},
		{"files, as it comes", wire.TypeFile, false},
		{"links", wire.TypeLink, false},
	} {
		t.Run(x.why, func(t *testing.T) {
			h := newHall(t, nil)
			var other, quick sync.WaitGroup
			ctx, cancel := context.WithCancel(context.Background())
			other.Go(func() {
				for ctx.Err() == nil {
					(&Sink{cfg: h.cfg}).Clean(ctx)
				}
			})
			sinks := [2]*Sink{h.k, nil}
			var err error
			if sinks[1], err = NewSink(h.cfg); err != nil {
				t.Fatal(err)
			}
			bad := map[string]int{}
			for range rounds {
				req := h.request(x.typ, "f", testBlock)
				req.Link = "to"
				var ready, opened sync.WaitGroup
				ready.Add(2)
				opened.Add(2)
				var said [2]string
				for i, k := range sinks {
					quick.Go(func() {
						s := k.Begin(SessionKey{Group: testGroup, Started: h.started})
						defer s.End(true)
						ready.Done()
						ready.Wait()
						a, f := s.Open(req)
						said[i] = a.Text
						opened.Done()
						if x.meet {
							opened.Wait()
						}
						if f == nil {
							return
						}
						if _, err := f.Finish(); err != nil {
							said[i] = err.Error()
						}
					})
				}
				quick.Wait()
				for _, text := range said {
					if text != "" {
						bad[text]++
					}
				}
			}
			cancel()
			other.Wait()
			for text, n := range bad {
				t.Errorf("%d of %d: %s", n, 2*rounds, text)
			}
			if got := h.tree("dest"); len(got) != 1 || !strings.HasPrefix(got[0], "f ") {
				t.Errorf("there is %q, want f and nothing else", got)
			}
		})
	}
}

// TestWholeIsNotTaken: a complete file that has lost its mark, and has no final name yet, still
// belongs to its receiver.
func TestWholeIsNotTaken(t *testing.T) {
	h := newHall(t, nil)
	req := h.file("f", "ours")
	_, f := h.s.Open(req)
	if err := f.WriteAt([][]byte{[]byte("ours")}, 0); err != nil {
		t.Fatal(err)
	}
	if err := f.unmark(); err != nil {
		t.Fatal(err)
	}
	_, g := h.k.Begin(SessionKey{Group: testGroup, Started: h.started}).Open(req)
	if g == nil || g.temp == f.temp {
		t.Fatalf("%+v, want a file beside %s", g, f.temp)
	}
	if _, err := f.Finish(); err != nil {
		t.Error(err)
	}
	if err := g.Abandon(missing(1, 0)); err != nil {
		t.Error(err)
	}
	h.wantTree("dest", "the first is whole, the second given up", "f = ours")
}

// TestMarkLost: another process acts between creating a file and locking it.
func TestMarkLost(t *testing.T) {
	for _, x := range []struct {
		why  string
		do   func(d dir, temp string) *os.File
		want error
	}{
		{"nobody was faster", func(dir, string) *os.File { return nil }, nil},
		{"another holds the lock, to remove it", func(d dir, temp string) *os.File {
			h, err := d.OpenFile(temp, os.O_RDWR, 0)
			if err == nil {
				err = lockFile(h)
			}
			if err != nil {
				t.Fatal(err)
			}
			return h
		}, errLocked},
		{"another has removed it", func(d dir, temp string) *os.File { d.Remove(temp); return nil }, errLocked},
		{"another has replaced it", func(d dir, temp string) *os.File {
			h, err := d.OpenFile(temp+"x", os.O_RDWR|os.O_CREATE, 0o644)
			if err == nil {
				err = d.Rename(temp+"x", temp)
			}
			if err != nil {
				t.Fatal(err)
			}
			return h
		}, errLocked},
	} {
		h := newHall(t, nil)
		root, err := h.s.root(h.at("dest"))
		if err != nil {
			t.Fatal(err)
		}
		handle, err := root.OpenFile("f", os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		f := &File{s: h.s, h: handle, at: root, temp: "f"}
		if f.id, err = handle.Stat(); err != nil {
			t.Fatal(err)
		}
		theirs := x.do(root, "f")
		if err := f.mark(); !errors.Is(err, x.want) || (err == nil) != (f.lock != nil && f.marked) {
			t.Errorf("%s: %v, marked %v, want %v", x.why, err, f.marked, x.want)
		}
		theirs.Close()
		f.unlock()
		f.close()
	}
}

// TestNamesInUse: as many receive the same file as there are names.
func TestNamesInUse(t *testing.T) {
	h := newHall(t, nil)
	req := h.file("f", "x")
	for i := range tempNames {
		s := h.k.Begin(SessionKey{Group: testGroup, Started: h.started})
		a, f := s.Open(req)
		if f == nil {
			t.Fatalf("receiver %d: %s", i, a.Text)
		}
		if !isAnyTemp(filepath.Base(f.temp)) {
			t.Errorf("%s is not known as a temporary name", f.temp)
		}
		t.Cleanup(func() { s.End(false) })
	}
	h.wantStatus(h.complete(req), wire.StatusRejected, "one more")
}

// TestLinksLeft: links under temporary names, of live or killed receivers, do no harm.
func TestLinksLeft(t *testing.T) {
	h := newHall(t, nil)
	req := h.request(wire.TypeLink, "l", 0)
	req.Link = "to"
	for i := range tempNames {
		name := scratchName("l", testGroup, numbered(scratchLink, i))
		if !isTemp(name, testGroup) || isAnyTemp(name) {
			t.Errorf("%s is not known as a temporary name of a link", name)
		}
		h.link("theirs", "dest/"+name)
		h.wantStatus(h.complete(req), wire.StatusNormal, name+" is taken")
		if got, err := os.Readlink(h.at("dest/l")); err != nil || got != "to" {
			t.Fatalf("the link leads to %q (%v)", got, err)
		}
	}
	if got, want := len(h.tree("dest")), 1+tempNames-1; got != want {
		t.Errorf("%d entries, want %d: ours, and theirs without the last, which made room", got, want)
	}
}
