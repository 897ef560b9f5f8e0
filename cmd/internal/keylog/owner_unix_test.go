//go:build unix

package keylog

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A key log must be none of these, even with the right mode.
func TestRefused(t *testing.T) {
	dir := t.TempDir()
	real := filepath.Join(dir, "real")
	if err := os.WriteFile(real, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	fifo, link := filepath.Join(dir, "fifo"), filepath.Join(dir, "link")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(real, link); err != nil {
		t.Fatal(err)
	}
	refuse := func(name string) {
		t.Helper()
		done := make(chan error, 1)
		go func() {
			l, err := Open(name)
			l.Close()
			done <- err
		}()
		select {
		case err := <-done:
			if err == nil {
				t.Errorf("%s was taken for a key log", name)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("opening %s hangs", name)
		}
	}
	refuse(fifo)
	refuse(link)
	refuse(dir)
	refuse(os.DevNull)

	r, err := os.OpenFile(fifo, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	refuse(fifo) // with a process at its other end
}

// A file of another user is refused even if only that user could read it. Only root could open it.
func TestOwner(t *testing.T) {
	name := filepath.Join(t.TempDir(), "theirs")
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := check(name, info); err != nil {
		t.Errorf("our own file: %v", err)
	}
	info.Sys().(*syscall.Stat_t).Uid++
	if err := check(name, info); err == nil || !strings.Contains(err.Error(), "belongs to another user") {
		t.Errorf("a file of another user: %v, want a refusal", err)
	}
}
