//go:build linux

package netlab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Host is one namespace with one interface, [Device].
type Host struct {
	Name string // S for the sender, A, B, C, ... for receivers
	IPv4 netip.Addr
	IPv6 netip.Addr

	lab  *Lab
	ns   string // namespace
	port string // its end of the cable at the bridge

	ruled   bool // has drop rules
	limited bool // has a rate limit
	cut     bool // is unplugged
}

// UID is the host's default UID as the command lines take it, 0x0A58....
func (h *Host) UID() string {
	a := h.IPv4.As4()
	return fmt.Sprintf("0x%02X%02X%02X%02X", a[0], a[1], a[2], a[3])
}

// Do runs fn in the host's namespace, on a thread of its own. Sockets that fn
// opens and processes that it starts stay in the namespace after Do. fn must
// not start goroutines that must run there.
func (h *Host) Do(fn func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		back, err := h.enter()
		if err != nil {
			runtime.UnlockOSThread()
			done <- err
			return
		}
		err = fn()
		if backErr := back(); backErr != nil {
			done <- errors.Join(err, backErr)
			return // still locked: the thread ends with the goroutine
		}
		runtime.UnlockOSThread()
		done <- err
	}()
	return <-done
}

// enter moves the calling thread into the namespace and returns a function that moves it
// back.
func (h *Host) enter() (back func() error, err error) {
	home, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("netlab: own namespace: %w", err)
	}
	fd, err := unix.Open(filepath.Join(netnsDir, h.ns), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		unix.Close(home)
		return nil, fmt.Errorf("netlab: namespace of %s: %w", h.Name, err)
	}
	defer unix.Close(fd)
	if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
		unix.Close(home)
		return nil, fmt.Errorf("netlab: enter %s: %w", h.Name, err)
	}
	return func() error {
		defer unix.Close(home)
		return unix.Setns(home, unix.CLONE_NEWNET)
	}, nil
}

// Result is the outcome of a finished command.
type Result struct {
	Command string
	Code    int // exit code; 128 + signal if one ended it
	Stdout  string
	Stderr  string
	Took    time.Duration
}

// Run runs a command in the host to its end. It fails if the command cannot be started, or
// is still running after timeout and is killed; an exit code is no failure.
func (h *Host) Run(timeout time.Duration, argv ...string) (Result, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	p, err := h.Start(Spec{Argv: argv})
	if err != nil {
		return Result{}, err
	}
	return p.Wait(ctx)
}

// tool runs a configuration command and turns a bad exit into an error.
func (h *Host) tool(stdin string, argv ...string) (string, error) {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdin = strings.NewReader(stdin)
	var out []byte
	err := h.Do(func() error {
		var err error
		out, err = cmd.CombinedOutput()
		return err
	})
	if err != nil {
		return "", fmt.Errorf("netlab: %s on %s: %w: %s%s", strings.Join(argv, " "), h.Name, err, out, stdin)
	}
	return string(out), nil
}

// reset removes all settings of the host.
func (h *Host) reset() error {
	err := errors.Join(h.ClearDrops(), h.Unlimit())
	if h.cut {
		err = errors.Join(err, h.Plug())
	}
	return err
}

// Received is how many bytes have come to the host's interface since it was made.
func (h *Host) Received() (bytes int64, err error) {
	var text []byte
	if err := h.Do(func() (err error) {
		text, err = os.ReadFile("/proc/thread-self/net/dev")
		return err
	}); err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if name, counters, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == Device {
			_, err := fmt.Sscan(counters, &bytes)
			return bytes, err
		}
	}
	return 0, fmt.Errorf("netlab: %s has no interface %s", h.Name, Device)
}

// Sysctl sets a network setting of the host, for example
// ("net/ipv4/igmp_max_memberships", "200").
func (h *Host) Sysctl(key, value string) error {
	return h.Do(func() error { return os.WriteFile("/proc/sys/"+key, []byte(value), 0) })
}
