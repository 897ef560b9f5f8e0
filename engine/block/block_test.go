package block

import (
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

func TestLayoutTable(t *testing.T) {
	// docs/protocol.md, "Sections and blocks".
	for _, c := range []struct {
		b                                   int
		s                                   int64
		blocks, sections, small, nbig, last int
	}{
		{1300, 0, 0, 0, 0, 0, 0},
		{1300, 1, 1, 1, 1, 0, 1},
		{1300, 1300, 1, 1, 1, 0, 1300},
		{1300, 40000, 31, 1, 31, 0, 1000},
		{1300, 13520000, 10400, 1, 10400, 0, 1300},
		{1300, 13520001, 10401, 2, 5200, 1, 1},
		{1300, 27041300, 20801, 3, 6933, 2, 1300},
		{1300, 1e9, 769231, 74, 10395, 1, 1000},
		{512, 2304100, 4501, 2, 2250, 1, 100},
		{8192, 536870913, 65537, 2, 32768, 1, 1},
		{8800, 1e10, 1136364, 18, 63131, 6, 5600},
	} {
		l, err := NewLayout(c.s, c.b)
		if err != nil {
			t.Fatal(err)
		}
		want := Layout{c.s, c.b, c.blocks, c.sections, c.small, c.nbig}
		if l != want {
			t.Errorf("layout of %d bytes in %d-byte blocks is %+v, want %+v", c.s, c.b, l, want)
		}
		if c.blocks > 0 && l.Len(c.blocks-1) != c.last {
			t.Errorf("last block of %d bytes has %d bytes, want %d", c.s, l.Len(c.blocks-1), c.last)
		}
	}
}

func TestMaxSize(t *testing.T) {
	for b, want := range map[int]int64{512: 137436856320, 1300: 886033200000, 8800: 37795135488000} {
		if got := MaxSize(b); got != want {
			t.Errorf("largest file with %d-byte blocks is %d, want %d", b, got, want)
		}
		if _, err := NewLayout(want, b); err != nil {
			t.Errorf("the largest size must fit: %v", err)
		}
		if _, err := NewLayout(want+1, b); err == nil {
			t.Errorf("one byte more than the largest size must be refused (block %d)", b)
		}
	}
}

func TestLayoutCoversFile(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.IntRange(1, 20).Draw(t, "block size")
		s := rapid.Int64Range(1, 5000).Draw(t, "size")
		l, err := NewLayout(s, b)
		if err != nil {
			t.Fatal(err)
		}
		i, off := 0, int64(0)
		for sec := range l.Sections {
			if l.First(sec) != i {
				t.Fatalf("section %d starts at block %d, want %d", sec, l.First(sec), i)
			}
			for in := range l.SectionBlocks(sec) {
				gs, gi := l.Section(i)
				if gs != sec || gi != in {
					t.Fatalf("block %d is %d/%d, want %d/%d", i, gs, gi, sec, in)
				}
				if x, ok := l.Index(sec, in); !ok || x != i {
					t.Fatalf("Index(%d, %d) = %d %v, want %d", sec, in, x, ok, i)
				}
				if l.Offset(i) != off {
					t.Fatalf("block %d starts at %d, want %d", i, l.Offset(i), off)
				}
				off += int64(l.Len(i))
				i++
			}
			if _, ok := l.Index(sec, l.SectionBlocks(sec)); ok {
				t.Fatal("a block behind the section must not exist")
			}
		}
		if i != l.Blocks || off != s {
			t.Fatalf("layout covers %d blocks and %d bytes, want %d and %d", i, off, l.Blocks, s)
		}
		if _, ok := l.Index(l.Sections, 0); ok {
			t.Fatal("a section behind the file must not exist")
		}
	})
}

