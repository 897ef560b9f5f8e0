package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"uftp/cmd/cli"
	"uftp/cmd/outfile"
	"uftp/tools/internal/link"
)

// simulation is a run.
type simulation struct {
	o      *options
	names  []string     // of the ends, for people
	dirs   []*direction // from each end
	timer  timer
	stats  io.Writer // nil without --stats, and after it could not be written
	stderr io.Writer
}

// simulate joins the ends and carries frames until the time is over, a signal comes, or an
// interface goes away.
func (o *options) simulate(stdout, stderr io.Writer) (err error) {
	ctx, stopSignals := cli.OnSignal(func(time.Time, int) {})
	defer stopSignals()

	s := &simulation{o: o, stderr: stderr}
	var files []*os.File
	defer func() {
		for _, f := range files {
			err = errors.Join(err, wrapLog(f.Close()))
		}
	}()
	create := func(name string) (*os.File, error) {
		f, err := outfile.Create(name, 0o644)
		if err == nil {
			files = append(files, f)
		}
		return f, wrapLog(err)
	}
	var log *logFile
	if o.log != "" {
		f, err := create(o.log)
		if err != nil {
			return err
		}
		log = &logFile{f: f}
	}
	switch o.stats {
	case "":
	case "-":
		s.stats = stdout
	default:
		if s.stats, err = create(o.stats); err != nil {
			return err
		}
	}

	ends, err := o.open(stderr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ends.close()) }()
	s.names = ends.names

	s.timer = newTimer()
	var stop atomic.Bool
	hub, others := ends.ports[0], ends.ports[1:]
	var down []*leg
	var up []*direction
	for i, p := range others {
		legs := [2]*leg{}
		for side, cfg := range []link.Config{o.down, o.up} {
			l, err := link.New(cfg, o.seed, uint64(2*i+side), s.timer.start)
			if err != nil {
				return err
			}
			to := []*port{p, hub}[side]
			legs[side] = newLeg(to, l, newFrameLog(log, i+1, directionNames[side]))
		}
		down = append(down, legs[0])
		up = append(up, newDirection(p, legs[1:], s.timer, o.memory/len(others), &stop))
	}
	s.dirs = append([]*direction{newDirection(hub, down, s.timer, o.memory, &stop)}, up...)
	fmt.Fprintf(stderr, "uftp-linksim: %s (down to) %s, seed %d, running\n", s.names[0], strings.Join(s.names[1:], ", "), o.seed)
	return s.run(ctx, &stop)
}

func wrapLog(err error) error {
	if err != nil {
		return &logError{err}
	}
	return nil
}

// ends are the ports that the links join, the hub first.
type ends struct {
	ports []*port
	names []string // for people
	lab   *lab     // of the ports; nil: they are on interfaces that existed before
}

// open opens a port for each end. With -n it makes the namespaces before.
func (o *options) open(stderr io.Writer) (e *ends, err error) {
	e = &ends{}
	if o.namespaces != nil {
		if e.lab, err = makeLab(o); err != nil {
			return nil, &systemError{err}
		}
		e.ports = e.lab.ports
		for _, p := range e.ports {
			e.names = append(e.names, p.name)
		}
		fmt.Fprintf(stderr, "uftp-linksim: %d namespaces with %s devices\n", len(e.ports), e.lab.kind)
		return e, nil
	}
	e.names = o.ports
	for _, name := range o.ports {
		if all := own(name); len(all) > 0 {
			fmt.Fprintf(stderr, "Warning: this host has addresses on %s (%s) and will answer for itself there\n", name, join(all))
		}
		p, err := openPort(name)
		if err != nil {
			return nil, errors.Join(err, e.close())
		}
		e.ports = append(e.ports, p)
	}
	return e, nil
}

func (e *ends) close() error {
	if e.lab != nil {
		if err := e.lab.close(); err != nil {
			return &systemError{err}
		}
		return nil
	}
	for _, p := range e.ports {
		p.close()
	}
	return nil
}

func join[T fmt.Stringer](all []T) string {
	var words []string
	for _, a := range all {
		words = append(words, a.String())
	}
	return strings.Join(words, ", ")
}

// run runs all directions, and prints counters when an interval or a signal asks for them.
func (s *simulation) run(ctx context.Context, stop *atomic.Bool) error {
	if s.o.length > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.o.length)
		defer cancel()
	}
	ended := make(chan error, len(s.dirs))
	for _, d := range s.dirs {
		go func() { ended <- d.run() }()
	}
	wanted := make(chan os.Signal, 1)
	signal.Notify(wanted, syscall.SIGUSR1)
	defer signal.Stop(wanted)
	var tick <-chan time.Time
	if s.o.interval > 0 {
		t := time.NewTicker(s.o.interval)
		defer t.Stop()
		tick = t.C
	}
	var all error
	left := len(s.dirs)
	done := ctx.Done()
	for left > 0 {
		select {
		case <-done:
			done = nil
			stop.Store(true)
		case err := <-ended:
			left--
			all = errors.Join(all, err)
			stop.Store(true)
		case <-wanted:
			all = errors.Join(all, s.print(false))
		case <-tick:
			all = errors.Join(all, s.print(false))
		}
	}
	return errors.Join(all, s.print(true))
}

// print prints the counters on standard error, and writes them as JSON with -S.
func (s *simulation) print(final bool) error {
	at := s.timer.now().Sub(s.timer.start)
	all := make([][2]counters, len(s.names)-1)
	for i := range all {
		all[i] = [2]counters{s.dirs[0].counters(i), s.dirs[i+1].counters(0)}
	}
	fmt.Fprint(s.stderr, asText(at, s.names, all))
	if s.stats == nil {
		return nil
	}
	_, err := s.stats.Write(s.o.asJSON(at, final, s.names, all))
	if err != nil {
		s.stats = nil
		fmt.Fprintf(s.stderr, "Warning: statistics cannot be written and end here: %s\n", cli.ErrText(err))
	}
	return wrapLog(err)
}
