package cli

import (
	"fmt"
	"io"
	"strings"
)

const helpColumn = 30 // column of the explanations

// Usage writes the short form: the name, all options and the operands.
func (c *Command) Usage(w io.Writer) {
	const width, indent = 79, "    "
	line := c.Name
	put := func(word string) {
		if len(line)+1+len(word) > width {
			fmt.Fprintln(w, line)
			line = indent + word
			return
		}
		line += " " + word
	}
	for i := range c.Options {
		o := &c.Options[i]
		switch {
		case o.Letter == 0 || o.Help == "":
		case o.Arg == "":
			put(fmt.Sprintf("[ -%c ]", o.Letter))
		default:
			put(fmt.Sprintf("[ -%c %s ]", o.Letter, o.Arg))
		}
	}
	if c.Operands != "" {
		put(c.Operands)
	}
	fmt.Fprintln(w, line)
	fmt.Fprintf(w, "Try '%s --help' for what each option means and for long names.\n", c.Name)
}

// Help writes the long form.
func (c *Command) Help(w io.Writer) {
	fmt.Fprintf(w, "usage: %s\n\n%s\n", strings.TrimSpace(c.Name+" [options] "+c.Operands), c.Purpose)
	group := ""
	for i := range c.Options {
		o := &c.Options[i]
		if o.Help == "" {
			continue
		}
		if o.Group != group {
			group = o.Group
			fmt.Fprintf(w, "\n%s\n", group)
		}
		writeOption(w, o)
	}
	fmt.Fprintf(w, "\nThis text and the version\n")
	writeOption(w, &Option{Name: "help", Help: "show this text"})
	writeOption(w, &Option{Name: "version", Help: "show the version"})
	fmt.Fprintf(w, "\nExit codes\n%s\nExamples\n%s", c.Exits, c.Examples)
}

func writeOption(w io.Writer, o *Option) {
	head := "      --" + o.Name
	if o.Letter != 0 {
		head = fmt.Sprintf("  -%c, --%s", o.Letter, o.Name)
	}
	if o.Arg != "" {
		head += " " + o.Arg
	}
	for i, line := range strings.Split(o.Help, "\n") {
		switch {
		case i == 0 && len(head) > helpColumn-2:
			fmt.Fprintf(w, "%s\n%*s%s\n", head, helpColumn, "", line)
		case i == 0:
			fmt.Fprintf(w, "%-*s%s\n", helpColumn, head, line)
		default:
			fmt.Fprintf(w, "%*s%s\n", helpColumn, "", line)
		}
	}
}

// Finish handles the error of Parse and returns the exit code. It writes help and version to out,
// everything else to errw.
func (c *Command) Finish(err error, out, errw io.Writer) int {
	errw = Printer(errw)
	if o, ok := out.(*Out); ok { // the caller calls Exit
		return c.finish(err, o, errw)
	}
	o := NewOut(out)
	return o.Exit(c.finish(err, o, errw), ExitLog, errw)
}

func (c *Command) finish(err error, out, errw io.Writer) int {
	switch e := err.(type) {
	case nil:
		return ExitOK
	case *UsageError:
		if e.Text != "" {
			Say(errw, e.Text)
		}
		c.Usage(errw)
		return ExitUsage
	}
	switch err {
	case ErrHelp:
		c.Help(out)
		return ExitOK
	case ErrVersion:
		fmt.Fprintf(out, "%s %s\n", c.Name, c.Version)
		if c.About != "" {
			fmt.Fprintln(out, c.About)
		}
		return ExitOK
	}
	Say(errw, err.Error())
	return ExitCode(err)
}
