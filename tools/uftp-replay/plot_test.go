package main

import (
	"bytes"
	"encoding/xml"
	"io"
	"os"
	"path/filepath"
	"testing"
)

func TestPlot(t *testing.T) {
	name := filepath.Join(t.TempDir(), "x.svg")
	want(t, 0, "inspect", "--summary", "--plot", name, vectors+"plain-loss3.pcap")
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
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
