package store

import (
	"bufio"
	"errors"
	"io"
	"os"
	"strings"
)

// Limits of the lists that a user may give (v4-cli.md section 1).
const (
	MaxOperands = 10_000  // operands, -i
	MaxExclude  = 500     // -X
	MaxHosts    = 100_000 // -H and -j
	maxLine     = 64 << 10
	maxHostName = 79 // bytes
)

// What can be wrong with a list.
var (
	ErrTooMany     = errors.New("too many entries")
	ErrLineTooLong = errors.New("line too long")
	ErrNameTooLong = errors.New("name too long")
)

// ReadList reads a list of paths, as -i and -X take it: one a line, without the
// CR and LF at its end; empty lines and a byte order mark do not count, everything else
// does, blanks and # included. "-" is standard input. More than limit entries are [ErrTooMany].
func ReadList(path string, limit int) ([]string, error) {
	if path == "-" {
		return readLines(os.Stdin, limit)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readLines(f, limit)
}

func readLines(r io.Reader, limit int) ([]string, error) {
	var list []string
	err := eachLine(r, func(line string) error {
		if len(list) == limit {
			return ErrTooMany
		}
		list = append(list, line)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

// byteOrderMark is what some editors put before the first line of a text.
const byteOrderMark = "\ufeff"

// eachLine calls take with every line that is not empty.
func eachLine(r io.Reader, take func(string) error) error {
	s := bufio.NewScanner(r)
	s.Buffer(nil, maxLine)
	for first := true; s.Scan(); first = false {
		line := strings.TrimRight(s.Text(), "\r")
		if first {
			line = strings.TrimPrefix(line, byteOrderMark)
		}
		if line == "" {
			continue
		}
		if err := take(line); err != nil {
			return err
		}
	}
	if s.Err() == bufio.ErrTooLong {
		return ErrLineTooLong
	}
	return s.Err()
}

// ListEntry is one host of a list (v4-sender.md section 10).
type ListEntry struct {
	Name        string // as written, blanks included, 0..79 bytes
	Fingerprint string // text behind the bar, "" if there is none
}

// ReadHostList reads the hosts of -H @file and -j: "ID" or "ID|fingerprint", one a
// line; lines that are empty or start with # do not count. A fingerprint ends at
// the first blank or tab. Errors beside those of the system are [ErrTooMany]
// (more than MaxHosts), [ErrNameTooLong] and [ErrLineTooLong].
func ReadHostList(path string) ([]ListEntry, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readHosts(f)
}

func readHosts(r io.Reader) ([]ListEntry, error) {
	var list []ListEntry
	err := eachLine(r, func(line string) error {
		if line[0] == '#' {
			return nil
		}
		var e ListEntry
		e.Name, e.Fingerprint, _ = strings.Cut(line, "|")
		if i := strings.IndexAny(e.Fingerprint, " \t"); i >= 0 {
			e.Fingerprint = e.Fingerprint[:i]
		}
		switch {
		case len(e.Name) > maxHostName:
			return ErrNameTooLong
		case len(list) == MaxHosts:
			return ErrTooMany
		}
		list = append(list, e)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}
