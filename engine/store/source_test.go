package store

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"uftp/wire"
)

// sourceEntry writes content to a file, walks to it and returns the entry.
func sourceEntry(t *testing.T, content []byte) Entry {
	t.Helper()
	makeTree(t)
	if err := os.WriteFile("f", content, 0o644); err != nil {
		t.Fatal(err)
	}
	// Clocks of file systems tick coarsely; a write of today must be seen as a change.
	if err := os.Chtimes("f", time.Time{}, time.Now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	e, skip, _ := NewWalker(WalkConfig{Operands: []string{"f"}}).Next()
	if skip != nil {
		t.Fatal(skip.Reason)
	}
	return e
}

func testBytes(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * 7 >> 3)
	}
	return b
}

func cutBlocks(b []byte, size int) (bufs [][]byte) {
	for len(b) > size {
		bufs = append(bufs, b[:size:size])
		b = b[size:]
	}
	return append(bufs, b)
}

func TestReadBlocks(t *testing.T) {
	var v ReadVec
	want := testBytes(100_000)
	s, err := OpenSource(sourceEntry(t, want))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ off, n, block int }{{0, 1, 1300}, {0, 100_000, 8800}, {1300, 64 * 1300, 1300}, {99_999, 1, 512}, {65_000, 35_000, 1300}} {
		got := make([]byte, c.n)
		if err := s.ReadBlocks(&v, cutBlocks(got, c.block), int64(c.off)); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want[c.off:c.off+c.n]) {
			t.Errorf("%d bytes from %d in blocks of %d are wrong", c.n, c.off, c.block)
		}
	}
	if err := s.ReadBlocks(&v, cutBlocks(make([]byte, 50_000), 1300), 60_000); err != ErrShrunk {
		t.Errorf("reading past the end gives %v, want ErrShrunk", err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("a file that nobody touched closes with %v", err)
	}
}

func TestReadBlocksConcurrently(t *testing.T) {
	want := testBytes(200_000)
	s, err := OpenSource(sourceEntry(t, want))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var wg sync.WaitGroup
	for w := range 16 {
		wg.Go(func() {
			var v ReadVec
			got := make([]byte, 13_000)
			for off := w * 1300; off+len(got) <= len(want); off += 13_000 {
				if err := s.ReadBlocks(&v, cutBlocks(got, 1300), int64(off)); err != nil || !bytes.Equal(got, want[off:off+len(got)]) {
					t.Errorf("reader %d at %d: wrong bytes, %v", w, off, err)
				}
			}
		})
	}
	wg.Wait()
}

func TestReadBlocksAllocates(t *testing.T) {
	var v ReadVec
	s, err := OpenSource(sourceEntry(t, testBytes(64*1300)))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	bufs := cutBlocks(make([]byte, 64*1300), 1300)
	if n := testing.AllocsPerRun(20, func() {
		if err := s.ReadBlocks(&v, bufs, 0); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("reading a train allocates %v times, want never", n)
	}
}

func TestSourceShrinks(t *testing.T) {
	var v ReadVec
	e := sourceEntry(t, testBytes(10_000))
	s, err := OpenSource(e)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate("f", 5000); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 10_000)
	if err := s.ReadBlocks(&v, cutBlocks(buf[:4000], 1000), 1000); err != nil {
		t.Errorf("what is left can still be read: %v", err)
	}
	for _, c := range []struct{ off, n int }{{4999, 2}, {5000, 1}, {0, 10_000}, {8000, 1300}} {
		if err := s.ReadBlocks(&v, cutBlocks(buf[:c.n], 1000), int64(c.off)); err != ErrShrunk {
			t.Errorf("reading %d bytes from %d of 5000 gives %v, want ErrShrunk", c.n, c.off, err)
		}
	}
	if err := s.Close(); !errors.Is(err, ErrShrunk) {
		t.Errorf("closing gives %v, want ErrShrunk", err)
	}
	if _, err := OpenSource(e); !errors.Is(err, ErrShrunk) {
		t.Errorf("opening a file that has become shorter gives %v, want ErrShrunk", err)
	}
}

