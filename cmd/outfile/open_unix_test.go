//go:build unix

package outfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// Whether a file is written depends on the owners of the links and files in its directory.
func TestPlacesOthersCanWrite(t *testing.T) {
	const own, group, all, sticky = 0o755, 0o775, 0o777, 0o777 | os.ModeSticky
	link := func(path, aim string) error { return os.Symlink(aim, path) }
	hard := func(path, aim string) error { return os.Link(aim, path) }
	plain := func(path, _ string) error { return os.WriteFile(path, []byte("x\n"), 0o644) }
	foreign := func(path, aim string) error { return errors.Join(plain(path, aim), os.Lchown(path, 12345, 12345)) }
	third := func(path, aim string) error { return errors.Join(plain(path, aim), os.Lchown(path, 54321, 54321)) }
	// theirs gives the directory to the user whose things the others are.
	theirs := func(make func(path, aim string) error) func(path, aim string) error {
		return func(path, aim string) error {
			return errors.Join(make(path, aim), os.Lchown(filepath.Dir(path), 12345, 12345))
		}
	}
	theirLink := func(path, aim string) error { return errors.Join(link(path, aim), os.Lchown(path, 12345, 12345)) }
	fifo := func(path, _ string) error { return syscall.Mkfifo(path, 0o644) }
	none := func(string, string) error { return nil }
	for _, tt := range []struct {
		what string
		mode os.FileMode
		make func(path, aim string) error
		ok   bool
		root bool // the case needs root
	}{
		{"new file", own, none, true, false},
		{"new file", sticky, none, true, false},
		{"new file", all, none, true, false},
		{"own file", own, plain, true, false},
		{"own file", sticky, plain, true, false},
		{"link", own, link, true, false},
		{"link", group, link, true, false},
		{"link", sticky, link, false, false},
		{"link", all, link, false, false},
		{"another user's link", own, theirLink, true, true},
		{"another user's link", group, theirLink, false, true},
		{"second name", own, hard, true, false},
		{"second name", group, hard, false, false},
		{"second name", sticky, hard, false, false},
		{"another user's file", own, foreign, true, true},
		{"another user's file", group, foreign, false, true},
		{"another user's file", sticky, foreign, false, true},
		{"pipe", sticky, fifo, false, false},
		{"its owner's file", own, theirs(foreign), true, true},
		{"new file of its owner's directory", own, theirs(none), true, true},
		{"a third user's file", own, theirs(third), false, true},
		{"its owner's link", own, theirs(theirLink), false, true},
		{"its owner's second name of a file of ours", own, theirs(hard), false, true},
		{"its owner's pipe", own, theirs(fifo), false, true},
	} {
		if tt.root && os.Geteuid() != 0 {
			continue
		}
		for _, how := range []struct {
			name string
			do   func(path string) error
		}{
			{"append", func(path string) error { return closed(Append(path, 0o644)) }},
			{"reappend", func(path string) error { return closed(Reappend(path, 0o644)) }},
			{"create", func(path string) error { return closed(Create(path, 0o644)) }},
			{"replace", func(path string) error { return Replace(path, []byte("pid\n"), 0o644) }},
		} {
			base := t.TempDir()
			aim, dir := filepath.Join(base, "aim"), filepath.Join(base, "dir")
			err := errors.Join(os.WriteFile(aim, []byte("aim\n"), 0o644), os.Mkdir(dir, 0o700))
			if err == nil {
				err = errors.Join(os.Chmod(dir, tt.mode), tt.make(filepath.Join(dir, "f"), aim))
			}
			if err != nil {
				t.Fatal(err)
			}
			err = how.do(filepath.Join(dir, "f"))
			if (err == nil) != tt.ok {
				t.Errorf("%s, %s in a directory of mode %v: %v, want ok %v", how.name, tt.what, tt.mode, err, tt.ok)
			}
			if got := read(t, aim); !tt.ok && got != "aim\n" {
				t.Errorf("%s, %s in a directory of mode %v: the file behind it is now %q", how.name, tt.what, tt.mode, got)
			}
		}
	}
}

func closed(f *os.File, err error) error {
	if err == nil {
		err = f.Close()
	}
	return err
}

