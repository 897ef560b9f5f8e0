package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"uftp/cmd/cli"
	"uftp/cmd/version"
	"uftp/crypto/identity"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// options is the command line.
type options struct {
	generate *identity.Spec
	remove   bool
}

// run is the command; it returns the exit code.
func run(args []string, stdout, stderr io.Writer) int {
	cli.KeepPipes()
	out := cli.NewOut(stdout)
	return out.Exit(manage(args, out, stderr), cli.ExitUsage, stderr)
}

func manage(args []string, stdout, stderr io.Writer) int {
	var o options
	cmd := o.command()
	files, err := cmd.Parse(args)
	if err == nil {
		err = o.check(files)
	}
	if err != nil {
		return cmd.Finish(err, stdout, stderr)
	}
	if o.remove {
		return cli.ExitOK
	}
	if err := cli.NoCores(); err != nil {
		fmt.Fprintln(stderr, "Warning: a core file of this program would contain keys: "+cli.ErrText(err))
	}
	if o.generate != nil {
		files = files[:1]
		if err := o.store(files[0], stderr); err != nil {
			cli.Say(stderr, err.Error())
			fmt.Fprintln(stderr, "Error generating/storing key")
			return cli.ExitUsage
		}
	}
	code := cli.ExitOK
	for _, name := range files {
		k, err := cli.ReadKeyFile(name, func(line string) { cli.Say(stderr, line) })
		if err != nil {
			cli.Say(stderr, err.Error())
			fmt.Fprintf(stderr, "%s: no such key\n", cli.Clean(name))
			code = cli.ExitUsage
			continue
		}
		fmt.Fprintf(stdout, "%s: %s\n", cli.Clean(name), k.Public())
		k.Wipe()
	}
	return code
}

func (o *options) command() *cli.Command {
	return &cli.Command{
		Name:     "uftp_keymgt",
		Purpose:  "Describes the keys in files, or creates a new one.",
		Operands: "keyfile ...",
		Version:  version.Version,
		Exits:    "   0  everything was done\n   1  an option, or a key that could not be read, created or stored;\n      standard output\n",
		Examples: "  uftp_keymgt -g ec:prime256v1 server.pem\n  uftp_keymgt server.pem client.pem\n",
		Options: []cli.Option{
			{Letter: 'g', Name: "generate", Arg: "rsa:BITS|ec:CURVE", Group: "Keys", Set: o.setGenerate,
				Help: "create a key, store it in the file and describe it;\n" +
					fmt.Sprintf("BITS %d to %d; sessions need a multiple of 32;\n", identity.RSABitsMin, identity.RSABitsMaxStock) +
					"CURVE one of " + identity.CurveNames()},
			{Letter: 'd', Name: "delete", Group: "Keys", Set: func(string) error { o.remove = true; return nil },
				Help: "no effect, for command lines of other systems"},
			{Letter: 'm', Name: "machine", Group: "Keys", Set: func(string) error { return nil },
				Help: "no effect, for command lines of other systems"},
		},
	}
}

// setGenerate reads the value of -g; its texts are those of the stock program.
func (o *options) setGenerate(value string) error {
	s, err := identity.ParseSpec(value)
	var curve *identity.CurveError
	switch {
	case errors.As(err, &curve):
		return &cli.Error{Text: "Invalid curve", Allowed: identity.CurveNames() + "; " + curve.Error()}
	case err == identity.ErrSpecBits:
		return &cli.Error{Text: "Invalid key size", Allowed: fmt.Sprintf("%d to %d bits", identity.RSABitsMin, identity.RSABitsMaxStock)}
	case err != nil:
		return &cli.Error{Text: "Invalid key specification", Allowed: "rsa:BITS or ec:CURVE"}
	}
	o.generate = &s
	return nil
}

func (o *options) check(files []string) error {
	switch {
	case o.generate != nil && o.remove:
		return cli.Fail("Can't specify both -g and -d")
	case (o.generate != nil || o.remove) && len(files) == 0:
		return cli.Fail("No keyfile specified")
	}
	return nil
}

// store creates the key, writes it to a file that must not exist, and warns if it is weak.
func (o *options) store(name string, stderr io.Writer) error {
	k, err := cli.MakeKeyFile(name, *o.generate)
	if err != nil {
		return err
	}
	defer k.Wipe()
	if level, why := k.Public().Strength(); level <= identity.Legacy {
		fmt.Fprintf(stderr, "Warning: %s\n", why)
	}
	if k.Public().BlobLen()%4 != 0 {
		fmt.Fprintln(stderr, "Warning: no session can use an RSA key whose size is not a multiple of 32 bits")
	}
	return nil
}
