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

// handoffEnv tells the second process the descriptor of the pipe to the first.
const handoffEnv = "UFTPD_READY_FD"

// handoff is the second process's view of becoming a daemon.
type handoff struct {
	pipe *os.File
	done atomic.Bool // the first process has gone
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

// inheritedMax is below which descriptor numbers we look for files that whoever
// started us left open.
const inheritedMax = 1024

// leftOpen returns the descriptors that whoever started us left open besides the
// first three. Scripts do not inherit them. What the runtime opened for itself is
// not among them: it closes at an exec.
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

// startDaemon starts the second process and waits until it listens or has failed.
// The second inherits all that is open here: options may name it (/dev/fd/63).
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
	fd, err := unix.FcntlInt(w.Fd(), unix.F_DUPFD, 3) // ExtraFiles would take the place of others
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
	// A signal to the one who waits must not leave the other behind.
	ch := make(chan os.Signal, 1)
	signal.Notify(ch, os.Interrupt, syscall.SIGTERM, syscall.SIGQUIT)
	defer signal.Stop(ch)
	go func() {
		for sig := range ch { // the second one matters as well
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

// detach leaves the directory and the open files of whoever started us behind;
// standard output is /dev/null already. The umask stays: it is the administrator's word
// on who may read what arrives.
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
