//go:build !unix

package main

import (
	"errors"
	"fmt"
	"os"

	"uftp/cmd/cli"
	"uftp/cmd/internal/report"
)

// handoff is not used: there is no background process here.
type handoff struct{}

func takeHandoff() *handoff { return nil }

func leftOpen() []int { return nil }

func startDaemon(_ []string, stderr *os.File) int {
	fmt.Fprintln(stderr, "uftpd cannot run in the background on this system: use -d")
	return cli.ExitSystem
}

func (*handoff) detach([]int) error        { return nil }
func (*handoff) logOpened(*os.File)        {}
func (*handoff) ready(*report.RollingFile) {}

func setPriority(n int) error {
	if n == 0 {
		return nil
	}
	return errors.New("not possible on this system")
}
