// Package commandline lends the tools what the commands share about their command
// lines: the option table, help made from it, the words of errors, exit codes. The
// tools stand outside cmd, so they cannot import cmd/internal/cli; this is a door,
// not a second parser. See that package for the contract.
package commandline

import (
	"context"
	"io"
	"io/fs"
	"os"
	"time"

	"uftp/cmd/internal/cli"
	"uftp/cmd/internal/outfile"
	"uftp/cmd/internal/version"
)

// What a command line is made of.
type (
	Command    = cli.Command
	Option     = cli.Option
	Error      = cli.Error
	UsageError = cli.UsageError
)

// Exit codes.
const (
	ExitOK     = cli.ExitOK
	ExitUsage  = cli.ExitUsage
	ExitNet    = cli.ExitNet
	ExitLog    = cli.ExitLog
	ExitSystem = cli.ExitSystem
)

// Version is what --version says.
func Version() string { return version.Version }

// Fail makes an Error with exit code 1 and a text that is complete.
func Fail(format string, args ...any) error { return cli.Fail(format, args...) }

// String returns a Set that keeps the last value.
func String(p *string) func(string) error { return cli.String(p) }

// Int returns a Set for a decimal number from min to max.
func Int(p *int, min, max int, text, unit string) func(string) error {
	return cli.Int(p, min, max, text, unit)
}

// Clean makes a text of others fit for a line that people read.
func Clean(s string) string { return cli.Clean(s) }

// CleanJSON escapes in a JSON document what Clean would replace.
func CleanJSON(doc []byte) []byte { return cli.CleanJSON(doc) }

// Printer returns a writer of whole lines for people, which lets nothing through that
// speaks to a terminal.
func Printer(w io.Writer) io.Writer { return cli.Printer(w) }

// KeepPipes makes writing to a pipe that nobody reads any more an error like any other.
func KeepPipes() { cli.KeepPipes() }

// Create opens a file, makes it if there is none and empties it. It follows no link
// that another user may have made.
func Create(path string, perm fs.FileMode) (*os.File, error) { return outfile.Create(path, perm) }

// ErrText is the system's text for err.
func ErrText(err error) string { return cli.ErrText(err) }

// OnSignal returns a context that the first signal ends that asks for an end.
func OnSignal(told func(at time.Time, number int)) (ctx context.Context, stop func()) {
	return cli.OnSignal(told)
}
