package lists

import (
	"bufio"
	"errors"
	"io"
	"os"
	"strings"
)

// Limits of the lists of a user.
const (
	MaxOperands = 10_000  // operands, -i
	MaxExclude  = 500     // -X
	MaxHosts    = 100_000 // -H and -j
	maxLine     = 64 << 10
	maxHostName = 79 // bytes
)

// Errors of a list.
var (
	ErrTooMany     = errors.New("too many entries")
	ErrLineTooLong = errors.New("line too long")
	ErrNameTooLong = errors.New("name too long")
)

// ReadList reads a list of paths for -i or -X, one a line, without CR and LF at its end. It ignores
// empty lines and a byte order mark; blanks and # are part of a path. "-" is standard input. For
// more than limit entries it returns [ErrTooMany].
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

// byteOrderMark is what some editors put before the first line.
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

// ListEntry is one host of a list.
type ListEntry struct {
	Name        string // as written, blanks included, 0..79 bytes
	Fingerprint string // text behind the bar, "" if there is none
}

// ReadHostList reads the hosts of -H @file or -j: "ID" or "ID|fingerprint", one a line. It ignores
// empty lines and those that start with #. A fingerprint ends at the first blank or tab. Besides
// errors of the system it returns [ErrTooMany] (more than MaxHosts), [ErrNameTooLong] and
// [ErrLineTooLong].
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
