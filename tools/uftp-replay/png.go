package main

import (
	"image"
	"image/color"
	"image/png"
	"io"
	"math"
	"strings"
)

// pngScale is how many dots a unit of the drawing has.
const pngScale = 2

// raster is a canvas of dots, one byte each.
type raster struct{ img *image.Paletted }

func newRaster(w, h int) *raster {
	colors := make(color.Palette, inks)
	for i, v := range inkRGB {
		colors[i] = color.RGBA{v[0], v[1], v[2], 0xff}
	}
	return &raster{image.NewPaletted(image.Rect(0, 0, w*pngScale, h*pngScale), colors)}
}

// dot sets one dot, if it is within the drawing.
func (r *raster) dot(x, y int, c ink) {
	if (image.Point{x, y}).In(r.img.Rect) {
		r.img.SetColorIndex(x, y, uint8(c))
	}
}

func dots(v float64) int { return int(math.Round(v * pngScale)) }

func (r *raster) rect(at point, w, h float64, c ink) {
	for y := dots(at.y); y < dots(at.y+h); y++ {
		for x := dots(at.x); x < dots(at.x+w); x++ {
			r.dot(x, y, c)
		}
	}
}

// Dashes, in dots.
const dashOn, dashOff = 4 * pngScale, 3 * pngScale

// line draws with a pen of pngScale by pngScale dots.
func (r *raster) line(points []point, c ink, dashed bool) {
	n := 0
	for i := 1; i < len(points); i++ {
		a, b := points[i-1], points[i]
		x, y := float64(dots(a.x)), float64(dots(a.y))
		dx, dy := float64(dots(b.x))-x, float64(dots(b.y))-y
		steps := max(math.Abs(dx), math.Abs(dy), 1)
		for k := 0.0; k <= steps; k++ {
			if n++; dashed && n%(dashOn+dashOff) >= dashOn {
				continue
			}
			px, py := int(math.Round(x+dx*k/steps)), int(math.Round(y+dy*k/steps))
			for i := range pngScale * pngScale {
				r.dot(px+i%pngScale-pngScale/2, py+i/pngScale-pngScale/2, c)
			}
		}
	}
}

// glyphScale is how many dots a dot of a letter has, across and down; glyphStep
// how wide a letter is with the gap behind it; glyphAbove how many rows of it
// stand above the base line.
const (
	glyphScale = 2
	glyphStep  = 6 * glyphScale
	glyphAbove = 7
)

func (r *raster) text(at point, a anchor, c ink, s string) {
	letters := []rune(s)
	x, y := dots(at.x), dots(at.y)-glyphAbove*glyphScale
	switch width := len(letters)*glyphStep - glyphScale; a {
	case middle:
		x -= width / 2
	case end:
		x -= width
	}
	for i, l := range letters {
		g, ok := glyphs[l]
		if !ok {
			g = glyphs[0]
		}
		for row, line := range strings.Split(g, "/") {
			for col, d := range line {
				if d != '#' {
					continue
				}
				for k := range glyphScale * glyphScale {
					r.dot(x+i*glyphStep+col*glyphScale+k%glyphScale, y+row*glyphScale+k/glyphScale, c)
				}
			}
		}
	}
}

func (r *raster) writeTo(w io.Writer) error { return png.Encode(w, r.img) }

// glyphs are the letters that drawings need, 5 dots wide, 7 high, and 2 below the
// base line where they need them; 0 stands for all others.
var glyphs = map[rune]string{
	0:   "#####/#...#/#...#/#...#/#...#/#...#/#####",
	' ': "",
	'.': "...../...../...../...../...../.##../.##..",
	',': "...../...../...../...../...../.##../.##../..#../.#...",
	'/': "....#/....#/...#./..#../.#.../#..../#....",
	'+': "...../..#../..#../#####/..#../..#../.....",
	'-': "...../...../...../#####/...../...../.....",
	'0': ".###./#...#/#..##/#.#.#/##..#/#...#/.###.",
	'1': "..#../.##../..#../..#../..#../..#../.###.",
	'2': ".###./#...#/....#/...#./..#../.#.../#####",
	'3': ".###./#...#/....#/..##./....#/#...#/.###.",
	'4': "...#./..##./.#.#./#..#./#####/...#./...#.",
	'5': "#####/#..../####./....#/....#/#...#/.###.",
	'6': "..##./.#.../#..../####./#...#/#...#/.###.",
	'7': "#####/....#/...#./..#../.#.../.#.../.#...",
	'8': ".###./#...#/#...#/.###./#...#/#...#/.###.",
	'9': ".###./#...#/#...#/.####/....#/...#./.##..",
	'A': ".###./#...#/#...#/#####/#...#/#...#/#...#",
	'K': "#...#/#..#./#.#../##.../#.#../#..#./#...#",
	'M': "#...#/##.##/#.#.#/#.#.#/#...#/#...#/#...#",
	'N': "#...#/##..#/#.#.#/#..##/#...#/#...#/#...#",
	'a': "...../...../.###./....#/.####/#...#/.####",
	'b': "#..../#..../####./#...#/#...#/#...#/####.",
	'c': "...../...../.###./#...#/#..../#...#/.###.",
	'd': "....#/....#/.####/#...#/#...#/#...#/.####",
	'e': "...../...../.###./#...#/#####/#..../.###.",
	'f': "..##./.#..#/.#.../###../.#.../.#.../.#...",
	'g': "...../...../.####/#...#/#...#/#...#/.####/....#/.###.",
	'h': "#..../#..../####./#...#/#...#/#...#/#...#",
	'i': "..#../...../.##../..#../..#../..#../.###.",
	'm': "...../...../##.#./#.#.#/#.#.#/#.#.#/#.#.#",
	'n': "...../...../####./#...#/#...#/#...#/#...#",
	'o': "...../...../.###./#...#/#...#/#...#/.###.",
	'p': "...../...../####./#...#/#...#/#...#/####./#..../#....",
	'r': "...../...../#.##./##..#/#..../#..../#....",
	's': "...../...../.####/#..../.###./....#/####.",
	't': ".#.../.#.../###../.#.../.#.../.#..#/..##.",
	'u': "...../...../#...#/#...#/#...#/#..##/.##.#",
}
