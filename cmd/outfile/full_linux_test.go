package outfile

import (
	"errors"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
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

// To go through a directory takes no permission to read it.
func TestWayThatCannotBeRead(t *testing.T) {
	const nobody = 65534
	base := t.TempDir()
	dir := filepath.Join(base, "dir")
	if err := errors.Join(os.Mkdir(dir, 0o700), os.Chmod(dir, 0o300)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Chmod(dir, 0o700) }) // to remove it takes reading it
	if os.Geteuid() == 0 {
		// Root may read everything, so this thread looks at files as another user.
		if err := errors.Join(os.Chmod(filepath.Dir(base), 0o711), os.Chmod(base, 0o711), os.Chown(dir, nobody, nobody)); err != nil {
			t.Fatal(err)
		}
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		// The call has no error of its own.
		unix.Setfsuid(nobody)
		defer unix.Setfsuid(0)
	}
	if _, err := os.ReadDir(dir); err == nil {
		t.Fatal("the directory can be read, so the test shows nothing")
	}
	if err := closed(Append(filepath.Join(dir, "f"), 0o644)); err != nil {
		t.Error(err)
	}
}
