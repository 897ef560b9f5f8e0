//go:build linux

package interop

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"uftp/tools/netlab"
)

// parallelMax is how many scenarios run at once: most of their time they wait,
// but the timers of the protocol do not stand a starved process.
const parallelMax = 4

// combo says whose sender meets whose receiver.
type combo struct{ oursTx, oursRx bool }

var combos = []combo{{false, false}, {true, false}, {false, true}, {true, true}}

func (c combo) String() string {
	name := map[bool]string{false: "stock", true: "ours"}
	return name[c.oursTx] + "-" + name[c.oursRx]
}

// side says which programs a scenario needs.
type side int

const (
	bothSides side = iota
	txOnly         // no receiver, or the test plays it
	rxOnly         // no sender, or the test plays it
	ourSender      // what only ours can send, to receivers of both makes
	oneOurs        // what the stock programs alone cannot do
)

func (s side) wants(c combo) bool {
	return !(s == txOnly && c.oursRx) && !(s == rxOnly && c.oursTx) && !(s == ourSender && !c.oursTx) &&
		!(s == oneOurs && !c.oursTx && !c.oursRx)
}

// scenario is one line of the list, or a part of one.
type scenario struct {
	id    string // its number, with a letter if a line has several
	side  side
	alone bool // too heavy to share the machine
	run   func(t *testing.T, e *env)
}

// groups is every scenario there is, by the name of its test.
var groups = map[string][]scenario{
	"Basics": basics, "Membership": membership, "Names": names, "Existing": existing,
	"Restart": restart, "Loss": loss, "Aborts": aborts, "Status": statusLines, "Scale": scale, "Hard": hard, "Crypt": crypt, "Capture": captured, "Register": registering,
}

func TestBasics(t *testing.T)     { runGroup(t, basics) }
func TestMembership(t *testing.T) { runGroup(t, membership) }
func TestNames(t *testing.T)      { runGroup(t, names) }
func TestExisting(t *testing.T)   { runGroup(t, existing) }
func TestRestart(t *testing.T)    { runGroup(t, restart) }
func TestLoss(t *testing.T)       { runGroup(t, loss) }
func TestAborts(t *testing.T)     { runGroup(t, aborts) }
func TestStatus(t *testing.T)     { runGroup(t, statusLines) }
func TestScale(t *testing.T)      { runGroup(t, scale) }
func TestHard(t *testing.T)       { runGroup(t, hard) }

// runGroup runs scenarios in all combinations: first those that want the
// machine for themselves, then the others side by side.
func runGroup(t *testing.T, list []scenario) {
	netlab.Require(t, "uftp", "uftpd", "tshark")
	for _, alone := range []bool{true, false} {
		for _, c := range combos {
			for _, s := range list {
				if s.alone != alone || !s.side.wants(c) {
					continue
				}
				t.Run(c.String()+"/"+s.id, func(t *testing.T) {
					if !alone {
						t.Parallel()
					}
					run(t, c, s)
				})
			}
		}
	}
}

// run gives a scenario a clean lab and empty directories. When it fails, the
// commands and their output are printed.
func run(t *testing.T, c combo, s scenario) {
	b, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	lab, err := labs.get()
	if err != nil {
		t.Fatal(err)
	}
	e := newEnv(t, c, b, lab)
	defer func() {
		if t.Failed() {
			e.explain()
		}
		if err := lab.Reset(); err != nil {
			t.Error(err)
			lab.Close()
			return
		}
		labs.put(lab)
	}()
	s.run(t, e)
}

// binaries is where the programs are.
type binaries struct {
	stock map[string]string // program name to path
	ours  string            // directory
}

func (b binaries) path(program string, ours bool) string {
	if ours {
		return filepath.Join(b.ours, program)
	}
	return b.stock[program]
}

// programs finds the stock programs and builds ours, once.
var programs = sync.OnceValues(func() (b binaries, err error) {
	b.stock = make(map[string]string)
	for _, p := range []string{"uftp", "uftpd"} {
		if b.stock[p], err = exec.LookPath(p); err != nil {
			return b, err
		}
	}
	dir := filepath.Join(workDir, "bin")
	cmd := exec.Command("go", "build", "-o", dir+string(filepath.Separator), "uftp/cmd/uftp", "uftp/cmd/uftpd")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return b, fmt.Errorf("build our programs: %w: %s", err, out)
	}
	b.ours = dir
	return b, nil
})

// labPool gives out labs of three receivers and keeps those that come back.
type labPool struct {
	mu   sync.Mutex
	free []*netlab.Lab
}

var labs labPool

func (p *labPool) get() (*netlab.Lab, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.free); n > 0 {
		l := p.free[n-1]
		p.free = p.free[:n-1]
		return l, nil
	}
	return netlab.Open(netlab.Config{Receivers: 3})
}

func (p *labPool) put(l *netlab.Lab) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free = append(p.free, l)
}

func (p *labPool) close() error {
	var err error
	for _, l := range p.free {
		err = errors.Join(err, l.Close())
	}
	return err
}

// workDir holds everything the tests write. Its name is short because paths in
// the protocol are limited.
var workDir string

func TestMain(m *testing.M) {
	flag.Parse()
	set := false
	flag.Visit(func(f *flag.Flag) { set = set || f.Name == "test.parallel" })
	if !set {
		if err := flag.Set("test.parallel", fmt.Sprint(parallelMax)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	var err error
	if workDir, err = os.MkdirTemp("", "ui"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	if err := errors.Join(labs.close(), os.RemoveAll(workDir)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// notHere are the numbers of the list that this package leaves out, and why.
var notHere = map[string]string{
	"122": "response proxy",
	"128": "TestCryptSend and TestCryptRecv run the combinations",
	"133": "more than 65535 files take longer than a test may",
}

// TestCovered keeps the groups and the list in step.
func TestCovered(t *testing.T) {
	have := make(map[string]bool)
	seen := make(map[string]bool)
	for group, list := range groups {
		for _, s := range list {
			if seen[s.id] {
				t.Errorf("%s has scenario %s a second time", group, s.id)
			}
			seen[s.id] = true
			have[strings.TrimRight(s.id, "abcdefgh")] = true
		}
	}
	for n := 1; n <= 133; n++ {
		id := fmt.Sprintf("%02d", n)
		if why, left := notHere[id]; left == have[id] {
			t.Errorf("scenario %s: in the groups %v, left out %v (%s)", id, have[id], left, why)
		}
	}
}
