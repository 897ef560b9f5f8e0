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
		{" \t42\r\n", 10, 42}, {"+7", 10, 7}, {"-1", 10, -1}, {"010", 10, 10}, {"0", 0, 0},
		{"0x10", 0, 16}, {"0X1f", 0, 31}, {"010", 0, 8}, {"-0x10", 0, -16}, {"ff", 16, 255}, {"0xff", 16, 255},
		{"9223372036854775807", 10, math.MaxInt64}, {"-9223372036854775808", 10, math.MinInt64},
	}
	for _, tt := range tests {
		if got, ok := Number(tt.text, tt.base); got != tt.want || !ok {
			t.Errorf("Number(%q, %d) = %d, %v, want %d", tt.text, tt.base, got, ok, tt.want)
		}
	}
	for _, base := range []int{0, 10, 16} {
		for _, text := range []string{"", " ", "+", "-", "xyz", "1.5", "12z", "100M", "1e3", "--1", "1 2", "1_0", "0x", "0xg", "0b1", "０",
			"99999999999999999999", "-99999999999999999999", "9223372036854775808z"} {
			if base == 16 && (text == "0b1" || text == "1e3") {
				continue // are hex digits
			}
			if n, ok := Number(text, base); ok {
				t.Errorf("Number(%q, %d) = %d, want it refused", text, base, n)
			}
		}
	}
	if n, ok := Number("08", 0); ok {
		t.Errorf("08 is %d, want it refused: no octal number", n)
	}
}

func TestDecimal(t *testing.T) {
	tests := []struct {
		text string
		want float64
	}{
		{"0.5", 0.5}, {".5", 0.5}, {"5.", 5}, {"1e-3", 0.001}, {" 3\n", 3}, {"-1", -1}, {"+1", 1}, {"1E2", 100},
	}
	for _, tt := range tests {
		if got, ok := Decimal(tt.text); got != tt.want || !ok {
			t.Errorf("Decimal(%q) = %v, %v, want %v", tt.text, got, ok, tt.want)
		}
	}
	for _, text := range []string{"", ".", "x", "inf", "nan", "Infinity", "1e", "1e+", "1.5.5", "2s", "1,5", "0x1p3", "1_0", "1e999"} {
		if f, ok := Decimal(text); ok {
			t.Errorf("Decimal(%q) = %v, want it refused", text, f)
		}
	}
}

