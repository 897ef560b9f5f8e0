package main

import (
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"uftp/cmd/cli"
	"uftp/cmd/internal/report"
	"uftp/engine"
	"uftp/engine/machine"
	"uftp/engine/receiver"
	"uftp/wire"
)

// Limits of post-receive scripts.
const (
	scriptsMax     = 64       // running at a time
	scriptsWaiting = 16384    // waiting calls
	scriptsBytes   = 64 << 20 // bytes of paths in waiting calls
	scriptArgsMax  = 1 << 20  // bytes of paths in one call; Linux takes about 2 MiB with the environment

	scriptGrace = 5 * time.Second // between the request to end and the kill

	// When the daemon ends, waiting calls have scriptsEnd to start, and running scripts have
	// scriptsQuit to end; after that they run without us.
	scriptsEnd   = 5 * time.Second
	scriptsQuit  = time.Second
	scriptsNamed = 20 // calls that were not run and are logged by name
)

// scripts runs the post-receive script. Its exit status is reported and has no other effect.
type scripts struct {
	path  string
	temp  bool            // run for moved sessions, not for received files
	each  bool            // one call for each moved path
	limit time.Duration   // for one script; 0: none
	event engine.Reporter // takes log lines and ends of scripts, as events of a session
	after func(time.Duration) <-chan time.Time
	calls chan scriptCall
	slots chan struct{}
	bytes atomic.Int64  // of paths in waiting calls
	mu    sync.Mutex    // held to queue a call, and to close calls
	over  bool          // calls is closed
	quit  chan struct{} // closed: start no more scripts
	done  chan struct{}
}

type scriptCall struct {
	in    receiver.Session
	args  []string
	bytes int64
}

func newScripts(path string, temp, each bool, limit time.Duration, event engine.Reporter) *scripts {
	s := &scripts{
		path: path, temp: temp, each: each, limit: limit, event: event, after: time.After,
		calls: make(chan scriptCall, scriptsWaiting),
		slots: make(chan struct{}, scriptsMax),
		quit:  make(chan struct{}),
		done:  make(chan struct{}),
	}
	go s.run()
	return s
}

// run starts calls one after the other until there are no more.
func (s *scripts) run() {
	defer close(s.done)
	missed := 0
	for c := range s.calls {
		s.bytes.Add(-c.bytes)
		for todo := []scriptCall{c}; len(todo) > 0; {
			c, todo = todo[0], todo[1:]
			if s.slot(c) {
				todo = append(s.start(c), todo...)
				continue
			}
			if missed++; missed <= scriptsNamed {
				s.note(c, report.Errors, "Postreceive script not run because uftpd is ending: "+c.text(s.path))
			}
		}
	}
	if missed > scriptsNamed {
		s.note(scriptCall{}, report.Errors, fmt.Sprintf("%s more not run", cli.Count(missed-scriptsNamed, "postreceive script")))
	}
}

// slot waits until a script may run, and logs that it waits. It returns false when the daemon ends.
func (s *scripts) slot(c scriptCall) bool {
	select {
	case s.slots <- struct{}{}:
		return true
	default:
	}
	s.note(c, report.Warnings, fmt.Sprintf("Warning: %d postreceive scripts are running, %s for one to end",
		cap(s.slots), waiting(len(s.calls)+1)))
	select {
	case s.slots <- struct{}{}:
		return true
	case <-s.quit:
		return false
	}
}

func waiting(n int) string {
	if n == 1 {
		return "1 waits"
	}
	return fmt.Sprintf("%d wait", n)
}

// report runs the script for events about received files.
func (s *scripts) report(ev machine.Event) {
	switch e := ev.(type) {
	case engine.Stored:
		if !s.temp && e.Request.Type == wire.TypeFile {
			s.call(e.Session, e.Path)
		}
	case engine.Moved:
		if !s.each {
			s.call(e.Session, e.Paths...)
			return
		}
		for _, p := range e.Paths {
			s.call(e.Session, p)
		}
	}
}

