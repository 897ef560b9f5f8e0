//go:build unix

package store

import (
	"errors"
	"net"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"
)

func TestSpecialFiles(t *testing.T) {
	makeTree(t, "d/f", "fl -> d/fifo")
	if err := syscall.Mkfifo("d/fifo", 0o644); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", "d/sock")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	got := walkAll(WalkConfig{Operands: []string{"d", "fl", "/dev/null"}, FollowLinks: true})
	want := []string{"d/f", "! 2 Skipping special file d/fifo", "! 2 Skipping special file d/sock", "! 2 Skipping special file fl", "! 2 Skipping special file null"}
	if !slices.Equal(got, want) {
		t.Errorf("fifos, sockets and devices are skipped: got\n%q, want\n%q", got, want)
	}
}

// TestFileBecomesFifo swaps the file for a fifo between walk and open: the open must neither hang
// nor succeed.
func TestFileBecomesFifo(t *testing.T) {
	makeTree(t, "f")
	e, _, _ := NewWalker(WalkConfig{Operands: []string{"f"}}).Next()
	os.Remove("f")
	if err := syscall.Mkfifo("f", 0o644); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 2)
	go func() {
		_, err := OpenSource(e)
		done <- err
		_, err = readNames("f") // had it been a directory
		done <- err
	}()
	for _, want := range []error{ErrChanged, syscall.ENOTDIR} {
		select {
		case err := <-done:
			if !errors.Is(err, want) {
				t.Errorf("opening gives %v, want %v", err, want)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("opening a fifo hangs")
		}
	}
}
