package main

import (
	"bufio"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"uftp/cmd/cli"
	"uftp/cmd/version"
	"uftp/crypto/identity"
	"uftp/crypto/keylog"
	"uftp/pcap/frames"
	"uftp/tools/internal/session"
)

// Exit codes.
const (
	exitYes   = 0
	exitNo    = 1
	exitUsage = 2
	exitIO    = 3
)

// errUsage is wrapped by all errors about the command line.
var errUsage = errors.New("usage")

// errNo says that the answer is no. The reasons are printed already.
var errNo = errors.New("no")

// command is a row of the table of commands.
type command struct {
	name, args, what string
	examples         string
	job              func(t *tool) job
}

// job is what a command does: options of its own, and run for the operands.
type job struct {
	options []cli.Option
	run     func(operands []string) error
}

func commands() []command {
	return []command{
		{"inspect", "CAPTURE", "shows one line a message and a summary of every session", "" +
			"  uftp-replay inspect session.pcap\n" +
			"  uftp-replay inspect --summary --plot session.svg session.pcap\n", inspect},
		{"extract", "CAPTURE DIRECTORY", "rebuilds the files that were sent",
			"  uftp-replay extract --key server.pem session.pcap out\n", extract},
		{"rewrite", "CAPTURE CAPTURE", "changes addresses and UIDs, drops and corrupts packets", "" +
			"  uftp-replay rewrite --session 8b69467a/0 all.pcap one.pcap\n" +
			"  uftp-replay rewrite --drop func=FILESEG,percent=2 in.pcap bad.pcap\n", rewrite},
		{"receiver", "CAPTURE", "plays the sender's side into our receiver, or to a real one, and compares its answers", "" +
			"  uftp-replay receiver --keylog keys session.pcap\n" +
			"  uftp-replay receiver --interface eth0 --uid 0x0A50000B --dest /srv/dest session.pcap\n", replayReceiver},
		{"sender", "CAPTURE", "plays the receivers' answers into our sender and compares what it sends",
			"  uftp-replay sender --session 8b69467a/0 session.pcap\n", replaySender},
	}
}

// tool is one run: where it writes, and the options that all commands have.
type tool struct {
	out  io.Writer // takes whole lines
	err  io.Writer
	keys session.Keys
	logs []string // names of key logs
	pems []string // names of files with private keys

	only    session.ID // of --session
	hasOnly bool
	anyInst bool
}

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	cli.KeepPipes()
	b := bufio.NewWriterSize(stdout, 64<<10)
	t := &tool{out: cli.Printer(b), err: cli.Printer(stderr)}
	err := t.dispatch(args)
	if ferr := b.Flush(); err == nil || errors.Is(err, errNo) && ferr != nil {
		err = ferr
	}
	switch {
	case err == nil:
		return exitYes
	case errors.Is(err, errNo):
		return exitNo
	}
	fmt.Fprintln(stderr, cli.Clean(fmt.Sprintf("uftp-replay: %v", err)))
	if errors.Is(err, errUsage) {
		return exitUsage
	}
	return exitIO
}

func (t *tool) dispatch(args []string) error {
	if len(args) > 0 {
		for _, c := range commands() {
			if c.name == args[0] {
				return t.do(&c, args[1:])
			}
		}
	}
	if len(args) > 0 && args[0] == "--version" {
		fmt.Fprintf(t.out, "uftp-replay %s\n", version.Version)
		return nil
	}
	w := t.err
	if len(args) > 0 && (args[0] == "-h" || args[0] == "--help" || args[0] == "help") {
		w = t.out
	}
	fmt.Fprint(w, "Usage: uftp-replay COMMAND [options] CAPTURE ...\n\n")
	for _, c := range commands() {
		fmt.Fprintf(w, "  %-9s %s\n", c.name, c.what)
	}
	fmt.Fprint(w, "\nCAPTURE is a pcap or pcapng file, gzip-compressed or not, or - for standard input.\n"+
		"uftp-replay COMMAND --help lists the options of a command; uftp-replay --version.\n"+
		"Exit code: 0 yes, 1 no (files not complete, answers that differ), 2 wrong usage,\n3 a file cannot be read or written.\n")
	if w == t.out {
		return nil
	}
	if len(args) == 0 {
		return fmt.Errorf("%w: no command given", errUsage)
	}
	return fmt.Errorf("%w: no command %q", errUsage, args[0])
}

const exits = "   0  yes\n   1  no: files not complete, answers that differ\n   2  wrong usage\n   3  a file cannot be read or written\n"

