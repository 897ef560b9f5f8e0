package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"uftp/cmd/internal/cli"
	"uftp/cmd/internal/keylog"
	"uftp/cmd/internal/report"
	"uftp/crypto/identity"
	"uftp/engine"
	"uftp/engine/machine"
	"uftp/engine/netio"
	"uftp/engine/receiver"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run is the command; it returns the exit code.
func run(args []string, stdout, stderr *os.File) int {
	child := takeHandoff()
	if child == nil && inBackground(args) {
		return startDaemon(args, stderr)
	}
	left := leftOpen()
	ifs, err := netio.Interfaces()
	if err != nil {
		fmt.Fprintf(stderr, "Couldn't list network interfaces: %s\n", cli.ErrText(err))
		return cli.ExitNet
	}
	o := newOptions(ifs)
	cmd := o.command()
	err = o.parse(cmd, args)
	for _, w := range o.resolver.Warnings {
		fmt.Fprintln(stderr, w)
	}
	if err != nil {
		return cmd.Finish(err, stdout, stderr)
	}
	cfg, err := o.receiveConfig()
	if err != nil {
		return cmd.Finish(err, stdout, stderr)
	}
	return o.serve(cfg, child, left, stdout, stderr)
}

// inBackground reports whether the form of a command line is right and lacks -d. It
// looks at no value: lists and keys may come out of a pipe, which one process can
// read once.
func inBackground(args []string) bool {
	o := newOptions(nil)
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
func (o *options) serve(cfg engine.ReceiveConfig, child *handoff, left []int, stdout, stderr *os.File) int {
	fail := func(code int, format string, args ...any) int {
		fmt.Fprintln(stderr, cli.Clean(fmt.Sprintf(format, args...)))
		return code
	}
	warn := func(line string) { fmt.Fprintln(stderr, line) }
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
	var secrets *keylog.Log
	if o.keyLog != "" {
		if secrets, err = keylog.Open(o.keyLog); err != nil {
			return fail(cli.ExitLog, "Can't open key log: %s (--keylog %s)", cli.ErrText(err), o.keyLog)
		}
		defer secrets.Close()
		warn(keylog.Warning(o.keyLog))
	}
	if child != nil {
		if err := child.detach(left); err != nil {
			return fail(cli.ExitSystem, "Couldn't detach: %s", cli.ErrText(err))
		}
	}

	var file *report.RollingFile
	var screen *report.Screen
	var w io.Writer = stderr
	level := o.logLevel
	switch {
	case child != nil:
		var err error
		file, err = report.OpenRolling(o.logFile, int64(o.logSizeMB)*1_000_000, o.logCount, child.logOpened)
		if err != nil {
			return fail(cli.ExitLog, "Can't open log file: %s (-L %s)", cli.ErrText(err), o.logFile)
		}
		defer file.Close()
		w = file
	case !o.noProgress && !o.json && level == report.Normal && cli.IsTerminal(stderr):
		screen = report.NewScreen(stderr, func() int { return cli.Width(stderr) })
		defer screen.Close()
		w, level = screen, report.Warnings
		cfg.Tick = screenTick
	}
	log := report.NewLog(w, level, true)
	if err := setPriority(o.priority); err != nil {
		return fail(cli.ExitUsage, "Couldn't set priority: %s (-N %d)", cli.ErrText(err), o.priority)
	}
	rep := &report.Receiver{Log: log, Screen: screen, UID: cfg.Receiver.UID, MaxSessions: cfg.Receiver.MaxSessions}
	for _, k := range keys {
		rep.Keys = append(rep.Keys, k.Public())
	}
	if !o.quiet {
		rep.Names = report.NewNames()
	}
	if o.json {
		rep.JSON = report.NewJSON(stdout)
	}
	if o.statusFile != "" {
		status, err := report.OpenStatus(o.statusFile, log)
		if err != nil {
			return fail(cli.ExitUsage, "Can't open status file: %s (-F %s)", cli.ErrText(err), o.statusFile)
		}
		defer status.Close()
		rep.Status = status
	}
	if file != nil {
		defer reopenOnHangup(file, rep.Status, log)()
	}

	ctx, stop := cli.OnSignal(func(at time.Time, n int) {
		log.Printf(report.Errors, at, report.Where{}, "Exiting on signal %d", n)
	})
	defer stop()
	tell := engine.Reporter(rep.Report)
	if o.script != "" {
		scripts := newScripts(o.script, cfg.Sink.Temp != "", cfg.Sink.Merge, rep.Report)
		defer scripts.close()
		tell = func(at time.Time, ev machine.Event) {
			rep.Report(at, ev)
			scripts.report(at, ev)
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
		child.ready(file)
	}
	if secrets != nil {
		cfg.KeyLog = func(in receiver.Session, s receiver.Secrets) {
			e := keylog.Entry{Group: in.Group, Instance: in.Instance, Suite: s.Suite, ServerRandom: s.ServerRandom, GroupMaster: s.GroupMaster}
			if err := secrets.Write(&e); err != nil {
				log.Printf(report.Errors, time.Now(), report.Where{}, "Can't write key log: %s", cli.ErrText(err))
			}
		}
	}
	err = engine.Receive(ctx, cfg, tell)
	rep.Close()
	if pidErr != nil {
		return fail(cli.ExitUsage, "Can't open pid file for writing: %s (-P %s)", cli.ErrText(pidErr), o.pidFile)
	}
	if err != nil {
		text, code := o.setupError(err)
		log.Printf(report.Errors, time.Now(), report.Where{}, "%s", text)
		if child != nil {
			return fail(code, "%s", text)
		}
		return code
	}
	return cli.ExitSignal
}

func (o *options) writePid() error {
	if o.pidFile == "" {
		return nil
	}
	return os.WriteFile(o.pidFile, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o644)
}

// setupError puts the words of the stock daemon before what went wrong.
func (o *options) setupError(err error) (text string, code int) {
	if cerr := o.capture.CaptureError(err); cerr != nil {
		return cerr.Error(), cerr.Code
	}
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return "Error binding socket for listener: " + cli.ErrText(err), cli.ExitNet
	}
	return "Error setting up the network: " + err.Error(), cli.ExitNet
}

// reopenOnHangup opens the log file and the status file anew at each SIGHUP, until the
// returned function is called.
func reopenOnHangup(file *report.RollingFile, status *report.Status, log *report.Log) (stop func()) {
	ch := make(chan os.Signal, 1)
	quit := make(chan struct{})
	signal.Notify(ch, syscall.SIGHUP)
	go func() {
		for {
			select {
			case <-quit:
				return
			case <-ch:
				if err := file.Reopen(); err != nil {
					log.Printf(report.Errors, time.Now(), report.Where{}, "Can't open log file: %s", cli.ErrText(err))
				}
				if err := status.Reopen(); err != nil {
					log.Printf(report.Errors, time.Now(), report.Where{}, "Can't open status file: %s", cli.ErrText(err))
				}
			}
		}
	}()
	return func() {
		signal.Stop(ch)
		close(quit)
	}
}
