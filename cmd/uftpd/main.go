package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"uftp/cmd/cli"
	"uftp/cmd/internal/keylog"
	"uftp/cmd/internal/report"
	"uftp/cmd/outfile"
	"uftp/crypto/identity"
	"uftp/engine"
	"uftp/engine/machine"
	"uftp/engine/receiver"
	"uftp/engine/tap"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run is the command; it returns the exit code.
func run(args []string, stdout, stderr *os.File) int {
	cli.KeepPipes()
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP) // from the start: it must not end us before reopenAt runs
	child := takeHandoff()
	if child == nil && inBackground(args) {
		return startDaemon(args, stderr)
	}
	left := leftOpen()
	host, err := cli.NewHost()
	if err != nil {
		fmt.Fprintf(stderr, "Couldn't list network interfaces: %s\n", cli.ErrText(err))
		return cli.ExitNet
	}
	o := newOptions(host)
	cmd := o.command()
	err = o.parse(cmd, args)
	warn := func() {
		for _, w := range o.resolver.Warnings {
			cli.Say(stderr, w)
		}
		o.resolver.Warnings = nil
	}
	warn()
	if err != nil {
		return cmd.Finish(err, stdout, stderr)
	}
	cfg, err := o.receiveConfig()
	warn()
	if err != nil {
		return cmd.Finish(err, stdout, stderr)
	}
	return o.serve(cfg, child, left, hangups, stdout, stderr)
}

// inBackground reports whether a command line is well-formed and has no -d. It looks at no value:
// lists and keys may come from a pipe, which only one process can read.
func inBackground(args []string) bool {
	o := newOptions(cli.Host{})
	cmd := o.command()
	for i := range cmd.Options {
		if opt := &cmd.Options[i]; opt.Name != "foreground" {
			opt.Set = func(string) error { return nil }
		}
	}
	_, err := cmd.Parse(args)
	return err == nil && !o.foreground
}

// screenTick is how often the engine is asked for numbers to show.
const screenTick = 200 * time.Millisecond

// daemon is a running receiver and what it writes.
type daemon struct {
	o       *options
	child   *handoff // nil in the foreground
	stderr  io.Writer
	keys    []*identity.PrivateKey
	secrets *keylog.Log

	all    outfile.Outputs
	log    *report.Log
	file   *report.RollingFile // the log file; nil in the foreground
	status *report.Status
	screen *report.Screen
	rep    *report.Receiver
}

// serve runs the receiver until a signal ends it, and returns the exit code. child is nil in the
// foreground; in the background the descriptors left are closed.
func (o *options) serve(cfg engine.ReceiveConfig, child *handoff, left []int, hangups <-chan os.Signal, stdout, stderr *os.File) int {
	d := &daemon{o: o, child: child, stderr: stderr}
	defer d.close()
	err := d.prepare(left)
	if err == nil {
		err = d.openOutputs(&cfg, stdout, stderr)
	}
	if err != nil {
		return o.command().Finish(err, stdout, stderr)
	}
	cfg.Receiver.Keys = d.keys
	if d.secrets != nil {
		cfg.KeyLog = d.logKeys
	}
	reopen := make(chan struct{}, 1)
	cfg.Capture.Reopen = reopen
	defer d.reopenAt(hangups, reopen)()

	ctx, stop := cli.OnStop(func(at time.Time, n int) {
		d.log.Printf(report.Errors, at, report.Where{}, "Exiting on signal %d", n)
	})
	defer stop()
	reporter := d.report
	if o.script != "" {
		scripts := newScripts(o.script, cfg.Sink.Temp != "", cfg.Sink.Merge, time.Duration(o.scriptSeconds)*time.Second, d.rep.Report)
		defer scripts.close()
		reporter = func(at time.Time, ev machine.Event) {
			d.report(at, ev)
			scripts.report(ev)
		}
	}
	ctx, end := context.WithCancel(ctx)
	defer end()
	var pidErr error
	cfg.Ready = func() {
		if child == nil {
			return
		}
		// Not earlier: a start that fails must not replace the pid file of a running daemon.
		if pidErr = o.writePid(); pidErr != nil {
			end()
			return
		}
		child.ready(d.file)
	}
	err = engine.Receive(ctx, cfg, reporter)
	d.rep.Close()
	return d.exit(err, pidErr)
}

