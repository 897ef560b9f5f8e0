package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"syscall"
	"time"

	"uftp/cmd/cli"
	"uftp/cmd/internal/report"
	"uftp/cmd/lists"
	"uftp/cmd/outfile"
	"uftp/cmd/version"
	"uftp/engine"
	"uftp/engine/machine"
	"uftp/engine/sender"
	"uftp/engine/tap"
	"uftp/wire"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run is the command; it returns the exit code.
func run(args []string, stdout, stderr *os.File) int {
	cli.KeepPipes()
	begin := cli.OnBegin() // first: until then the signal would end this process
	host, err := cli.NewHost()
	if err != nil {
		fmt.Fprintf(stderr, "Couldn't list network interfaces: %s\n", cli.ErrText(err))
		return cli.ExitNet
	}
	o := newOptions(host)
	cmd := o.command()
	if err := o.parse(cmd, args); err != nil {
		return cmd.Finish(err, stdout, stderr)
	}
	for _, w := range o.resolver.Warnings {
		cli.Say(stderr, w)
	}
	o.resolver.Warnings = nil

	out, err := o.openOutputs(stdout, stderr)
	if err != nil {
		return cmd.Finish(err, stdout, stderr)
	}
	return out.exit(o.send(out, begin))
}

// send runs the session, and further ones if necessary, and returns the exit code. A value from
// begin ends the registration early.
func (o *options) send(out *outputs, begin <-chan struct{}) int {
	warn := func(line string) { out.log.Printf(report.Warnings, time.Now(), report.Where{}, "%s", line) }
	keys, err := o.prepare(warn)
	if err != nil {
		out.log.Printf(report.Errors, time.Now(), report.Where{}, "%v", err)
		return cli.ExitCode(err)
	}
	if keys != nil {
		defer keys.key.Wipe()
	}
	first, left := o.sendOnce(out, keys, begin, nil)
	exit := verdict(first, left)
	for left != nil {
		warn(fmt.Sprintf("Beginning a new session for %s that left when a file was given up", cli.Count(len(left.hosts), "receiver")))
		var code int
		if code, left = o.sendOnce(out, keys, nil, left); code == int(sender.ExitSignal) {
			return code
		}
	}
	return exit
}

// verdict returns the exit code of the command if its first session ended with code first. If all
// receivers left that session when a file was given up, no receiver has that file.
func verdict(first int, left *leavers) int {
	if left != nil && first == int(sender.ExitNoFileInfo) {
		return int(sender.ExitNoFile)
	}
	return first
}

// leavers are receivers that left a session because a file was given up, as stock receivers do.
// They get the other files in a new session.
type leavers struct {
	hosts   []sender.Host
	without map[string]bool // paths of the files that were given up
}

