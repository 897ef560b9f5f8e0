package wire

import (
	"math"
	"testing"
)

func TestQuantizeVectors(t *testing.T) {
	var q struct {
		GRTTDecode      []float64 `json:"grtt_decode"`
		GroupSizeDecode []int     `json:"group_size_decode"`
		GRTTEncode      []struct {
			Seconds float64
			Byte    uint8
		} `json:"grtt_encode"`
		GroupSizeEncode []struct {
			N    int
			Byte uint8
		} `json:"group_size_encode"`
		RateEncode []struct {
			Rate uint64 `json:"bytes_per_second"`
			Word uint16
		} `json:"rate_encode"`
		RateDecode []struct {
			Word uint16
			Rate uint64 `json:"bytes_per_second"`
		} `json:"rate_decode"`
	}
	readJSON(t, "quantize.json", &q)
	if len(q.GRTTDecode) != 256 || len(q.GroupSizeDecode) != 256 || len(q.GRTTEncode) == 0 ||
		len(q.GroupSizeEncode) == 0 || len(q.RateEncode) == 0 || len(q.RateDecode) == 0 {
		t.Fatal("quantize.json lacks a table")
	}
	for b, want := range q.GRTTDecode {
		// exp differs in the last bit between libraries; nothing observable hangs on it.
		if got := DecodeGRTT(uint8(b)); math.Abs(got-want) > want*4e-16 {
			t.Errorf("DecodeGRTT(%d) = %v, want %v", b, got, want)
		}
	}
	for b, want := range q.GroupSizeDecode {
		if got := DecodeGroupSize(uint8(b)); got != want {
			t.Errorf("DecodeGroupSize(%d) = %d, want %d", b, got, want)
		}
	}
	for _, x := range q.GRTTEncode {
		if got := EncodeGRTT(x.Seconds); got != x.Byte {
			t.Errorf("EncodeGRTT(%v) = %d, want %d", x.Seconds, got, x.Byte)
		}
	}
	for _, x := range q.GroupSizeEncode {
		if got := EncodeGroupSize(x.N); got != x.Byte {
			t.Errorf("EncodeGroupSize(%d) = %#02x, want %#02x", x.N, got, x.Byte)
		}
	}
	for _, x := range q.RateEncode {
		if got := EncodeRate(x.Rate); got != x.Word {
			t.Errorf("EncodeRate(%d) = %#04x, want %#04x", x.Rate, got, x.Word)
		}
	}
	for _, x := range q.RateDecode {
		if got := DecodeRate(x.Word); got != x.Rate {
			t.Errorf("DecodeRate(%#04x) = %d, want %d", x.Word, got, x.Rate)
		}
	}
}

func TestQuantizeBounds(t *testing.T) {
	for _, x := range []struct {
		seconds float64
		want    uint8
	}{
		{math.NaN(), 0}, {math.Inf(-1), 0}, {-1, 0}, {0, 0},
		{1000, 255}, {1e9, 255}, {math.Inf(1), 255},
	} {
		if got := EncodeGRTT(x.seconds); got != x.want {
			t.Errorf("EncodeGRTT(%v) = %d, want it clamped to %d", x.seconds, got, x.want)
		}
	}
	for _, x := range []struct {
		n    int
		want uint8
	}{
		{-1, 0}, {math.MinInt, 0}, {98437499, 0xff}, {98437500, 0xff}, {math.MaxInt32, 0xff}, {math.MaxInt, 0xff},
	} {
		if got := EncodeGroupSize(x.n); got != x.want {
			t.Errorf("EncodeGroupSize(%d) = %#02x, want %#02x", x.n, got, x.want)
		}
	}
	for _, rate := range []uint64{1e16 + 1e15, 1 << 60, math.MaxUint64} {
		if got := EncodeRate(rate); got != 0xffff {
			t.Errorf("EncodeRate(%d) = %#04x, want the largest code 0xffff", rate, got)
		}
	}
}

// TestGRTTNeverShrinks: timers are built on the decoded value, so a coded time
// must not come out shorter than it went in, and larger times not as smaller codes.
func TestGRTTNeverShrinks(t *testing.T) {
	last := uint8(0)
	for s := 33e-6; s < 999; s *= 1.003 {
		b := EncodeGRTT(s)
		if got := DecodeGRTT(b); got < s*(1-1e-12) || got > s*1.09 {
			t.Errorf("%v s decodes as %v, want the same or up to 9%% more", s, got)
		}
		if b < last {
			t.Errorf("%v s has code %d after %d for a smaller time", s, b, last)
		}
		last = b
	}
}

// TestGroupSizeAndRateAreClose: half a step is 10/64 of the power of ten below
// for a group size and 10/8192 for a rate, and decoding rounds to a whole number.
func TestGroupSizeAndRateAreClose(t *testing.T) {
	for n := 1; n < 9e7; n += 1 + n/37 {
		got := float64(DecodeGroupSize(EncodeGroupSize(n)))
		if math.Abs(got-float64(n)) > float64(n)*10/64+0.5 {
			t.Errorf("group of %d decodes as %v, more than half a step off", n, got)
		}
	}
	for r := uint64(1); r < 1<<53; r += 1 + r/37 {
		got := float64(DecodeRate(EncodeRate(r)))
		if math.Abs(got-float64(r)) > float64(r)*10/8192+1 {
			t.Errorf("rate %d decodes as %v, more than half a step off", r, got)
		}
	}
}
