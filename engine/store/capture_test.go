package store

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// captureHead is the beginning of captures in tests.
var captureHead = []byte("MAGIC and the rest of the head\n")

// shelf is a directory with captures in it.
type shelf struct {
	t    *testing.T
	path string
}

func newShelf(t *testing.T) *shelf {
	return &shelf{t, filepath.Join(t.TempDir(), "cap")}
}

func (p *shelf) open(files int, bytes int64) *Capture {
	p.t.Helper()
	c, err := OpenCapture(CaptureConfig{Path: p.path, FileBytes: bytes, Files: files}, captureHead)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { c.Close() })
	return c
}

// put writes the file of the ring with this suffix; "" is the first one.
func (p *shelf) put(suffix, text string) {
	p.t.Helper()
	if err := os.WriteFile(p.path+suffix, []byte(text), 0o644); err != nil {
		p.t.Fatal(err)
	}
}

// want compares all files of the directory: "suffix:content behind the head".
func (p *shelf) want(why string, want ...string) {
	p.t.Helper()
	entries, err := os.ReadDir(filepath.Dir(p.path))
	if err != nil {
		p.t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(filepath.Dir(p.path), e.Name()))
		if err != nil {
			p.t.Fatal(err)
		}
		if !bytes.HasPrefix(b, captureHead) {
			p.t.Errorf("%s: %s does not begin with the head", why, e.Name())
		}
		got = append(got, strings.TrimPrefix(e.Name(), "cap")+":"+strings.TrimPrefix(string(b), string(captureHead)))
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		p.t.Errorf("%s: files %v, want %v", why, got, want)
	}
}

func (p *shelf) write(c *Capture, text string) {
	p.t.Helper()
	if err := c.Write([]byte(text)); err != nil {
		p.t.Fatal(err)
	}
}

func (p *shelf) next(c *Capture) {
	p.t.Helper()
	if err := c.Next(); err != nil {
		p.t.Fatal(err)
	}
}

func TestCaptureRing(t *testing.T) {
	p := newShelf(t)
	c := p.open(3, 1000)
	p.want("opened", ":")
	p.write(c, "a")
	p.write(c, "b")
	if c.Size() != int64(len(captureHead)+2) {
		t.Errorf("size %d, want that of head and two bytes", c.Size())
	}
	p.next(c)
	p.write(c, "c")
	p.want("the newest has no number", ":c", ".1:ab")
	p.next(c)
	p.want("as with logs", ":", ".1:c", ".2:ab")
	p.write(c, "d")
	p.next(c)
	p.want("the oldest goes", ":", ".1:d", ".2:c")
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if err := c.Write([]byte("x")); !errors.Is(err, fs.ErrClosed) || c.Open() {
		t.Errorf("writing to a closed capture: %v, want an error", err)
	}

	c = p.open(3, 1000)
	p.want("one that holds nothing is not kept", ":", ".1:d", ".2:c")
	p.write(c, "e")
	c.Close()
	p.open(3, 1000)
	p.want("one that holds something is moved down", ":", ".1:e", ".2:d")
	if info, err := os.Stat(p.path); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("%v, mode %v, want 0600: a capture holds what files hold", err, info.Mode())
	}
}

// TestCaptureMoved: a user who moves files away makes a gap, and the files behind the
// gap stay where they are.
func TestCaptureMoved(t *testing.T) {
	p := newShelf(t)
	c := p.open(4, 1000)
	for _, text := range []string{"a", "b", "c", "d"} {
		p.write(c, text)
		p.next(c)
	}
	p.want("full", ":", ".1:d", ".2:c", ".3:b")
	if err := os.Remove(p.path + ".2"); err != nil {
		t.Fatal(err)
	}
	p.write(c, "e")
	p.next(c)
	p.want("the gap is filled", ":", ".1:e", ".2:d", ".3:b")
	if runtime.GOOS == "windows" {
		return // open files cannot be moved
	}
	if err := os.Rename(p.path, p.path+".away"); err != nil {
		t.Fatal(err)
	}
	p.write(c, "f")
	p.next(c)
	p.want("the present one went on where it was", ":", ".1:e", ".2:d", ".3:b", ".away:f")
}

// TestCaptureShorter: with fewer files than before, OpenCapture removes those behind the end, up
// to the first that is not a capture.
func TestCaptureShorter(t *testing.T) {
	p := newShelf(t)
	for i := range 8 {
		if i != 6 {
			p.put(fmt.Sprintf(".%d", i+1), string(captureHead)+"old")
		}
	}
	p.put("", string(captureHead)+"newest")
	p.open(3, 1000)
	p.want("those behind the gap are not known to be of the ring", ":", ".1:newest", ".2:old", ".8:old")

	p = newShelf(t)
	p.put(".3", string(captureHead)+"old")
	p.put(".4", "my thesis")
	p.put(".5", string(captureHead)+"old")
	p.open(3, 1000)
	if _, err := os.Stat(p.path + ".3"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v, want that the capture is gone", err)
	}
	for _, suffix := range []string{".4", ".5"} {
		if _, err := os.Stat(p.path + suffix); err != nil {
			t.Errorf("%v, want that the file that is not a capture stays, and those behind it", err)
		}
	}
}

