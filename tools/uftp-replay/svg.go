package main

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
)

// svg is a canvas of lines and letters.
type svg struct{ b bytes.Buffer }

func newSVG(w, h int) *svg {
	s := &svg{}
	fmt.Fprintf(&s.b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n", w, h, w, h)
	s.rect(point{}, float64(w), float64(h), paper)
	return s
}

// String returns the ink as SVG writes it.
func (c ink) String() string {
	v := inkRGB[c]
	return fmt.Sprintf("#%02x%02x%02x", v[0], v[1], v[2])
}

func (s *svg) rect(at point, w, h float64, c ink) {
	fmt.Fprintf(&s.b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%v"/>`+"\n", at.x, at.y, w, h, c)
}

func (s *svg) line(points []point, c ink, dashed bool) {
	dash := ""
	if dashed {
		dash = ` stroke-dasharray="4 3"`
	}
	fmt.Fprintf(&s.b, `<polyline fill="none" stroke="%v"%s points="`, c, dash)
	for i, p := range points {
		if i > 0 {
			s.b.WriteByte(' ')
		}
		fmt.Fprintf(&s.b, "%.1f,%.1f", p.x, p.y)
	}
	s.b.WriteString("\"/>\n")
}

func (s *svg) text(at point, a anchor, c ink, text string) {
	fmt.Fprintf(&s.b, `<text x="%.1f" y="%.1f" text-anchor="%s" fill="%v">`, at.x, at.y, [...]string{start: "start", middle: "middle", end: "end"}[a], c)
	xml.EscapeText(&s.b, []byte(text)) // a Buffer takes everything
	s.b.WriteString("</text>\n")
}

func (s *svg) writeTo(w io.Writer) error {
	s.b.WriteString("</svg>\n")
	_, err := w.Write(s.b.Bytes())
	return err
}
