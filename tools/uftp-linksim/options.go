package main

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"uftp/cmd/cli"
	"uftp/cmd/version"
	"uftp/tools/internal/link"
)

// Limits and defaults of the command itself.
const (
	mtuMin, mtuMax   = 576, 65535
	mtuDefault       = 1500
	memoryMin        = 1 << 20
	memoryMax        = 1 << 30
	memoryDefault    = 256 << 20
	queueTimeDefault = 100 * time.Millisecond // of the rate, when only a rate was given
	queueMinDefault  = 64 << 10               // bytes
	nameMax          = 64                     // bytes of a namespace's name
	endsMax          = 101                    // interfaces or namespaces
	perEndMax        = 8                      // addresses
	tunDevice        = "/dev/net/tun"
)

// options are those of the command line.
type options struct {
	down, up link.Config
	preset   string
	shaped   bool // an option of the model was given
	queued   [2]bool

	ports      []string // two interfaces or more
	namespaces []string // or as many namespaces to be made
	kind       string   // of the interfaces in them
	addresses  []string // with prefix, for the namespaces in turn
	mtu        int
	forLab     bool // an option about namespaces was given

	seed     uint64
	memory   int // bytes for each direction of all links
	length   time.Duration
	interval time.Duration
	log      string
	stats    string
}

// What the interfaces in namespaces are.
const (
	kindAny  = "any" // TAP, or veth where there is no TAP
	kindTap  = "tap"
	kindVeth = "veth"
)

// defaultAddresses are from ranges reserved for benchmarks and private use, one of each for
// every end.
func defaultAddresses(ends int) (all []string) {
	for i := range ends {
		all = append(all, fmt.Sprintf("198.18.0.%d/24", i+1))
	}
	for i := range ends {
		all = append(all, fmt.Sprintf("fd99::%x/64", i+1))
	}
	return all
}

func newOptions() *options {
	return &options{mtu: mtuDefault, memory: memoryDefault, seed: 1, kind: kindAny}
}

