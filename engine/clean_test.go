//go:build linux || darwin || freebsd

package engine

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestReceiverCleans: what a receiver that was killed left goes when the next one has
// started, without a session.
func TestReceiverCleans(t *testing.T) {
	var left string
	startReceiver(t, func(cfg *ReceiveConfig) {
		left = filepath.Join(cfg.Sink.Dests[0], "sub", "f.~uftp-0BADCAFE-0001")
		if err := os.Mkdir(filepath.Dir(left), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(left, []byte("half of it"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(left, 0o610); err != nil { // the mark
			t.Fatal(err)
		}
	})
	eventually(t, "the file goes", func() bool {
		_, err := os.Lstat(left)
		return errors.Is(err, fs.ErrNotExist)
	})
}

// TestReceiverFinishesMoves: what a receiver that was killed had still to move has its
// place when the next one is ready, and is reported for the script.
func TestReceiverFinishesMoves(t *testing.T) {
	p := startReceiver(t, func(cfg *ReceiveConfig) {
		cfg.Sink.Temp = t.TempDir()
		group := filepath.Join(cfg.Sink.Temp, "_group_0BADCAFE_done")
		if err := os.Mkdir(group, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(group, "f"), []byte("whole"), 0o644); err != nil {
			t.Fatal(err)
		}
	})
	f := filepath.Join(p.dest, "f")
	if text, err := os.ReadFile(f); err != nil || string(text) != "whole" {
		t.Errorf("%q, %v", text, err)
	}
	eventually(t, "the move is reported", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, ev := range p.events {
			if m, ok := ev.(Moved); ok && m.Session.Group == 0x0BADCAFE && slices.Equal(m.Paths, []string{f}) {
				return true
			}
		}
		return false
	})
}
