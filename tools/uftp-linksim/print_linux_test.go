package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

type fullDisk struct{ writes int }

func (f *fullDisk) Write([]byte) (int, error) {
	f.writes++
	return 0, errors.New("no space")
}

// Statistics that cannot be written are reported once, and are an error.
func TestStatisticsFail(t *testing.T) {
	disk := new(fullDisk)
	var b bytes.Buffer
	s := &simulation{o: newOptions(), names: []string{"a"}, timer: newTimer(), stats: disk, stderr: &b}
	first, second := s.print(false), s.print(true)
	var logs *logError
	if !errors.As(first, &logs) || second != nil || disk.writes != 1 || strings.Count(b.String(), "no space") != 1 {
		t.Errorf("errors %v, %v after %d writes, printed %q; want one error and one line", first, second, disk.writes, b.String())
	}
}
