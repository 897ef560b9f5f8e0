package main

import (
	"bytes"
	"encoding/xml"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func plotted(t *testing.T, ext, capture string) []byte {
	t.Helper()
	name := filepath.Join(t.TempDir(), "x"+ext)
	want(t, 0, "inspect", "--summary", "--plot", name, vectors+capture)
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestPlotSVG(t *testing.T) {
	b := plotted(t, ".svg", "plain-loss3.pcap")
	d := xml.NewDecoder(bytes.NewReader(b))
	for {
		if _, err := d.Token(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatalf("%v, want XML that can be read", err)
		}
	}
	golden(t, "plain-loss3.svg", string(b))
}

// TestPlotPNG compares dots, since the compression is the library's business.
func TestPlotPNG(t *testing.T) {
	b := plotted(t, ".png", "plain-loss3.pcap")
	path := filepath.Join("testdata", "plain-loss3.png")
	if *update {
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	old, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got, err := png.Decode(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	want, err := png.Decode(bytes.NewReader(old))
	if err != nil {
		t.Fatal(err)
	}
	if got.Bounds() != want.Bounds() || got.Bounds().Dx() != panelW*pngScale || got.Bounds().Dy() != panelH*pngScale {
		t.Fatalf("%v, want %v", got.Bounds(), want.Bounds())
	}
	differs := 0
	for y := range got.Bounds().Dy() {
		for x := range got.Bounds().Dx() {
			if got.At(x, y) != want.At(x, y) {
				differs++
			}
		}
	}
	if differs > 0 {
		t.Errorf("%d dots differ from %s (-update rewrites it)", differs, path)
	}
}

// TestPlotLetters wants a glyph for every letter of any drawing, with lines of one
// width.
func TestPlotLetters(t *testing.T) {
	texts := []string{"no session in the capture", "1m4.096s", "2h16m32s", "1.5e+06"}
	for _, c := range index(t) {
		for _, name := range c.Pcaps {
			texts = append(texts, textsOf(t, name)...)
		}
	}
	if len(texts) < 1000 {
		t.Fatalf("%d texts, want all of all captures", len(texts))
	}
	for _, text := range texts {
		for _, l := range text {
			if _, ok := glyphs[l]; !ok {
				t.Errorf("%q: no glyph for %q", text, l)
			}
		}
	}
	for l, g := range glyphs {
		rows := strings.Split(g, "/")
		for _, row := range rows {
			if l != ' ' && len(row) != 5 {
				t.Errorf("glyph %q has a row of %d dots", l, len(row))
			}
		}
		if l != ' ' && len(rows) != 7 && len(rows) != 9 {
			t.Errorf("glyph %q has %d rows, want 7 or 9", l, len(rows))
		}
	}
}

// textsOf returns the texts in the drawing of a capture.
func textsOf(t *testing.T, name string) (list []string) {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(plotted(t, ".svg", name)))
	for {
		tok, err := d.Token()
		if err == io.EOF {
			return list
		} else if err != nil {
			t.Fatal(err)
		}
		if c, ok := tok.(xml.CharData); ok && strings.TrimSpace(string(c)) != "" {
			list = append(list, string(c))
		}
	}
}
