package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"uftp/cmd/commandline"
	"uftp/tools/internal/link"
)

// simulation is a run.
type simulation struct {
	o      *options
	names  [2]string // of the two ends, for people
	dirs   [2]*direction
	timer  timer
	stats  io.Writer // nil without --stats
	stderr io.Writer
}

// simulate joins the ends and carries frames until the time is over, a signal
// comes or an interface goes away.
func (o *options) simulate(stdout, stderr io.Writer) (err error) {
	ctx, stopSignals := commandline.OnSignal(func(time.Time, int) {})
	defer stopSignals()

	s := &simulation{o: o, stderr: stderr}
	var files []*os.File
	defer func() {
		for _, f := range files {
			err = errors.Join(err, wrapLog(f.Close()))
		}
	}()
	create := func(name string) (*os.File, error) {
		f, err := os.Create(name)
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

	ports, names, closeAll, err := o.open(stderr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeAll()) }()
	s.names = names

	s.timer = newTimer()
	var stop atomic.Bool
	for i, cfg := range []link.Config{o.down, o.up} {
		l, err := link.New(cfg, o.seed, uint64(i), s.timer.start)
		if err != nil {
			return err
		}
		s.dirs[i] = newDirection(ports[i], ports[1-i], l, s.timer, o.memory, newFrameLog(log, directionNames[i]), &stop)
	}
	fmt.Fprintf(stderr, "uftp-linksim: %s (down to) %s, seed %d, running\n", names[0], names[1], o.seed)
	return s.run(ctx, &stop)
}

func wrapLog(err error) error {
	if err != nil {
		return &logError{err}
	}
	return nil
}

// open opens both ports, after making the namespaces if that is wanted.
func (o *options) open(stderr io.Writer) (ports [2]*port, names [2]string, closeAll func() error, err error) {
	type opened struct {
		ports [2]*port
		names [2]string
		lab   *lab
		err   error
	}
	done := make(chan opened)
	go func() {
		var r opened
		inner := [2]string{}
		if o.namespaces != nil {
			runtime.LockOSThread() // never unlocked: the thread ends in its namespace
			if r.lab, inner, r.err = makeLab(o); r.err != nil {
				r.err = &systemError{r.err}
				done <- r
				return
			}
			for i, ns := range o.namespaces {
				r.names[i] = ns + ":" + labDevice
			}
		} else {
			copy(inner[:], o.ports)
			r.names = inner
			for _, name := range inner {
				if all := own(name); len(all) > 0 {
					fmt.Fprintf(stderr, "Warning: this host has addresses on %s (%s) and will answer for itself there\n", name, join(all))
				}
			}
		}
		for i, name := range inner {
			if r.ports[i], r.err = openPort(name); r.err != nil {
				break
			}
		}
		done <- r
	}()
	r := <-done
	closeAll = func() error {
		for _, p := range r.ports {
			if p != nil {
				p.close()
			}
		}
		if r.lab == nil {
			return nil
		}
		if err := r.lab.close(); err != nil {
			return &systemError{err}
		}
		return nil
	}
	if r.err != nil {
		return ports, names, nil, errors.Join(r.err, closeAll())
	}
	return r.ports, r.names, closeAll, nil
}

func join[T fmt.Stringer](all []T) string {
	var words []string
	for _, a := range all {
		words = append(words, a.String())
	}
	return strings.Join(words, ", ")
}

// run lets both directions run and prints counters when they are wanted.
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

// print shows the counters on standard error, and as JSON where that is wanted.
func (s *simulation) print(final bool) error {
	at := s.timer.now().Sub(s.timer.start)
	all := [2]counters{s.dirs[0].counters(), s.dirs[1].counters()}
	fmt.Fprint(s.stderr, asText(at, all))
	if s.stats == nil {
		return nil
	}
	_, err := s.stats.Write(s.o.asJSON(at, final, s.names, all))
	return wrapLog(err)
}