// do parses the command line of a command, reads the keys it names, and runs it.
func (t *tool) do(c *command, args []string) error {
	const group = "Sessions and their keys"
	j := c.job(t)
	for i := range j.options {
		if o := &j.options[i]; o.Group == "" {
			o.Group = "What it does"
		}
	}
	line := cli.Command{
		Name: "uftp-replay " + c.name, Operands: c.args, Purpose: c.what, Version: version.Version, Exits: exits, Examples: c.examples,
		Options: append(j.options, []cli.Option{
			{Name: "keylog", Arg: "FILE", Group: group, Set: add(&t.logs),
				Help: "key log with the secrets of encrypted sessions\n(docs/keylog.md); may be repeated"},
			{Name: "key", Arg: "PEM", Group: group, Set: add(&t.pems),
				Help: "file with private keys of hosts, long-term ones or those\nof an ECDH exchange; may be repeated"},
			{Name: "session", Arg: "ID", Group: group, Set: t.setSession,
				Help: "look at this session only: GROUP or GROUP/INSTANCE, such\nas 8b69467a/0"},
			{Letter: 'h', Set: func(string) error { return cli.ErrHelp }},
		}...),
	}
	names, err := line.Parse(args)
	switch {
	case err == cli.ErrHelp || err == cli.ErrVersion:
		line.Finish(err, t.out, t.err)
		return nil
	case err != nil:
		return fmt.Errorf("%w: %s", errUsage, strings.TrimPrefix(err.Error(), line.Name+": "))
	case len(names) != len(strings.Fields(c.args)):
		return fmt.Errorf("%w: %s [options] %s", errUsage, line.Name, c.args)
	}
	if err := t.readKeys(); err != nil {
		return err
	}
	return j.run(names)
}

// add returns a Set that adds each value to a list.
func add(list *[]string) func(string) error {
	return func(v string) error { *list = append(*list, v); return nil }
}

func (t *tool) setSession(v string) (err error) {
	t.only, t.anyInst, err = session.ParseID(v)
	t.hasOnly = true
	return err
}

// readKeys reads the key logs and private keys that the command line names.
func (t *tool) readKeys() error {
	for _, name := range t.logs {
		r, err := os.Open(name)
		if err != nil {
			return err
		}
		err = t.keys.ReadLog(r)
		r.Close()
		if errors.Is(err, keylog.ErrLine) {
			fmt.Fprintln(t.err, cli.Clean(fmt.Sprintf("Warning: %s: %v: left out", name, err)))
			continue
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	for _, name := range t.pems {
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		list, err := parseKeys(text)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		t.keys.Private = append(t.keys.Private, list...)
	}
	return nil
}

// parsePEM reads one private key. Tests replace it to read each key once.
var parsePEM = identity.ParsePEM

// parseKeys reads all private keys of a PEM file, at least one.
func parseKeys(text []byte) (list []*identity.PrivateKey, err error) {
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if !strings.HasSuffix(block.Type, "PRIVATE KEY") {
			continue // parameters of a curve, certificates
		}
		k, err := parsePEM(pem.EncodeToMemory(block))
		if err != nil {
			return nil, fmt.Errorf("key %d: %w", len(list)+1, err)
		}
		list = append(list, k)
	}
	if len(list) == 0 {
		_, err = identity.ParsePEM(text) // says why
	}
	return list, err
}

// wanted reports whether a session is one to look at.
func (t *tool) wanted(s *session.Session) bool {
	return !t.hasOnly || s != nil && s.Group == t.only.Group && (t.anyInst || s.Instance == t.only.Instance)
}

// placeOf says where in the capture a message stands.
func placeOf(m *session.Message) string {
	return fmt.Sprintf("packet %d at offset %d", m.Frame, m.Offset)
}

// mode returns the permissions for files made from a capture: those that the capture and
// the keys have in common, so that nobody can read more than before. A pipe has no
// permissions, so files made from it are for their owner alone.
func (t *tool) mode(capture string) fs.FileMode {
	mode := fs.FileMode(0o666)
	for _, name := range slices.Concat(t.logs, t.pems, []string{capture}) {
		info, err := os.Stat(name)
		if name == "-" {
			info, err = os.Stdin.Stat()
		}
		if err != nil || !info.Mode().IsRegular() {
			return 0o600
		}
		mode &= info.Mode()
	}
	return mode | 0o600
}

// reportedMax is how many super-packets that cannot be split are reported one by one.
const reportedMax = 10

// read calls each for all messages of a capture. *d, if d is not nil, is the decoder.
// Super-packets that cannot be split are reported to the user and to lost; damage of the
// capture ends the reading.
func (t *tool) read(name string, d **session.Decoder, each func(*session.Message) error, lost func(error)) error {
	r := io.Reader(os.Stdin)
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		r = f
	}
	dec, err := session.NewDecoder(bufio.NewReaderSize(r, 1<<20), &t.keys)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if d != nil {
		*d = dec
	}
	refused := 0
	defer func() {
		if refused > reportedMax {
			fmt.Fprintf(t.err, "uftp-replay: %s: and %d more that cannot be split\n", cli.Clean(name), refused-reportedMax)
		}
	}()
	for {
		m, err := dec.Next()
		switch {
		case err == io.EOF:
			return nil
		case errors.Is(err, frames.ErrSuper):
			if refused++; refused <= reportedMax {
				fmt.Fprintln(t.err, cli.Clean(fmt.Sprintf("uftp-replay: %s: %v", name, err)))
			}
			if lost != nil {
				lost(err)
			}
			continue
		case err != nil:
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := each(&m); err != nil {
			return err
		}
	}
}
