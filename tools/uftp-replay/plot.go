package main

import (
	"bytes"
	"fmt"
	"time"
)

// plotsMax is how many sessions one drawing shows.
const plotsMax = 20

// Sizes of a panel, in units of the drawing.
const (
	panelW, panelH = 960, 300
	plotX, plotY   = 80, 50
	plotW, plotH   = 780, 190
)

// drawAll draws the sessions one below the other as SVG.
func drawAll(list []*summary) []byte {
	var b bytes.Buffer
	h := panelH * max(1, len(list))
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n", panelW, h, panelW, h)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#fff"/>`+"\n", panelW, h)
	if len(list) == 0 {
		fmt.Fprintf(&b, `<text x="%d" y="%d">no session in the capture</text>`+"\n", plotX, plotY)
	}
	for i, x := range list {
		fmt.Fprintf(&b, `<g transform="translate(0,%d)">`+"\n", i*panelH)
		drawPanel(&b, x)
		b.WriteString("</g>\n")
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

// drawPanel draws one session: rate as a line, NAKs as bars with a scale of their
// own, the beginnings of passes as dashed lines.
func drawPanel(b *bytes.Buffer, x *summary) {
	s := &x.series
	var top bin
	for _, v := range s.bins {
		top.bytes, top.naks = max(top.bytes, v.bytes), max(top.naks, v.naks)
	}
	rateTop := nice(float64(top.bytes) * 8 / max(s.width.Seconds(), 1e-9) / 1e6)
	naksTop := nice(float64(top.naks))
	span := max(time.Duration(s.n)*s.width, time.Millisecond)
	at := func(d time.Duration) float64 { return plotX + plotW*float64(d)/float64(span) }

	fmt.Fprintf(b, `<text x="%d" y="20" font-size="14">session %v, bins of %v</text>`+"\n", plotX, x.s.ID, s.width)
	fmt.Fprintf(b, `<text x="%d" y="38"><tspan fill="#06c">rate, Mbit/s</tspan>  <tspan fill="#c30">NAKs per bin</tspan>  <tspan fill="#888">beginnings of passes</tspan></text>`+"\n", plotX)
	for i := range 5 {
		y := float64(plotY+plotH) - plotH*float64(i)/4
		fmt.Fprintf(b, `<path d="M%d %.1fh%d" stroke="#ddd"/><text x="%d" y="%.1f" text-anchor="end" fill="#06c">%.3g</text><text x="%d" y="%.1f" fill="#c30">%.3g</text>`+"\n",
			plotX, y, plotW, plotX-6, y+4, rateTop*float64(i)/4, plotX+plotW+6, y+4, naksTop*float64(i)/4)
		d := span * time.Duration(i) / 4
		fmt.Fprintf(b, `<text x="%.1f" y="%d" text-anchor="middle">%.4g s</text>`+"\n", at(d), plotY+plotH+18, d.Seconds())
	}
	for _, p := range s.passes {
		fmt.Fprintf(b, `<path d="M%.1f %dv%d" stroke="#888" stroke-dasharray="4 3"/>`+"\n", at(p.Sub(s.start)), plotY, plotH)
	}
	width := plotW * float64(s.width) / float64(span)
	for i, v := range s.bins[:s.n] {
		if v.naks > 0 {
			h := plotH * float64(v.naks) / naksTop
			fmt.Fprintf(b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="#c30" fill-opacity=".6"/>`+"\n",
				at(time.Duration(i)*s.width), float64(plotY+plotH)-h, max(width, 1.5), h)
		}
	}
	b.WriteString(`<polyline fill="none" stroke="#06c" points="`)
	for i, v := range s.bins[:s.n] {
		rate := float64(v.bytes) * 8 / s.width.Seconds() / 1e6
		fmt.Fprintf(b, "%.1f,%.1f ", at(time.Duration(i)*s.width)+width/2, float64(plotY+plotH)-plotH*rate/rateTop)
	}
	b.WriteString(`"/>` + "\n")
}

// nice rounds up to 1, 2 or 5 times a power of ten.
func nice(v float64) float64 {
	for p := 1e-6; ; p *= 10 {
		for _, f := range []float64{1, 2, 5} {
			if v <= f*p || p > 1e15 {
				return f * p
			}
		}
	}
}
