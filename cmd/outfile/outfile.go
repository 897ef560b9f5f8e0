// Package outfile opens and writes the output files of the commands: logs, status files, process
// IDs, key logs, drawings.
//
// # Contract
//
// How a file is opened depends on who may write to its directory. If only root and our user may,
// the user has put everything there, and any name is accepted: links are followed, devices and
// pipes are written. If others may, a link could lead anywhere and a file could be a trap. Then
// only a regular file is written, which belongs to root, to our user or to the owner of the
// directory, and has no second name. Links on the way to the directory are followed if they belong
// to root or our user.
//
// Files below /dev (except shared memory) and open files of processes (/proc/self/fd/1,
// /proc/1/fd/1) are opened as they are. Open files of this process that cannot be opened by a name,
// such as the socket to a journal, are used as they are.
//
// # Limits
//
// Access lists count as far as the mode shows them. On systems other than Unix there are no checks:
// files are opened as they are.
package outfile

import (
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
)

// UnsafeError is the reason why a file must not be written.
type UnsafeError struct{ Path, Why string }

func (e *UnsafeError) Error() string { return e.Path + " " + e.Why }

// Given reports whether a path names a file that the system or our parent process has open. It must
// not be renamed or removed.
func Given(path string) bool {
	if strings.Contains(path, "..") || strings.HasPrefix(path, "/dev/shm") || strings.HasPrefix(path, "/dev/mqueue") {
		return false
	}
	if strings.HasPrefix(path, "/dev/") {
		return true
	}
	proc, ok := strings.CutPrefix(path, "/proc/")
	of, fd, fds := strings.Cut(proc, "/fd/")
	return ok && fds && number(fd) && (of == "self" || of == "thread-self" || number(of))
}

func number(s string) bool {
	_, err := strconv.ParseUint(s, 10, 32)
	return err == nil
}

// standing returns the descriptor of this process that a path names.
func standing(path string) (fd int, ok bool) {
	switch path {
	case "/dev/stdout":
		return 1, true
	case "/dev/stderr":
		return 2, true
	}
	for _, dir := range []string{"/dev/fd/", "/proc/self/fd/"} {
		if text, is := strings.CutPrefix(path, dir); is {
			n, err := strconv.ParseUint(text, 10, 31)
			return int(n), err == nil
		}
	}
	return 0, false
}

// Append opens a file for appending, and creates it if necessary. It waits for the reader of a
// named pipe.
func Append(path string, perm fs.FileMode) (*os.File, error) {
	return open(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, perm, true)
}

// Reappend is Append for a file that was open before: it never waits.
func Reappend(path string, perm fs.FileMode) (*os.File, error) {
	return open(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, perm, false)
}

// Create creates a file, or empties an existing one.
func Create(path string, perm fs.FileMode) (*os.File, error) {
	f, err := open(path, os.O_WRONLY|os.O_CREATE, perm, true)
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
		if err := f.Truncate(0); err != nil {
			f.Close()
			return nil, err
		}
	}
	return f, nil
}

// Lines is a file to which whole lines are appended. Not for concurrent use.
type Lines struct {
	f    *os.File
	torn bool // the file ends within a line
}

// NewLines uses a file that was opened as path for appending. If the file ends within a line, Write
// begins a new one.
func NewLines(path string, f *os.File) *Lines { return &Lines{f, !whole(path, f)} }

// AppendLines opens a file for Lines; again is set for one that was open before.
func AppendLines(path string, perm fs.FileMode, again bool) (*Lines, error) {
	openAppend := Append
	if again {
		openAppend = Reappend
	}
	f, err := openAppend(path, perm)
	if err != nil {
		return nil, err
	}
	return NewLines(path, f), nil
}

// File returns the open file.
func (l *Lines) File() *os.File { return l.f }

// Write appends lines with one write. If only a part was written, it removes that part; if that
// fails too, the next Write begins a new line.
func (l *Lines) Write(b []byte) (int, error) {
	lead := 0
	if l.torn {
		lead = 1
		b = append([]byte{'\n'}, b...)
	}
	n, err := l.f.Write(b)
	if err == nil {
		l.torn = false
		return n - lead, nil
	}
	if n > 0 && !l.cut(n) {
		l.torn = b[n-1] != '\n'
	}
	return 0, err
}

// cut removes the last n bytes if they are the end of the file.
func (l *Lines) cut(n int) bool {
	info, err := l.f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return false
	}
	pos, err := l.f.Seek(0, io.SeekCurrent)
	if err != nil || info.Size() != pos || pos < int64(n) {
		return false
	}
	return l.f.Truncate(pos-int64(n)) == nil
}

// Close closes the file.
func (l *Lines) Close() error { return l.f.Close() }

// whole reports whether a file ends with a whole line, as far as that is known.
func whole(path string, f *os.File) bool {
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Size() == 0 {
		return true
	}
	r, err := os.OpenFile(path, os.O_RDONLY|nonblock, 0)
	if err != nil {
		return true
	}
	defer r.Close()
	if same, err := r.Stat(); err != nil || !os.SameFile(info, same) {
		return true
	}
	var last [1]byte
	_, err = r.ReadAt(last[:], info.Size()-1)
	return err != nil || last[0] == '\n'
}
