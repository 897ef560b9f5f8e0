package main

import (
	"bufio"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"uftp/cmd/cli"
	"uftp/cmd/version"
	"uftp/crypto/identity"
	"uftp/crypto/keylog"
	"uftp/pcap"
	"uftp/tools/internal/session"
)

// Exit codes.
const (
	exitYes   = 0
	exitNo    = 1
	exitUsage = 2
	exitIO    = 3
)

// errUsage is wrapped by all that is wrong with a command line.
var errUsage = errors.New("usage")

// errNo says that the answer is no; what was wrong is printed already.
var errNo = errors.New("no")

type command struct {
	name, args, what string
	run              func(t *tool, args []string) error
}

func commands() []command {
	return []command{
		{"inspect", "CAPTURE", "one line a message and a summary of every session", inspect},
		{"extract", "CAPTURE DIRECTORY", "rebuild the files that were sent", extract},
		{"rewrite", "CAPTURE CAPTURE", "change addresses and UIDs, drop and corrupt packets", rewrite},
		{"receiver", "CAPTURE", "play the sender's side into our receiver, or to a real one, and compare its answers", replayReceiver},
		{"sender", "CAPTURE", "play the receivers' answers into our sender and compare what it sends", replaySender},
	}
}

// tool is one run: where it writes, and the options that all commands have.
type tool struct {
	out  io.Writer // takes whole lines
	err  io.Writer
	keys session.Keys
	from []string // the files that the keys come from

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
	case err == nil || errors.Is(err, pflag.ErrHelp):
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
				return c.run(t, args[1:])
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

// flags makes the set of options of a command; parse completes it.
func (t *tool) flags(name string) *pflag.FlagSet {
	f := pflag.NewFlagSet(name, pflag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.SortFlags = false
	f.StringArray("keylog", nil, "key log with the secrets of encrypted sessions (docs/keylog.md); may be repeated")
	f.StringArray("key", nil, "PEM file with private keys of hosts, long-term ones or those of an ECDH exchange; may be repeated")
	f.String("session", "", "look at this session only: GROUP or GROUP/INSTANCE, such as 8b69467a/0")
	return f
}

// parse reads the command line and the keys it names; n operands are wanted.
func (t *tool) parse(f *pflag.FlagSet, args []string, n int) ([]string, error) {
	var c command
	for _, c = range commands() {
		if c.name == f.Name() {
			break
		}
	}
	if err := f.Parse(args); errors.Is(err, pflag.ErrHelp) {
		fmt.Fprintf(t.out, "Usage: uftp-replay %s [options] %s\n\n%s\n\n%s", c.name, c.args, c.what, f.FlagUsages())
		return nil, err
	} else if err != nil {
		return nil, fmt.Errorf("%w: %v", errUsage, err)
	}
	if f.NArg() != n {
		return nil, fmt.Errorf("%w: uftp-replay %s [options] %s", errUsage, c.name, c.args)
	}
	if text, _ := f.GetString("session"); text != "" {
		var err error
		if t.only, t.anyInst, err = session.ParseID(text); err != nil {
			return nil, fmt.Errorf("%w: --session: %v", errUsage, err)
		}
		t.hasOnly = true
	}
	logs, _ := f.GetStringArray("keylog")
	for _, name := range logs {
		t.from = append(t.from, name)
		r, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		err = t.keys.ReadLog(r)
		r.Close()
		if errors.Is(err, keylog.ErrLine) {
			fmt.Fprintln(t.err, cli.Clean(fmt.Sprintf("Warning: %s: %v: left out", name, err)))
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	pems, _ := f.GetStringArray("key")
	for _, name := range pems {
		t.from = append(t.from, name)
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		list, err := parseKeys(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		t.keys.Private = append(t.keys.Private, list...)
	}
	return f.Args(), nil
}

// parsePEM reads one private key; tests that run often keep what it has read.
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

// mode returns the permissions of what is made of a capture, and of the keys that have
// opened it: nobody gets to read more by that. Of what comes through a pipe nobody
// knows, so it stays with its owner.
func (t *tool) mode(capture string) fs.FileMode {
	mode := fs.FileMode(0o666)
	for _, name := range append(t.from, capture) {
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

// toldMax is how many super-packets that cannot be split are told one by one.
const toldMax = 10

// read hands all messages of a capture to each; *d, if d is not nil, is the decoder
// that does it. Super-packets that cannot be split are told to the user and to lost;
// damage of the capture ends it.
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
		if refused > toldMax {
			fmt.Fprintf(t.err, "uftp-replay: %s: and %d more that cannot be split\n", cli.Clean(name), refused-toldMax)
		}
	}()
	for {
		m, err := dec.Next()
		switch {
		case err == io.EOF:
			return nil
		case errors.Is(err, pcap.ErrSuper):
			if refused++; refused <= toldMax {
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
