//go:build linux || darwin || freebsd

package store

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
)

// refuse lets another program try to capture into the ring, and wants that it fails.
func (p *shelf) refuse(why string) {
	p.t.Helper()
	c, err := OpenCapture(CaptureConfig{Path: p.path, FileBytes: 1000, Files: 3}, captureHead)
	if err == nil {
		c.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "another program captures into it") {
		p.t.Errorf("%s: %v, want that another program captures there", why, err)
	}
}

// TestCaptureInUse: only one program at a time writes a ring.
func TestCaptureInUse(t *testing.T) {
	p := newShelf(t)
	c := p.open(3, 1000)
	p.refuse("just opened")
	p.want("one that is empty is in use, too", ":")
	p.write(c, "a")
	p.refuse("written")
	p.next(c)
	p.write(c, "b")
	p.refuse("the next file")
	p.want("nothing is touched", ":b", ".1:a")

	// While the next file cannot be made.
	fresh := p.path + ".~uftp-new"
	if err := os.MkdirAll(fresh+"/x", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := c.Next(); err == nil {
		t.Fatal("want an error while something is in the way")
	}
	p.refuse("none is open, and there will be another attempt")
	if err := os.RemoveAll(fresh); err != nil {
		t.Fatal(err)
	}
	p.next(c)
	p.want("it goes on", ":", ".1:b", ".2:a")
	if err := c.Close(); err != nil {
		t.Error(err)
	}

	// Another is making its first file.
	h, err := os.Create(fresh)
	if err == nil {
		_, err = h.Write(captureHead)
	}
	if err == nil {
		err = lockFile(h)
	}
	if err != nil {
		t.Fatal(err)
	}
	p.refuse("another is making its first file")
	p.want("that stays", ".1:b", ".2:a", ".~uftp-new:")
	h.Close()
	p.open(3, 1000)
	p.want("now it is gone", ":", ".1:b", ".2:a")
}

// TestCaptureTakenOver: a user moves the file away, and another program begins a capture there
// before the first one needs its next file.
func TestCaptureTakenOver(t *testing.T) {
	p := newShelf(t)
	a := p.open(2, 1000)
	if err := os.Rename(p.path, p.path+".away"); err != nil {
		t.Fatal(err)
	}
	b := p.open(2, 1000)
	p.write(b, "b1")
	p.next(b)
	p.write(b, "b2")
	p.write(a, "a")
	if err := a.Next(); err == nil || a.Open() {
		t.Errorf("%v, want that the ring is in use", err)
	}
	p.want("both have what they wrote, the oldest, too", ":b2", ".1:b1", ".away:a")
	b.Close()
	p.next(a)
	p.want("it goes on when it can", ":", ".1:b2", ".away:a")
}

// TestCaptureAtOnce starts two programs at the same time, many times: never do both write.
func TestCaptureAtOnce(t *testing.T) {
	p := newShelf(t)
	const rounds = 200
	cfg := CaptureConfig{Path: p.path, FileBytes: 1000, Files: rounds + 1}
	var want []string
	for r := range rounds {
		var both [2]*Capture
		var ready, wg sync.WaitGroup
		ready.Add(2)
		for i := range both {
			wg.Go(func() {
				ready.Done()
				ready.Wait()
				both[i], _ = OpenCapture(cfg, captureHead)
			})
		}
		wg.Wait()
		if both[0] != nil && both[1] != nil {
			t.Fatalf("round %d: both write", r)
		}
		for _, c := range both {
			if c == nil {
				continue
			}
			text := fmt.Sprintf("round %d", r)
			p.write(c, text)
			want = append(want, text)
			if r%2 == 0 {
				p.next(c)
			}
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(want) == 0 {
		t.Fatal("nobody ever wrote")
	}
	var got []string
	for i := rounds; i >= 0; i-- {
		b, err := os.ReadFile((&Capture{cfg: cfg}).name(i))
		if text := strings.TrimPrefix(string(b), string(captureHead)); err == nil && text != "" {
			got = append(got, text)
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the files hold %q, want %q", got, want)
	}
}
