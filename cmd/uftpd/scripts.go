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
	scriptsWaiting = 16384    // calls that wait for their turn
	scriptsBytes   = 64 << 20 // of paths in calls that wait
	scriptArgsMax  = 1 << 20  // bytes of paths in one call, unless the kernel takes less; Linux takes about 2 MiB with the environment

	scriptGrace = 5 * time.Second // between being asked to end and being killed

	// At the end of the daemon, calls that wait get scriptsEnd to begin, and scripts that
	// run get scriptsQuit to end; those that do not go on without us.
	scriptsEnd  = 5 * time.Second
	scriptsQuit = time.Second
	scriptsTold = 20 // calls that are named when they were not run
)

// scripts starts the post-receive script. Its exit status is reported and counts for
// nothing else.
type scripts struct {
	path  string
	temp  bool            // files count when a session was moved out of the temporary directory
	each  bool            // one call for each path that was moved
	limit time.Duration   // for one script; 0: none
	tell  engine.Reporter // log lines and ends, as events of a session
	after func(time.Duration) <-chan time.Time
	calls chan scriptCall
	slots chan struct{}
	bytes atomic.Int64  // of paths in calls that wait
	mu    sync.Mutex    // held to queue a call, and to close calls
	over  bool          // calls is closed
	quit  chan struct{} // closed: nothing is started any more
	done  chan struct{}
}

type scriptCall struct {
	in    receiver.Session
	args  []string
	bytes int64
}

func newScripts(path string, temp, each bool, limit time.Duration, tell engine.Reporter) *scripts {
	s := &scripts{
		path: path, temp: temp, each: each, limit: limit, tell: tell, after: time.After,
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
			if missed++; missed <= scriptsTold {
				s.note(c, report.Errors, "Postreceive script not run, this program ends: "+c.text(s.path))
			}
		}
	}
	if missed > scriptsTold {
		s.note(scriptCall{}, report.Errors, fmt.Sprintf("%s more not run", cli.Count(missed-scriptsTold, "postreceive script")))
	}
}

// slot waits until a script may run, and says so if that is not now.
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

// report takes the events that mean that files have arrived.
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

// call queues calls for paths: one, or several when they are too long for one.
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

// queue queues a call if there is room, or says why not. After close it queues none: a
// report that has hung may come at any time.
func (s *scripts) queue(c scriptCall, room bool) (why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return "This program ends"
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
	s.tell(time.Now(), engine.Note{Session: c.in, Level: level, Text: text})
}

// start runs one call, which has a slot. If the kernel takes no call that long, it returns
// the two halves of it.
func (s *scripts) start(c scriptCall) (halves []scriptCall) {
	s.note(c, report.Normal, "Running postreceive: "+c.text(s.path))
	cmd := exec.Command(s.path, c.args...) // in and outputs are /dev/null, nothing else is passed on
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
		s.tell(time.Now(), end)
		return nil
	}
	go func() {
		end.TimedOut = s.wait(cmd)
		end.Elapsed = time.Since(began)
		end.Exit, end.Signal = cmd.ProcessState.ExitCode(), endSignal(cmd.ProcessState)
		s.tell(time.Now(), end)
		<-s.slots
	}()
	return nil
}

// wait waits for the end of a script. One that takes too long is asked to end with all
// that it has started, and then is killed.
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

// close starts what still waits, as far as that is possible in scriptsEnd. It waits a
// moment for the ends of scripts, so that they are reported.
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
			s.note(scriptCall{}, report.Warnings, fmt.Sprintf("Warning: this program ends before %s",
				cli.Count(cap(s.slots)-n, "postreceive script")))
			return
		}
	}
}
