// Package keylog is the file behind --keylog: it appends entries of package
// uftp/crypto/keylog to a file that nobody else can read.
package keylog

import (
	"fmt"
	"os"

	"uftp/crypto/keylog"
)

// Entry is one session.
type Entry = keylog.Entry

// Log is a key log that is written. The nil Log writes nothing.
type Log struct{ f *os.File }

// Open opens or makes a key log to append to. What is not a plain file, is a link,
// belongs to somebody else, or can be read or written by others is refused: secrets
// are not added to it. It never waits, as opening a pipe would.
func Open(name string) (*Log, error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND|openFlags, 0o600)
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
	return &Log{f}, nil
}

// check tells why secrets must not go to a file.
func check(name string, info os.FileInfo) error {
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a plain file", name)
	}
	return checkOwner(name, info)
}

// Write appends an entry. Lines of several processes do not mix: each is written
// at once.
func (l *Log) Write(e *keylog.Entry) error {
	if l == nil {
		return nil
	}
	line := e.Append(nil)
	defer clear(line)
	_, err := l.f.Write(line)
	return err
}

// Close closes the file.
func (l *Log) Close() error {
	if l == nil {
		return nil
	}
	return l.f.Close()
}

// Warning is the line for the user whose session is logged.
func Warning(name string) string {
	return "Warning: whoever reads " + name + " can read the sessions logged there (--keylog)"
}