// TestSetModel compares Set with a slice of bool under random operations.
func TestSetModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 300).Draw(t, "n")
		full := rapid.Bool().Draw(t, "full")
		var s Set
		s.Reset(n, full)
		model := make([]bool, n)
		for i := range model {
			model[i] = full
		}
		count := func() (c int) {
			for _, b := range model {
				if b {
					c++
				}
			}
			return
		}
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			i := rapid.IntRange(0, n-1).Draw(t, "i")
			switch rapid.IntRange(0, 4).Draw(t, "op") {
			case 0:
				if s.Add(i) == model[i] {
					t.Fatalf("Add(%d) reports the wrong thing", i)
				}
				model[i] = true
			case 1:
				if s.Remove(i) != model[i] {
					t.Fatalf("Remove(%d) reports the wrong thing", i)
				}
				model[i] = false
			case 2:
				m := rapid.IntRange(0, n-i).Draw(t, "m")
				bm := s.AppendBitmap(nil, i, m)
				if len(bm) != NAKBytes(m) {
					t.Fatalf("bitmap of %d blocks has %d bytes, want %d", m, len(bm), NAKBytes(m))
				}
				for k := range 8 * len(bm) {
					if got, want := bm[k/8]>>(k%8)&1 == 1, k < m && model[i+k]; got != want {
						t.Fatalf("bit %d of %d is %v, want %v", k, m, got, want)
					}
				}
				if c := s.CountRange(i, m); c != countIn(model[i:i+m]) {
					t.Fatalf("CountRange(%d, %d) = %d", i, m, c)
				}
			case 3:
				m := rapid.IntRange(1, n-i).Draw(t, "m")
				bm := rapid.SliceOfN(rapid.Byte(), NAKBytes(m), NAKBytes(m)+3).Draw(t, "bitmap")
				added, named := s.Merge(bm, i, m), CountNAKs(bm, m)
				for k := range m {
					if bm[k/8]>>(k%8)&1 == 1 {
						named--
						if !model[i+k] {
							added--
						}
						model[i+k] = true
					}
				}
				if named != 0 || added != 0 {
					t.Fatalf("Merge counts wrong by %d, CountNAKs by %d", added, named)
				}
			case 4:
				want := i
				for want < n && !model[want] {
					want++
				}
				if got := s.Next(i); got != want {
					t.Fatalf("Next(%d) = %d, want %d", i, got, want)
				}
			}
			if s.Count() != count() {
				t.Fatalf("Count = %d, want %d", s.Count(), count())
			}
		}
		var c Set
		c.CopyFrom(&s)
		for i := range model {
			if c.Has(i) != model[i] {
				t.Fatalf("copy differs at %d", i)
			}
		}
	})
}

func countIn(m []bool) (c int) {
	for _, b := range m {
		if b {
			c++
		}
	}
	return
}

func TestSetDoesNotAllocate(t *testing.T) {
	var s Set
	s.Reset(10000, true)
	buf := make([]byte, 0, 2000)
	if a := testing.AllocsPerRun(10, func() {
		s.Reset(10000, true)
		for i := s.Next(0); i < s.Len(); i = s.Next(i + 3) {
			s.Remove(i)
		}
		buf = s.AppendBitmap(buf[:0], 0, 10000)
		s.Merge(buf, 0, 10000)
	}); a != 0 {
		t.Errorf("%v allocations, want none", a)
	}
}

func BenchmarkMerge(b *testing.B) {
	var s Set
	s.Reset(70400, false)
	bm := make([]byte, NAKBytes(10400))
	for i := range bm {
		if rand.IntN(10) == 0 {
			bm[i] = byte(rand.Uint32())
		}
	}
	b.SetBytes(int64(len(bm)))
	b.ReportAllocs()
	for b.Loop() {
		s.Merge(bm, 10401, 10400)
	}
}

func TestCountNamed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		total := rapid.IntRange(1, 300).Draw(t, "total")
		first := rapid.IntRange(0, total-1).Draw(t, "first")
		n := rapid.IntRange(0, total-first).Draw(t, "n")
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		var s Set
		s.Reset(total, false)
		for i := range total {
			if rng.IntN(2) == 0 {
				s.Add(i)
			}
		}
		bitmap := make([]byte, NAKBytes(n))
		for i := range bitmap {
			bitmap[i] = byte(rng.Uint32() | rng.Uint32() | rng.Uint32())
		}
		want, last := 0, -1
		for i := range n {
			switch {
			case bitmap[i/8]&(1<<(i%8)) == 0:
				last = i
			case s.Has(first + i):
				want++
			}
		}
		if got := s.CountNamed(bitmap, first, n); got != want {
			t.Fatalf("%d blocks, first %d, n %d: %d named ones are in the set, want %d", total, first, n, got, want)
		}
		if got := LastUnnamed(bitmap, n); got != last {
			t.Fatalf("n %d: the last one not named is %d, want %d", n, got, last)
		}
	})
}
