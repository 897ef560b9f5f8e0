//go:build unix

package main

import (
	"os"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"uftp/engine"
	"uftp/engine/machine"
	"uftp/engine/receiver"
	"uftp/wire"
)

// told gathers the notes of scripts.
type told struct {
	mu    sync.Mutex
	lines []string
}

func (n *told) report(_ time.Time, ev machine.Event) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lines = append(n.lines, ev.(engine.Note).Text)
}

// scriptCalls runs a script for events and returns what it was called with.
func scriptCalls(t *testing.T, temp, each bool, events ...machine.Event) (calls, notes []string) {
	t.Helper()
	dir := t.TempDir()
	script := filepath.Join(dir, "script")
	// It shows its arguments, what it can read, and whether it can write to its outputs.
	text := "#!/bin/sh\nread x && echo input >> " + dir + "/out\necho noise\necho noise >&2\necho \"$*\" >> " + dir + "/out\n"
	if err := os.WriteFile(script, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	n := new(told)
	s := newScripts(script, temp, each, n.report)
	for _, ev := range events {
		s.report(time.Now(), ev)
	}
	s.close()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(10 * time.Millisecond) { // scripts are not waited for
		b, _ := os.ReadFile(filepath.Join(dir, "out"))
		calls = strings.FieldsFunc(string(b), func(r rune) bool { return r == '\n' })
		if len(calls) == len(n.lines) {
			break
		}
	}
	sort.Strings(calls)
	return calls, n.lines
}

var in = receiver.Session{SessionID: receiver.SessionID{Group: 0x3D29F076}}

func stored(typ wire.FileType, path string) engine.Stored {
	return engine.Stored{Session: in, Request: receiver.Request{Type: typ}, Path: path}
}

// v4-receiver.md section 10.
func TestScriptCalls(t *testing.T) {
	moved := engine.Moved{Session: in, Paths: []string{"/dest/a", "/dest/b c"}}
	for _, tt := range []struct {
		what       string
		temp, each bool
		events     []machine.Event
		want       string
	}{
		{"one call a regular file", false, false, []machine.Event{stored(wire.TypeFile, "/dest/f1"), stored(wire.TypeLink, "/dest/ln"), stored(wire.TypeFile, "/dest/f2")},
			"-I 3D29F076 /dest/f1\n-I 3D29F076 /dest/f2"},
		{"with a temporary directory one call a session", true, false, []machine.Event{stored(wire.TypeFile, "/t/x"), moved}, "-I 3D29F076 /dest/a /dest/b c"},
		{"when merging one call a path", true, true, []machine.Event{moved}, "-I 3D29F076 /dest/a\n-I 3D29F076 /dest/b c"},
		{"nothing received, nothing run", false, false, nil, ""},
	} {
		calls, notes := scriptCalls(t, tt.temp, tt.each, tt.events...)
		if got := strings.Join(calls, "\n"); got != tt.want {
			t.Errorf("%s: calls\n%s\nwant\n%s", tt.what, got, tt.want)
		}
		for _, n := range notes {
			if !strings.HasPrefix(n, "Running postreceive: /") || !strings.Contains(n, " -I 3D29F076 /") {
				t.Errorf("%s: log line %q", tt.what, n)
			}
		}
	}
}

// More paths than fit one call are split.
func TestLongScriptCall(t *testing.T) {
	var paths []string
	for range 3000 {
		paths = append(paths, "/dest/"+strings.Repeat("p", 400))
	}
	s := &scripts{path: "/s", calls: make(chan scriptCall, 9)}
	s.call(time.Now(), in, paths...)
	close(s.calls)
	n := 0
	for c := range s.calls {
		n += len(c.args) - 2
		if bytes := len(strings.Join(c.args, " ")); bytes > scriptArgsMax {
			t.Errorf("a call with %d bytes, want at most %d", bytes, scriptArgsMax)
		}
	}
	if n != len(paths) {
		t.Errorf("%d paths in all calls, want %d", n, len(paths))
	}
}

func TestScriptFails(t *testing.T) {
	n := new(told)
	s := newScripts("/no/such/script", false, false, n.report)
	s.report(time.Now(), stored(wire.TypeFile, "/dest/f1"))
	s.close()
	want := "Running postreceive: /no/such/script -I 3D29F076 /dest/f1\nError running postreceive script: No such file or directory"
	if got := strings.Join(n.lines, "\n"); got != want {
		t.Errorf("log\n%s\nwant\n%s", got, want)
	}
}

// A daemon that has more to run than it may keeps what it can and says what not.
func TestScriptsLimit(t *testing.T) {
	n := new(told)
	s := &scripts{path: "/s", tell: n.report, calls: make(chan scriptCall, 1)}
	s.call(time.Now(), in, "/a")
	s.call(time.Now(), in, "/b")
	if len(n.lines) != 1 || !strings.Contains(n.lines[0], "not run: /s -I 3D29F076 /b") {
		t.Errorf("notes %q, want one about the second call", n.lines)
	}
}
