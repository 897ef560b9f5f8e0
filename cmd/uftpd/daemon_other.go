//go:build !unix

package main

import (
	"errors"
	"fmt"
	"os"

	"uftp/cmd/cli"
	"uftp/cmd/internal/report"
)

// handoff does not exist where there is no background process.
type handoff struct{}

func takeHandoff() *handoff { return nil }

func leftOpen() []int { return nil }

func startDaemon(_ []string, stderr *os.File) int {
	fmt.Fprintln(stderr, "Running in the background is not possible on this system: use -d")
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
