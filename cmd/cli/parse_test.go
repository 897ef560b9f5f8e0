package cli

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// sample is a command with one option of each kind; what was set is written down in order.
func sample(seen *[]string) *Command {
	note := func(name string) func(string) error {
		return func(v string) error {
			*seen = append(*seen, name+"="+v)
			return nil
		}
	}
	var n int
	return &Command{
		Name: "prog", Purpose: "Does things.", Operands: "file...", Version: "1", Examples: "  prog x\n", Exits: "  0  done\n",
		Options: []Option{
			{Letter: 'q', Name: "quiet", Group: "A", Help: "be quiet", Set: note("q")},
			{Letter: 'o', Name: "only", Group: "A", Help: "only", Set: note("o")},
			{Letter: 'R', Name: "rate", Arg: "KBPS", Group: "A", Help: "rate\nin Kbps", Set: note("R")},
			{Name: "json", Group: "B", Help: "json", Set: note("json")},
			{Letter: 'b', Name: "block-size", Arg: "BYTES", Group: "B", Help: "size", Set: Int(&n, 512, 8800, "Invalid blocksize", "bytes")},
		},
	}
}

func TestParse(t *testing.T) {
	tests := []struct {
		name     string
		args     string // separated by blanks
		set      string
		operands string
	}{
		{"nothing", "", "", ""},
		{"value apart", "-R 5 f", "R=5", "f"},
		{"value attached", "-R5 f", "R=5", "f"},
		{"an equals sign belongs to the value of a letter", "-R=5", "R==5", ""},
		{"a value may look like an option", "-R -1 f", "R=-1", "f"},
		{"bundle", "-qo f", "q= o=", "f"},
		{"bundle that ends in a value", "-qoR5 f", "q= o= R=5", "f"},
		{"bundle with the value apart", "-qR 5", "q= R=5", ""},
		{"options behind operands", "f -q g -R 7", "q= R=7", "f g"},
		{"two dashes end the options", "-q -- -R 7", "q=", "-R 7"},
		{"one dash is an operand", "-q - f", "q=", "- f"},
		{"repeats come in order", "-R 1 -R 2", "R=1 R=2", ""},
		{"long flag", "--quiet f", "q=", "f"},
		{"long value apart", "--rate 5 f", "R=5", "f"},
		{"long value attached", "--rate=5 f", "R=5", "f"},
		{"long value that is negative", "--rate -1", "R=-1", ""},
		{"long value that holds an equals sign", "--rate=a=b", "R=a=b", ""},
		{"long empty value", "--rate= f", "R=", "f"},
		{"long without a letter", "--json", "json=", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var seen []string
			operands, err := sample(&seen).Parse(strings.Fields(tt.args))
			if err != nil {
				t.Fatalf("Parse(%q) = %v, want it to be taken", tt.args, err)
			}
			if got := strings.Join(seen, " "); got != tt.set {
				t.Errorf("Parse(%q) set %q, want %q", tt.args, got, tt.set)
			}
			if got := strings.Join(operands, " "); got != tt.operands {
				t.Errorf("Parse(%q) left operands %q, want %q", tt.args, got, tt.operands)
			}
		})
	}
}

func TestParseErrors(t *testing.T) {
	tests := []struct {
		args  string
		text  string
		usage bool
	}{
		{"-z f", "prog: invalid option -- 'z'", true},
		{"-qz f", "prog: invalid option -- 'z'", true},
		{"-q\x1b", "prog: invalid option -- '?'", true},
		{"-R", "prog: option requires an argument -- 'R'", true},
		{"-qR", "prog: option requires an argument -- 'R'", true},
		{"--nothing", "prog: unrecognized option '--nothing'", true},
		{"--rat=5", "prog: unrecognized option '--rat'", true},
		{"--rate", "prog: option '--rate' requires an argument", true},
		{"--quiet=yes", "prog: option '--quiet' doesn't allow an argument", true},
		{"-b 99999 f", "Invalid blocksize: -b 99999 (allowed: 512 to 8800 bytes)", false},
		{"-b99999 f", "Invalid blocksize: -b 99999 (allowed: 512 to 8800 bytes)", false},
		{"-qb 1", "Invalid blocksize: -b 1 (allowed: 512 to 8800 bytes)", false},
		{"--block-size=x\nz", "Invalid blocksize: --block-size x?z (allowed: 512 to 8800 bytes)", false},
	}
	for _, tt := range tests {
		var seen []string
		_, err := sample(&seen).Parse(strings.Split(tt.args, " "))
		if err == nil || err.Error() != tt.text {
			t.Errorf("Parse(%q) = %v, want %q", tt.args, err, tt.text)
			continue
		}
		var ue *UsageError
		if errors.As(err, &ue) != tt.usage {
			t.Errorf("Parse(%q): usage error %v, want %v", tt.args, !tt.usage, tt.usage)
		}
	}
}

