//go:build unix

package main

import (
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// ownGroup gives a script, and all that it starts, a process group of its own.
func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// endGroup asks the processes of a script to end, or kills them.
func endGroup(cmd *exec.Cmd, kill bool) {
	sig := unix.SIGTERM
	if kill {
		sig = unix.SIGKILL
	}
	unix.Kill(-cmd.Process.Pid, sig)
}

// endSignal returns the name of the signal that has ended a process, "" if none has.
func endSignal(st *os.ProcessState) string {
	if ws, ok := st.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return unix.SignalName(ws.Signal())
	}
	return ""
}

// runnable returns why a file cannot be run.
func runnable(path string) error { return unix.Access(path, unix.X_OK) }

// setUmask sets the umask for all files and directories created from now on, by scripts too.
func setUmask(mask int) error {
	unix.Umask(mask)
	return nil
}
