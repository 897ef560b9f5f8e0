//go:build !unix

package main

import (
	"errors"
	"os"
	"os/exec"
)

func ownGroup(*exec.Cmd) {}

// endGroup kills a script, but not the programs that it has started.
func endGroup(cmd *exec.Cmd, _ bool) { cmd.Process.Kill() }

func endSignal(*os.ProcessState) string { return "" }

func runnable(string) error { return nil }

func setUmask(int) error { return errors.New("not possible on this system") }
