// Command uftp-linksim joins Ethernet interfaces by links that misbehave on demand:
// delay, jitter, a rate with a bounded queue, loss alone and in bursts, duplication,
// reordering, corruption, outages on a schedule, each direction by itself. Two
// interfaces are joined by one link; the first of several has a link to each other
// one, as a satellite's hub has. It can make the interfaces, in network namespaces.
// docs/linksim.md shows what to do with it; --help lists every option.
//
// # Contract
//
// Frames are carried as they are, whatever is in them: multicast, ARP, VLANs,
// protocols nobody knows. What the model (package link) decides depends on the seed
// and the number of the frame in its direction of its link; --log tells it frame by
// frame. What is lost for other reasons is counted apart and warned about.
//
// What the hub sends goes through every link, whoever it is for, so each link meets
// the same frames and imposes its rate and luck on all of them: a broadcast channel.
// What another end sends goes to the hub alone.
//
// Exit codes: 0 after --time or a signal; 1 options; 2 interfaces, or one that went
// away; 4 log or statistics file; 5 namespaces, or a system other than Linux.
//
// # Limits
//
// Linux 4.20 or later, and root (CAP_NET_RAW; for namespaces CAP_SYS_ADMIN too).
// Frames leave some 50 to 100 µs after they are due, more on a busy machine
// (late_max_s tells). Super-frames of segmentation offload are cut into the frames
// of a line; those inside tunnels cannot be and are counted as unreadable. Hardware
// time stamps, pause frames and frames with a bad checksum do not pass.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"uftp/cmd/cli"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run is the command; it returns the exit code.
func run(args []string, stdout, stderr io.Writer) int {
	o := newOptions()
	cmd := o.command()
	operands, err := cmd.Parse(args)
	if err == nil {
		err = o.check(operands)
	}
	if err != nil {
		return cmd.Finish(err, stdout, stderr)
	}
	stderr = cli.Printer(stderr)
	err = o.simulate(stdout, stderr)
	if err == nil {
		return cli.ExitOK
	}
	fmt.Fprintln(stderr, cli.Clean("uftp-linksim: "+err.Error()))
	var logs *logError
	var system *systemError
	switch {
	case errors.As(err, &logs):
		return cli.ExitLog
	case errors.As(err, &system):
		return cli.ExitSystem
	}
	return cli.ExitNet
}

// logError is trouble with a file that the user asked for.
type logError struct{ error }

func (e *logError) Unwrap() error { return e.error }

// systemError is what the system cannot do.
type systemError struct{ error }

func (e *systemError) Unwrap() error { return e.error }