// sendOnce runs one session, for the receivers of again if that is not nil. It returns the exit
// code, and the receivers that need another session.
func (o *options) sendOnce(out *outputs, keys *crypt, begin <-chan struct{}, again *leavers) (int, *leavers) {
	warn := func(line string) { out.log.Printf(report.Warnings, time.Now(), report.Where{}, "%s", line) }
	cfg, err := o.sendConfig()
	if err == nil && again != nil {
		x := &cfg.Session
		x.Hosts, x.Closed, x.RegisterCount, x.RegisterQuiet, x.RegisterWait = again.hosts, true, 0, 0, 0
		cfg.Without = again.without
		x.Instance = 0
		x.Group, err = random32()
	}
	if err == nil {
		err = o.secure(&cfg, keys)
	}
	for _, w := range o.resolver.Warnings {
		warn(w)
	}
	if err != nil {
		out.log.Printf(report.Errors, time.Now(), report.Where{}, "%v", err)
		return cli.ExitCode(err), nil
	}
	if keys != nil {
		for _, w := range keys.warnings(&o.cryptOptions) {
			warn(w)
		}
	}
	if w := warnMTU(&cfg); w != "" {
		warn(w)
	}
	if out.screen != nil {
		cfg.Tick = screenTick
	}
	rep := &report.Sender{
		Name: "uftp", Log: out.log, Status: out.status, JSON: out.json, Screen: out.screen, Session: &cfg.Session, Secret: keys.secret(),
		Outputs: &out.all, Interface: *cfg.Net.MulticastIf, TTL: cfg.Net.TTL,
	}
	cfg.Begin = begin
	lost := newGivenUp(again)
	ctx, stop := cli.OnSignal(rep.Interrupted)
	defer stop()
	cfg.Capture = o.capture.Config("uftp " + version.Version)
	res, err := engine.Send(ctx, cfg, func(at time.Time, ev machine.Event) {
		if e, ok := ev.(tap.Failed); ok {
			out.all.Fail(cli.ExitLog, "capture "+e.Path, e.Err)
		}
		lost.hear(ev)
		rep.Report(at, ev)
	})
	if err != nil {
		out.screen.Close()
		if cerr := o.capture.CaptureError(err); cerr != nil {
			out.log.Printf(report.Errors, time.Now(), report.Where{}, "%v", cerr)
			return cerr.Code, nil
		}
		out.log.Printf(report.Errors, time.Now(), report.Where{}, "%v", socketError(err, o.sourcePort))
		return cli.ExitNet, nil
	}
	if out.table {
		out.screen.Close()
		rep.Table(out.stderr)
	}
	if o.restart {
		o.writeRestart(out, &res, &cfg)
	}
	rep.Finish(time.Now(), res)
	if ctx.Err() != nil { // a signal, even in the last moment
		return int(res.Exit), nil
	}
	return int(res.Exit), lost.leavers(&res)
}

// givenUp collects the files that were given up, from the events of a session.
type givenUp struct {
	path    string          // of the current file
	without map[string]bool // files given up in this session and those before
	some    bool            // this session gave up a file
	others  bool            // this session has files that it did not give up
}

func newGivenUp(again *leavers) *givenUp {
	g := &givenUp{without: map[string]bool{}}
	if again != nil {
		maps.Copy(g.without, again.without)
	}
	return g
}

func (g *givenUp) hear(ev machine.Event) {
	switch e := ev.(type) {
	case engine.Offered:
		g.path = e.Entry.Path
	case engine.NotTried:
		g.others = true
	case sender.FileEnded:
		if e.GivenUp {
			g.without[g.path], g.some = true, true
		} else {
			g.others = true
		}
	}
}

// leavers returns the receivers that need another session, nil if there are none or nothing to
// send.
func (g *givenUp) leavers(res *engine.SendResult) *leavers {
	if len(res.Left) == 0 || !g.some || !g.others {
		return nil
	}
	x := &leavers{without: g.without}
	for _, i := range res.Left {
		x.hosts = append(x.hosts, sender.Host{UID: res.Clients[i].UID, Name: res.Clients[i].Name})
	}
	return x
}

// screenTick is how often the engine is asked for numbers to show.
const screenTick = 200 * time.Millisecond

// socketError puts the stock sender's text before err.
func socketError(err error, port string) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return &cli.Error{Code: cli.ExitNet, Text: "Error binding socket: " + cli.ErrText(err) + " (-u " + port + ")"}
	}
	return &cli.Error{Code: cli.ExitNet, Text: "Error opening socket: " + err.Error()}
}

// outputs are the places where a session is reported.
type outputs struct {
	all    outfile.Outputs
	stderr io.Writer
	log    *report.Log
	status *report.Status
	json   *report.JSON
	screen *report.Screen
	table  bool
	file   *report.RollingFile
}

