package netio

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// netns is a network namespace of its own: a goroutine locked to a thread
// that has left the host's. It has no name, so nothing stays behind when the
// thread ends.
type netns struct {
	t     testing.TB
	tid   int
	calls chan func()
}

// missing skips a test for want of something, except in CI, which must run all.
func missing(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal(what + ", and CI must run this test")
	}
	t.Skip("SKIPPED: " + what)
}

func newNetns(t testing.TB) *netns {
	t.Helper()
	if testing.Short() {
		t.Skip("uses network namespaces")
	}
	if os.Geteuid() != 0 {
		missing(t, "network namespaces want root")
	}
	n := &netns{t: t, calls: make(chan func())}
	ready := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread dies with the goroutine
		err := unix.Unshare(unix.CLONE_NEWNET)
		n.tid = unix.Gettid()
		ready <- err
		for f := range n.calls {
			f()
		}
	}()
	if err := <-ready; err != nil {
		close(n.calls)
		t.Fatalf("unshare: %v", err)
	}
	t.Cleanup(func() { close(n.calls) })
	n.ip("link set lo up")
	return n
}

// do runs f in the namespace. Sockets opened there stay there.
func (n *netns) do(f func()) {
	n.t.Helper()
	done := make(chan struct{})
	returned := false
	n.calls <- func() { defer close(done); f(); returned = true }
	<-done
	if !returned {
		n.t.FailNow() // f failed the test, which ended the namespace's goroutine
	}
}

func (n *netns) try(name string, args ...string) (out []byte, err error) {
	n.do(func() { out, err = exec.Command(name, args...).CombinedOutput() })
	return out, err
}

func (n *netns) run(command string) {
	n.t.Helper()
	args := strings.Fields(command)
	if out, err := n.try(args[0], args[1:]...); err != nil {
		n.t.Fatalf("%s: %v: %s", command, err, out)
	}
}

func (n *netns) ip(args string) { n.t.Helper(); n.run("ip " + args) }

func (n *netns) sysctl(name, value string) {
	n.t.Helper()
	n.do(func() {
		path := "/proc/sys/" + strings.ReplaceAll(name, ".", "/")
		if err := os.WriteFile(path, []byte(value), 0o644); err != nil {
			n.t.Errorf("sysctl %s: %v", name, err)
		}
	})
}

func (n *netns) listen(cfg Config) (c Conn) {
	n.t.Helper()
	n.do(func() { c = listen(n.t, cfg) })
	return c
}

// at finds the entry of an address.
func (n *netns) at(addr string) Interface {
	n.t.Helper()
	var list []Interface
	var err error
	n.do(func() { list, err = Interfaces() })
	if err != nil {
		n.t.Fatal(err)
	}
	for _, i := range list {
		if i.Addr.String() == addr {
			return i
		}
	}
	n.t.Fatalf("no interface has %s: %v", addr, list)
	return Interface{}
}

// pair makes two namespaces joined by a cable: nio0 with 10.77.0.1/24 and
// fd77::1/64 in a, nio1 with 10.77.0.2/24 and fd77::2/64 in b. Each has a
// second address too, …11 and …12.
func pair(t testing.TB, mtu int) (a, b *netns) {
	t.Helper()
	a, b = newNetns(t), newNetns(t)
	a.ip(fmt.Sprintf("link add nio0 mtu %d type veth peer name nio1 mtu %d netns %d", mtu, mtu, b.tid))
	for i, n := range []*netns{a, b} {
		dev := fmt.Sprintf("nio%d", i)
		n.sysctl("net.ipv6.conf."+dev+".accept_dad", "0")
		for _, host := range []int{1 + i, 11 + i} {
			n.ip(fmt.Sprintf("addr add 10.77.0.%d/24 broadcast 10.77.0.255 dev %s", host, dev))
			n.ip(fmt.Sprintf("addr add fd77::%d/64 dev %s nodad", host, dev))
		}
		n.ip("link set " + dev + " up")
	}
	a.settle("nio0")
	b.settle("nio1")
	return a, b
}

// settle waits until the carrier is there and IPv6 has its link-local address,
// which the kernel does behind the back of "link set up".
func (n *netns) settle(dev string) {
	n.t.Helper()
	for deadline := time.Now().Add(soon); ; time.Sleep(5 * time.Millisecond) {
		link, _ := n.try("ip", "link", "show", "dev", dev)
		addr, _ := n.try("ip", "-6", "addr", "show", "dev", dev, "scope", "link")
		if strings.Contains(string(link), "state UP") && strings.Contains(string(addr), "fe80:") && !strings.Contains(string(addr), "tentative") {
			return
		}
		if time.Now().After(deadline) {
			n.t.Fatalf("%s did not come up: %s%s", dev, link, addr)
		}
	}
}

// join joins in the namespace, where further sockets may have to be opened.
func (n *netns) join(c Conn, group netip.Addr, ifi Interface, sources ...netip.Addr) (err error) {
	n.do(func() { err = c.Join(group, ifi, sources) })
	return err
}
