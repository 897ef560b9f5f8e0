//go:build linux

package netlab

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// Limits of a lab.
const (
	MaxReceivers = 200
	netnsDir     = "/run/netns"
	namePrefix   = "netlab" // namespaces are netlab<pid>x<number>-<host>
	killWait     = 15 * time.Second
)

// Device is the name of the interface in every host.
const Device = "eth0"

// ErrReceivers refuses a number of receivers that the address plan has no room for.
var ErrReceivers = errors.New("netlab: number of receivers outside 0..200")

// Config describes a lab.
type Config struct {
	Receivers int // 0..MaxReceivers
	MTU       int // bytes; 0 = 1500
}

// Lab is one built segment.
type Lab struct {
	name      string
	sender    *Host
	receivers []*Host
	bridge    *Host
	mtu       int
	foreign   bool // the namespaces existed before, and there is no bridge

	mu    sync.Mutex
	procs []*Proc
}

var labCount atomic.Int64

// Open builds a lab and returns when every cable carries. If a step fails, it removes what
// was built so far.
func Open(cfg Config) (*Lab, error) {
	if cfg.Receivers < 0 || cfg.Receivers > MaxReceivers {
		return nil, ErrReceivers
	}
	if cfg.MTU == 0 {
		cfg.MTU = 1500
	}
	sweep()
	l := &Lab{name: fmt.Sprintf("%s%dx%d", namePrefix, os.Getpid(), labCount.Add(1))}
	l.bridge = &Host{lab: l, Name: "bridge", ns: l.name + "-br"}
	l.sender = &Host{
		lab: l, Name: "S", ns: l.name + "-s", port: "p0",
		IPv4: netip.AddrFrom4([4]byte{10, 88, 0, 100}),
		IPv6: netip.MustParseAddr("fd88::100"),
	}
	n := 0
	for range cfg.Receivers {
		n++
		if n == 100 { // the sender's address
			n++
		}
		l.receivers = append(l.receivers, &Host{
			lab: l, Name: receiverName(len(l.receivers)), ns: fmt.Sprintf("%s-%d", l.name, n), port: fmt.Sprintf("p%d", n),
			IPv4: netip.AddrFrom4([4]byte{10, 88, 0, byte(n)}),
			IPv6: netip.MustParseAddr(fmt.Sprintf("fd88::%d", n)),
		})
	}
	if err := l.build(cfg.MTU); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// New opens a lab for a test and closes it when the test ends. It calls Require.
func New(t testing.TB, cfg Config) *Lab {
	t.Helper()
	Require(t)
	l, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// Sender is host S.
func (l *Lab) Sender() *Host { return l.sender }

// Receiver is receiver i, 0 <= i < Config.Receivers, with address 10.88.0.(i+1)
// (the sender's .100 is left out).
func (l *Lab) Receiver(i int) *Host { return l.receivers[i] }

// Receivers are all receivers in order.
func (l *Lab) Receivers() []*Host { return l.receivers }

func (l *Lab) hosts() []*Host { return append([]*Host{l.sender}, l.receivers...) }

func receiverName(i int) string {
	if i < 18 {
		return string(rune('A' + i)) // A .. R; S is the sender
	}
	return "R" + strconv.Itoa(i+1)
}

// build makes namespaces and cables in one run of ip, then configures every
// namespace with one more.
func (l *Lab) build(mtu int) error {
	var all bytes.Buffer
	fmt.Fprintf(&all, "netns add %s\n", l.bridge.ns)
	for _, h := range l.hosts() {
		fmt.Fprintf(&all, "netns add %s\n", h.ns)
	}
	if err := ipBatch("", all.String()); err != nil {
		return err
	}
	for _, h := range append(l.hosts(), l.bridge) {
		if err := h.Do(withoutDAD); err != nil {
			return err
		}
	}
	all.Reset()
	all.WriteString("link add br0 type bridge mcast_snooping 0 stp_state 0 forward_delay 0\n")
	fmt.Fprintf(&all, "link set br0 mtu %d up\n", mtu)
	for _, h := range l.hosts() {
		all.WriteString(h.cable(mtu))
	}
	if err := ipBatch(l.bridge.ns, all.String()); err != nil {
		return err
	}
	for _, h := range l.hosts() {
		if err := ipBatch(h.ns, "link set lo up\n"+h.address()); err != nil {
			return err
		}
	}
	l.mtu = mtu
	return l.waitForwarding(l.hosts())
}

// cable returns the lines for ip that lay the host's cable, in the bridge's namespace.
func (h *Host) cable(mtu int) string {
	return fmt.Sprintf("link add %s mtu %d type veth peer name %s mtu %d netns %s\n", h.port, mtu, Device, mtu, h.ns) +
		fmt.Sprintf("link set %s master br0 up\n", h.port)
}

// address returns the lines for ip that bring the host's interface up, in its namespace.
func (h *Host) address() string {
	return "link set " + Device + " up\n" +
		fmt.Sprintf("addr add %s/24 brd 10.88.0.255 dev %s\n", h.IPv4, Device) +
		fmt.Sprintf("addr add %s/64 dev %s\n", h.IPv6, Device) +
		fmt.Sprintf("route add 224.0.0.0/4 dev %s\n", Device)
}

// withoutDAD lets IPv6 addresses be used at once; it must run before a link comes up.
func withoutDAD() error {
	for _, where := range []string{"all", "default"} {
		for _, key := range []string{"accept_dad", "dad_transmits"} {
			if err := os.WriteFile("/proc/sys/net/ipv6/conf/"+where+"/"+key, []byte("0"), 0); err != nil {
				return err
			}
		}
	}
	return nil
}

// ipBatch runs lines of ip commands, in namespace ns unless that is empty.
func ipBatch(ns, lines string) error {
	args := []string{"-batch", "-"}
	if ns != "" {
		args = append([]string{"-n", ns}, args...)
	}
	cmd := exec.Command("ip", args...)
	cmd.Stdin = strings.NewReader(lines)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("netlab: ip %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
	return nil
}

// Reset ends every process of the lab, removes every rule and limit, and plugs in every
// cable.
func (l *Lab) Reset() error {
	err := l.stopAll()
	for _, h := range l.hosts() {
		err = errors.Join(err, h.reset())
	}
	return err
}

func (l *Lab) stopAll() error {
	l.mu.Lock()
	procs := l.procs
	l.procs = nil
	l.mu.Unlock()
	for _, p := range procs {
		p.Kill()
	}
	var names []string
	for _, h := range l.hosts() {
		names = append(names, h.ns)
	}
	return killIn(names)
}

// Close ends every process in the lab, also those in the background, and removes the
// namespaces with everything in them.
func (l *Lab) Close() error {
	err := l.stopAll()
	if l.foreign {
		return err
	}
	var lines strings.Builder
	for _, h := range append(l.hosts(), l.bridge) {
		if _, statErr := os.Stat(filepath.Join(netnsDir, h.ns)); statErr == nil {
			fmt.Fprintf(&lines, "netns del %s\n", h.ns)
		}
	}
	if lines.Len() == 0 {
		return err
	}
	return errors.Join(err, ipBatch("", lines.String()))
}

// sweep removes labs whose process is gone.
func sweep() {
	entries, err := os.ReadDir(netnsDir)
	if err != nil {
		return // no namespaces at all
	}
	var orphans []string
	for _, e := range entries {
		rest, ok := strings.CutPrefix(e.Name(), namePrefix)
		if !ok {
			continue
		}
		pid, err := strconv.Atoi(rest[:max(0, strings.IndexByte(rest, 'x'))])
		if err != nil || syscall.Kill(pid, 0) != syscall.ESRCH {
			continue
		}
		orphans = append(orphans, e.Name())
	}
	if len(orphans) == 0 {
		return
	}
	// Another process may sweep at the same time. So a namespace that is gone is no
	// error.
	_ = killIn(orphans)
	for _, name := range orphans {
		_ = exec.Command("ip", "netns", "del", name).Run()
	}
}

// killIn kills every process in one of the namespaces, except this one, and returns when
// they and their sockets are gone.
func killIn(names []string) error {
	inodes := make(map[uint64]bool, len(names))
	for _, name := range names {
		if ino, ok := inode(filepath.Join(netnsDir, name)); ok {
			inodes[ino] = true
		}
	}
	var killed []int
	for end := time.Now().Add(killWait); ; time.Sleep(2 * time.Millisecond) {
		pids, err := pidsIn(inodes)
		if err != nil {
			return err
		}
		for _, pid := range pids {
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended by itself meanwhile
			if !slices.Contains(killed, pid) {
				killed = append(killed, pid)
			}
		}
		killed = slices.DeleteFunc(killed, dead)
		if len(killed) == 0 {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("netlab: processes %v outlive SIGKILL", killed)
		}
	}
}

// dead reports whether a process has closed its files. One that ends leaves its
// namespace first and closes its sockets then; the first of its threads may end
// before the others, which share them.
func dead(pid int) bool {
	state, alive := processState(pid)
	if !alive {
		return true
	}
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	return err != nil || state == 'Z' && len(threads) <= 1
}

// processState is the letter that proc(5) has for a process: R runs, S sleeps, Z is
// dead.
func processState(pid int) (state byte, alive bool) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, false
	}
	_, rest, ok := strings.Cut(string(stat), ") ")
	if !ok || rest == "" {
		return 0, false
	}
	return rest[0], true
}

// pidsIn lists the processes that live in the namespaces with the given inodes.
func pidsIn(inodes map[uint64]bool) (pids []int, err error) {
	procs, err := filepath.Glob("/proc/[0-9]*/ns/net")
	if err != nil {
		return nil, err
	}
	for _, p := range procs {
		pid, err := strconv.Atoi(strings.Split(p, "/")[2])
		if err != nil || pid == os.Getpid() {
			continue
		}
		if ino, ok := inode(p); ok && inodes[ino] {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

func inode(path string) (uint64, bool) {
	var st syscall.Stat_t
	if err := syscall.Stat(path, &st); err != nil {
		return 0, false
	}
	return st.Ino, true
}
