// Package keylog is the file behind --keylog: it appends entries of package
// uftp/crypto/keylog to a file that nobody else can read.
package keylog

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"uftp/cmd/outfile"
	"uftp/crypto/keylog"
)

// Entry is one session.
type Entry = keylog.Entry

// Log is a key log that is written. The nil Log writes nothing. It may be used by
// several goroutines.
type Log struct {
	name  string
	mu    sync.Mutex
	lines *outfile.Lines
}

// Open opens or makes a key log to append to. What is not a plain file, is a link,
// belongs to somebody else, has another name too, or can be read or written by others
// is refused: secrets are not added to it. It never waits, as opening a pipe would.
// When an earlier program has left part of a line, the next begins on a line of its own.
func Open(name string) (*Log, error) {
	name, err := filepath.Abs(name) // a daemon leaves its directory
	if err != nil {
		return nil, err
	}
	lines, err := open(name)
	if err != nil {
		return nil, err
	}
	return &Log{name: name, lines: lines}, nil
}

func open(name string) (*outfile.Lines, error) {
	if info, err := os.Lstat(name); err == nil && !info.Mode().IsRegular() {
		return nil, check(name, info)
	}
	f, err := outfile.Reappend(name, 0o600)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil {
		err = check(name, info)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return outfile.NewLines(name, f), nil
}

// Reopen opens the file anew by its name, for those who have moved it away. When that
// fails, the old one is continued.
func (l *Log) Reopen() error {
	if l == nil {
		return nil
	}
	lines, err := open(l.name)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines.Close()
	l.lines = lines
	return nil
}

// check tells why secrets must not go to a file.
func check(name string, info os.FileInfo) error {
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a plain file", name)
	}
	return checkOwner(name, info)
}

// Write appends an entry. Lines of several processes do not mix: each is written
// at once. What was written of a line that has no room is taken back.
func (l *Log) Write(e *keylog.Entry) error {
	if l == nil {
		return nil
	}
	line := e.Append(nil)
	defer clear(line)
	l.mu.Lock()
	defer l.mu.Unlock()
	_, err := l.lines.Write(line)
	return err
}

// Close closes the file.
func (l *Log) Close() error {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lines.Close()
}

// Warning is the line for the user whose session is logged.
func Warning(name string) string {
	return "Warning: whoever reads " + name + " can read the sessions logged there (--keylog)"
}
