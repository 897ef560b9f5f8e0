//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"uftp/tools/netlab"
)

// fallOff ends the search for the best rate: so many results in a row below this
// part of the best.
const (
	fallOff     = 0.75
	fallOffRuns = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := mainErr(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "compare:", err)
		}
		os.Exit(1)
	}
}

// settings is the command line.
type settings struct {
	cases    []testCase
	variants []variant
	rates    []int
	rounds   int
	size     int64
	timeout  time.Duration
	results  string
	pacing   bool
	geo      bool

	receivers int // over the satellite
}

func parse(args []string, errw io.Writer) (s settings, err error) {
	fs := flag.NewFlagSet("compare", flag.ContinueOnError)
	fs.SetOutput(errw)
	blocks := fs.String("blocks", "1300,8800", "block sizes, bytes")
	ciphers := fs.String("ciphers", "none,aes256-gcm", "ciphers, as -Y of uftp names them")
	receivers := fs.String("receivers", "1,4", "numbers of receivers")
	losses := fs.String("loss", "0,1", "losses, percent")
	files := fs.String("files", "1", fmt.Sprintf("numbers of files; more than one are of %d bytes each", smallBytes))
	programs := fs.String("programs", "", "only those whose name contains one of these (default: all)")
	rates := fs.String("rates", "1000,2000,3000,4000,6000,8000,10000,12000,0", "rates to try, Mbit/s; 0 = without limit")
	sizeMB := fs.Int("size", 512, "size of the file, MiB")
	fs.IntVar(&s.rounds, "rounds", 5, "rounds after the search for the best rate")
	fs.DurationVar(&s.timeout, "timeout", time.Minute, "time that one run may take")
	fs.StringVar(&s.results, "results", "", "directory of the file with the results of the day (default: none)")
	fs.BoolVar(&s.pacing, "pacing", false, "measure instead how evenly our sender sends at the rates")
	fs.BoolVar(&s.geo, "geo", false, fmt.Sprintf("measure instead over a satellite; then the defaults are -receivers %d -size %d -rounds %d", geoReceivers, geoSizeMiB, geoRounds))
	if err := fs.Parse(args); err != nil {
		return s, err
	}
	if s.geo {
		given := map[string]bool{}
		fs.Visit(func(f *flag.Flag) { given[f.Name] = true })
		if !given["receivers"] {
			*receivers = strconv.Itoa(geoReceivers)
		}
		if !given["size"] {
			*sizeMB = geoSizeMiB
		}
		if !given["rounds"] {
			s.rounds = geoRounds
		}
		if !given["timeout"] {
			s.timeout = geoTimeout
		}
	}
	var errs [6]error
	var b, n, k []int
	var l []float64
	b, errs[0] = whole(*blocks, 512, 8800)
	n, errs[1] = whole(*receivers, 1, 50)
	l, errs[2] = numbers(*losses, 0, 50)
	s.rates, errs[3] = whole(*rates, 0, 1_000_000)
	k, errs[5] = whole(*files, 1, 100_000)
	if *sizeMB < 1 || s.rounds < 1 || fs.NArg() > 0 {
		errs[4] = errors.New("size and rounds are 1 or more, operands there are none")
	}
	s.size = int64(*sizeMB) << 20
	if s.geo {
		if len(n) != 1 || s.pacing {
			errs[4] = errors.Join(errs[4], errors.New("over a satellite there is one number of receivers, and no -pacing"))
		} else {
			s.receivers = n[0]
		}
	}
	s.cases = product(b, strings.Split(*ciphers, ","), n, l, k)
	for _, v := range variants {
		for _, part := range strings.Split(*programs, ",") {
			if strings.Contains(v.String(), part) {
				s.variants = append(s.variants, v)
				break
			}
		}
	}
	return s, errors.Join(errs[:]...)
}

