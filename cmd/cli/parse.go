package cli

import (
	"errors"
	"fmt"
	"strings"
)

// Exit codes that both commands share, with the numbers of stock.
const (
	ExitOK     = 0
	ExitUsage  = 1 // options, lists, directories, files of results
	ExitNet    = 2 // addresses, socket
	ExitKey    = 3 // key files
	ExitLog    = 4 // log file
	ExitSystem = 5 // memory, fork
	ExitSignal = 6
)

// Option is one row of a command's table.
type Option struct {
	Letter byte   // 0: only the long name exists
	Name   string // long name, without dashes
	Arg    string // name of the value in help; empty = a flag
	Group  string // heading in help; rows of one group must be neighbours
	Help   string // one or several lines: effect, unit, range, default; empty: not listed
	// Set takes the value ("" for a flag). It is called each time the option is given, so it
	// decides whether a repeated option replaces or adds. ErrHelp and
	// ErrVersion end the walk as --help and --version do.
	Set func(value string) error
}

// Command is a command line.
type Command struct {
	Name     string
	Purpose  string // one line
	Operands string // shown after the options
	Examples string
	Exits    string // the exit codes, one a line
	Version  string
	About    string // second line of --version, if any
	Options  []Option
}

// Ends of a parse that are not failures.
var (
	ErrHelp    = errors.New("help wanted")
	ErrVersion = errors.New("version wanted")
)

// UsageError is an error in the form of the command line. The usage text follows it.
type UsageError struct{ Text string }

func (e *UsageError) Error() string { return e.Text }

// Error is an error about a value, with an exit code. Text is that of the stock program. If Allowed
// is set, the option as it was written follows after a colon, and then the allowed values.
type Error struct {
	Code    int // 0 means ExitUsage
	Text    string
	Allowed string
	option  string // as written, set by Parse
}

func (e *Error) Error() string {
	switch {
	case e.option == "" && e.Allowed == "":
		return Clean(e.Text)
	case e.option == "":
		return Clean(e.Text) + " (allowed: " + e.Allowed + ")"
	case e.Allowed == "":
		return Clean(e.Text + " (" + e.option + ")")
	}
	return Clean(e.Text+": "+e.option) + " (allowed: " + e.Allowed + ")"
}

// ExitCode returns the exit code for an error of this package or of a Set.
func ExitCode(err error) int {
	var e *Error
	if errors.As(err, &e) && e.Code != 0 {
		return e.Code
	}
	return ExitUsage
}

// Fail returns an Error with exit code 1 and a complete text.
func Fail(format string, args ...any) error { return &Error{Text: fmt.Sprintf(format, args...)} }

// Parse reads args, which does not include the command's own name, and returns the operands in
// order. The error is ErrHelp, ErrVersion, a *UsageError, or that of a Set with the option named in
// it.
func (c *Command) Parse(args []string) (operands []string, err error) {
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		switch {
		case arg == "--":
			return append(operands, args...), nil
		case strings.HasPrefix(arg, "--"):
			args, err = c.long(arg[2:], args)
		case len(arg) > 1 && arg[0] == '-':
			args, err = c.short(arg[1:], args)
		default:
			operands = append(operands, arg)
		}
		if err != nil {
			return nil, err
		}
	}
	return operands, nil
}

// short reads a bundle of letters; rest are the arguments behind it.
func (c *Command) short(bundle string, rest []string) ([]string, error) {
	for i := 0; i < len(bundle); i++ {
		o := c.byLetter(bundle[i])
		if o == nil {
			return nil, &UsageError{Clean(fmt.Sprintf("%s: invalid option -- '%c'", c.Name, bundle[i]))}
		}
		if o.Arg == "" {
			if err := o.set("-"+bundle[i:i+1], ""); err != nil {
				return nil, err
			}
			continue
		}
		value := bundle[i+1:]
		if value == "" {
			if len(rest) == 0 {
				return nil, &UsageError{fmt.Sprintf("%s: option requires an argument -- '%c'", c.Name, bundle[i])}
			}
			value, rest = rest[0], rest[1:]
		}
		return rest, o.set("-"+bundle[i:i+1], value)
	}
	return rest, nil
}

// long reads a long option, without its dashes.
func (c *Command) long(text string, rest []string) ([]string, error) {
	name, value, has := strings.Cut(text, "=")
	switch name {
	case "help":
		return nil, ErrHelp
	case "version":
		return nil, ErrVersion
	}
	o := c.byName(name)
	switch {
	case o == nil:
		return nil, &UsageError{Clean(fmt.Sprintf("%s: unrecognized option '--%s'", c.Name, name))}
	case o.Arg == "" && has:
		return nil, &UsageError{fmt.Sprintf("%s: option '--%s' doesn't allow an argument", c.Name, name)}
	case o.Arg != "" && !has:
		if len(rest) == 0 {
			return nil, &UsageError{fmt.Sprintf("%s: option '--%s' requires an argument", c.Name, name)}
		}
		value, rest = rest[0], rest[1:]
	}
	return rest, o.set("--"+name, value)
}

// set calls Set and adds the option as written to its error.
func (o *Option) set(written, value string) error {
	err := o.Set(value)
	if err == nil || err == ErrHelp || err == ErrVersion {
		return err
	}
	if o.Arg != "" {
		written += " " + value
	}
	var e *Error
	if !errors.As(err, &e) {
		e = &Error{Text: err.Error()}
	}
	named := *e
	named.option = written
	return &named
}

func (c *Command) byLetter(l byte) *Option {
	for i := range c.Options {
		if o := &c.Options[i]; o.Letter == l && l != 0 {
			return o
		}
	}
	return nil
}

func (c *Command) byName(name string) *Option {
	for i := range c.Options {
		if o := &c.Options[i]; o.Name == name {
			return o
		}
	}
	return nil
}
