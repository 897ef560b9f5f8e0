//go:build linux

package interop

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"uftp/tools/netlab"
)

// How long a session, a start and everything else may take at most.
const (
	sessionMax = 60 * time.Second
	startMax   = 30 * time.Second
	soon       = 15 * time.Second
)

// The sender's UID and lists of receivers as the command line takes them.
const (
	uidS = "0x0A580064"
	uidA = "0x0A580001"
	uidB = "0x0A580002"
	uidC = "0x0A580003"
	hA   = "-H" + uidA
	hAB  = "-H" + uidA + "," + uidB
	hABC = "-H" + uidA + "," + uidB + "," + uidC
)

// env is what a scenario works with: a lab of S, A, B and C, the programs of
// its combination, and a directory with src for the sender's files and one
// destination directory for each receiver.
type env struct {
	OursTx, OursRx bool
	S, A, B, C     *netlab.Host

	t     *testing.T
	bin   binaries
	dir   string
	procs []*netlab.Proc
	tries int // captures and status files so far, for their names
	st    string
}

func newEnv(t *testing.T, c combo, b binaries, lab *netlab.Lab) *env {
	t.Helper()
	dir, err := os.MkdirTemp(workDir, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	e := &env{
		OursTx: c.oursTx, OursRx: c.oursRx, t: t, bin: b, dir: dir, st: filepath.Join(dir, "st"),
		S: lab.Sender(), A: lab.Receiver(0), B: lab.Receiver(1), C: lab.Receiver(2),
	}
	for _, d := range []string{"src", "S", "A", "B", "C"} {
		e.mkdir(d)
	}
	return e
}

// explain prints every command of the scenario with what it wrote.
func (e *env) explain() {
	const tail = 6000 // bytes
	var b strings.Builder
	for _, p := range e.procs {
		state := "running"
		if p.Exited() {
			res, _ := p.WaitFor(time.Second)
			state = fmt.Sprintf("exit code %d after %v", res.Code, res.Took.Round(time.Millisecond))
		}
		fmt.Fprintf(&b, "\n== on %s, %s: %s\n", p.Host.Name, state, p.Command)
		for _, text := range []string{p.Stdout(), p.Stderr()} {
			if len(text) > tail {
				b.WriteString(text[:tail/3] + "\n   [...]\n" + text[len(text)-tail*2/3:])
			} else {
				b.WriteString(text)
			}
		}
	}
	if text, err := os.ReadFile(e.st); err == nil {
		fmt.Fprintf(&b, "\n== status file\n%s", text)
	}
	e.t.Log(b.String())
}

// ok stops the scenario on an error of the harness itself.
func (e *env) ok(err error) {
	e.t.Helper()
	if err != nil {
		e.t.Fatal(err)
	}
}

// want reports a broken expectation.
func (e *env) want(holds bool, expectation string, args ...any) {
	e.t.Helper()
	if !holds {
		e.t.Errorf("want: "+expectation, args...)
	}
}

// Directories and files.

// in is a path in the scenario's directory.
func (e *env) in(parts ...string) string {
	return filepath.Join(append([]string{e.dir}, parts...)...)
}

func (e *env) src(name string) string { return e.in("src", name) }

// dest is the destination directory of a host, or a path in it.
func (e *env) dest(h *netlab.Host, parts ...string) string {
	return e.in(append([]string{h.Name}, parts...)...)
}

func (e *env) mkdir(parts ...string) string {
	e.t.Helper()
	dir := e.in(parts...)
	e.ok(os.MkdirAll(dir, 0o755))
	return dir
}

// file makes a source file whose time lies in the past and is not on a whole second.
func (e *env) file(name string, size int64) string {
	e.t.Helper()
	path := e.src(name)
	seed := uint64(size)
	for _, c := range []byte(name) {
		seed = seed*131 + uint64(c)
	}
	e.ok(netlab.WriteRandom(path, size, seed))
	e.ok(os.Chtimes(path, time.Time{}, time.Unix(1_600_000_000+size%1000, 500_000_000)))
	return path
}

// write makes any file of the scenario with a given text.
func (e *env) write(text string, parts ...string) string {
	e.t.Helper()
	path := e.in(parts...)
	e.ok(os.MkdirAll(filepath.Dir(path), 0o755))
	e.ok(os.WriteFile(path, []byte(text), 0o644))
	return path
}

func (e *env) link(text string, parts ...string) {
	e.t.Helper()
	path := e.in(parts...)
	e.ok(os.MkdirAll(filepath.Dir(path), 0o755))
	e.ok(os.Symlink(text, path))
}

func (e *env) exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// got wants source file name, whole and with its time, at dest/name of the hosts.
func (e *env) got(name string, hosts ...*netlab.Host) {
	e.t.Helper()
	for _, h := range hosts {
		e.gotAs(name, e.dest(h, name))
	}
}

// gotAs wants source file name at path. A stock receiver sets the time after
// it has answered, so a moment is granted.
func (e *env) gotAs(name, path string) {
	e.t.Helper()
	e.becomes(func() error { return netlab.SameFile(e.src(name), path) })
}

// gotTree wants everything below src at dest of a host.
func (e *env) gotTree(h *netlab.Host) {
	e.t.Helper()
	e.becomes(func() error { return netlab.SameTree(e.in("src"), e.dest(h)) })
}

// becomes wants that check passes soon: another process may still be at it.
func (e *env) becomes(check func() error) {
	e.t.Helper()
	var err error
	e.await(func() bool { err = check(); return err == nil }, soon)
	if err != nil {
		e.t.Error(err)
	}
}

// soonExists and soonGone wait until a path exists, or does not exist any more.
func (e *env) soonExists(path, why string) {
	e.t.Helper()
	e.want(e.await(func() bool { return e.exists(path) }, soon), "%s: %s exists", why, path)
}

func (e *env) soonGone(path, why string) {
	e.t.Helper()
	e.want(e.await(func() bool { return !e.exists(path) }, soon), "%s: %s does not exist", why, path)
}

// holds wants exactly these names below dir, in the form of netlab.List, sorted.
func (e *env) holds(dir string, names ...string) {
	e.t.Helper()
	var list []string
	var err error
	slices.Sort(names)
	e.await(func() bool { list, err = netlab.List(dir); return err == nil && slices.Equal(list, names) }, soon)
	if err != nil || !slices.Equal(list, names) {
		e.t.Errorf("want: %s holds %q; it holds %q (%v)", dir, names, list, err)
	}
}

// await polls until cond holds, or the time is over.
func (e *env) await(cond func() bool, limit time.Duration) bool {
	for end := time.Now().Add(limit); !cond(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}

// Receivers.

// rx starts RX on a host: in the foreground, with the host's destination
// directory unless args hold a -D. It returns when the receiver can hear.
func (e *env) rx(h *netlab.Host, args ...string) *netlab.Proc {
	e.t.Helper()
	return e.rxAs(e.OursRx, h, args...)
}

// rxAs is rx with a chosen implementation.
func (e *env) rxAs(ours bool, h *netlab.Host, args ...string) *netlab.Proc {
	e.t.Helper()
	all := []string{"-d", "-q"}
	if !has(args, "-I") {
		all = append(all, "-I", netlab.Device)
	}
	if !has(args, "-D") {
		all = append(all, "-D", e.dest(h))
	}
	p := e.start(h, e.dir, append([]string{e.bin.path("uftpd", ours)}, append(all, args...)...)...)
	e.ok(p.WaitLog(ready, startMax))
	return p
}

// ready is what both receivers log when they have bound their port, joined their
// groups and set their signal handlers.
const ready = "UFTP version"

func has(args []string, option string) bool { return slices.Contains(args, option) }

// logged waits for text in the log file of a daemon in the background.
func (e *env) logged(path, text string) {
	e.t.Helper()
	e.want(e.await(func() bool { log, _ := os.ReadFile(path); return strings.Contains(string(log), text) }, startMax), "%q in %s", text, path)
}

// arrive waits until n more bytes have come to a host while p runs.
func (e *env) arrive(p *netlab.Proc, h *netlab.Host, n int64) {
	e.t.Helper()
	before, err := h.Received()
	e.ok(err)
	e.ok(p.WaitUntil(func() bool {
		now, err := h.Received()
		return err == nil && now >= before+n
	}, fmt.Sprintf("%d more bytes at %s", n, h.Name), soon))
}

// stop ends a receiver with SIGTERM and wants exit code 6.
func (e *env) stop(p *netlab.Proc) {
	e.t.Helper()
	p.Signal(syscall.SIGTERM)
	res, err := p.WaitFor(soon)
	e.ok(err)
	e.want(res.Code == 6, "exit code 6 after SIGTERM, got %d", res.Code)
}

// Senders.

// txArgs is TX: low round-trip time, few retries, 10000 Kbit/s, a status file.
// Options in args come later and win.
func (e *env) txArgs(args []string) []string {
	return append([]string{"-I", netlab.Device, "-r", "0.05", "-s", "10", "-R", "10000", "-S", e.st}, args...)
}

// tx runs TX in src to its end.
func (e *env) tx(args ...string) netlab.Result {
	e.t.Helper()
	return e.end(e.txStart(args...))
}

// txCode runs TX and wants an exit code.
func (e *env) txCode(code int, args ...string) netlab.Result {
	e.t.Helper()
	res := e.tx(args...)
	e.want(res.Code == code, "sender ends with code %d, got %d", code, res.Code)
	return res
}

// txStart starts TX.
func (e *env) txStart(args ...string) *netlab.Proc {
	e.t.Helper()
	return e.txRaw(e.txArgs(args)...)
}

// txRaw starts the sender with exactly these arguments.
func (e *env) txRaw(args ...string) *netlab.Proc {
	e.t.Helper()
	return e.txAs(e.OursTx, args...)
}

// txAs is txRaw with a chosen implementation.
func (e *env) txAs(ours bool, args ...string) *netlab.Proc {
	e.t.Helper()
	return e.start(e.S, e.in("src"), append([]string{e.bin.path("uftp", ours)}, args...)...)
}

func (e *env) start(h *netlab.Host, dir string, argv ...string) *netlab.Proc {
	e.t.Helper()
	p, err := h.Start(netlab.Spec{Argv: argv, Dir: dir})
	e.ok(err)
	e.procs = append(e.procs, p)
	return p
}

// end waits for a program to end by itself.
func (e *env) end(p *netlab.Proc) netlab.Result {
	e.t.Helper()
	res, err := p.WaitFor(sessionMax)
	e.ok(err)
	return res
}

// log waits for text in a program's output.
func (e *env) log(p *netlab.Proc, text string) {
	e.t.Helper()
	if err := p.WaitLog(text, sessionMax/4); err != nil {
		e.t.Error(err)
	}
}

// Status lines.

// fresh empties the status file.
func (e *env) fresh() { os.Remove(e.st) }

// status is the sender's status file, a line split at its semicolons.
func (e *env) status() [][]string {
	text, _ := os.ReadFile(e.st)
	var lines [][]string
	for line := range strings.Lines(string(text)) {
		lines = append(lines, strings.Split(strings.TrimSuffix(line, "\n"), ";"))
	}
	return lines
}

// lines returns the status lines that begin with these fields.
func (e *env) lines(fields ...string) [][]string {
	var found [][]string
	for _, l := range e.status() {
		if len(l) >= len(fields) && slices.Equal(l[:len(fields)], fields) {
			found = append(found, l)
		}
	}
	return found
}

// connect wants exactly one CONNECT line for each receiver.
func (e *env) connect(state string, receivers ...string) {
	e.t.Helper()
	for _, r := range receivers {
		e.want(len(e.lines("CONNECT", state, r)) == 1, "one line CONNECT;%s;%s", state, r)
	}
}

// result wants exactly one RESULT line for a receiver and a file, with this status.
func (e *env) result(receiver, file, status string) {
	e.t.Helper()
	found := e.lines("RESULT", receiver, file)
	e.want(len(found) == 1 && len(found[0]) >= 5 && found[0][4] == status, "one line RESULT;%s;%s with %s, got %q", receiver, file, status, found)
}

// missed wants that a receiver did not get a file because it did not hear: the sender
// gives it up, or on a busy machine, where G is longer, it the sender.
func (e *env) missed(receiver, file string) {
	e.t.Helper()
	found := e.lines("RESULT", receiver, file)
	e.want(len(found) == 1 && len(found[0]) >= 5 && (found[0][4] == "lost" || found[0][4] == "aborted"), "one line RESULT;%s;%s with lost or aborted, got %q", receiver, file, found)
}

// Packets.

// capture records at a host; the recording ends with packets.
func (e *env) capture(h *netlab.Host) *netlab.Capture {
	e.t.Helper()
	e.tries++
	c, err := h.Capture(e.in(fmt.Sprintf("%d.pcap", e.tries)))
	e.ok(err)
	return c
}

// packets ends a recording.
func (e *env) packets(c *netlab.Capture) trace {
	e.t.Helper()
	p, err := c.Packets()
	e.ok(err)
	if n := c.Missed(); n > 0 {
		e.t.Logf("tcpdump came too late for %d packets", n)
	}
	return p
}

// seen waits until a recording, which goes on, has what cond looks for.
func (e *env) seen(c *netlab.Capture, what string, cond func(trace) bool) {
	e.t.Helper()
	e.want(e.await(func() bool { tr, _ := c.SoFar(); return cond(tr) }, soon), "%s is recorded", what)
}

// wellFormed ends a recording and lets tshark judge it.
func (e *env) wellFormed(c *netlab.Capture) {
	e.t.Helper()
	if err := c.Check(); err != nil {
		e.t.Error(err)
	}
}

// trace is a recording with ways to ask it.
type trace []netlab.Packet

// of keeps one message type.
func (tr trace) of(fn ...uint8) trace {
	return tr.where(func(p netlab.Packet) bool { return slices.Contains(fn, p.Func()) })
}

// from keeps what a host sent over IPv4.
func (tr trace) from(h *netlab.Host) trace {
	return tr.where(func(p netlab.Packet) bool { return p.Src.Addr() == h.IPv4 })
}

// file keeps a file ID; the types must be such as have one.
func (tr trace) file(id uint16) trace {
	return tr.where(func(p netlab.Packet) bool { return word(p, 18) == id })
}

func (tr trace) where(keep func(netlab.Packet) bool) trace {
	var out trace
	for _, p := range tr {
		if keep(p) {
			out = append(out, p)
		}
	}
	return out
}

// span is the time from the first to the last packet.
func (tr trace) span() time.Duration {
	if len(tr) == 0 {
		return 0
	}
	return tr[len(tr)-1].Time.Sub(tr[0].Time)
}

// word is two bytes of the payload as a number, for example at 18 the file ID,
// at 20 the section, at 22 the block.
func word(p netlab.Packet, at int) uint16 {
	return uint16(p.Payload[at])<<8 | uint16(p.Payload[at+1])
}

// Loss.

// drop loses datagrams that arrive at a host, until clear or the end.
func (e *env) drop(h *netlab.Host, m netlab.Match, s netlab.Share) {
	e.t.Helper()
	e.ok(h.Drop(m, s))
}

func (e *env) clear(h *netlab.Host) {
	e.t.Helper()
	e.ok(h.ClearDrops())
}

// dropped wants that the present rules of a host have lost something, so that
// a scenario of loss cannot pass without any.
func (e *env) dropped(h *netlab.Host) {
	e.t.Helper()
	n, err := h.Dropped()
	e.ok(err)
	e.want(n > 0, "the rules at %s drop something", h.Name)
}

// udp opens a socket on a host, on any port if port is 0.
func (e *env) udp(h *netlab.Host, port int) *net.UDPConn {
	e.t.Helper()
	var c *net.UDPConn
	e.ok(h.Do(func() (err error) {
		c, err = net.ListenUDP("udp4", &net.UDPAddr{Port: port})
		return err
	}))
	e.t.Cleanup(func() { c.Close() })
	return c
}
