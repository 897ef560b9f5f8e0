//go:build unix

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"uftp/cmd/cli"
	"uftp/cmd/internal/report"
	"uftp/engine"
	"uftp/engine/machine"
	"uftp/engine/receiver"
	"uftp/wire"
)

// eventLog collects the log lines about scripts and their ends.
type eventLog struct {
	mu    sync.Mutex
	lines []string
	ends  []report.ScriptEnded
}

func (n *eventLog) report(_ time.Time, ev machine.Event) {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch ev := ev.(type) {
	case engine.Note:
		n.lines = append(n.lines, ev.Text)
	case report.ScriptEnded:
		n.ends = append(n.ends, ev)
	}
}

// await waits until so many scripts have ended.
func (n *eventLog) await(t *testing.T, ends int) []report.ScriptEnded {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		n.mu.Lock()
		list := n.ends
		n.mu.Unlock()
		if len(list) >= ends {
			return list
		}
		if time.Now().After(end) {
			t.Fatalf("%d scripts have ended, want %d", len(list), ends)
		}
	}
}

// scriptCalls runs a script for events and returns the arguments of its calls.
func scriptCalls(t *testing.T, temp, each bool, events ...machine.Event) (calls, notes []string) {
	t.Helper()
	dir := t.TempDir()
	script := filepath.Join(dir, "script")
	// It shows its arguments, what it can read, and whether it can write to its outputs.
	text := "#!/bin/sh\nread x && echo input >> " + dir + "/out\necho noise\necho noise >&2\necho \"$*\" >> " + dir + "/out\n"
	if err := os.WriteFile(script, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	n := new(eventLog)
	s := newScripts(script, temp, each, 0, n.report)
	for _, ev := range events {
		s.report(ev)
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

// TestScriptCalls checks which calls of the script there are, the same as with stock.
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
	s.call(in, paths...)
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

// A call that is too long for the kernel is split, and each path is passed once.
func TestScriptCallTooLongForTheKernel(t *testing.T) {
	const paths = 30000 // of 300 bytes: more than Linux takes, whatever its limits are
	out := filepath.Join(t.TempDir(), "out")
	n := new(eventLog)
	s := newScripts(writeScript(t, "shift 2; echo $# >>"+out), true, false, 0, n.report)
	var list []string
	for range paths {
		list = append(list, "/dest/"+strings.Repeat("p", 300))
	}
	s.calls <- scriptCall{in: in, args: callArgs(in, list)}
	total := 0
	for ends := 1; total < paths; ends++ {
		for _, e := range n.await(t, ends) {
			if e.Err != nil || e.Exit != 0 {
				t.Fatalf("a call ended with %v, %d", e.Err, e.Exit)
			}
		}
		total = 0
		b, _ := os.ReadFile(out)
		for _, f := range strings.Fields(string(b)) {
			k, _ := strconv.Atoi(f)
			total += k
		}
	}
	s.close()
	if total != paths || len(n.ends) < 2 {
		t.Errorf("%d paths in %d calls, want %d in several", total, len(n.ends), paths)
	}
}

// Events that arrive after the end of the program, for example from a reporter that hung, run no
// script.
func TestScriptAfterTheEnd(t *testing.T) {
	n := new(eventLog)
	s := newScripts("/s", false, false, 0, n.report)
	s.close()
	s.report(stored(wire.TypeFile, "/dest/f1"))
	if want := "uftpd is ending, not run: /s -I 3D29F076 /dest/f1"; len(n.lines) != 1 || n.lines[0] != want {
		t.Errorf("notes %q, want %q", n.lines, want)
	}
	if len(n.ends) != 0 {
		t.Errorf("%+v was run", n.ends)
	}
}

func TestScriptFails(t *testing.T) {
	n := new(eventLog)
	s := newScripts("/no/such/script", false, false, 0, n.report)
	s.report(stored(wire.TypeFile, "/dest/f1"))
	s.close()
	want := "Running postreceive: /no/such/script -I 3D29F076 /dest/f1"
	if got := strings.Join(n.lines, "\n"); got != want {
		t.Errorf("log\n%s\nwant\n%s", got, want)
	}
	if len(n.ends) != 1 || cli.ErrText(n.ends[0].Err) != "No such file or directory" {
		t.Errorf("ends %+v, want one that says that there is no such file", n.ends)
	}
}

// writeScript makes a script that runs a text of the shell.
func writeScript(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// Every end of a script is reported, with its exit code or signal.
func TestScriptEnds(t *testing.T) {
	for _, tt := range []struct {
		text string
		want report.ScriptEnded
	}{
		{"exit 0", report.ScriptEnded{}},
		{"exit 3", report.ScriptEnded{Exit: 3}},
		{"kill -KILL $$", report.ScriptEnded{Exit: -1, Signal: "SIGKILL"}},
	} {
		n := new(eventLog)
		s := newScripts(writeScript(t, tt.text), false, false, time.Minute, n.report)
		s.report(stored(wire.TypeFile, "/dest/f1"))
		e := n.await(t, 1)[0]
		s.close()
		if e.Exit != tt.want.Exit || e.Signal != tt.want.Signal || e.TimedOut || e.Err != nil || strings.Join(e.Args, " ") != "-I 3D29F076 /dest/f1" {
			t.Errorf("%s: %+v", tt.text, e)
		}
	}
}

// A script that takes too long is ended with all that it has started, even if it does
// not want to.
func TestScriptTimeLimit(t *testing.T) {
	for _, text := range []string{
		"sleep 1000 & echo $! >$4.child; echo x >$4; wait",
		"trap '' TERM; (trap '' TERM; while :; do sleep 1; done) & echo $! >$4.child; echo x >$4; while :; do sleep 1; done",
	} {
		n := new(eventLog)
		file := filepath.Join(t.TempDir(), "f")
		s := newScripts(writeScript(t, text), true, false, time.Hour, n.report)
		s.after = func(time.Duration) <-chan time.Time { // the time is over when the script is under way
			for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(time.Millisecond) {
				if _, err := os.Stat(file); err == nil {
					break
				}
			}
			ch := make(chan time.Time, 1)
			ch <- time.Now()
			return ch
		}
		s.report(engine.Moved{Session: in, Paths: []string{"/dest/f", file}})
		e := n.await(t, 1)[0]
		s.close()
		if !e.TimedOut || e.Signal == "" {
			t.Errorf("%s: %+v, want a script that was ended", text, e)
		}
		b, err := os.ReadFile(file + ".child")
		if err != nil {
			t.Fatal(err)
		}
		pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
		if err != nil {
			t.Fatal(err)
		}
		gone := func() bool {
			b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
			return err != nil || strings.Contains(string(b), ") Z ")
		}
		for end := time.Now().Add(time.Minute); !gone(); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: the child lives on", text)
			}
		}
	}
}

// Calls that have to wait say so, and are named when they are never run.
func TestScriptsWait(t *testing.T) {
	dir := t.TempDir()
	release := filepath.Join(dir, "release")
	n := new(eventLog)
	s := newScripts(writeScript(t, "until [ -e "+release+" ]; do sleep 0.01; done"), false, false, 0, n.report)
	s.after = func(time.Duration) <-chan time.Time {
		ch := make(chan time.Time, 1)
		ch <- time.Now()
		return ch
	}
	for i := range scriptsMax + 3 {
		s.report(stored(wire.TypeFile, fmt.Sprintf("/dest/f%d", i)))
	}
	s.close()
	text := strings.Join(n.lines, "\n")
	for _, want := range []string{
		"Warning: 64 postreceive scripts are running,", "Postreceive script not run because uftpd is ending: ", "/dest/f66",
		"Warning: uftpd ends while 64 postreceive scripts",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("nothing says %q:\n%s", want, text)
		}
	}
	if err := os.WriteFile(release, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	n.await(t, scriptsMax)
}

// A daemon with too many waiting calls keeps as many as it can and logs the others.
func TestScriptsLimit(t *testing.T) {
	n := new(eventLog)
	s := &scripts{path: "/s", event: n.report, calls: make(chan scriptCall, 1)}
	s.call(in, "/a")
	s.call(in, "/b")
	if len(n.lines) != 1 || !strings.Contains(n.lines[0], "not run: /s -I 3D29F076 /b") {
		t.Errorf("notes %q, want one about the second call", n.lines)
	}
	n.lines = nil
	s = &scripts{path: "/s", event: n.report, calls: make(chan scriptCall, scriptsWaiting)}
	long := strings.Repeat("p", scriptArgsMax)
	for range scriptsBytes/scriptArgsMax - 1 {
		s.call(in, long)
	}
	if len(n.lines) != 0 {
		t.Fatalf("%d notes before the limit", len(n.lines))
	}
	s.call(in, long)
	if len(n.lines) != 1 {
		t.Errorf("%d notes when the paths that wait are too long, want one", len(n.lines))
	}
}
