package main

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"uftp/cmd/cli"
	"uftp/engine/sim"
	"uftp/tools/internal/link"
)

func parse(args ...string) (*options, error) {
	o := newOptions()
	operands, err := o.command().Parse(args)
	if err == nil {
		err = o.check(operands)
	}
	return o, err
}

func TestOptions(t *testing.T) {
	o, err := parse("-p", "geo", "-d", "up=20ms", "-r", "down=1.5G", "--rate=up=64k", "-q", "up=10k", "-l", "down=1%", "-b", "2%:30",
		"-D", "0.5%", "-o", "1%:7ms", "-c", "up=3%", "-O", "10s+2s/60s", "-O", "down=1m+20s:loss=30%:rate=5M:delay=5ms", "-w", "24", "-j", "1ms",
		"-s", "42", "-M", "2M", "-n", "a,b", "-k", "veth", "-m", "9000", "-a", "10.0.0.1/8,10.0.0.2/8", "-t", "1m", "-i", "5s", "-L", "x", "-S", "-")
	if err != nil {
		t.Fatal(err)
	}
	d, u := o.down, o.up
	if d.Delay != 300*time.Millisecond || u.Delay != 20*time.Millisecond || d.Rate != 1_500_000_000 || u.Rate != 64_000 || d.Queue != 2<<20 || u.Queue != 10<<10 {
		t.Errorf("down %+v, up %+v", d, u)
	}
	if d.Loss != 0.01 || u.Loss != 0 || d.Burst != sim.Bursts(0.02, 30) || u.Dup != 0.005 || u.Reorder != 0.01 || u.ReorderBy != 7*time.Millisecond || u.Corrupt != 0.03 || d.Corrupt != 0 {
		t.Errorf("down %+v, up %+v", d, u)
	}
	rain := link.Event{From: time.Minute, Length: 20 * time.Second, Loss: 0.3, Rate: 5_000_000, Delay: 5 * time.Millisecond}
	out := link.Event{From: 10 * time.Second, Length: 2 * time.Second, Every: time.Minute, Loss: 1}
	if len(d.Events) != 2 || d.Events[0] != out || d.Events[1] != rain || len(u.Events) != 1 || u.Events[0] != out {
		t.Errorf("events down %+v, up %+v", d.Events, u.Events)
	}
	if o.seed != 42 || o.memory != 2<<20 || o.mtu != 9000 || o.length != time.Minute || o.interval != 5*time.Second || o.log != "x" || o.kind != kindVeth || o.stats != "-" || d.Overhead != 24 || u.Jitter != time.Millisecond {
		t.Errorf("%+v", o)
	}
}

func TestDefaults(t *testing.T) {
	o, err := parse("-r", "down=80M", "-r", "up=64k", "x", "y")
	if err != nil || o.down.Queue != 1_000_000 || o.up.Queue != queueMinDefault {
		t.Errorf("%v: queues of %d and %d bytes, want 100 ms of the rate, at least 64 KiB", err, o.down.Queue, o.up.Queue)
	}
	if o, err = parse("-r", "80M", "-q", "0", "x", "y"); err != nil || o.down.Queue != 0 {
		t.Errorf("%v: -q 0 gives a queue of %d bytes", err, o.down.Queue)
	}
	if o, err = parse("-n", "a,b,c"); err != nil || len(o.addresses) != 6 || o.addresses[2] != "198.18.0.3/24" || o.addresses[5] != "fd99::3/64" {
		t.Errorf("%v: addresses of three ends are %v", err, o.addresses)
	}
	if b, f, ok := bursts("2%:5ms"); !ok || b != (sim.Burst{}) || f != (link.Fades{Share: 0.02, Length: 5 * time.Millisecond}) {
		t.Errorf("bursts in time: %+v, %+v, %v", b, f, ok)
	}
	if b, _, ok := bursts("1%:25%:50%"); !ok || b != (sim.Burst{Enter: 0.01, Leave: 0.25, Loss: 0.5}) {
		t.Errorf("bursts by probabilities: %+v, %v", b, ok)
	}
}

