package main

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
)

// svg is a drawing. What is drawn later covers what was drawn before.
type svg struct{ b bytes.Buffer }

// point is a place in units of the drawing, y downwards.
type point struct{ x, y float64 }

// Which part of a text stands at its place.
const (
	start  = "start"
	middle = "middle"
	end    = "end"
)

func newSVG(w, h int) *svg {
	s := &svg{}
	fmt.Fprintf(&s.b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n", w, h, w, h)
	s.rect(point{}, float64(w), float64(h), paper)
	return s
}

func (s *svg) rect(at point, w, h float64, color string) {
	fmt.Fprintf(&s.b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"/>`+"\n", at.x, at.y, w, h, color)
}

func (s *svg) line(points []point, color string, dashed bool) {
	dash := ""
	if dashed {
		dash = ` stroke-dasharray="4 3"`
	}
	fmt.Fprintf(&s.b, `<polyline fill="none" stroke="%s"%s points="`, color, dash)
	for i, p := range points {
		if i > 0 {
			s.b.WriteByte(' ')
		}
		fmt.Fprintf(&s.b, "%.1f,%.1f", p.x, p.y)
	}
	s.b.WriteString("\"/>\n")
}

// text writes with its base line at a place.
func (s *svg) text(at point, anchor, color, text string) {
	fmt.Fprintf(&s.b, `<text x="%.1f" y="%.1f" text-anchor="%s" fill="%s">`, at.x, at.y, anchor, color)
	_ = xml.EscapeText(&s.b, []byte(text)) // writing to a Buffer does not fail
	s.b.WriteString("</text>\n")
}

func (s *svg) writeTo(w io.Writer) error {
	s.b.WriteString("</svg>\n")
	_, err := w.Write(s.b.Bytes())
	return err
}