// An error value that several options share must not keep the name of the first.
func TestErrorsAreNotShared(t *testing.T) {
	shared := &Error{Text: "Bad", Allowed: "good"}
	c := &Command{Name: "p", Options: []Option{{Letter: 'a', Name: "aa", Arg: "X", Set: func(string) error { return shared }}}}
	for _, tt := range [][2]string{{"-a", "Bad: -a v (allowed: good)"}, {"--aa", "Bad: --aa v (allowed: good)"}} {
		if _, err := c.Parse([]string{tt[0], "v"}); err == nil || err.Error() != tt[1] {
			t.Errorf("Parse(%s v) = %v, want %s", tt[0], err, tt[1])
		}
	}
}

func TestFinish(t *testing.T) {
	var seen []string
	tests := []struct {
		what      string
		err       error
		code      int
		out, err2 string // what each begins with
	}{
		{"nothing wrong", nil, 0, "", ""},
		{"help goes to standard output", ErrHelp, 0, "usage: prog [options] file...\n\nDoes things.\n\nA\n  -q, --quiet ", ""},
		{"version goes to standard output", ErrVersion, 0, "prog 1\n", ""},
		{"usage follows its error", &UsageError{"prog: bad"}, 1, "", "prog: bad\nprog [ -q ] [ -o ] [ -R KBPS ] [ -b BYTES ] file...\nTry "},
		{"usage alone", &UsageError{}, 1, "", "prog [ -q ]"},
		{"an error is one line", Fail("no good"), 1, "", "no good\n"},
		{"its code counts", &Error{Code: ExitNet, Text: "no net"}, 2, "", "no net\n"},
		{"a foreign error", fmt.Errorf("odd"), 1, "", "odd\n"},
	}
	for _, tt := range tests {
		var out, errw strings.Builder
		code := sample(&seen).Finish(tt.err, &out, &errw)
		if code != tt.code {
			t.Errorf("%s: exit code %d, want %d", tt.what, code, tt.code)
		}
		if !strings.HasPrefix(out.String(), tt.out) || tt.out == "" && out.Len() > 0 {
			t.Errorf("%s: standard output %q, want %q", tt.what, out.String(), tt.out)
		}
		if !strings.HasPrefix(errw.String(), tt.err2) || tt.err2 == "" && errw.Len() > 0 {
			t.Errorf("%s: standard error %q, want %q", tt.what, errw.String(), tt.err2)
		}
	}
}

// FuzzParse checks that no command line breaks the parser and that nothing is
// made up: each value and operand is part of what was given.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"-qo\x00f", "-R\x00-1\x00f", "--rate=5\x00--\x00-x", "-\x00--\x00", "--=\x00-R", "-b\x00600"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		var seen []string
		args := strings.Split(line, "\x00")
		operands, err := sample(&seen).Parse(args)
		for _, s := range seen {
			_, v, _ := strings.Cut(s, "=")
			if !strings.Contains(line, v) {
				t.Errorf("Parse(%q) set %q, which was not given", args, s)
			}
		}
		for _, o := range operands {
			if !strings.Contains(line, o) {
				t.Errorf("Parse(%q) has operand %q, which was not given", args, o)
			}
		}
		if err != nil && strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' }) {
			t.Errorf("Parse(%q): the error %q has control characters", args, err)
		}
	})
}
