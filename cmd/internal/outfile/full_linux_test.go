package outfile

import (
	"errors"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// A file that has no room for all of a line holds whole lines all the same, and goes on
// when there is room.
func TestNoRoomForALine(t *testing.T) {
	signal.Ignore(syscall.SIGXFSZ)
	defer signal.Reset(syscall.SIGXFSZ)
	path := filepath.Join(t.TempDir(), "lines")
	l, err := AppendLines(path, 0o600, false)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var was unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &was); err != nil {
		t.Fatal(err)
	}
	line := strings.Repeat("x", 9) + "\n"
	limited := was
	limited.Cur = 25
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &limited); err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		_, err := l.Write([]byte(line))
		if i < 2 != (err == nil) || err != nil && !errors.Is(err, unix.EFBIG) {
			t.Errorf("line %d: %v", i, err)
		}
	}
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &was); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Write([]byte(line)); err != nil {
		t.Error(err)
	}
	if got, want := read(t, path), strings.Repeat(line, 3); got != want {
		t.Errorf("file %q, want %q", got, want)
	}
}
