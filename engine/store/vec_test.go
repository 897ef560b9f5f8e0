package store

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
)

func TestVec(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "f"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var v writeVec
	var r ReadVec
	for _, sizes := range [][]int{{}, {0}, {5}, {0, 3, 0, 4, 0}, {1, 2, 3}, repeat(7, 63), repeat(7, 64), repeat(7, 65), repeat(7, 1023), repeat(7, 1024), repeat(7, 1025), repeat(3, 5000)} {
		var bufs, back [][]byte
		var all []byte
		for i, n := range sizes {
			b := bytes.Repeat([]byte{byte(i*31 + 1)}, n)
			bufs, back, all = append(bufs, b), append(back, make([]byte, n)), append(all, b...)
		}
		if err := f.Truncate(0); err != nil {
			t.Fatal(err)
		}
		const off = 10
		if n, err := v.pwritev(f, bufs, off); n != len(all) || err != nil {
			t.Fatalf("pwritev of %d buffers = %d, %v; want %d", len(bufs), n, err, len(all))
		}
		if n, err := r.preadv(f, back, off); n != len(all) || err != nil {
			t.Fatalf("preadv of %d buffers = %d, %v; want %d", len(bufs), n, err, len(all))
		}
		if got := bytes.Join(back, nil); !bytes.Equal(got, all) {
			t.Errorf("%d buffers: read something else than written", len(bufs))
		}
		if len(all) == 0 {
			continue
		}
		if n, err := r.preadv(f, back, off+1); n != len(all)-1 || !errors.Is(err, io.EOF) {
			t.Errorf("preadv past the end = %d, %v; want %d and io.EOF", n, err, len(all)-1)
		}
	}
	bufs := [][]byte{make([]byte, 100), make([]byte, 200)}
	if n := testing.AllocsPerRun(50, func() {
		if _, err := v.pwritev(f, bufs, 0); err != nil {
			t.Fatal(err)
		}
		if _, err := r.preadv(f, bufs, 0); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
	ro, err := os.Open(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	defer ro.Close()
	if _, err := v.pwritev(ro, bufs, 0); err == nil {
		t.Error("pwritev to a file open for reading: want an error")
	}
}

func repeat(v, n int) []int {
	s := make([]int, n)
	for i := range s {
		s[i] = v
	}
	return s
}
