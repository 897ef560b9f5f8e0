//go:build unix

package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"uftp/cmd/internal/cli"
	"uftp/cmd/internal/report"
)

// handoffEnv tells the second process the descriptor of the pipe to the first.
const handoffEnv = "UFTPD_READY_FD"

// handoff is the second process's view of becoming a daemon.
type handoff struct {
	pipe *os.File
	done atomic.Bool // the first process has gone
}

// inheritedMax is below which descriptor numbers we look for files that whoever
// started us left open.
const inheritedMax = 1024

// takeHandoff returns nil unless this is the second process. Neither the second
// process nor scripts inherit anything else that was left open.
func takeHandoff() *handoff {
	for fd := 3; fd < inheritedMax; fd++ {
		unix.CloseOnExec(fd)
	}
	text, ok := os.LookupEnv(handoffEnv)
	if !ok {
		return nil
	}
	os.Unsetenv(handoffEnv)
	fd, err := strconv.Atoi(text)
	if err != nil || fd < 3 {
		return nil
	}
	return &handoff{pipe: os.NewFile(uintptr(fd), "pipe")}
}

// startDaemon starts the second process and waits until it listens or has failed.
func startDaemon(args []string, stderr *os.File) int {
	fail := func(err error) int {
		fmt.Fprintf(stderr, "Couldn't start in the background: %s\n", cli.ErrText(err))
		return cli.ExitSystem
	}
	self, err := os.Executable()
	if err != nil {
		return fail(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		return fail(err)
	}
	defer r.Close()
	cmd := exec.Command(self, args...)
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), handoffEnv+"=3")
	cmd.ExtraFiles = []*os.File{w}
	cmd.Stderr = stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = cmd.Start()
	w.Close()
	if err != nil {
		return fail(err)
	}
	// A signal to the one who waits must not leave the other behind.
	ch := make(chan os.Signal, 1)
	signal.Notify(ch, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(ch)
	go func() {
		if sig, ok := <-ch; ok {
			cmd.Process.Signal(sig)
		}
	}()
	if n, err := io.ReadFull(r, make([]byte, 1)); n == 1 && err == nil {
		return cli.ExitOK
	}
	cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code > 0 {
		return code
	}
	return cli.ExitSystem
}

// detach leaves the directory and the umask of whoever started us behind.
func (h *handoff) detach() error {
	unix.Umask(0)
	return os.Chdir("/")
}

// logOpened makes what the runtime has to say about its own death go to the log,
// once the first process has gone.
func (h *handoff) logOpened(f *os.File) {
	if h.done.Load() {
		dup(int(f.Fd()), 2)
	}
}

// ready lets the first process go.
func (h *handoff) ready(log *report.RollingFile) {
	h.pipe.Write([]byte{1})
	h.pipe.Close()
	h.done.Store(true)
	log.Reopen()
}
