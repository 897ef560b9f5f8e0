package wire

import (
	"testing"
)

// firsts returns one message of each kind, the longest.
func firsts(t testing.TB) map[Func]sample {
	best := map[Func]sample{}
	for _, s := range samples(t) {
		if len(s.msg) > len(best[s.f].msg) {
			best[s.f] = s
		}
	}
	return best
}

func TestNothingAllocates(t *testing.T) {
	buf := make([]byte, 0, MaxDatagram)
	want := func(what string, f func()) {
		t.Helper()
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s allocates %v times, want 0", what, n)
		}
	}
	for f, s := range firsts(t) {
		want(f.String(), func() {
			if _, err := roundTrip(f, s.msg, buf); err != nil {
				t.Fatal(err)
			}
		})
		want("a refused "+f.String(), func() {
			if _, err := roundTrip(f, s.msg[:1], buf); err == nil {
				t.Fatal("one byte was taken for a message")
			}
		})
	}

	h := Header{Version: Version4}
	p := make([]byte, 24)
	want("the common header", func() {
		h.Put(p)
		PutDataHeader(p[HeaderLen:], FuncFileSeg, 1, PlaceOf(2, 3), nil)
		PutSeq(p, 9)
		got, _, err := ParseHeader(p)
		if err != nil || len(got.Append(buf)) != HeaderLen {
			t.Fatal(err)
		}
	})
	want("quantizing", func() {
		if EncodeGRTT(DecodeGRTT(100)) == 0 || EncodeGroupSize(DecodeGroupSize(0x42)) == 0 || EncodeRate(DecodeRate(0x1fb5)) == 0 {
			t.Fatal("a code became 0")
		}
	})
	k := KeyInfo{Items: AppendKeyInfoItem(nil, 5, p)}
	c := CongCtrl{Items: CCItem{Host: 5}.Append(nil)}
	want("lists", func() {
		if u, _ := k.At(k.Len() - 1); u != c.At(c.Len()-1).Host || !UIDList(c.Items).Contains(u) {
			t.Fatal("the entry is gone")
		}
	})
}

func BenchmarkParse(b *testing.B) {
	best := firsts(b)
	for _, f := range []Func{FuncFileSeg, FuncStatus, FuncFileInfo} {
		p := append(Header{Version: Version4, Func: f}.Append(nil), best[f].msg...)
		b.Run(f.String(), func(b *testing.B) {
			b.SetBytes(int64(len(p)))
			b.ReportAllocs()
			for b.Loop() {
				_, msg, err := ParseHeader(p)
				if err == nil {
					switch f {
					case FuncFileSeg:
						_, err = ParseFileSeg(msg)
					case FuncStatus:
						_, err = ParseStatus(Version4, msg)
					case FuncFileInfo:
						_, err = ParseFileInfo(Version4, msg)
					}
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAppend(b *testing.B) {
	best := firsts(b)
	seg, _ := ParseFileSeg(best[FuncFileSeg].msg)
	status, _ := ParseStatus(Version4, best[FuncStatus].msg)
	info, _ := ParseFileInfo(Version4, best[FuncFileInfo].msg)
	h := Header{Version: Version4}
	buf := make([]byte, 0, MaxDatagram)
	for _, x := range []struct {
		f  Func
		do func() []byte
	}{
		{FuncFileSeg, func() []byte { return seg.Append(h.Append(buf)) }},
		{FuncStatus, func() []byte { return status.Append(Version4, h.Append(buf)) }},
		{FuncFileInfo, func() []byte { return info.Append(Version4, h.Append(buf)) }},
	} {
		b.Run(x.f.String(), func(b *testing.B) {
			b.SetBytes(int64(len(x.do())))
			b.ReportAllocs()
			for b.Loop() {
				x.do()
			}
		})
	}
}

func BenchmarkPutDataHeader(b *testing.B) {
	h := Header{Version: Version4, Src: 1, Group: 2}
	p := make([]byte, HeaderLen+FileSegLen)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		h.Seq = uint16(i)
		h.Put(p)
		PutDataHeader(p[HeaderLen:], FuncFileSeg, 1, PlaceOf(2, uint16(i)), nil)
	}
}
