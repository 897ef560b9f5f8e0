//go:build linux

package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
)

// outcome is the result of a variant in the rounds of a case.
type outcome struct {
	v      variant
	rate   int // Mbit/s at which it was best, or unlimited; -1: it failed at all rates
	runs   []measurement
	failed int
}

// spread returns the lowest, middle and highest rate in Gbit/s; all 0 for no runs.
func (o *outcome) spread() (low, median, high float64) {
	var g []float64
	for _, m := range o.runs {
		g = append(g, m.gbps())
	}
	return spread(g)
}

// spread returns the lowest, middle and highest of values, which it sorts.
func spread(v []float64) (low, median, high float64) {
	if len(v) == 0 {
		return 0, 0, 0
	}
	slices.Sort(v)
	n := len(v)
	return v[0], (v[(n-1)/2] + v[n/2]) / 2, v[n-1]
}

// benchLine is one run in the format of Go benchmarks.
func benchLine(c testCase, v variant, rate int, m measurement) string {
	line := fmt.Sprintf("BenchmarkCompare/%v/program=%v\t1\t%d ns/op\t%.2f MB/s\t%.3f Gbit/s\t%d asked-Mbit/s\t%.3f command-s",
		c, v, m.elapsed.Nanoseconds(), float64(m.bytes)/1e6/m.elapsed.Seconds(), m.gbps(), rate, m.whole.Seconds())
	if m.files > 1 {
		line += fmt.Sprintf("\t%.0f files/s", float64(m.files)/m.elapsed.Seconds())
	}
	if m.peak[0] > 0 {
		line += fmt.Sprintf("\t%.1f sender-MiB\t%.1f receiver-MiB", float64(m.peak[0])/(1<<20), float64(m.peak[1])/(1<<20))
	}
	return line
}

// rateText is a rate as the table shows it.
func rateText(rate int) string {
	switch {
	case rate < 0:
		return "none works"
	case rate == unlimited:
		return "no limit"
	}
	return fmt.Sprint(rate)
}

// writeTable writes the outcomes of a case. Columns behind the spread are the
// median as a multiple of stock's, with its own buffers and with large ones.
func writeTable(w io.Writer, c testCase, all []outcome) error {
	median := func(v variant) float64 {
		i := slices.IndexFunc(all, func(o outcome) bool { return o.v == v })
		if i < 0 {
			return 0
		}
		_, m, _ := all[i].spread()
		return m
	}
	ratio := func(m, base float64) string {
		if base == 0 || m == 0 {
			return "-"
		}
		return fmt.Sprintf("%.2f", m/base)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# %v\n", c)
	fmt.Fprintf(&b, "# %-12s %12s %8s %8s %8s %8s %12s %6s\n", "program", "asked Mbit/s", "median", "low", "high", "x stock", "x stock-B100M", "failed")
	sorted := slices.Clone(all)
	slices.SortStableFunc(sorted, func(x, y outcome) int {
		_, mx, _ := x.spread()
		_, my, _ := y.spread()
		return cmp.Compare(my, mx)
	})
	for _, o := range sorted {
		low, m, high := o.spread()
		fmt.Fprintf(&b, "# %-12v %12s %8.2f %8.2f %8.2f %8s %12s %6d\n", o.v, rateText(o.rate), m, low, high,
			ratio(m, median(variant{stock, 0})), ratio(m, median(variant{stock, bufMax})), o.failed)
	}
	b.WriteString("#\n")
	_, err := io.WriteString(w, b.String())
	return err
}