func TestParseRate(t *testing.T) {
	for _, tt := range []struct {
		text string
		want int64 // bytes/s
	}{
		{"1", 128}, {"1000", 128000}, {"0x10", 16 * 128}, {"010", 8 * 128}, {" 1000 ", 128000}, {"1073741824", 1 << 37},
		{"1k", 125}, {"100M", 12_500_000}, {"100m", 12_500_000}, {"100 Mbit/s", 12_500_000}, {"100mbit", 12_500_000}, {"2.5G", 312_500_000},
		{"1.5Mbps", 187_500}, {"0.5g", 62_500_000}, {"1T", 125_000_000_000}, {"1.0995G", 137437500},
	} {
		if got, ok := ParseRate(tt.text); got != tt.want || !ok {
			t.Errorf("rate %q is %d bytes/s, %v, want %d", tt.text, got, ok, tt.want)
		}
	}
	for _, text := range []string{"", "0", "-1", "1073741825", "99999999999999999999", "M", "100MB", "100MiB", "100MB/s", "100Mb/s", "100Mi", "100x", "1.5", "1e3M", "-5M", "+5M",
		"0x10M", "100MM", "100M 1", "0.5k", "0M", "2T", "1e999G", "5Gx", "max=5", "1..5M", "100Mbit/h"} {
		if n, ok := ParseRate(text); ok {
			t.Errorf("rate %q is %d bytes/s, want it refused", text, n)
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
		{Int(&n, -20, 19, "Bad", ""), "junk", 0, "-20 to 19"},
		{Int(&n, 0, 9, "Bad", ""), "", 0, "0 to 9"},
		{Int(&n, 0, 9, "Bad", ""), "5x", 0, "0 to 9"},
		{Int(&n, 0, 9, "Bad", ""), "5.0", 0, "0 to 9"},
		{Int(&n, 0, math.MaxInt, "Bad", ""), "99999999999999999999", 0, "0 or more"},
		{Int(&n, 0, math.MaxInt, "Bad", ""), "-1", 0, "0 or more"},
		{Int(&n, 0, math.MaxInt, "Bad", ""), "77", 77, ""},
		{Int(&n, 1, math.MaxInt, "Bad", "x"), "0", 0, "1 or more x"},
		{AnyBase(&n, 0, 63, "Bad", ""), "0x2e", 46, ""},
		{Int(&n, 0, 63, "Bad", ""), "0x2e", 0, "0 to 63"},
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
		fail string
	}{
		{"0x0A580001", 0x0A580001, ""}, {"a580001", 0x0A580001, ""}, {"777", 0x777, ""}, {"ffffffff", 0xffffffff, ""},
		{"", 0, ""}, {" ", 0, ""}, {"0", 0, ""},
		{"zz", 0, "Invalid UID (allowed: "}, {"0x12zz", 0, "Invalid UID (allowed: "}, {"-1", 0, "Invalid UID (allowed: "}, {"10.0.0.1", 0, "Invalid UID (allowed: "},
		{"123456789", 0, "Invalid UID: Numerical result out of range"}, {"0x12345678901", 0, "Invalid UID: Numerical result out of range"},
		{"99999999999999999999", 0, "Invalid UID: Numerical result out of range"}, {"0x100000000", 0, "Invalid UID: Numerical result out of range"},
	}
	for _, tt := range tests {
		var u wire.UID
		switch err := UID(&u)(tt.text); {
		case tt.fail == "" && (err != nil || u != tt.want):
			t.Errorf("UID %q = %v, %v, want %v", tt.text, u, err, tt.want)
		case tt.fail != "" && (err == nil || !strings.HasPrefix(err.Error(), tt.fail)):
			t.Errorf("UID %q fails with %v, want %q", tt.text, err, tt.fail)
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
		{"a\u009bb", "a?b"}, {"a\u202eb", "a?b"}, {"a\u2028b", "a?b"}, {"latin \xe4\n", "latin ??"}, {"8-bit \x9b2J", "8-bit ?2J"}, {"\u061c\u2066x\u2069\u2029", "??x??"}, {"\ufffd", "\ufffd"},
	}
	for _, tt := range tests {
		if got := Clean(tt.in); got != tt.want {
			t.Errorf("Clean(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

// FuzzNumber compares with the standard library, which takes the same numbers but for
// blanks, prefixes that C does not know, and _.
func FuzzNumber(f *testing.F) {
	for _, s := range []string{"12", "-7x", "0x1F", " 010", "99999999999999999999", "+", "2.5G"} {
		f.Add(s, 10)
		f.Add(s, 16)
		f.Add(s, 0)
	}
	f.Fuzz(func(t *testing.T, s string, base int) {
		if base != 0 && base != 16 {
			base = 10
		}
		got, ok := Number(s, base)
		bare := strings.Trim(s, blanks)
		if base == 16 {
			sign := strings.TrimRight(bare[:min(1, len(bare))], "0123456789abcdefABCDEFxX")
			if rest := bare[len(sign):]; len(rest) > 2 && rest[0] == '0' && rest[1]|0x20 == 'x' {
				bare = sign + rest[2:]
			}
		}
		if base == 0 && strings.ContainsAny(bare, "_oObB") && !strings.ContainsAny(bare, "xX") {
			return // Go knows more prefixes than C
		}
		want, err := strconv.ParseInt(bare, base, 64)
		if strings.Contains(bare, "_") {
			err = strconv.ErrSyntax
		}
		if ok != (err == nil) || ok && got != want {
			t.Errorf("Number(%q, %d) = %d, %v, want %d, %v", s, base, got, ok, want, err)
		}
		Decimal(s)
		if n, ok := ParseRate(s); ok && (n < rateMin || n > rateMax) {
			t.Errorf("ParseRate(%q) = %d", s, n)
		}
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
