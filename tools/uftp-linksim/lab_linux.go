package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Names inside the namespaces.
const (
	labDevice = "eth0"
	netnsDir  = "/run/netns"
)

// lab is a set of namespaces with an interface each. These are TAP devices, whose other
// side is this process, or veths. The other ends of veths are in one more namespace, which
// has no name and lasts as long as the sockets in it.
type lab struct {
	made  []string
	kind  string // kindTap or kindVeth
	ports []*port
}

// makeLab makes the namespaces and opens a port for each.
func makeLab(o *options) (l *lab, err error) {
	if _, err := exec.LookPath("ip"); err != nil {
		return nil, errors.New("namespaces need the program ip (package iproute2)")
	}
	l = &lab{kind: o.kind}
	if o.kind == kindAny {
		l.kind = kindTap
		if fd, err := unix.Open(tunDevice, unix.O_RDWR|unix.O_CLOEXEC, 0); err != nil {
			l.kind = kindVeth
		} else {
			unix.Close(fd)
		}
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.close())
		}
	}()
	for _, ns := range o.namespaces {
		if _, err := os.Lstat(filepath.Join(netnsDir, ns)); err == nil {
			return l, fmt.Errorf("namespace %s exists; if nobody needs it: ip netns del %s", ns, ns)
		}
		if err := ip("netns", "add", ns); err != nil {
			return l, err
		}
		l.made = append(l.made, ns)
	}
	if l.kind == kindTap {
		err = l.makeTaps(o)
	} else {
		err = l.makeVeths(o)
	}
	if err != nil {
		return l, err
	}
	for i, ns := range o.namespaces {
		cmds := [][]string{
			{"-n", ns, "link", "set", "lo", "up"},
			{"-n", ns, "link", "set", labDevice, "up"},
		}
		for j := i; j < len(o.addresses); j += len(o.namespaces) {
			add := []string{"-n", ns, "addr", "add", o.addresses[j], "dev", labDevice}
			if strings.Contains(o.addresses[j], ":") {
				add = append(add, "nodad") // usable at once
			}
			cmds = append(cmds, add)
		}
		// Groups go there, too.
		cmds = append(cmds, []string{"-n", ns, "route", "add", "default", "dev", labDevice})
		for _, c := range cmds {
			if err := ip(c...); err != nil {
				return l, err
			}
		}
	}
	return l, nil
}

// onThread runs fn on a thread that fn may move to another network namespace, and moves the
// thread back.
func onThread(fn func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		home, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			runtime.UnlockOSThread()
			done <- err
			return
		}
		err = fn()
		if back := unix.Setns(home, unix.CLONE_NEWNET); back != nil {
			err = errors.Join(err, back) // still locked: the thread ends with the goroutine
		} else {
			runtime.UnlockOSThread()
		}
		unix.Close(home)
		done <- err
	}()
	return <-done
}

// add keeps a port under the name by which its user knows it.
func (l *lab) add(p *port, ns string) {
	p.name = ns + ":" + labDevice
	l.ports = append(l.ports, p)
}

// makeTaps makes a TAP device in each namespace.
func (l *lab) makeTaps(o *options) error {
	for _, ns := range o.namespaces {
		err := onThread(func() error {
			fd, err := unix.Open(filepath.Join(netnsDir, ns), unix.O_RDONLY|unix.O_CLOEXEC, 0)
			if err != nil {
				return err
			}
			defer unix.Close(fd)
			if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
				return fmt.Errorf("enter namespace %s: %w", ns, err)
			}
			p, err := openTap(labDevice, o.mtu)
			if err == nil {
				l.add(p, ns)
			}
			return err
		})
		if err != nil {
			return err
		}
		// The device keeps frames until they are read. By default it keeps 500 or
		// 1000, which a burst would overflow.
		if err := ip("-n", ns, "link", "set", labDevice, "mtu", strconv.Itoa(o.mtu), "txqueuelen", strconv.Itoa(tapQueue)); err != nil {
			return err
		}
	}
	return nil
}

// makeVeths makes a veth in each namespace and opens the other ends.
func (l *lab) makeVeths(o *options) error {
	return onThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("new network namespace: %w", err)
		}
		// The ends here must send nothing by themselves. /proc/sys/net is that of the
		// calling thread.
		if err := os.WriteFile("/proc/sys/net/ipv6/conf/default/disable_ipv6", []byte("1"), 0); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		mtu := strconv.Itoa(o.mtu)
		for i, ns := range o.namespaces {
			end := "end" + strconv.Itoa(i)
			if err := ip("link", "add", end, "mtu", mtu, "type", "veth", "peer", "name", labDevice, "netns", ns, "mtu", mtu); err != nil {
				return err
			}
			if err := ip("link", "set", end, "arp", "off", "up"); err != nil {
				return err
			}
			p, err := openPort(end)
			if err != nil {
				return err
			}
			l.add(p, ns)
		}
		return nil
	})
}

// close closes the ports and removes the names of the namespaces. Processes in them keep
// their network.
func (l *lab) close() error {
	for _, p := range l.ports {
		p.close()
	}
	l.ports = nil
	var all error
	for _, ns := range l.made {
		all = errors.Join(all, ip("netns", "del", ns))
	}
	l.made = nil
	return all
}

func ip(args ...string) error {
	out, err := exec.Command("ip", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
