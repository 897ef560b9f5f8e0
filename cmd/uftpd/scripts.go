package main

import (
	"fmt"
	"os/exec"
	"strings"
	"time"

	"uftp/cmd/internal/cli"
	"uftp/cmd/internal/report"
	"uftp/engine"
	"uftp/engine/machine"
	"uftp/engine/receiver"
	"uftp/wire"
)

// Limits of post-receive scripts.
const (
	scriptsMax     = 64      // running at a time
	scriptsWaiting = 16384   // calls that wait for their turn
	scriptArgsMax  = 1 << 20 // bytes of paths in one call; kernels take about 2 MiB with the environment
)

// scripts starts the post-receive script (v4-receiver.md section 10). Its exit
// status counts for nothing.
type scripts struct {
	path  string
	temp  bool            // files count when a session was moved out of the temporary directory
	each  bool            // one call for each path that was moved
	tell  engine.Reporter // log lines, as notes of a session
	calls chan scriptCall
	slots chan struct{}
	done  chan struct{}
}

type scriptCall struct {
	at   time.Time
	in   receiver.Session
	args []string
}

func newScripts(path string, temp, each bool, tell engine.Reporter) *scripts {
	s := &scripts{
		path: path, temp: temp, each: each, tell: tell,
		calls: make(chan scriptCall, scriptsWaiting),
		slots: make(chan struct{}, scriptsMax),
		done:  make(chan struct{}),
	}
	go func() {
		defer close(s.done)
		for c := range s.calls {
			s.start(c)
		}
	}()
	return s
}

// report takes the events that mean that files have arrived.
func (s *scripts) report(at time.Time, ev machine.Event) {
	switch e := ev.(type) {
	case engine.Stored:
		if !s.temp && e.Request.Type == wire.TypeFile {
			s.call(at, e.Session, e.Path)
		}
	case engine.Moved:
		if !s.each {
			s.call(at, e.Session, e.Paths...)
			return
		}
		for _, p := range e.Paths {
			s.call(at, e.Session, p)
		}
	}
}

// call queues calls for paths: one, or several when they are too long for one.
func (s *scripts) call(at time.Time, in receiver.Session, paths ...string) {
	for len(paths) > 0 {
		n, bytes := 0, 0
		for n < len(paths) && (n == 0 || bytes+len(paths[n]) < scriptArgsMax) {
			bytes += len(paths[n]) + 16 // terminator and pointer
			n++
		}
		c := scriptCall{at, in, append([]string{"-I", fmt.Sprintf("%08X", in.Group)}, paths[:n]...)}
		select {
		case s.calls <- c:
		default:
			s.note(c, report.Errors, "Too many postreceive scripts are waiting, not run: "+c.text(s.path))
		}
		paths = paths[n:]
	}
}

func (c *scriptCall) text(path string) string { return path + " " + strings.Join(c.args, " ") }

func (s *scripts) note(c scriptCall, level int, text string) {
	s.tell(c.at, engine.Note{Session: c.in, Level: level, Text: text})
}

// start runs one call as soon as there is room.
func (s *scripts) start(c scriptCall) {
	s.slots <- struct{}{}
	s.note(c, report.Normal, "Running postreceive: "+c.text(s.path))
	cmd := exec.Command(s.path, c.args...) // in and outputs are /dev/null, nothing else is passed on
	if err := cmd.Start(); err != nil {
		<-s.slots
		s.note(c, report.Errors, "Error running postreceive script: "+cli.ErrText(err))
		return
	}
	go func() {
		cmd.Wait()
		<-s.slots
	}()
}

// close starts what still waits, without waiting for its end.
func (s *scripts) close() {
	close(s.calls)
	limit := time.After(time.Minute)
	select {
	case <-s.done:
	case <-limit:
	}
}
