// Command uftp-linksim joins Ethernet interfaces by links that misbehave on demand:
// delay, jitter, a rate with a bounded queue, loss alone and in bursts, duplication,
// reordering, corruption, outages on a schedule, each direction by itself. Two
// interfaces are joined by one link; the first of several has a link to each other
// one, as a satellite's hub has. It can make the interfaces, in network namespaces.
// docs/linksim.md is its manual; --help lists every option.
//
// # Contract
//
// Frames of any content are carried as they are: multicast, ARP, VLANs, unknown protocols.
// The decisions of the model (package link) depend on the seed, and on the number of the
// frame in its direction of its link; --log writes them frame by frame. Losses for other
// reasons are counted separately and cause a warning.
//
// A frame from the hub goes through every link, for whichever end it is: a broadcast
// channel, in which each link applies its rate and its losses to the same frames. A frame
// from another end goes to the hub alone.
//
// Exit codes: 0 after --time or a signal; 1 options; 2 interfaces, or one that went
// away; 4 log or statistics file; 5 namespaces, or a system other than Linux.
//
// # Limits
//
// Linux 4.20 or later, and root (CAP_NET_RAW; for namespaces CAP_SYS_ADMIN too).
// Frames leave some 50 to 100 µs after they are due, later on a busy machine (late_max_s is
// the maximum). Super-frames of segmentation offload are cut into the frames that a line
// would carry; those inside tunnels cannot be cut and count as unreadable. Hardware time
// stamps, pause frames and frames with a bad checksum do not pass.
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

// systemError says that the system cannot do something.
type systemError struct{ error }

func (e *systemError) Unwrap() error { return e.error }
