package report

import (
	"fmt"
	"strings"
	"time"

	"uftp/cmd/cli"
	"uftp/engine/receiver"
)

// ScriptEnded is the end of a post-receive script. It is an event of the daemon, not of the engine.
type ScriptEnded struct {
	Session  receiver.Session
	Script   string
	Args     []string // its arguments, -I and the group first
	Err      error    // it could not be started
	Exit     int
	Signal   string // name of the signal that ended it, "" if none did
	TimedOut bool   // it took too long and was ended
	Elapsed  time.Duration
}

func (ScriptEnded) MachineEvent() {}

// scriptEnded logs failures as warnings: there is no other place where a user would see them.
func (r *Receiver) scriptEnded(at time.Time, e ScriptEnded) {
	in := whereOf(e.Session)
	call := e.Script + " " + strings.Join(e.Args, " ")
	line := jsonScript{head: newHead(at, "script_ended", in), Script: e.Script, Signal: e.Signal, TimedOut: e.TimedOut, Elapsed: seconds(e.Elapsed)}
	if len(e.Args) > 2 {
		line.Paths, line.PathsBytes = e.Args[2:], rawAll(e.Args[2:])
	}
	how := ""
	switch {
	case e.Err != nil:
		line.Text = cli.ErrText(e.Err)
		r.logf(Errors, at, in, "Error running postreceive script: %s", line.Text)
	case e.Signal != "":
		how = "signal " + e.Signal
	default:
		line.Exit = &e.Exit
		how = fmt.Sprintf("exit code %d", e.Exit)
	}
	if e.TimedOut {
		how = fmt.Sprintf("it took more than %.0f seconds and was ended (%s)", e.Elapsed.Seconds(), how)
	}
	switch {
	case e.Err != nil:
	case e.TimedOut || e.Signal != "" || e.Exit != 0:
		r.logf(Warnings, at, in, "Postreceive script failed: %s: %s", how, call)
	default:
		r.logf(Detail, at, in, "Postreceive script has ended: %s", call)
	}
	r.JSON.write(line)
}
