package store

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"uftp/wire"
)

// TestPromisesTakeNoSpace: the reserved space follows the data, in any order, and data in order
// always find their space reserved, in few steps.
func TestPromisesTakeNoSpace(t *testing.T) {
	const blocks = 100_000 // of 1,000 bytes
	orders := map[string]func(i int) int{
		"in order":    func(i int) int { return i },
		"from behind": func(i int) int { return blocks - 1 - i },
		"every third is lost": func(i int) int {
			if i < blocks*2/3 {
				return i/2*3 + i%2
			}
			return min((i-blocks*2/3)*3+2, blocks-1)
		},
	}
	perm := rand.New(rand.NewPCG(1, 2)).Perm(blocks)
	orders["at random"] = func(i int) int { return perm[i] }
	for name, order := range orders {
		t.Run(name, func(t *testing.T) {
			h := newHall(t, nil)
			steps, reserved := 0, int64(0)
			spy = func(c *call, do func() error) error {
				switch c.op {
				case "reserve":
					if c.off != reserved {
						t.Fatalf("reserved from %d on, want from %d on", c.off, reserved)
					}
					steps++
					reserved = c.off + c.n
					return nil
				case "write", "truncate":
					if name == "in order" && c.off+c.n > reserved {
						t.Fatalf("written up to %d, reserved up to %d", c.off+c.n, reserved)
					}
					return nil // the bytes do not matter
				}
				return do()
			}
			defer func() { spy = nil }()
			req := h.request(wire.TypeFile, "f", blocks*testBlock)
			_, f := h.s.Open(req)
			if reserved != 0 {
				t.Errorf("%d bytes are reserved for an announcement", reserved)
			}
			data := [][]byte{make([]byte, testBlock)}
			for i := range blocks {
				came := int64(i+1) * testBlock
				if err := f.WriteAt(data, req.Layout.Offset(order(i))); err != nil {
					t.Fatal(err)
				}
				if reserved > 2*came+reserveMin {
					t.Fatalf("%d bytes have come, %d are reserved", came, reserved)
				}
			}
			if steps > 8 {
				t.Errorf("%d steps", steps)
			}
			f.Abandon(nil)
		})
	}
}

// TestLargeSteps: no step is so large that it delays the writing for long.
func TestLargeSteps(t *testing.T) {
	h := newHall(t, nil)
	spy = func(c *call, do func() error) error {
		if c.op == "reserve" && c.n > reserveMax {
			t.Errorf("%d bytes at once", c.n)
		}
		if c.op == "reserve" || c.op == "write" {
			return nil
		}
		return do()
	}
	defer func() { spy = nil }()
	_, f := h.s.Open(h.file("f", "x"))
	f.req.Size = 20 << 30
	data := [][]byte{make([]byte, 1<<20)}
	for off := int64(0); off < f.req.Size; off += 1 << 20 {
		if err := f.WriteAt(data, off); err != nil {
			t.Fatal(err)
		}
	}
	f.Abandon(nil)
}

// TestSpaceGoesBack: a file that is given up takes no more space than the data that arrived.
func TestSpaceGoesBack(t *testing.T) {
	const blocks = 64 << 10
	for name, first := range map[string]int{"at the start": 0, "in the middle": blocks / 2, "at the end": blocks - 8} {
		for _, temp := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, temp %v", name, temp), func(t *testing.T) {
				change := withTemp
				if !temp {
					change = nil
				}
				h := newHall(t, change)
				req := h.request(wire.TypeFile, "f", blocks*testBlock)
				var some []int
				for i := range 8 {
					some = append(some, first+i)
				}
				f, left := h.cut(req, string(make([]byte, blocks*testBlock)), some...)
				if n := f.reserved; n < reserveMin {
					t.Fatalf("%d bytes are reserved, the test looks at nothing", n)
				}
				if err := f.Abandon(left); err != nil {
					t.Fatal(err)
				}
				h.end(false)
				filepath.Walk(h.base, func(path string, fi os.FileInfo, err error) error {
					if err == nil && fi.Mode().IsRegular() && allocated(fi) > 1<<20 {
						t.Errorf("%s takes %d bytes, 8 kB have come", path, allocated(fi))
					}
					return nil
				})
				if temp {
					h.begin(1)
					a, f := h.s.Open(h.resume(req))
					if f == nil || !a.Partial || a.Missing.Count() != blocks-8 {
						t.Errorf("%+v, want the 8 blocks that had come", a)
					}
					f.Abandon(a.Missing)
					h.end(false)
				}
			})
		}
	}
}

// TestNoSpaceToReserve: if space cannot be reserved, the data are written without.
func TestNoSpaceToReserve(t *testing.T) {
	h := newHall(t, nil)
	tries := 0
	spy = func(c *call, do func() error) error {
		if c.op == "reserve" {
			tries++
			return ErrNoSpace
		}
		return do()
	}
	defer func() { spy = nil }()
	text := body(3 << 20)
	h.receive(h.file("f", text), text)
	if got, _ := os.ReadFile(h.at("dest/f")); string(got) != text || tries != 1 {
		t.Errorf("the file is not what was sent, or %d tries, want 1", tries)
	}
}
