//go:build unix

package report

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// A log is not rotated if another program has truncated it (not yet), if it is no file, or if we
// must not rename it.
func TestNotRolled(t *testing.T) {
	dir := t.TempDir()
	cut, pipe := filepath.Join(dir, "cut"), filepath.Join(dir, "pipe")
	r, err := OpenRolling(cut, 100, 2, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	line := append(bytes.Repeat([]byte("y"), 59), '\n')
	r.Write(line)
	if err := os.Truncate(cut, 0); err != nil {
		t.Fatal(err)
	}
	r.Write(line)
	if _, err := os.Stat(cut + ".1"); err == nil {
		t.Error("a log that was cut rolls before it is too long again")
	}
	r.Write(line)
	if _, err := os.Stat(cut + ".1"); err != nil {
		t.Errorf("a log that is too long again does not roll: %v", err)
	}

	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	rd, err := os.OpenFile(pipe, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer rd.Close()
	file, err := os.Create(filepath.Join(dir, "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, path := range []string{pipe, fmt.Sprintf("/dev/fd/%d", file.Fd())} {
		r, err := OpenRolling(path, 100, 2, nil)
		if err != nil {
			t.Fatal(err)
		}
		for range 4 {
			if _, err := r.Write(line); err != nil {
				t.Errorf("%s: %v", path, err)
			}
		}
		r.Close()
		if _, err := os.Lstat(path); err != nil {
			t.Errorf("%s was moved away: %v", path, err)
		}
	}
}
