//go:build linux

package netlab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// ErrStillRunning reports a command that did not end in time.
var ErrStillRunning = errors.New("netlab: still running")

// ErrNoLine reports a text that did not appear in a command's output in time.
var ErrNoLine = errors.New("netlab: text not seen")

// pollEvery is how often we look at output and tables of the kernel, and drainMax how long
// we wait after the end for output of a grandchild.
const (
	pollEvery = 5 * time.Millisecond
	drainMax  = time.Second
)

// Spec is a command to start.
type Spec struct {
	Argv  []string
	Dir   string // working directory; empty = the caller's
	Env   []string
	Stdin io.Reader // nil = /dev/null
}

// Proc is a command running in a host.
type Proc struct {
	Host    *Host
	Command string // as typed
	cmd     *exec.Cmd
	began   time.Time
	out     buffer
	err     buffer

	done chan struct{} // closed at the end; code and took are set before
	code int
	took time.Duration
}

// Start starts a command in the host. Closing the lab ends it.
func (h *Host) Start(s Spec) (*Proc, error) {
	cmd := exec.Command(s.Argv[0], s.Argv[1:]...)
	cmd.Dir = s.Dir
	cmd.Stdin = s.Stdin
	cmd.WaitDelay = drainMax
	if s.Env != nil {
		cmd.Env = append(os.Environ(), s.Env...)
	}
	p := &Proc{Host: h, Command: strings.Join(s.Argv, " "), cmd: cmd, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &p.out, &p.err
	p.began = time.Now()
	// Not Host.Do: the goroutines that copy the output belong to this process.
	if err := h.Do(cmd.Start); err != nil {
		return nil, fmt.Errorf("netlab: start %s on %s: %w", p.Command, h.Name, err)
	}
	go func() {
		err := cmd.Wait()
		p.took = time.Since(p.began)
		p.code = exitCode(cmd.ProcessState, err)
		close(p.done)
	}()
	h.lab.mu.Lock()
	h.lab.procs = append(h.lab.procs, p)
	h.lab.mu.Unlock()
	return p, nil
}

// exitCode is the code a shell would show.
func exitCode(st *os.ProcessState, err error) int {
	if st == nil {
		return 255 // Wait itself failed: err says why, there is no code
	}
	if ws, ok := st.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return st.ExitCode()
}

// Pid is the process ID.
func (p *Proc) Pid() int { return p.cmd.Process.Pid }

// Signal sends a signal; the process may have ended.
func (p *Proc) Signal(s syscall.Signal) { _ = p.cmd.Process.Signal(s) }

// Kill ends the process by SIGKILL and waits until it is gone.
func (p *Proc) Kill() {
	p.Signal(syscall.SIGKILL)
	<-p.done
}

// Exited reports whether the command has ended.
func (p *Proc) Exited() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// Wait waits for the end. A command that is still running when ctx ends is
// killed, and the error is ErrStillRunning.
func (p *Proc) Wait(ctx context.Context) (Result, error) {
	var err error
	select {
	case <-p.done:
	case <-ctx.Done():
		p.Kill()
		err = fmt.Errorf("%w after %v: %s", ErrStillRunning, time.Since(p.began).Round(time.Millisecond), p.Command)
	}
	return Result{Command: p.Command, Code: p.code, Stdout: p.Stdout(), Stderr: p.Stderr(), Took: p.took}, err
}

// WaitFor is Wait with a time limit.
func (p *Proc) WaitFor(timeout time.Duration) (Result, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return p.Wait(ctx)
}

// WaitLog waits until text appears in the output (standard output or error).
// It returns ErrNoLine after timeout, or as soon as the command has ended
// without it.
func (p *Proc) WaitLog(text string, timeout time.Duration) error {
	return p.WaitUntil(func() bool { return strings.Contains(p.Stderr(), text) || strings.Contains(p.Stdout(), text) }, fmt.Sprintf("%q", text), timeout)
}

// WaitUntil waits until cond holds, which the error calls what. It gives up
// after timeout or when the command has ended.
func (p *Proc) WaitUntil(cond func() bool, what string, timeout time.Duration) error {
	limit := time.Now().Add(timeout)
	for {
		exited := p.Exited() // before cond, so that the last output is seen
		if cond() {
			return nil
		}
		if exited {
			return fmt.Errorf("%w: %s; %s ended with code %d", ErrNoLine, what, p.Command, p.code)
		}
		if time.Now().After(limit) {
			return fmt.Errorf("%w: %s within %v from %s", ErrNoLine, what, timeout, p.Command)
		}
		time.Sleep(pollEvery)
	}
}

// WaitUDP waits until a socket is bound to UDP port in the process's namespace.
func (p *Proc) WaitUDP(port int, timeout time.Duration) error {
	local := fmt.Sprintf(":%04X ", port)
	return p.WaitUntil(func() bool {
		return p.procNet("udp", local) || p.procNet("udp6", local)
	}, fmt.Sprintf("UDP port %d bound", port), timeout)
}

func (p *Proc) procNet(table, local string) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", p.Pid(), table))
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(text)) {
		// "sl local remote ...": the first address is the local one.
		if f := strings.Fields(line); len(f) > 1 && strings.HasSuffix(f[1]+" ", local) {
			return true
		}
	}
	return false
}

// Stdout is what the command has written so far.
func (p *Proc) Stdout() string { return p.out.String() }

// Stderr is what the command has written so far.
func (p *Proc) Stderr() string { return p.err.String() }

// buffer is a bytes.Buffer that may be read while it grows.
type buffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
