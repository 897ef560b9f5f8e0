package main

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"uftp/cmd/internal/cmdtest"
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
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){"exits": cmdtest.Exits, "mode": mode},
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

// mode compares the permissions of a file: mode -rw------- FILE.
func mode(ts *testscript.TestScript, neg bool, args []string) {
	info, err := os.Stat(ts.MkAbs(args[1]))
	ts.Check(err)
	if got := info.Mode().String(); (got == args[0]) == neg {
		ts.Fatalf("mode of %s is %s, want %s", args[1], got, args[0])
	}
}