func TestSourceGrows(t *testing.T) {
	var v ReadVec
	want := testBytes(10_000)
	e := sourceEntry(t, want)
	grow := func() {
		f, err := os.OpenFile("f", os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.Write([]byte("more")); err != nil {
			t.Fatal(err)
		}
	}
	grow() // between walk and open
	s, err := OpenSource(e)
	if err != nil {
		t.Fatalf("a file that has grown is sent as announced: %v", err)
	}
	grow()
	got := make([]byte, e.Size)
	if err := s.ReadBlocks(&v, cutBlocks(got, 1300), 0); err != nil || !bytes.Equal(got, want) {
		t.Errorf("the announced size is delivered: %v", err)
	}
	if err := s.Close(); !errors.Is(err, ErrChanged) {
		t.Errorf("closing gives %v, want ErrChanged", err)
	}
}

// TestSourceCheck looks at a file between the walk and the announcement.
func TestSourceCheck(t *testing.T) {
	rewrite := func(n int) func() error { return func() error { return os.WriteFile("f", make([]byte, n), 0o644) } }
	for _, c := range []struct {
		what   string
		change func() error
		want   error
	}{
		{"nobody touched it", func() error { return nil }, nil},
		{"its mode does not matter", func() error { return os.Chmod("f", 0o600) }, nil},
		{"who opened it keeps it", func() error { return os.Remove("f") }, nil},
		{"it became shorter", func() error { return os.Truncate("f", 999) }, ErrShrunk},
		{"it became empty", func() error { return os.Truncate("f", 0) }, ErrShrunk},
		{"it was rewritten shorter", rewrite(500), ErrShrunk},
		{"it grew", rewrite(1001), ErrChanged},
		{"it was rewritten at equal size", rewrite(1000), ErrChanged},
		{"its time stamp changed", func() error { return os.Chtimes("f", time.Time{}, time.Unix(oldStamp, 0)) }, ErrChanged},
	} {
		s, err := OpenSource(sourceEntry(t, testBytes(1000)))
		if err != nil {
			t.Fatal(err)
		}
		if err := c.change(); err != nil {
			t.Logf("not run: %s: %v", c.what, err)
			s.Close()
			continue
		}
		if err := s.Check(); !errors.Is(err, c.want) || err != nil && !strings.HasPrefix(err.Error(), "f: ") {
			t.Errorf("%s: Check gives %v, want %v and the path", c.what, err, c.want)
		}
		if err := s.Close(); !errors.Is(err, c.want) {
			t.Errorf("%s: Close gives %v, want %v", c.what, err, c.want)
		}
		if err := s.Check(); !errors.Is(err, os.ErrClosed) {
			t.Errorf("Check after Close gives %v, want that of the system", err)
		}
	}
}

func TestSourceRewritten(t *testing.T) {
	s, err := OpenSource(sourceEntry(t, testBytes(1000)))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("f", make([]byte, 1000), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); !errors.Is(err, ErrChanged) {
		t.Errorf("a file rewritten at equal size closes with %v, want ErrChanged", err)
	}
}

func TestSourceReplaced(t *testing.T) {
	e := sourceEntry(t, testBytes(1000))
	os.WriteFile("g", testBytes(1000), 0o644)
	if err := os.Rename("g", "f"); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenSource(e); !errors.Is(err, ErrChanged) {
		t.Errorf("another file under the name opens with %v, want ErrChanged", err)
	}
	os.Remove("f")
	if _, err := OpenSource(e); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that has gone opens with %v, want that of the system", err)
	}
	os.Mkdir("f", 0o755)
	if _, err := OpenSource(e); !errors.Is(err, ErrChanged) {
		t.Errorf("a directory under the name opens with %v, want ErrChanged", err)
	}
	if _, err := OpenSource(Entry{Path: "f", Local: "f", Type: wire.TypeDir}); err == nil {
		t.Error("only regular files can be opened")
	}
}

func TestSourceKeepsDeletedFile(t *testing.T) {
	var v ReadVec
	want := testBytes(3000)
	s, err := OpenSource(sourceEntry(t, want))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if os.Remove("f") != nil {
		t.Skip("an open file cannot be removed here")
	}
	got := make([]byte, 3000)
	if err := s.ReadBlocks(&v, cutBlocks(got, 1300), 0); err != nil || !bytes.Equal(got, want) {
		t.Errorf("a file deleted while it is sent is delivered whole: %v", err)
	}
}

// BenchmarkReadBlocks reads a file like a sender: trains of neighbouring blocks in the first pass,
// and single blocks here and there in a repair.
func BenchmarkReadBlocks(b *testing.B) {
	var v ReadVec
	const whole = 64 << 20
	path := filepath.Join(b.TempDir(), "f")
	if err := os.WriteFile(path, make([]byte, whole), 0o644); err != nil {
		b.Fatal(err)
	}
	s, err := OpenSource(Entry{Type: wire.TypeFile, Path: path, Local: path, Name: "f", Size: whole})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	for _, size := range []int{1300, 8800} {
		for _, c := range []struct {
			name        string
			run, stride int // blocks read at once, and from one read to the next
		}{{"train", min(64, 65000/size), min(64, 65000/size)}, {"single", 1, 1}, {"every10th", 1, 10}} {
			b.Run(fmt.Sprintf("block=%d/%s", size, c.name), func(b *testing.B) {
				bufs := cutBlocks(make([]byte, size*c.run), size)
				off := int64(0)
				b.SetBytes(int64(size * c.run))
				b.ReportAllocs()
				for b.Loop() {
					if err := s.ReadBlocks(&v, bufs, off); err != nil {
						b.Fatal(err)
					}
					if off += int64(size * c.stride); off+int64(size*c.run) > whole {
						off = 0
					}
				}
			})
		}
	}
}
