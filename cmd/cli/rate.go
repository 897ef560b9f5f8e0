package cli

import "strings"

// A rate on a command line is a whole number of Kbps of 1024 bit/s, as in the stock programs, or a
// decimal fraction with a unit of decimal bit/s. Both are stored in bytes/s.

// Limits of rates, bytes/s: 1 to 1073741824 Kbps, or as much in the other form.
const (
	kbps    = 1024 / 8
	rateMin = 125
	rateMax = 1 << 30 * kbps
)

// AllowedRates describes what ParseRate accepts.
const AllowedRates = "1 to 1073741824 Kbps, or bit/s with k, M, G or T, as 2.5M"

// rateUnits has the units in bit/s by their first letter.
var rateUnits = map[byte]float64{'k': 1e3, 'm': 1e6, 'g': 1e9, 't': 1e12}

// ParseRate reads a rate, bytes/s. A plain number, whose base follows from its prefix, means Kbps.
// A decimal fraction with k, M, G or T, in either case and with or without bit, bps or bit/s behind
// it, means bit/s. 100000 is 102.4 Mbit/s, 100M is 100 Mbit/s. ok is false for anything else and
// for a rate out of range.
func ParseRate(s string) (bytes int64, ok bool) {
	s = strings.Trim(s, blanks)
	if n, ok := Number(s, 0); ok {
		return n * kbps, n >= 1 && n <= rateMax/kbps
	}
	digits := strings.TrimRight(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ/ ")
	unit := strings.ToLower(strings.TrimLeft(s[len(digits):], " "))
	if unit == "" || strings.Trim(digits, "0123456789.") != "" {
		return 0, false
	}
	scale, ok := rateUnits[unit[0]]
	switch unit[1:] {
	case "", "bit", "bps", "bit/s":
	default:
		return 0, false
	}
	f, number := Decimal(digits)
	bytes = int64(min(f*scale/8, rateMax+1))
	return bytes, ok && number && bytes >= rateMin && bytes <= rateMax
}