// TestCaptureRefuses: names of other objects are a mistake of the user; nothing is changed.
func TestCaptureRefuses(t *testing.T) {
	for _, x := range []struct {
		why, says string
		make      func(p *shelf)
	}{
		{"another file", "cap exists and is not a capture", func(p *shelf) { p.put("", "my thesis") }},
		{"another short file", "cap exists and is not a capture", func(p *shelf) { p.put("", "x") }},
		{"another file further down", "cap.2 exists and is not a capture", func(p *shelf) { p.put(".2", "my thesis") }},
		{"a directory", "not a plain file", func(p *shelf) { os.Mkdir(p.path, 0o755) }},
		{"a link", "not a plain file", func(p *shelf) {
			p.put(".target", string(captureHead))
			if os.Symlink(p.path+".target", p.path) != nil {
				os.Mkdir(p.path, 0o755) // no links here
			}
		}},
		{"no directory", "", func(p *shelf) { p.path = filepath.Join(p.path, "no", "where") }},
	} {
		p := newShelf(t)
		x.make(p)
		before, _ := os.ReadDir(filepath.Dir(p.path))
		c, err := OpenCapture(CaptureConfig{Path: p.path, FileBytes: 1000, Files: 3}, captureHead)
		if err == nil || !strings.Contains(err.Error(), x.says) {
			t.Errorf("%s: %v, %v; want an error that says %q", x.why, c, err, x.says)
		}
		if after, _ := os.ReadDir(filepath.Dir(p.path)); fmt.Sprint(after) != fmt.Sprint(before) {
			t.Errorf("%s: files %v, want %v as before", x.why, after, before)
		}
	}
	for _, cfg := range []CaptureConfig{{Files: 1, FileBytes: 1000}, {Files: 2, FileBytes: 3}} {
		cfg.Path = newShelf(t).path
		if _, err := OpenCapture(cfg, captureHead); err == nil {
			t.Errorf("%+v was taken, want an error", cfg)
		}
	}
}

// TestCaptureNextFails: the directory disappears and comes back. Any number of attempts costs at
// most the oldest file.
func TestCaptureNextFails(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a directory with an open file cannot be moved there")
	}
	p := newShelf(t)
	c := p.open(3, 1000)
	for _, text := range []string{"a", "b", "c"} {
		p.write(c, text)
		p.next(c)
	}
	dir := filepath.Dir(p.path)
	if err := os.Rename(dir, dir+".away"); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := c.Next(); err == nil {
			t.Fatal("a file was made in no directory")
		}
		if err := c.Write([]byte("x")); err == nil || c.Open() {
			t.Fatalf("written: %v, want that no file is open", err)
		}
	}
	if err := os.Rename(dir+".away", dir); err != nil {
		t.Fatal(err)
	}
	p.next(c)
	p.write(c, "d")
	p.want("it goes on", ":d", ".1:", ".2:c")

	// A directory in the place of the new file: the oldest goes once, no more.
	if err := os.MkdirAll(filepath.Join(p.path+".~uftp-new", "x"), 0o755); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := c.Next(); err == nil {
			t.Fatal("want an error while something is in the way")
		}
	}
	if err := os.RemoveAll(p.path + ".~uftp-new"); err != nil {
		t.Fatal(err)
	}
	p.want("one is gone", ":d", ".1:")
	p.next(c)
	p.want("and no other", ":", ".1:d", ".2:")
}

// TestCaptureWholeAtAnyTime looks at the directory after each step of making a new
// file, as it would be after kill -9 there: no name of the ring is without a head.
func TestCaptureWholeAtAnyTime(t *testing.T) {
	p := newShelf(t)
	c := p.open(2, 1000)
	p.write(c, "a")
	fresh := p.path + ".~uftp-new"
	_, lock, err := c.create(fresh)
	if err != nil {
		t.Fatal(err)
	}
	lock.Close()
	p.want("before the new one has its name", ":a", ".~uftp-new:")
	if err := os.Rename(p.path, p.path+".1"); err != nil {
		t.Fatal(err)
	}
	c.Close()
	c = p.open(2, 1000) // the next run
	p.want("the next run cleans up", ":", ".1:a")
	p.write(c, "b")
}
