package main

import (
	"fmt"
	"io"
	"os"

	"uftp/cmd/cli"
)

// exitWarn is the exit code when there are warnings.
const exitWarn = 7

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run is the command; it returns the exit code.
func run(args []string, stdout, stderr io.Writer) int {
	cli.KeepPipes()
	out := cli.NewOut(stdout)
	return out.Exit(examine(args, out, stderr), cli.ExitLog, stderr)
}

func examine(args []string, stdout, stderr io.Writer) int {
	host, err := cli.NewHost()
	if err != nil {
		cli.Say(stderr, err.Error())
		return cli.ExitNet
	}
	o := newOptions(host)
	cmd := o.command()
	operands, err := cmd.Parse(args)
	if err == nil && len(operands) > 0 {
		err = &cli.UsageError{}
	}
	if err != nil {
		return cmd.Finish(err, stdout, stderr)
	}
	f, err := gather(o)
	for _, w := range o.resolver.Warnings {
		cli.Say(stderr, w)
	}
	if err != nil {
		return cmd.Finish(err, stdout, stderr)
	}
	code := cli.ExitOK
	for _, x := range f.findings() {
		x.write(stdout)
		if x.fix != "" {
			code = exitWarn
		}
	}
	return code
}

// finding is the result of one check; with a fix it is a warning.
type finding struct{ name, text, fix string }

func (x *finding) write(w io.Writer) {
	grade := "ok"
	if x.fix != "" {
		grade = "warn"
	}
	fmt.Fprintf(w, "%-5s %-11s %s\n", grade, x.name, cli.Clean(x.text))
	if x.fix != "" {
		fmt.Fprintf(w, "%-17s fix: %s\n", "", cli.Clean(x.fix))
	}
}