// prepare sets the umask, loads the keys, opens the key log and detaches from the terminal.
func (d *daemon) prepare(left []int) error {
	o := d.o
	if o.umask >= 0 {
		if err := setUmask(o.umask); err != nil {
			return cli.Fail("Couldn't set umask: %s (--umask %03o)", cli.ErrText(err), o.umask)
		}
	}
	warn := func(line string) { cli.Say(d.stderr, line) }
	if err := cli.NoCores(); err != nil {
		warn("Warning: a core file of this program would contain keys: " + cli.ErrText(err))
	}
	var err error
	if d.keys, err = o.keys.Load(warn); err != nil {
		return err
	}
	for _, k := range d.keys {
		if s, reason := k.Public().Strength(); s <= identity.Legacy {
			warn("Warning: " + reason)
		}
	}
	if o.keyLog != "" {
		if d.secrets, err = keylog.Open(o.keyLog); err != nil {
			return &cli.Error{Code: cli.ExitLog, Text: fmt.Sprintf("Can't open key log: %s (--keylog %s)", cli.ErrText(err), o.keyLog)}
		}
		warn(keylog.Warning(o.keyLog))
	}
	if d.child != nil {
		if err := d.child.detach(left); err != nil {
			return &cli.Error{Code: cli.ExitSystem, Text: "Couldn't detach: " + cli.ErrText(err)}
		}
	}
	return nil
}

// openOutputs opens log, status file and JSON, and decides about the live display.
func (d *daemon) openOutputs(cfg *engine.ReceiveConfig, stdout, stderr *os.File) error {
	o := d.o
	console := d.all.Watch("standard error", cli.ExitLog, stderr, nil)
	level := o.logLevel
	var lines io.Writer = console
	switch {
	case d.child != nil:
		var err error
		d.file, err = report.OpenRolling(o.logFile, int64(o.logFiles.SizeMB)*1_000_000, o.logFiles.Count, d.child.logOpened)
		if err != nil {
			return &cli.Error{Code: cli.ExitLog, Text: fmt.Sprintf("Can't open log file: %s (-L %s)", cli.ErrText(err), o.logFile)}
		}
		// If the log cannot be written, there is no other place to report it: the log itself says
		// so later.
		lines = d.all.Watch("log file "+o.logFile, cli.ExitLog, d.file, nil)
	case !o.noProgress && !o.json && level == report.Normal && cli.IsTerminal(stderr):
		d.screen = report.NewScreen(console, func() int { return cli.Width(stderr) })
		lines, level = d.screen, report.Warnings
		cfg.Tick = screenTick
	}
	d.log = report.NewLog(lines, level, true)
	if err := setPriority(o.priority); err != nil {
		return cli.Fail("Couldn't set priority: %s (-N %d)", cli.ErrText(err), o.priority)
	}
	d.rep = &report.Receiver{Log: d.log, Screen: d.screen, MaxSessions: cfg.Receiver.MaxSessions}
	for _, k := range d.keys {
		d.rep.Keys = append(d.rep.Keys, k.Public())
	}
	if !o.quiet {
		d.rep.Names = report.NewNames()
	}
	if o.json {
		d.rep.JSON = report.NewJSON(d.all.Watch("standard output (--json)", cli.ExitLog, stdout, d.log.Notify()))
	}
	if o.statusFile != "" {
		status, err := report.OpenStatus(o.statusFile, d.log)
		if err != nil {
			return cli.Fail("Can't open status file: %s (-F %s)", cli.ErrText(err), o.statusFile)
		}
		status.Watch(&d.all, d.log.Notify())
		d.rep.Status, d.status = status, status
	}
	return nil
}