// call queues one call for paths, or several if they are too long for one.
func (s *scripts) call(in receiver.Session, paths ...string) {
	for len(paths) > 0 {
		n, bytes := 0, 0
		for n < len(paths) && (n == 0 || bytes+len(paths[n]) < scriptArgsMax) {
			bytes += len(paths[n]) + 16 // terminator and pointer
			n++
		}
		c := scriptCall{in: in, bytes: int64(bytes), args: callArgs(in, paths[:n])}
		room := s.bytes.Add(c.bytes) <= scriptsBytes
		if why := s.queue(c, room); why != "" {
			s.bytes.Add(-c.bytes)
			s.note(c, report.Errors, why+", not run: "+c.text(s.path))
		}
		paths = paths[n:]
	}
}

// argsFixed is how many arguments stand before the paths.
const argsFixed = 2

func callArgs(in receiver.Session, paths []string) []string {
	return append([]string{"-I", fmt.Sprintf("%08X", in.Group)}, paths...)
}

// queue queues a call if there is room, or returns why not. After close it queues none: a late
// event may still arrive.
func (s *scripts) queue(c scriptCall, room bool) (why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return "uftpd is ending"
	}
	if room {
		select {
		case s.calls <- c:
			return ""
		default:
		}
	}
	return "Too many postreceive scripts are waiting"
}

func (c *scriptCall) text(path string) string { return path + " " + strings.Join(c.args, " ") }

func (s *scripts) note(c scriptCall, level int, text string) {
	s.event(time.Now(), engine.Note{Session: c.in, Level: level, Text: text})
}

// start runs one call, which has a slot. If the call is too long for the kernel, start returns its
// two halves.
func (s *scripts) start(c scriptCall) (halves []scriptCall) {
	s.note(c, report.Normal, "Running postreceive: "+c.text(s.path))
	cmd := exec.Command(s.path, c.args...) // input and outputs are /dev/null, no other file is passed on
	ownGroup(cmd)
	began := time.Now()
	end := report.ScriptEnded{Session: c.in, Script: s.path, Args: c.args}
	if err := cmd.Start(); err != nil {
		<-s.slots
		if paths := c.args[argsFixed:]; errors.Is(err, syscall.E2BIG) && len(paths) > 1 {
			s.note(c, report.Normal, fmt.Sprintf("Too many paths for one call: %d, calling twice", len(paths)))
			n := len(paths) / 2
			return []scriptCall{{in: c.in, args: callArgs(c.in, paths[:n])}, {in: c.in, args: callArgs(c.in, paths[n:])}}
		}
		end.Err = err
		s.event(time.Now(), end)
		return nil
	}
	go func() {
		end.TimedOut = s.wait(cmd)
		end.Elapsed = time.Since(began)
		end.Exit, end.Signal = cmd.ProcessState.ExitCode(), endSignal(cmd.ProcessState)
		s.event(time.Now(), end)
		<-s.slots
	}()
	return nil
}

// wait waits for the end of a script. If it takes too long, wait asks the script and all that it
// has started to end, and then kills them.
func (s *scripts) wait(cmd *exec.Cmd) (late bool) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		cmd.Wait()
	}()
	if s.limit == 0 {
		<-ended
		return false
	}
	select {
	case <-ended:
		return false
	case <-s.after(s.limit):
	}
	endGroup(cmd, false)
	select {
	case <-ended:
	case <-s.after(scriptGrace):
		endGroup(cmd, true)
		<-ended
	}
	return true
}

// close starts the waiting calls, as far as possible within scriptsEnd. It then waits a moment for
// running scripts, so that their ends are reported.
func (s *scripts) close() {
	s.mu.Lock()
	s.over = true
	close(s.calls)
	s.mu.Unlock()
	select {
	case <-s.done:
	case <-s.after(scriptsEnd):
		close(s.quit)
		<-s.done
	}
	limit := s.after(scriptsQuit)
	for n := range cap(s.slots) {
		select {
		case s.slots <- struct{}{}:
		case <-limit:
			s.note(scriptCall{}, report.Warnings, fmt.Sprintf("Warning: uftpd ends while %s still running",
				cli.Count(cap(s.slots)-n, "postreceive script")))
			return
		}
	}
}
