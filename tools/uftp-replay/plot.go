package main

import (
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

// Colours.
const (
	paper   = "#ffffff"
	black   = "#000000"
	gridInk = "#dddddd"
	rateInk = "#0066cc"
	nakInk  = "#cc3300"
	nakFill = "#e08566"
	passInk = "#888888"
)

// draw draws the sessions one below the other.
func draw(list []*summary) *svg {
	c := newSVG(panelW, panelH*max(1, len(list)))
	if len(list) == 0 {
		c.text(point{plotX, plotY}, start, black, "no session in the capture")
	}
	for i, x := range list {
		drawPanel(c, x, float64(i*panelH))
	}
	return c
}

// drawPanel draws one session: rate as a line, NAKs as bars with a scale of their
// own, the beginnings of passes as dashed lines. top is where the panel begins.
func drawPanel(c *svg, x *summary, top float64) {
	s := &x.series
	var most bin
	for _, v := range s.bins {
		most.bytes, most.naks = max(most.bytes, v.bytes), max(most.naks, v.naks)
	}
	rateTop := nice(float64(most.bytes) * 8 / max(s.width.Seconds(), 1e-9) / 1e6)
	naksTop := nice(float64(max(most.naks, 1)))
	span := max(time.Duration(s.n)*s.width, time.Millisecond)
	at := func(d time.Duration) float64 { return plotX + plotW*float64(d)/float64(span) }
	bottom := top + plotY + plotH

	c.text(point{plotX, top + 20}, start, black, fmt.Sprintf("session %v, bins of %v", x.s.ID, s.width))
	c.text(point{plotX, top + 38}, start, rateInk, "rate, Mbit/s")
	c.text(point{plotX + 110, top + 38}, start, nakInk, "NAKs per bin")
	c.text(point{plotX + 220, top + 38}, start, passInk, "beginnings of passes")
	for i := range 5 {
		y := bottom - plotH*float64(i)/4
		c.line([]point{{plotX, y}, {plotX + plotW, y}}, gridInk, false)
		c.text(point{plotX - 6, y + 4}, end, rateInk, fmt.Sprintf("%.3g", rateTop*float64(i)/4))
		c.text(point{plotX + plotW + 6, y + 4}, start, nakInk, fmt.Sprintf("%.3g", naksTop*float64(i)/4))
		d := span * time.Duration(i) / 4
		c.text(point{at(d), bottom + 18}, middle, black, fmt.Sprintf("%.4g s", d.Seconds()))
	}
	width := plotW * float64(s.width) / float64(span)
	for i, v := range s.bins[:s.n] {
		if v.naks > 0 {
			h := plotH * float64(v.naks) / naksTop
			c.rect(point{at(time.Duration(i) * s.width), bottom - h}, max(width, 1.5), h, nakFill)
		}
	}
	for _, p := range s.passes {
		px := at(p.Sub(s.start))
		c.line([]point{{px, top + plotY}, {px, bottom}}, passInk, true)
	}
	rates := make([]point, s.n)
	for i, v := range s.bins[:s.n] {
		rate := float64(v.bytes) * 8 / s.width.Seconds() / 1e6
		rates[i] = point{at(time.Duration(i)*s.width) + width/2, bottom - plotH*rate/rateTop}
	}
	c.line(rates, rateInk, false)
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
