package store

import (
	"bytes"
	"errors"
	"os"
	"syscall"
	"testing"
)

// TestCaptureDiskFull fills a small disk: records that did not fit leave no trace in the file, and
// the capture goes on when there is space again.
func TestCaptureDiskFull(t *testing.T) {
	h := newHall(t, nil)
	h.mount("disk", 0, "size=256k")
	p := &shelf{t, h.at("disk/cap")}
	c := p.open(3, 1<<20)
	block := bytes.Repeat([]byte("0123456789abcdef"), 6000) // 96 KB: the third fits in part
	written := 0
	var err error
	for ; written < 10; written++ {
		if err = c.Write(block); err != nil {
			break
		}
	}
	if !errors.Is(err, syscall.ENOSPC) || written != 2 {
		t.Fatalf("%d blocks written, then %v; want 2 and a full disk", written, err)
	}
	want := append(bytes.Clone(captureHead), bytes.Repeat(block, 2)...)
	if got, err := os.ReadFile(p.path); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%v, %d bytes, want whole blocks only: %d bytes", err, len(got), len(want))
	}
	if err := c.Write(block); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("again: %v, want a full disk", err)
	}
	h.remount("disk", 0, "size=4m")
	if err := c.Write(block); err != nil {
		t.Error(err)
	}
	if got, err := os.ReadFile(p.path); err != nil || !bytes.Equal(got, append(want, block...)) {
		t.Errorf("%v, %d bytes, want one block more", err, len(got))
	}
}
