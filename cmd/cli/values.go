package cli

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
	"syscall"
	"unicode"
	"unicode/utf8"

	"uftp/wire"
)

// Flag returns a Set that switches *p on.
func Flag(p *bool) func(string) error {
	return func(string) error { *p = true; return nil }
}

// String returns a Set that keeps the last value.
func String(p *string) func(string) error {
	return func(v string) error { *p = v; return nil }
}

// List returns a Set that adds the parts of a comma-separated value, without empty ones, as strtok
// does.
func List(p *[]string) func(string) error {
	return func(v string) error { *p = append(*p, SplitList(v)...); return nil }
}

// SplitList splits at commas and drops empty parts.
func SplitList(v string) []string {
	return strings.FieldsFunc(v, func(r rune) bool { return r == ',' })
}

// Int returns a Set for a decimal number from min to max; text is the stock
// program's message for all others, unit (may be empty) completes what is allowed.
func Int(p *int, min, max int, text, unit string) func(string) error {
	return ranged(p, min, max, text, unit, 10)
}

// AnyBase is Int for a number whose base follows from its prefix: 0x, 0, or none.
func AnyBase(p *int, min, max int, text, unit string) func(string) error {
	return ranged(p, min, max, text, unit, 0)
}

func ranged(p *int, min, max int, text, unit string, base int) func(string) error {
	allowed := fmt.Sprintf("%d to %d", min, max)
	switch {
	case max == math.MaxInt && min == 0:
		allowed = "0 or more"
	case max == math.MaxInt:
		allowed = fmt.Sprintf("%d or more", min)
	}
	if unit != "" {
		allowed += " " + unit
	}
	return func(v string) error {
		n, ok := Number(v, base)
		if !ok || n < int64(min) || n > int64(max) {
			return &Error{Text: text, Allowed: allowed}
		}
		*p = int(n)
		return nil
	}
}

// Number reads an integer, with an optional sign and blanks around it. Base 0 takes the base from
// the prefix: 0x, 0, or none. ok is false for any other text and for a number that does not fit.
// The stock programs silently use the part that they understand.
func Number(s string, base int) (n int64, ok bool) {
	s = strings.Trim(s, blanks)
	neg := strings.HasPrefix(s, "-")
	if neg || strings.HasPrefix(s, "+") {
		s = s[1:]
	}
	hex := len(s) > 2 && s[0] == '0' && s[1]|0x20 == 'x'
	switch {
	case hex && (base == 0 || base == 16):
		s, base = s[2:], 16
	case base == 0 && len(s) > 1 && s[0] == '0':
		base = 8
	case base == 0:
		base = 10
	}
	for i := range len(s) {
		if digit(s[i]) >= base {
			return 0, false
		}
	}
	u, err := strconv.ParseUint(s, base, 64)
	switch {
	case err != nil, neg && u > 1<<63, !neg && u > math.MaxInt64:
		return 0, false
	case neg:
		return -int64(u), true
	}
	return int64(u), true
}

// blanks are the characters that are allowed around a number.
const blanks = " \t\n\v\f\r"

func digit(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c|0x20 && c|0x20 <= 'z':
		return int(c|0x20-'a') + 10
	}
	return 99
}

// Decimal reads a decimal fraction, with an optional sign and exponent, and blanks around it. ok is
// false for anything else, including words for infinity.
func Decimal(s string) (f float64, ok bool) {
	s = strings.Trim(s, blanks)
	if strings.Trim(s, "0123456789.eE+-") != "" {
		return 0, false
	}
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil
}

// UID returns a Set for -U: at most 8 hexadecimal digits, with or without 0x. 0 and an
// empty value mean the default (docs/protocol.md, "UID").
func UID(p *wire.UID) func(string) error {
	return func(v string) error {
		n, ok := Number(v, 16)
		switch {
		case strings.Trim(v, blanks) == "":
			n = 0
		case !ok && strings.Trim(v, "0123456789abcdefABCDEFxX"+blanks) == "", n > math.MaxUint32:
			return &Error{Text: "Invalid UID: Numerical result out of range", Allowed: allowedUID}
		case !ok || n < 0:
			return &Error{Text: "Invalid UID", Allowed: allowedUID}
		}
		*p = wire.UID(n)
		return nil
	}
}

const allowedUID = "1 to 8 hex digits, with or without 0x"

// ErrText returns the system's text for err as C programs print it, without the path or the name of
// a call.
func ErrText(err error) string {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		t := errno.Error()
		r, n := utf8.DecodeRuneInString(t)
		return string(unicode.ToUpper(r)) + t[n:]
	}
	var pe *os.PathError
	if errors.As(err, &pe) {
		return pe.Err.Error()
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return "file too short"
	}
	return err.Error()
}

// Count formats a number of things: 1 file, 2 files.
func Count[N int | int64 | uint64](n N, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