func (o *options) command() *cli.Command {
	const (
		ends  = "Two ends (interfaces as operands, or namespaces); if there are more, links go from the first to each of the others"
		model = "The link; TIME with a unit (300ms), RATE in bit/s (45M, 256k), SIZE in bytes (2M);\ndown= or up= before a value means one direction: down is from the first end to another"
		view  = "Seeing what happens"
	)
	return &cli.Command{
		Name:     "uftp-linksim",
		Purpose:  "Joins Ethernet interfaces by links that delay, lose, repeat and damage frames on demand.",
		Operands: "[interface interface...]",
		Version:  version.Version,
		Exits:    "   0  -t or a signal\n   1  options\n   2  interfaces\n   4  files\n   5  namespaces, or not Linux\n",
		Examples: "  uftp-linksim -n hub,remote -p geo                        # two namespaces, a satellite between\n" +
			"  ip netns exec hub ping 198.18.0.2                        # in another terminal\n" +
			"  uftp-linksim -n hub,rx1,rx2,rx3 -p geo -b down=2%:5ms       # three receivers, each with losses of its own\n" +
			"  uftp-linksim -p geo -b down=5%:30 -O 60s+20s:loss=30%:rate=5M eth1 eth2\n" +
			"  uftp-linksim -d 10ms -r 100M -l 0.1% -s 7 -L frames.jsonl eth1 eth2\n",
		Options: []cli.Option{
			{Letter: 'n', Name: "namespaces", Arg: "A,B[,...]", Group: ends, Set: o.setNamespaces,
				Help: "make network namespaces, each with an interface eth0;\nthey are removed when the command ends"},
			{Letter: 'k', Name: "kind", Arg: "KIND", Group: ends, Set: o.setKind,
				Help: "of these interfaces: tap (TAP devices), veth, or any: TAP devices\nwhere " + tunDevice + " can be opened, else veth; default: any"},
			{Letter: 'a', Name: "addresses", Arg: "A,B[,...]", Group: ends, Set: o.setAddresses,
				Help: "addresses with prefixes, for the namespaces in turn; default:\n" + strings.Join(defaultAddresses(2), ",") + ", and so on"},
			{Letter: 'm', Name: "mtu", Arg: "BYTES", Group: ends, Set: o.setMTU,
				Help: fmt.Sprintf("MTU in the namespaces, %d to %d; default: %d", mtuMin, mtuMax, mtuDefault)},

			{Letter: 'p', Name: "preset", Arg: "NAME", Group: model, Set: o.setPreset, Help: "start from a known link; later options change it\n" + presetHelp()},
			{Letter: 'd', Name: "delay", Arg: "TIME", Group: model, Help: "one way",
				Set: o.directed("Invalid delay", "0 to 60s, with a unit", func(c *link.Config, v string) (ok bool) {
					c.Delay, ok = span(v, link.DelayMax)
					return ok
				})},
			{Letter: 'j', Name: "jitter", Arg: "TIME", Group: model, Help: "added to the delay, evenly from 0 to TIME; keeps the order",
				Set: o.directed("Invalid jitter", "0 to 60s, with a unit", func(c *link.Config, v string) (ok bool) {
					c.Jitter, ok = span(v, link.DelayMax)
					return ok
				})},
			{Letter: 'r', Name: "rate", Arg: "RATE", Group: model, Help: "0 = no limit",
				Set: o.directed("Invalid rate", "0, or 1k to 400G bit/s", func(c *link.Config, v string) (ok bool) {
					c.Rate, ok = rate(v)
					return ok
				})},
			{Letter: 'q', Name: "queue", Arg: "SIZE", Group: model,
				Help: "bytes that may wait for the rate; more are dropped;\ndefault: 100 ms of the rate, at least 64 KiB",
				Set: o.directed("Invalid queue", "0 to 64M bytes", func(c *link.Config, v string) bool {
					n, ok := scaled(v, byteUnits)
					c.Queue = int(n)
					o.queued[o.side(c)] = true
					return ok && n <= link.QueueMax
				})},
			{Letter: 'w', Name: "overhead", Arg: "BYTES", Group: model, Help: "bytes on the line in addition to each frame (Ethernet on a wire:\n24); default: 0",
				Set: o.directed("Invalid overhead", "0 to 1000 bytes", func(c *link.Config, v string) bool {
					n, ok := scaled(v, nil)
					c.Overhead = int(n)
					return ok && n <= 1000
				})},
			{Letter: 'l', Name: "loss", Arg: "P%", Group: model, Help: "independent loss",
				Set: o.directed("Invalid loss", "0% to 100%", func(c *link.Config, v string) (ok bool) {
					c.Loss, ok = percent(v)
					return ok
				})},
			{Letter: 'b', Name: "burst", Arg: "P%:LENGTH", Group: model,
				Help: "loss in bursts (Gilbert-Elliott) of a mean LENGTH in frames (30)\nor, like fades of a radio link, in time (5ms);\nor ENTER%:LEAVE%:LOSS%, the probabilities for each frame",
				Set: o.directed("Invalid burst", "P%:LENGTH with P up to 90% and LENGTH from 1 frame or 1us, or ENTER%:LEAVE%:LOSS%", func(c *link.Config, v string) (ok bool) {
					c.Burst, c.Fades, ok = bursts(v)
					return ok
				})},
			{Letter: 'D', Name: "duplicate", Arg: "P%", Group: model, Help: "frames that come twice, the copy up to 2 ms later",
				Set: o.directed("Invalid duplication", "0% to 100%", func(c *link.Config, v string) (ok bool) {
					c.Dup, ok = percent(v)
					return ok
				})},
			{Letter: 'o', Name: "reorder", Arg: "P%[:TIME]", Group: model, Help: "frames held back by up to TIME so that others overtake;\ndefault: 5ms",
				Set: o.directed("Invalid reordering", "0% to 100%, and up to 60s behind a colon", func(c *link.Config, v string) (ok bool) {
					c.Reorder, c.ReorderBy, ok = reorder(v)
					return ok
				})},
			{Letter: 'c', Name: "corrupt", Arg: "P%", Group: model, Help: "frames in which 1 to 8 bits behind the Ethernet header are flipped",
				Set: o.directed("Invalid corruption", "0% to 100%", func(c *link.Config, v string) (ok bool) {
					c.Corrupt, ok = percent(v)
					return ok
				})},
			{Letter: 'O', Name: "outage", Arg: "START+LENGTH[/EVERY][:...]", Group: model,
				Help: "from START after the start, nothing passes for LENGTH, again each\nEVERY; with :loss=P%, :rate=RATE, :delay=TIME the link is worse\ninstead (rain, handover); several options add up",
				Set: o.directed("Invalid outage", "START+LENGTH[/EVERY][:loss=P%][:rate=RATE][:delay=TIME], as 30s+5s/60s; at most 64", func(c *link.Config, v string) bool {
					e, ok := outage(v)
					c.Events = append(c.Events, e)
					return ok && len(c.Events) <= link.EventsMax
				})},
			{Letter: 's', Name: "seed", Arg: "NUMBER", Group: model, Set: o.setSeed,
				Help: "the same seed chooses the same fate for the n-th frame of a\ndirection; default: 1"},
			{Letter: 'M', Name: "memory", Arg: "SIZE", Group: model, Set: o.setMemory,
				Help: "for frames under way, each direction of all links together;\ndefault: 256M"},

			{Letter: 't', Name: "time", Arg: "TIME", Group: view, Set: positive(&o.length, "Invalid time"), Help: "end after TIME; default: at SIGINT or SIGTERM"},
			{Letter: 'i', Name: "interval", Arg: "TIME", Group: view, Set: positive(&o.interval, "Invalid interval"),
				Help: "print the counters each TIME; SIGUSR1 prints them at any time"},
			{Letter: 'L', Name: "log", Arg: "FILE", Group: view, Set: cli.String(&o.log), Help: "one line of JSON for each frame: when, fate, arrival"},
			{Letter: 'S', Name: "stats", Arg: "FILE", Group: view, Set: cli.String(&o.stats),
				Help: "counters as JSON, one document a line, at the end and whenever\nthey are printed; - is standard output"},
		},
	}
}

