package main

import (
	"math"
	"strconv"
	"strings"
	"time"

	"uftp/cmd/cli"
	"uftp/engine/sim"
	"uftp/tools/internal/link"
)

// percent reads 2.5% as 0.025. The sign must be there: 1 alone could mean either.
func percent(s string) (p float64, ok bool) {
	digits, has := strings.CutSuffix(s, "%")
	p, err := strconv.ParseFloat(digits, 64)
	return p / 100, has && err == nil && p >= 0 && p <= 100
}

// scaled reads a number with a suffix out of units, or without one.
func scaled(s string, units map[byte]float64) (n float64, ok bool) {
	factor := 1.0
	if len(s) > 0 {
		if f, has := units[s[len(s)-1]]; has {
			s, factor = s[:len(s)-1], f
		}
	}
	n, err := strconv.ParseFloat(s, 64)
	n *= factor
	return n, err == nil && n >= 0 && n < math.MaxInt64/2
}

var (
	bitUnits  = map[byte]float64{'k': 1e3, 'M': 1e6, 'G': 1e9}
	byteUnits = map[byte]float64{'k': 1 << 10, 'M': 1 << 20, 'G': 1 << 30}
)

// rate reads bits per second; 0 is no limit.
func rate(s string) (bps int64, ok bool) {
	n, ok := scaled(s, bitUnits)
	bps = int64(n)
	return bps, ok && (bps == 0 || bps >= link.RateMin && bps <= link.RateMax)
}

// span reads a duration with its unit.
func span(s string, max time.Duration) (d time.Duration, ok bool) {
	d, err := time.ParseDuration(s)
	return d, err == nil && d >= 0 && d <= max
}

// bursts reads SHARE%:LENGTH with a length in frames or in time, or
// ENTER%:LEAVE%:LOSS% of the model itself.
func bursts(s string) (b sim.Burst, f link.Fades, ok bool) {
	part := strings.Split(s, ":")
	switch len(part) {
	case 2:
		share, ok := percent(part[0])
		if !ok || share > 0.9 {
			return b, f, false
		}
		length, err := strconv.ParseFloat(part[1], 64)
		if err != nil {
			d, ok := span(part[1], link.DelayMax)
			return b, link.Fades{Share: share, Length: d}, ok && d >= time.Microsecond
		}
		if !(length >= 1 && length <= 1e6) {
			return b, f, false
		}
		b = sim.Bursts(share, length)
		return b, f, b.Enter <= 1
	case 3:
		var ok1, ok2, ok3 bool
		b.Enter, ok1 = percent(part[0])
		b.Leave, ok2 = percent(part[1])
		b.Loss, ok3 = percent(part[2])
		return b, f, ok1 && ok2 && ok3
	}
	return b, f, false
}

// reorder reads SHARE%[:TIME].
func reorder(s string) (share float64, by time.Duration, ok bool) {
	text, limit, has := strings.Cut(s, ":")
	if share, ok = percent(text); !ok || !has {
		return share, 0, ok
	}
	by, ok = span(limit, link.DelayMax)
	return share, by, ok && by > 0
}

// outage reads START+LENGTH[/EVERY][:loss=P%][:rate=R][:delay=T]. Without one of the last
// three the link carries nothing meanwhile.
func outage(s string) (e link.Event, ok bool) {
	const longest = 1000 * time.Hour
	part := strings.Split(s, ":")
	from, rest, has := strings.Cut(part[0], "+")
	length, every, again := strings.Cut(rest, "/")
	if e.From, ok = span(from, longest); !ok || !has {
		return e, false
	}
	if e.Length, ok = span(length, longest); !ok || e.Length == 0 {
		return e, false
	}
	if again {
		if e.Every, ok = span(every, longest); !ok || e.Every < e.Length {
			return e, false
		}
	}
	for _, p := range part[1:] {
		key, value, _ := strings.Cut(p, "=")
		switch key {
		case "loss":
			e.Loss, ok = percent(value)
		case "rate":
			e.Rate, ok = rate(value)
			ok = ok && e.Rate > 0
		case "delay":
			e.Delay, ok = span(value, link.DelayMax)
		default:
			ok = false
		}
		if !ok {
			return e, false
		}
	}
	if len(part) == 1 {
		e.Loss = 1
	}
	return e, true
}

// directed returns a Set for a value that is for both directions, or for one when
// down= or up= stands before it.
func (o *options) directed(text, allowed string, set func(c *link.Config, v string) bool) func(string) error {
	return func(v string) error {
		o.shaped = true
		sides := []*link.Config{&o.down, &o.up}
		if rest, is := strings.CutPrefix(v, "down="); is {
			sides, v = sides[:1], rest
		} else if rest, is := strings.CutPrefix(v, "up="); is {
			sides, v = sides[1:], rest
		}
		for _, c := range sides {
			if !set(c, v) {
				return &cli.Error{Text: text, Allowed: "[down=|up=]" + allowed}
			}
		}
		return nil
	}
}
