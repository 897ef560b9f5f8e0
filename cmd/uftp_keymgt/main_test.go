package main

import (
	"os"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"uftp_keymgt": main})
}

// TestScripts runs the command as a user does. Where openssl and the stock
// program are installed, files go back and forth between them and this one.
func TestScripts(t *testing.T) {
	keys, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("KEYS", keys+"/../../crypto/identity/testdata/keys")
			env.Setenv("STOCK", stock())
			return nil
		},
		Condition: func(cond string) (bool, error) {
			if cond == "stock" {
				return stock() != "", nil
			}
			return false, nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){"exits": exits, "mode": mode},
	})
}

// stock returns the path of the stock program, "" if it is not installed.
func stock() string {
	const path = "/usr/bin/uftp_keymgt"
	if _, err := os.Stat(path); err != nil {
		return ""
	}
	return path
}

// exits runs a command line and compares its exit code: exits CODE uftp_keymgt ARG...
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND ARG...")
	}
	err := ts.Exec(args[1], args[2:]...)
	code := "0"
	if err != nil {
		code = strings.TrimPrefix(err.Error(), "exit status ")
	}
	if code != args[0] {
		ts.Fatalf("%s ends with %s, want exit code %s", strings.Join(args[1:], " "), code, args[0])
	}
}

// mode compares the permissions of a file: mode -rw------- FILE.
func mode(ts *testscript.TestScript, neg bool, args []string) {
	info, err := os.Stat(ts.MkAbs(args[1]))
	ts.Check(err)
	if got := info.Mode().String(); (got == args[0]) == neg {
		ts.Fatalf("mode of %s is %s, want %s", args[1], got, args[0])
	}
}