func presetHelp() string {
	var b strings.Builder
	for i, p := range link.Presets() {
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "%-7s %s", p.Name, strings.ReplaceAll(p.Text, "\n", "\n        "))
	}
	return b.String()
}

func (o *options) side(c *link.Config) int {
	if c == &o.down {
		return 0
	}
	return 1
}

func (o *options) setPreset(v string) error {
	p, ok := link.Preset(v)
	if !ok {
		var names []string
		for _, p := range link.Presets() {
			names = append(names, p.Name)
		}
		return &cli.Error{Text: "Invalid preset", Allowed: strings.Join(names, ", ")}
	}
	if o.shaped || o.preset != "" {
		return cli.Fail("Must be the first option about the link, and only once, since it sets all of them")
	}
	o.preset, o.down, o.up = v, p.Down, p.Up
	o.queued = [2]bool{true, true}
	return nil
}

func (o *options) setNamespaces(v string) error {
	parts := strings.Split(v, ",")
	ok := len(parts) >= 2 && len(parts) <= endsMax
	for i, p := range parts {
		ok = ok && !slices.Contains(parts[:i], p) && p != "" && p != "." && p != ".." && len(p) <= nameMax && !strings.ContainsAny(p, "/ \t\n") && p[0] != '-'
	}
	if !ok {
		return &cli.Error{Text: "Invalid namespaces", Allowed: fmt.Sprintf("2 to %d different names with commas between", endsMax)}
	}
	o.namespaces = parts
	return nil
}

func (o *options) setKind(v string) error {
	if v != kindAny && v != kindTap && v != kindVeth {
		return &cli.Error{Text: "Invalid kind", Allowed: "tap, veth, any"}
	}
	o.kind, o.forLab = v, true
	return nil
}

func (o *options) setAddresses(v string) error {
	parts := strings.Split(v, ",")
	for _, p := range parts {
		if _, err := netip.ParsePrefix(p); err != nil {
			return &cli.Error{Text: "Invalid addresses", Allowed: "ADDRESS/PREFIX with commas between"}
		}
	}
	o.addresses, o.forLab = parts, true
	return nil
}

func (o *options) setMTU(v string) error {
	o.forLab = true
	return cli.Int(&o.mtu, mtuMin, mtuMax, "Invalid MTU", "bytes")(v)
}

func (o *options) setSeed(v string) error {
	if _, err := fmt.Sscanf(v+"\n", "%d\n", &o.seed); err != nil {
		return &cli.Error{Text: "Invalid seed", Allowed: "0 to 18446744073709551615"}
	}
	return nil
}

func (o *options) setMemory(v string) error {
	n, ok := scaled(v, byteUnits)
	if !ok || n < memoryMin || n > memoryMax {
		return &cli.Error{Text: "Invalid memory", Allowed: "1M to 1G bytes"}
	}
	o.memory = int(n)
	return nil
}

func positive(p *time.Duration, text string) func(string) error {
	return func(v string) error {
		d, ok := span(v, 1000*time.Hour)
		if !ok || d < 10*time.Millisecond {
			return &cli.Error{Text: text, Allowed: "10ms to 1000h, with a unit"}
		}
		*p = d
		return nil
	}
}

// check completes the options and checks whether they go together.
func (o *options) check(operands []string) error {
	switch {
	case o.namespaces != nil && len(operands) > 0:
		return cli.Fail("Either namespaces (-n) or interfaces, not both")
	case o.namespaces == nil && (len(operands) < 2 || len(operands) > endsMax):
		return &cli.UsageError{Text: fmt.Sprintf("Two interfaces or more, up to %d, or -n with as many namespaces, must be given", endsMax)}
	case o.namespaces == nil && o.forLab:
		return cli.Fail("-a, -k and -m are for namespaces (-n); interfaces keep what they have")
	case len(o.addresses)%max(len(o.namespaces), 1) > 0 || len(o.addresses) > perEndMax*len(o.namespaces):
		return cli.Fail("%d addresses for %d namespaces: each needs as many, up to %d", len(o.addresses), len(o.namespaces), perEndMax)
	}
	for i, name := range operands {
		if slices.Contains(operands[:i], name) {
			return cli.Fail("Interface %s is given twice", name)
		}
	}
	if o.addresses == nil {
		o.addresses = defaultAddresses(len(o.namespaces))
	}
	o.ports = operands
	for i, c := range []*link.Config{&o.down, &o.up} {
		if c.Rate > 0 && !o.queued[i] {
			c.Queue = min(link.QueueMax, max(queueMinDefault, int(c.Rate/8*int64(queueTimeDefault)/int64(time.Second))))
		}
		if err := c.Check(); err != nil {
			return cli.Fail("%v", err)
		}
	}
	return nil
}