// report passes an event on.
func (d *daemon) report(at time.Time, ev machine.Event) {
	if e, ok := ev.(tap.Failed); ok {
		d.all.Fail(cli.ExitLog, "capture "+e.Path, e.Err)
	}
	d.rep.Report(at, ev)
}

// exit logs why the receiver has ended, if not by a signal, and returns the exit code.
func (d *daemon) exit(err, pidErr error) int {
	if pidErr != nil {
		cli.Say(d.stderr, fmt.Sprintf("Can't open pid file for writing: %s (-P %s)", cli.ErrText(pidErr), d.o.pidFile))
		return cli.ExitUsage
	}
	if d.child != nil {
		d.o.removePid()
	}
	if err != nil {
		text, code := d.o.setupError(err)
		d.log.Printf(report.Errors, time.Now(), report.Where{}, "%s", text)
		if d.child != nil {
			cli.Say(d.stderr, text)
		}
		return code
	}
	if code, name, err := d.all.Failed(); code != 0 {
		d.log.Printf(report.Errors, time.Now(), report.Where{}, "Not everything was written: %s: %s", name, cli.ErrText(err))
	}
	return d.all.Exit(cli.ExitSignal, true)
}

// close closes what is open, and wipes the keys.
func (d *daemon) close() {
	d.status.Close()
	d.screen.Close()
	if d.file != nil {
		d.file.Close()
	}
	d.secrets.Close()
	for _, k := range d.keys {
		k.Wipe()
	}
}

// logKeys writes the secrets of a session to the key log.
func (d *daemon) logKeys(in receiver.Session, s receiver.Secrets) {
	e := keylog.Entry{Group: in.Group, Instance: in.Instance, Suite: s.Suite, ServerRandom: s.ServerRandom, GroupMaster: s.GroupMaster}
	if err := d.secrets.Write(&e); err != nil {
		d.all.Fail(cli.ExitLog, "key log "+d.o.keyLog, err)
		d.log.Printf(report.Errors, time.Now(), report.Where{}, "Can't write key log: %s", cli.ErrText(err))
	}
}

func (o *options) writePid() error {
	if o.pidFile == "" {
		return nil
	}
	return outfile.Replace(o.pidFile, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o644)
}

// removePid removes the pid file, unless another process has written its number into it.
func (o *options) removePid() {
	if o.pidFile == "" {
		return
	}
	if info, err := os.Lstat(o.pidFile); err != nil || !info.Mode().IsRegular() {
		return
	}
	b, err := os.ReadFile(o.pidFile)
	if err == nil && strings.TrimSpace(string(b)) == strconv.Itoa(os.Getpid()) {
		os.Remove(o.pidFile)
	}
}

// setupError puts the stock daemon's text before err.
func (o *options) setupError(err error) (text string, code int) {
	if cerr := o.capture.CaptureError(err); cerr != nil {
		return cerr.Error(), cerr.Code
	}
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		text = "Error binding socket for listener: " + cli.ErrText(err) + " (-p " + o.port + ")"
		if o.sharePort {
			return text + ": the program that uses the port does not share it; start every receiver with --share-port", cli.ExitNet
		}
		return text + ": for several receivers on one host start each with --share-port and its own -U", cli.ExitNet
	}
	return "Error setting up the network: " + err.Error(), cli.ExitNet
}

// reopenAt opens log, status file and key log anew at each hang-up, for users who have moved them,
// and tells the capture to do the same through reopen. It ends when stop is called.
func (d *daemon) reopenAt(hangups <-chan os.Signal, reopen chan<- struct{}) (stop func()) {
	quit := make(chan struct{})
	again := func(what string, err error) {
		if err != nil {
			d.log.Printf(report.Errors, time.Now(), report.Where{}, "Can't open %s: %s", what, cli.ErrText(err))
		}
	}
	go func() {
		for {
			select {
			case <-quit:
				return
			case <-hangups:
				if d.file != nil {
					again("log file", d.file.Reopen())
				}
				again("status file", d.status.Reopen())
				again("key log", d.secrets.Reopen())
				select {
				case reopen <- struct{}{}:
				default:
				}
			}
		}
	}()
	return func() { close(quit) }
}
