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
	signal.Notify(hangups, syscall.SIGHUP) // from the start: it is not to end us before we can answer
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

// inBackground reports whether the form of a command line is right and lacks -d. It
// looks at no value: lists and keys may come out of a pipe, which one process can
// read once.
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

// serve runs the receiver until a signal ends it. child is nil in the foreground; in
// the background nothing of left stays open.
func (o *options) serve(cfg engine.ReceiveConfig, child *handoff, left []int, hangups <-chan os.Signal, stdout, stderr *os.File) int {
	d := &daemon{o: o}
	fail := func(code int, format string, args ...any) int {
		cli.Say(stderr, fmt.Sprintf(format, args...))
		return code
	}
	if o.umask >= 0 {
		if err := setUmask(o.umask); err != nil {
			return fail(cli.ExitUsage, "Couldn't set umask: %s (--umask %03o)", cli.ErrText(err), o.umask)
		}
	}
	warn := func(line string) { cli.Say(stderr, line) }
	if err := cli.NoCores(); err != nil {
		warn("Warning: a core file of this program would hold keys: " + cli.ErrText(err))
	}
	keys, err := o.keys.Load(warn)
	if err != nil {
		return o.command().Finish(err, stdout, stderr)
	}
	cfg.Receiver.Keys = keys
	for _, k := range keys {
		defer k.Wipe()
		if s, reason := k.Public().Strength(); s <= identity.Legacy {
			warn("Warning: " + reason)
		}
	}
	if o.keyLog != "" {
		if d.secrets, err = keylog.Open(o.keyLog); err != nil {
			return fail(cli.ExitLog, "Can't open key log: %s (--keylog %s)", cli.ErrText(err), o.keyLog)
		}
		defer d.secrets.Close()
		warn(keylog.Warning(o.keyLog))
	}
	if child != nil {
		if err := child.detach(left); err != nil {
			return fail(cli.ExitSystem, "Couldn't detach: %s", cli.ErrText(err))
		}
	}

	var screen *report.Screen
	console := d.all.Watch("standard error", cli.ExitLog, stderr, nil)
	level := o.logLevel
	var lines io.Writer = console
	switch {
	case child != nil:
		var err error
		d.file, err = report.OpenRolling(o.logFile, int64(o.logSizeMB)*1_000_000, o.logCount, child.logOpened)
		if err != nil {
			return fail(cli.ExitLog, "Can't open log file: %s (-L %s)", cli.ErrText(err), o.logFile)
		}
		defer d.file.Close()
		// Nobody else can be told: the log itself says so as soon as it can.
		lines = d.all.Watch("log file "+o.logFile, cli.ExitLog, d.file, nil)
	case !o.noProgress && !o.json && level == report.Normal && cli.IsTerminal(stderr):
		screen = report.NewScreen(console, func() int { return cli.Width(stderr) })
		defer screen.Close()
		lines, level = screen, report.Warnings
		cfg.Tick = screenTick
	}
	log := report.NewLog(lines, level, true)
	d.log = log
	if err := setPriority(o.priority); err != nil {
		return fail(cli.ExitUsage, "Couldn't set priority: %s (-N %d)", cli.ErrText(err), o.priority)
	}
	rep := &report.Receiver{Log: log, Screen: screen, MaxSessions: cfg.Receiver.MaxSessions}
	for _, k := range keys {
		rep.Keys = append(rep.Keys, k.Public())
	}
	if !o.quiet {
		rep.Names = report.NewNames()
	}
	if o.json {
		rep.JSON = report.NewJSON(d.all.Watch("standard output (--json)", cli.ExitLog, stdout, log.Tell()))
	}
	if o.statusFile != "" {
		status, err := report.OpenStatus(o.statusFile, log)
		if err != nil {
			return fail(cli.ExitUsage, "Can't open status file: %s (-F %s)", cli.ErrText(err), o.statusFile)
		}
		defer status.Close()
		status.Watch(&d.all, log.Tell())
		rep.Status, d.status = status, status
	}
	reopen := make(chan struct{}, 1)
	cfg.Capture.Reopen = reopen
	defer d.reopenAt(hangups, reopen)()

	ctx, stop := cli.OnStop(func(at time.Time, n int) {
		log.Printf(report.Errors, at, report.Where{}, "Exiting on signal %d", n)
	})
	defer stop()
	tell := engine.Reporter(func(at time.Time, ev machine.Event) {
		if e, ok := ev.(tap.Failed); ok {
			d.all.Fail(cli.ExitLog, "capture "+e.Path, e.Err)
		}
		rep.Report(at, ev)
	})
	if o.script != "" {
		scripts := newScripts(o.script, cfg.Sink.Temp != "", cfg.Sink.Merge, time.Duration(o.scriptSeconds)*time.Second, rep.Report)
		defer scripts.close()
		plain := tell
		tell = func(at time.Time, ev machine.Event) {
			plain(at, ev)
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
		// Not before: a start that fails leaves the file of the one that runs alone.
		if pidErr = o.writePid(); pidErr != nil {
			end()
			return
		}
		child.ready(d.file)
	}
	if d.secrets != nil {
		cfg.KeyLog = d.logKeys
	}
	err = engine.Receive(ctx, cfg, tell)
	rep.Close()
	if pidErr != nil {
		return fail(cli.ExitUsage, "Can't open pid file for writing: %s (-P %s)", cli.ErrText(pidErr), o.pidFile)
	}
	if child != nil {
		o.removePid()
	}
	if err != nil {
		text, code := o.setupError(err)
		log.Printf(report.Errors, time.Now(), report.Where{}, "%s", text)
		if child != nil {
			return fail(code, "%s", text)
		}
		return code
	}
	if code, name, err := d.all.Failed(); code != 0 {
		log.Printf(report.Errors, time.Now(), report.Where{}, "Not everything was written: %s: %s", name, cli.ErrText(err))
	}
	return d.all.Exit(cli.ExitSignal, true)
}

// daemon is what a running receiver writes.
type daemon struct {
	o       *options
	all     outfile.Outputs
	log     *report.Log
	file    *report.RollingFile // nil in the foreground
	status  *report.Status
	secrets *keylog.Log
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

// removePid removes the pid file, unless another process has put its number there.
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

// setupError puts the words of the stock daemon before what went wrong.
func (o *options) setupError(err error) (text string, code int) {
	if cerr := o.capture.CaptureError(err); cerr != nil {
		return cerr.Error(), cerr.Code
	}
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		text = "Error binding socket for listener: " + cli.ErrText(err) + " (-p " + o.port + ")"
		if o.sharePort {
			return text + ": whoever has the port does not share it (--share-port, for each receiver)", cli.ExitNet
		}
		return text + ": several receivers of one host want --share-port, and each its own -U", cli.ExitNet
	}
	return "Error setting up the network: " + err.Error(), cli.ExitNet
}

// reopenAt opens log, status file, key log and, by a message to reopen, the capture
// anew at each hang-up, for those who have moved them away. It does so until the
// returned function is called.
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