func mainErr(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	s, err := parse(args, stderr)
	if err != nil {
		return err
	}
	if missing := netlab.Missing("uftp", "uftpd", "iperf3"); len(missing) > 0 {
		return fmt.Errorf("missing: %s", strings.Join(missing, ", "))
	}
	b := &bench{ctx: ctx, timeout: s.timeout}
	if b.dir, err = os.MkdirTemp("/dev/shm", "uftp-compare-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.closeLab(), os.RemoveAll(b.dir)) }()
	b.bin = filepath.Join(b.dir, "bin")
	if err := buildOurs(b.bin); err != nil {
		return err
	}
	if err := b.makeFiles(1, s.size); err != nil {
		return err
	}

	var kept bytes.Buffer
	out := io.MultiWriter(stdout, &kept)
	began := time.Now()
	fmt.Fprintf(out, "goos: %s\ngoarch: %s\npkg: uftp/bench/compare\ncpu: %s\ncores: %d\nfile-MiB: %d\n",
		runtime.GOOS, runtime.GOARCH, cpuModel(), runtime.NumCPU(), s.size>>20)
	switch {
	case s.pacing:
		err = b.pacing(s, out)
	case s.geo:
		err = b.geo(s, out, stderr)
	default:
		err = b.compare(s, out, stderr)
	}
	if err != nil || s.results == "" {
		return err
	}
	return keep(s.results, began, kept.Bytes())
}

// keep adds text to the results of the day.
func keep(dir string, day time.Time, text []byte) error {
	f, err := os.OpenFile(filepath.Join(dir, day.Format("2006-01-02")+".txt"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(append(text, '\n'))
	return errors.Join(err, f.Close())
}

// cpuModel is the processor as the kernel names it.
func cpuModel() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	defer f.Close()
	for sc := bufio.NewScanner(f); sc.Scan(); {
		if key, value, ok := strings.Cut(sc.Text(), ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

// compare runs every case.
func (b *bench) compare(s settings, out, progress io.Writer) error {
	var tables bytes.Buffer
	for _, c := range s.cases {
		if err := b.openLab(c); err != nil {
			return err
		}
		if err := b.makeFiles(c.files, s.size); err != nil {
			return err
		}
		var all []outcome
		for _, v := range s.variants {
			if v.can(c) {
				all = append(all, outcome{v: v, rate: b.search(c, v, s.rates, progress)})
			}
		}
		if b.ctx.Err() != nil {
			return b.ctx.Err()
		}
		for range s.rounds {
			for i := range all {
				o := &all[i]
				if o.rate < 0 {
					continue
				}
				m, err := b.run(c, o.v, o.rate)
				if b.ctx.Err() != nil {
					return b.ctx.Err()
				}
				if err != nil {
					o.failed++
					fmt.Fprintf(progress, "%v %v: %v\n", c, o.v, err)
					continue
				}
				o.runs = append(o.runs, m)
				fmt.Fprintln(out, benchLine(c, o.v, o.rate, m))
			}
		}
		if err := writeTable(&tables, c, all); err != nil {
			return err
		}
	}
	fmt.Fprintln(out)
	_, err := out.Write(tables.Bytes())
	return err
}

// search finds the rate at which a variant is best, -1 if it fails at all of them.
func (b *bench) search(c testCase, v variant, rates []int, progress io.Writer) int {
	found := -1
	var best float64
	worse := 0
	for _, rate := range rates {
		if worse >= fallOffRuns && rate != unlimited {
			continue
		}
		m, err := b.run(c, v, rate)
		if b.ctx.Err() != nil {
			break
		}
		got := m.gbps()
		if err != nil {
			got = 0
			fmt.Fprintf(progress, "search %v %v at %s: %v\n", c, v, rateText(rate), err)
		} else {
			fmt.Fprintf(progress, "search %v %v at %s: %.2f Gbit/s\n", c, v, rateText(rate), got)
		}
		switch {
		case got > best:
			found, best, worse = rate, got, 0
		case got < fallOff*best:
			worse++
		}
	}
	return found
}
