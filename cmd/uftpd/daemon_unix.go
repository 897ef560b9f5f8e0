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

	"uftp/cmd/cli"
	"uftp/cmd/internal/report"
)

// handoffEnv has the descriptor of the pipe from the second process to the first.
const handoffEnv = "UFTPD_READY_FD"

// handoff is the second process's connection to the first.
type handoff struct {
	pipe *os.File
	done atomic.Bool // the first process was told to end
}

// takeHandoff returns nil unless this is the second process.
func takeHandoff() *handoff {
	text, ok := os.LookupEnv(handoffEnv)
	if !ok {
		return nil
	}
	os.Unsetenv(handoffEnv)
	fd, err := strconv.Atoi(text)
	if err != nil || fd < 3 {
		return nil
	}
	unix.CloseOnExec(fd)
	return &handoff{pipe: os.NewFile(uintptr(fd), "pipe")}
}

// inheritedMax bounds the descriptor numbers where leftOpen looks.
const inheritedMax = 1024

// leftOpen returns the descriptors, besides the first three, that our parent process left open, and
// keeps scripts from inheriting them. The runtime's own descriptors are not among them: they close
// at exec.
func leftOpen() (list []int) {
	for fd := 3; fd < inheritedMax; fd++ {
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		if err == nil && flags&unix.FD_CLOEXEC == 0 {
			unix.CloseOnExec(fd)
			list = append(list, fd)
		}
	}
	return list
}

// startDaemon starts the second process and waits until it listens or has failed. The second
// inherits all open descriptors, because options may name them (/dev/fd/63).
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
	fd, err := unix.FcntlInt(w.Fd(), unix.F_DUPFD, 3) // ExtraFiles would replace inherited descriptors
	if err != nil {
		return fail(err)
	}
	cmd.Env = append(os.Environ(), handoffEnv+"="+strconv.Itoa(fd))
	cmd.Stdin, cmd.Stderr = os.Stdin, stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = cmd.Start()
	unix.Close(fd)
	w.Close()
	if err != nil {
		return fail(err)
	}
	// A signal to this process must also end the second one.
	ch := make(chan os.Signal, 1)
	signal.Notify(ch, os.Interrupt, syscall.SIGTERM, syscall.SIGQUIT)
	defer signal.Stop(ch)
	go func() {
		for sig := range ch { // a second signal ends it at once
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

// detach closes the parent's open files and leaves its directory; standard output is /dev/null
// already. The umask stays: with it the administrator decides who may read received files.
func (h *handoff) detach(left []int) error {
	for _, fd := range left {
		unix.Close(fd)
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		return err
	}
	dup(int(null.Fd()), 0)
	null.Close()
	return os.Chdir("/")
}

// logOpened redirects standard error to the log, once the first process has ended: the runtime
// reports a crash there.
func (h *handoff) logOpened(f *os.File) {
	if h.done.Load() {
		dup(int(f.Fd()), 2)
	}
}

// ready lets the first process end.
func (h *handoff) ready(log *report.RollingFile) {
	h.pipe.Write([]byte{1})
	h.pipe.Close()
	h.done.Store(true)
	log.Reopen()
}