// A directory of another user is one that others can write, and a link of another
// user on the way leads there.
func TestWaysOthersCanTurn(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("it takes root to give a directory away")
	}
	base := t.TempDir()
	theirs, ours := filepath.Join(base, "theirs"), filepath.Join(base, "ours")
	if err := errors.Join(os.Mkdir(theirs, 0o755), os.Mkdir(ours, 0o755), os.WriteFile(filepath.Join(ours, "f"), nil, 0o644),
		os.Symlink("../ours/f", filepath.Join(theirs, "f")), os.Symlink("../ours", filepath.Join(theirs, "way")),
		os.Symlink("../ours", filepath.Join(theirs, "root")), os.Lchown(filepath.Join(theirs, "way"), 12345, 12345),
		os.Symlink("theirs", filepath.Join(base, "there")), os.Lchown(theirs, 12345, 12345)); err != nil {
		t.Fatal(err)
	}
	for name, ok := range map[string]bool{
		"theirs/f": false, "theirs/way/f": false, "theirs/root/f": true, "there/f": false, "there/new": true, "theirs/../ours/f": true, "ours/": false, "none/f": false,
	} {
		if err := closed(Append(base+"/"+name, 0o644)); (err == nil) != ok {
			t.Errorf("%s: %v, want ok %v", name, err, ok)
		}
	}
}

// A path below /dev is written as it is, even behind a link.
func TestDevices(t *testing.T) {
	link := filepath.Join(t.TempDir(), "log")
	if err := os.Symlink("/dev/null", link); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"/dev/null", link} {
		if err := closed(Append(name, 0o644)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := Replace(name, []byte("x\n"), 0o644); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if info, err := os.Lstat("/dev/null"); err != nil || info.Mode().IsRegular() {
		t.Fatalf("/dev/null is now %v, %v", info.Mode(), err)
	}
}

// An open file of a process is written as it is: a pipe, a file without a name, a socket, under any
// name of the process for it, and behind a link.
func TestOpenFiles(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the names are those of Linux")
	}
	for _, kind := range []struct {
		what   string
		make   func(t *testing.T) (w *os.File, r io.Reader)
		others bool // another process can open it
	}{
		{"pipe", func(t *testing.T) (*os.File, io.Reader) {
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { r.Close() })
			return w, r
		}, true},
		{"socket", func(t *testing.T) (*os.File, io.Reader) {
			fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
			if err != nil {
				t.Fatal(err)
			}
			r := os.NewFile(uintptr(fds[1]), "socket")
			t.Cleanup(func() { r.Close() })
			return os.NewFile(uintptr(fds[0]), "socket"), r
		}, false},
	} {
		for _, name := range []string{"/proc/self/fd/%d", "/dev/fd/%d", "/proc/PID/fd/%d", "link"} {
			if strings.Contains(name, "PID") && !kind.others {
				continue
			}
			w, r := kind.make(t)
			path := fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), w.Fd())
			switch {
			case name == "link":
				if !kind.others {
					path = fmt.Sprintf("/dev/fd/%d", w.Fd())
				}
				link := filepath.Join(t.TempDir(), "log")
				if err := os.Symlink(path, link); err != nil {
					t.Fatal(err)
				}
				path = link
			case !strings.Contains(name, "PID"):
				path = fmt.Sprintf(name, w.Fd())
			}
			f, err := Append(path, 0)
			if err != nil {
				t.Errorf("%s as %s: %v", kind.what, name, err)
				w.Close()
				continue
			}
			f.Write([]byte("x"))
			f.Close()
			w.Close()
			if b, _ := io.ReadAll(r); string(b) != "x" {
				t.Errorf("%s as %s: %q came out, want what was written", kind.what, name, b)
			}
		}
	}
	for _, path := range []string{"/proc/self/fd/x", "/proc/self/cwd/fd/1", "/proc/1/root/fd/1", "/proc/self/fd/../fd/1"} {
		if Given(path) {
			t.Errorf("%s is taken for the name of an open file", path)
		}
	}
}

// A pipe of our own is waited for at the start, and never afterwards.
func TestOwnPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := closed(Reappend(path, 0)); !errors.Is(err, syscall.ENXIO) {
		t.Errorf("without a reader: %v, want no such device", err)
	}
	got := make(chan []byte)
	go func() {
		b, _ := os.ReadFile(path)
		got <- b
	}()
	f, err := Append(path, 0)
	if err != nil {
		t.Fatal(err)
	}
	f.Write([]byte("line\n"))
	f.Close()
	if b := <-got; !bytes.Equal(b, []byte("line\n")) {
		t.Errorf("the reader got %q", b)
	}
}

// On a full disk the written part of a line is removed; in a pipe the next line begins a new one.
func TestTornLineIsTakenBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lines")
	l, err := AppendLines(path, 0o600, false)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	l.Write([]byte("first\n"))
	// As after a write that ended early.
	l.f.Write([]byte("sec"))
	if !l.cut(3) {
		t.Error("the end was not cut off")
	}
	if got := read(t, path); got != "first\n" {
		t.Errorf("file %q, want the first line", got)
	}
	other, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	l.f.Write([]byte("sec"))
	other.Write([]byte("third\n"))
	if l.cut(3) {
		t.Error("what another program wrote was cut off")
	}
	l.torn = true
	l.Write([]byte("next\n"))
	if got := read(t, path); got != "first\nsecthird\n\nnext\n" {
		t.Errorf("file %q", got)
	}
}
