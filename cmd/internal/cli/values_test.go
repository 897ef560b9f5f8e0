package cli

import (
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"uftp/wire"
)

func TestNumber(t *testing.T) {
	tests := []struct {
		text string
		base int
		want int64
	}{
		{"", 10, 0}, {"abc", 10, 0}, {"1.5", 10, 1}, {"12abc", 10, 12}, {" \t42", 10, 42}, {"+7", 10, 7}, {"-1", 10, -1}, {"--1", 10, 0},
		{"0x10", 10, 0}, {"010", 10, 10},
		{"0x10", 0, 16}, {"0X1f", 0, 31}, {"010", 0, 8}, {"08", 0, 0}, {"0x", 0, 0}, {"0xg", 0, 0}, {"-0x10", 0, -16}, {"99z", 0, 99},
		{"ff", 16, 255}, {"0xff", 16, 255}, {"0x", 16, 0}, {"fg", 16, 15},
		{"9223372036854775807", 10, math.MaxInt64}, {"9223372036854775808", 10, math.MaxInt64}, {"99999999999999999999", 10, math.MaxInt64},
		{"-9223372036854775808", 10, math.MinInt64}, {"-99999999999999999999", 10, math.MinInt64},
	}
	for _, tt := range tests {
		if got := Number(tt.text, tt.base); got != tt.want {
			t.Errorf("Number(%q, %d) = %d, want %d", tt.text, tt.base, got, tt.want)
		}
	}
}

func TestDecimal(t *testing.T) {
	tests := []struct {
		text string
		want float64
	}{
		{"0.5", 0.5}, {".5", 0.5}, {"5.", 5}, {"1e-3", 0.001}, {"1e", 1}, {"1e+", 1}, {"1.5.5", 1.5}, {"2s", 2}, {" 3", 3},
		{"-1", -1}, {"+1", 1}, {"", 0}, {".", 0}, {"x", 0}, {"inf", 0}, {"nan", 0}, {"1E2x", 100},
	}
	for _, tt := range tests {
		if got := Decimal(tt.text); got != tt.want {
			t.Errorf("Decimal(%q) = %v, want %v", tt.text, got, tt.want)
		}
	}
}

func TestIntRanges(t *testing.T) {
	var n int
	tests := []struct {
		set     func(string) error
		value   string
		want    int
		allowed string
	}{
		{Int(&n, 1, 9, "Bad", "hops"), "9", 9, ""},
		{Int(&n, 1, 9, "Bad", "hops"), "10", 0, "1 to 9 hops"},
		{Int(&n, 1, 9, "Bad", "hops"), "junk", 0, "1 to 9 hops"},
		{Int(&n, -20, 19, "Bad", ""), "-20", -20, ""},
		{Int(&n, -20, 19, "Bad", ""), "junk", 0, ""},
		{Int(&n, 0, math.MaxInt, "Bad", ""), "-1", 0, "0 or more"},
		{Int(&n, 0, math.MaxInt, "Bad", ""), "77", 77, ""},
		{Int(&n, 1, math.MaxInt, "Bad", "x"), "0", 0, "1 or more x"},
		{AnyBase(&n, 0, 63, "Bad", ""), "0x2e", 46, ""},
		{Int(&n, 0, 63, "Bad", ""), "0x2e", 0, ""},
	}
	for _, tt := range tests {
		n = 0
		err := tt.set(tt.value)
		var e *Error
		switch {
		case tt.allowed == "" && (err != nil || n != tt.want):
			t.Errorf("%q gives %d, %v, want %d", tt.value, n, err, tt.want)
		case tt.allowed != "" && (!errors.As(err, &e) || e.Text != "Bad" || e.Allowed != tt.allowed):
			t.Errorf("%q gives %v, want Bad with allowed %q", tt.value, err, tt.allowed)
		}
	}
}

func TestUIDOption(t *testing.T) {
	tests := []struct {
		text string
		want wire.UID
		fail bool
	}{
		{"0x0A580001", 0x0A580001, false}, {"a580001", 0x0A580001, false}, {"777", 0x777, false},
		{"zz", 0, false}, {"0", 0, false}, {"123456789", 0x23456789, false},
		{"7fffffffffffffff", 0xffffffff, false}, {"8000000000000000", 0, true}, {"99999999999999999999", 0, true},
	}
	for _, tt := range tests {
		var u wire.UID
		err := UID(&u)(tt.text)
		if (err != nil) != tt.fail || u != tt.want {
			t.Errorf("UID %q = %v, %v, want %v, failure %v", tt.text, u, err, tt.want, tt.fail)
		}
		if tt.fail && !strings.HasPrefix(err.Error(), "Invalid UID: Numerical result out of range") {
			t.Errorf("UID %q fails with %q, want stock's text", tt.text, err)
		}
	}
}

func TestErrText(t *testing.T) {
	_, missing := os.Open(filepath.Join(t.TempDir(), "no"))
	tests := []struct {
		err  error
		want string
	}{
		{missing, "No such file or directory"},
		{&fs.PathError{Op: "open", Path: "x", Err: errors.New("odd")}, "odd"},
		{errors.New("plain"), "plain"},
	}
	for _, tt := range tests {
		if got := ErrText(tt.err); got != tt.want {
			t.Errorf("ErrText(%v) = %q, want %q", tt.err, got, tt.want)
		}
	}
}

func TestClean(t *testing.T) {
	tests := []struct{ in, want string }{
		{"plain", "plain"}, {"", ""}, {"größe", "größe"}, {"a\nb\rc\td", "a?b?c?d"}, {"\x1b[2Jx", "?[2Jx"}, {"x\x7f", "x?"},
		{"a\u009bb", "a?b"}, {"a\u202eb", "a?b"}, {"a\u2028b", "a?b"}, {"latin \xe4\n", "latin \xe4?"},
	}
	for _, tt := range tests {
		if got := Clean(tt.in); got != tt.want {
			t.Errorf("Clean(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

// FuzzNumber compares with the standard library wherever that takes the text.
func FuzzNumber(f *testing.F) {
	for _, s := range []string{"12", "-7x", "0x1F", " 010", "99999999999999999999", "+"} {
		f.Add(s, 10)
		f.Add(s, 16)
		f.Add(s, 0)
	}
	f.Fuzz(func(t *testing.T, s string, base int) {
		if base != 0 && base != 16 {
			base = 10
		}
		got := Number(s, base)
		if strings.ContainsAny(s, "_oObB") && base == 0 {
			return // Go knows more prefixes than C
		}
		if want, err := strconv.ParseInt(s, base, 64); err == nil && got != want {
			t.Errorf("Number(%q, %d) = %d, want %d", s, base, got, want)
		}
		Decimal(s)
		if c := Clean(s); Clean(c) != c {
			t.Errorf("Clean(Clean(%q)) is not Clean of it", s)
		}
	})
}

func TestCount(t *testing.T) {
	for _, c := range []struct {
		n    int
		want string
	}{{0, "0 files"}, {1, "1 file"}, {2, "2 files"}, {-1, "-1 files"}} {
		if got := Count(c.n, "file"); got != c.want {
			t.Errorf("%d of a thing is called %q, want %q", c.n, got, c.want)
		}
	}
}