func TestOptionsRefused(t *testing.T) {
	ends := []string{"x", "y"}
	for _, tt := range []struct {
		args []string
		want string // start of the message
	}{
		{[]string{"-p", "moon"}, "Invalid preset: -p moon (allowed: geo, leo, wifi, lan10g)"},
		{[]string{"-d", "1s", "-p", "geo"}, "Must be the first"},
		{[]string{"-p", "geo", "-p", "leo"}, "Must be the first"},
		{[]string{"-d", "300"}, "Invalid delay: -d 300 (allowed: [down=|up=]0 to 60s, with a unit)"},
		{[]string{"-d", "left=1s"}, "Invalid delay"},
		{[]string{"-d", "61s"}, "Invalid delay"},
		{[]string{"-j", "-1s"}, "Invalid jitter"},
		{[]string{"--rate", "5"}, "Invalid rate: --rate 5"},
		{[]string{"-r", "401G"}, "Invalid rate"},
		{[]string{"-r", "fast"}, "Invalid rate"},
		{[]string{"-q", "1G"}, "Invalid queue"},
		{[]string{"-w", "1001"}, "Invalid overhead"},
		{[]string{"-l", "1"}, "Invalid loss: -l 1 (allowed: [down=|up=]0% to 100%)"},
		{[]string{"-l", "101%"}, "Invalid loss"},
		{[]string{"-l", "NaN%"}, "Invalid loss"},
		{[]string{"-b", "5%"}, "Invalid burst"},
		{[]string{"-b", "5%:0"}, "Invalid burst"},
		{[]string{"-b", "5%:0s"}, "Invalid burst"},
		{[]string{"-b", "90%:1"}, "Invalid burst"},
		{[]string{"-b", "1%:2:3%"}, "Invalid burst"},
		{[]string{"-D", "x%"}, "Invalid duplication"},
		{[]string{"-o", "1%:0s"}, "Invalid reordering"},
		{[]string{"-c", "2"}, "Invalid corruption"},
		{[]string{"-O", "5s"}, "Invalid outage"},
		{[]string{"-O", "5s+0s"}, "Invalid outage"},
		{[]string{"-O", "5s+2s/1s"}, "Invalid outage"},
		{[]string{"-O", "5s+2s:rain=1"}, "Invalid outage"},
		{[]string{"-O", "5s+2s:rate=0"}, "Invalid outage"},
		{[]string{"-s", "-1"}, "Invalid seed"},
		{[]string{"-s", "1x"}, "Invalid seed"},
		{[]string{"-M", "1k"}, "Invalid memory"},
		{[]string{"-t", "0s"}, "Invalid time"},
		{[]string{"-i", "1"}, "Invalid interval"},
		{[]string{"-m", "9000"}, "-a, -k and -m are for namespaces"},
		{[]string{"-a", "10.0.0.1/8,10.0.0.2/8"}, "-a, -k and -m are for namespaces"},
		{[]string{"-n", "a,b"}, "Either namespaces (-n) or interfaces"},
		{[]string{"-n", "a"}, "Invalid namespaces"},
		{[]string{"-n", "a,a"}, "Invalid namespaces"},
		{[]string{"-n", "a,../b"}, "Invalid namespaces"},
		{[]string{"-m", "100"}, "Invalid MTU"},
		{[]string{"-a", "10.0.0.1"}, "Invalid addresses"},
		{[]string{"-z"}, "uftp-linksim: invalid option -- 'z'"},
		{[]string{"x"}, "Interface x is given twice"},
		{slices.Repeat([]string{"z"}, 100), "Two interfaces or more, up to 101"},
		{[]string{"-n", strings.Join(slices.Repeat([]string{"a"}, 3), ",")}, "Invalid namespaces"},
		{[]string{"-k", "tun"}, "Invalid kind: -k tun (allowed: tap, veth, any)"},
		{[]string{"-k", "veth"}, "-a, -k and -m are for namespaces"},
	} {
		_, err := parse(append(tt.args, ends...)...)
		if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%q: %v, want %q", tt.args, err, tt.want)
		}
	}
	if _, err := parse("-n", "a,b,c", "-a", "10.0.0.1/8,10.0.0.2/8"); err == nil || !strings.HasPrefix(err.Error(), "2 addresses for 3 namespaces") {
		t.Errorf("%v, want an address for each namespace", err)
	}
	var usage *cli.UsageError
	if _, err := parse(); !errors.As(err, &usage) {
		t.Errorf("nothing: %v, want the usage text", err)
	}
}

// TestHelpNamesAll: every option of the table is explained, every preset named.
func TestHelpNamesAll(t *testing.T) {
	var help strings.Builder
	o := newOptions()
	cmd := o.command()
	cmd.Help(&help)
	seen := map[byte]bool{}
	for _, opt := range cmd.Options {
		if !strings.Contains(help.String(), "--"+opt.Name) || opt.Help == "" || seen[opt.Letter] {
			t.Errorf("option -%c --%s is not explained, or its letter used twice", opt.Letter, opt.Name)
		}
		seen[opt.Letter] = true
	}
	for _, p := range link.Presets() {
		if !strings.Contains(help.String(), p.Name) {
			t.Errorf("preset %s is not in the help", p.Name)
		}
	}
}
