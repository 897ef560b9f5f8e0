//go:build linux || darwin || freebsd

package engine

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"uftp/engine/disk"
	"uftp/engine/machine"
	"uftp/engine/receiver"
	"uftp/engine/store"
	"uftp/wire"
)

// TestReceiverCleans: files that a killed receiver left are removed when the next one has
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

// TestReceiverFinishesMoves: files that a killed receiver had still to move are in their
// place when the next one is ready, and are reported for the script.
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

// TestReceiverMovesAgain: files that could not be moved when their session ended are
// moved, and reported for the script, before the next one ends.
func TestReceiverMovesAgain(t *testing.T) {
	base := t.TempDir()
	outer, away, temp := filepath.Join(base, "outer"), filepath.Join(base, "away"), filepath.Join(base, "temp")
	dest := filepath.Join(outer, "dest")
	if err := errors.Join(os.MkdirAll(dest, 0o755), os.Mkdir(temp, 0o755)); err != nil {
		t.Fatal(err)
	}
	sink, err := store.NewSink(store.SinkConfig{Dests: []string{dest}, Temp: temp})
	if err != nil {
		t.Fatal(err)
	}
	d := newLooseDisk(t, sink)
	open := func(group uint32, name string) *disk.Session {
		s := d.Begin(store.SessionKey{Group: group, Started: time.Now()})
		d.Open(s, store.Request{Type: wire.TypeDir, Name: name}, nil)
		if a := d.await().(disk.Opened).Answer; a.Text != "" {
			t.Fatal(a.Text)
		}
		return s
	}
	end := func(s *disk.Session) []machine.Event {
		d.End(s, true, receiver.SessionEnded{OK: true})
		return resultEvents(d.await())
	}
	moved := func(evs []machine.Event) (paths []string) {
		for _, ev := range evs {
			if m, ok := ev.(Moved); ok {
				paths = append(paths, m.Paths...)
			}
		}
		return paths
	}
	sink.FinishMoves()
	first := open(1, "a")
	if err := os.Rename(outer, away); err != nil {
		t.Fatal(err)
	}
	if paths := moved(end(first)); paths != nil {
		t.Fatalf("%q moved to a destination that is gone", paths)
	}
	if err := os.Rename(away, outer); err != nil {
		t.Fatal(err)
	}
	if got, want := moved(end(open(2, "b"))), []string{filepath.Join(dest, "a"), filepath.Join(dest, "b")}; !slices.Equal(got, want) {
		t.Errorf("%q moved, want %q", got, want)
	}
}