// openOutputs opens log and status file and decides about the live display.
func (o *options) openOutputs(stdout, stderr *os.File) (*outputs, error) {
	out := new(outputs)
	out.stderr = out.all.Watch("standard error", cli.ExitLog, stderr, nil)
	w := out.stderr
	level := o.logLevel
	switch {
	case o.logFile != "":
		f, err := report.OpenRolling(o.logFile, int64(o.logFiles.SizeMB)*1_000_000, o.logFiles.Count, nil)
		if err != nil {
			return nil, &cli.Error{Code: cli.ExitLog, Text: fmt.Sprintf("Can't open log file: %s (-L %s)", cli.ErrText(err), o.logFile)}
		}
		out.file = f
		w = out.all.Watch("log file "+o.logFile, cli.ExitLog, f, func(name string, err error, _ int64) {
			if err != nil {
				cli.Say(out.stderr, "Can't write "+name+": "+cli.ErrText(err))
			}
		})
	case !o.noProgress && !o.json && !o.stamps && level == report.Normal && cli.IsTerminal(stderr):
		out.screen = report.NewScreen(out.stderr, func() int { return cli.Width(stderr) })
		w = out.screen
		level = report.Warnings
	}
	out.log = report.NewLog(w, level, o.stamps || o.logFile != "")
	out.table = o.logFile == "" && !o.stamps && o.logLevel >= report.Normal
	if o.json {
		out.json = report.NewJSON(out.all.Watch("standard output (--json)", cli.ExitLog, stdout, out.log.Notify()))
	}
	if o.statusFile != "" {
		st, err := report.OpenStatus(o.statusFile, out.log)
		if err != nil {
			out.close()
			return nil, cli.Fail("Can't open status file: %s (-S %s)", cli.ErrText(err), o.statusFile)
		}
		st.Watch(&out.all, out.log.Notify())
		out.status = st
	}
	return out, nil
}

// close closes the outputs. Some file systems report a failed write only here.
func (out *outputs) close() {
	out.screen.Close()
	if err := out.status.Close(); err != nil {
		out.all.Fail(cli.ExitUsage, "status file", err)
		out.log.Notify()("status file", err, 0)
	}
	if out.file == nil {
		return
	}
	if err := out.file.Close(); err != nil {
		out.all.Fail(cli.ExitLog, "log file", err)
		fmt.Fprintf(out.stderr, "Can't write log file: %s\n", cli.ErrText(err))
	}
}

// exit closes the outputs and returns the exit code of a session that ended with code. It is a
// success only if all outputs were written.
func (out *outputs) exit(code int) int {
	out.close()
	return out.all.Exit(code, code == cli.ExitOK)
}

// restartClient returns the record of a receiver, with the fingerprint from a list or an earlier
// restart file, if any.
func (o *options) restartClient(name string, uid wire.UID) lists.RestartClient {
	for _, c := range o.resume.Clients {
		if c.UID == uid && !c.IsProxy {
			return c
		}
	}
	rec := lists.RestartClient{Name: name, UID: uid}
	if pin, ok := o.pins[uid]; ok {
		rec.HasFingerprint = true
		copy(rec.Fingerprint[:], pin[:])
	}
	return rec
}

// writeRestart leaves a restart file for the receivers that did not get
// everything (docs/protocol.md, "Restart file").
func (o *options) writeRestart(out *outputs, res *engine.SendResult, cfg *engine.SendConfig) {
	x := lists.SendRestart{Group: res.Group, Instance: res.Instance, Operands: cfg.Walk.Operands}
	for i, c := range res.Clients {
		if !c.Proxy && (res.States[i].Failed() || slices.Contains(res.Lacking, i)) {
			x.Clients = append(x.Clients, o.restartClient(c.Name, c.UID))
		}
	}
	if len(x.Clients) == 0 {
		return
	}
	name := lists.RestartName(res.Group)
	in := report.Where{Session: true, Group: res.Group, Instance: res.Instance}
	if err := x.WriteFile(name); err != nil {
		out.all.Fail(cli.ExitUsage, "restart file "+name, err)
		out.log.Printf(report.Errors, time.Now(), in, "Couldn't write restart file %s: %s", name, cli.ErrText(err))
		return
	}
	out.log.Printf(report.Normal, time.Now(), in, "Wrote restart file %s: send the rest with -F %s", name, name)
}
