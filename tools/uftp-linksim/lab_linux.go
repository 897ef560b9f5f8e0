package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Names inside the namespaces.
const (
	labDevice = "eth0"
	netnsDir  = "/run/netns"
)

// lab is two namespaces with an interface each, whose other ends are in a third
// namespace without a name, which lasts as long as the sockets in it.
type lab struct{ made []string }

// makeLab moves the calling thread into the third namespace, so it must be locked
// and not be used for anything else afterwards.
func makeLab(o *options) (l *lab, inner [2]string, err error) {
	if _, err := exec.LookPath("ip"); err != nil {
		return nil, inner, errors.New("namespaces need the program ip (package iproute2)")
	}
	l = &lab{}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.close())
		}
	}()
	for _, ns := range o.namespaces {
		if _, err := os.Lstat(filepath.Join(netnsDir, ns)); err == nil {
			return l, inner, fmt.Errorf("namespace %s exists; if nobody needs it: ip netns del %s", ns, ns)
		}
		if err := ip("netns", "add", ns); err != nil {
			return l, inner, err
		}
		l.made = append(l.made, ns)
	}
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return l, inner, fmt.Errorf("new network namespace: %w", err)
	}
	// The ends here must say nothing of their own. What stands below /proc/sys/net is
	// the calling thread's.
	if err := os.WriteFile("/proc/sys/net/ipv6/conf/default/disable_ipv6", []byte("1"), 0); err != nil && !errors.Is(err, os.ErrNotExist) {
		return l, inner, err
	}
	mtu := strconv.Itoa(o.mtu)
	for i, ns := range o.namespaces {
		inner[i] = directionNames[i] + "0"
		cmds := [][]string{
			{"link", "add", inner[i], "mtu", mtu, "type", "veth", "peer", "name", labDevice, "netns", ns, "mtu", mtu},
			{"link", "set", inner[i], "arp", "off", "up"},
			{"-n", ns, "link", "set", "lo", "up"},
			{"-n", ns, "link", "set", labDevice, "up"},
		}
		for j := i; j < len(o.addresses); j += 2 {
			add := []string{"-n", ns, "addr", "add", o.addresses[j], "dev", labDevice}
			if strings.Contains(o.addresses[j], ":") {
				add = append(add, "nodad") // usable at once
			}
			cmds = append(cmds, add)
		}
		cmds = append(cmds, []string{"-n", ns, "route", "add", "default", "dev", labDevice})
		for _, c := range cmds {
			if err := ip(c...); err != nil {
				return l, inner, err
			}
		}
	}
	return l, inner, nil
}

// close removes the namespaces; processes in them keep what they have.
func (l *lab) close() error {
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
