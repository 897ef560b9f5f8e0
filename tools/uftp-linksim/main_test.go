package main

import (
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	// Main ends the process; what live tests build must go before that.
	testscript.Main(cleaner{m}, map[string]func(){"uftp-linksim": main})
}

// cleaner runs the tests and removes what they built.
type cleaner struct{ m *testing.M }

func (c cleaner) Run() int {
	defer cleanBuild()
	return c.m.Run()
}

// TestScripts runs the command as a user does.
func TestScripts(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the command")
	}
	testscript.Run(t, testscript.Params{
		Dir:  "testdata/script",
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){"exits": exits},
	})
}

// exits runs a command line and compares its exit code: exits CODE uftp-linksim ARG...
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND ARG...")
	}
	code := "0"
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		code = strings.TrimPrefix(err.Error(), "exit status ")
	}
	if code != args[0] {
		ts.Fatalf("%s ends with %s, want exit code %s", strings.Join(args[1:], " "), code, args[0])
	}
}
