// Package keylog writes the file of --keylog: it appends entries of package uftp/crypto/keylog to a
// file that no other user can read.
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

// Log is an open key log. A nil Log writes nothing. It may be used by several goroutines.
type Log struct {
	name  string
	mu    sync.Mutex
	lines *outfile.Lines
}

// Open opens or creates a key log for appending. It refuses everything but a plain file of our user
// that has one name and that no other user can read or write. It never waits, as opening a pipe
// would. If the file ends within a line, the next entry begins a new one.
func Open(name string) (*Log, error) {
	name, err := filepath.Abs(name) // a daemon changes its directory
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

// Reopen opens the file again by its name, for users who have moved it. If that fails, it continues
// the old file.
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

// check returns why secrets must not go to a file.
func check(name string, info os.FileInfo) error {
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a plain file", name)
	}
	return checkOwner(name, info)
}

// Write appends an entry with one write, so that lines of several processes do not mix. If only a
// part was written, it is removed.
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

// Warning returns the warning about a key log.
func Warning(name string) string {
	return "Warning: with " + name + " anybody can decrypt the sessions logged there (--keylog)"
}
