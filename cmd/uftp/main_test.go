package main

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"uftp/cmd/cli"
	"uftp/cmd/internal/cmdtest"
	"uftp/cmd/lists"
	"uftp/engine/netio"
	"uftp/engine/sender"
	"uftp/wire"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"uftp": main})
}

// TestScripts runs the command as a user does.
func TestScripts(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the command")
	}
	cmdtest.TakeHangUps()
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"exits": cmdtest.Exits, "repeat": repeat, "receiver": startReceiver, "busyport": cmdtest.BusyPort,
		},
	})
}

// repeat writes a file that holds a text many times: repeat FILE COUNT TEXT.
func repeat(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), bytes.Repeat([]byte(strings.ReplaceAll(args[2], `\n`, "\n")), n), 0o644))
}

var testInterfaces = []netio.Interface{
	{Name: "lo", Index: 1, Addr: netip.MustParseAddr("127.0.0.1"), Loopback: true},
	{Name: "eth0", Index: 2, Addr: netip.MustParseAddr("10.88.0.100"), Multicast: true},
	{Name: "eth0", Index: 2, Addr: netip.MustParseAddr("fd88::100"), Multicast: true},
}

// parsed reads a command line, which must be right.
func parsed(t *testing.T, line string) *options {
	t.Helper()
	o := newOptions(cli.Host{Interfaces: testInterfaces})
	if err := o.parse(o.command(), strings.Fields(line)); err != nil {
		t.Fatalf("uftp %s: %v", line, err)
	}
	return o
}

func TestTableOfOptions(t *testing.T) {
	cmdtest.CheckOptions(t, newOptions(cli.Host{}).command().Options, "RLBgnmNaYhwekcKlTbtQzZIpujqfFyUxWHXMPCoDESrsi")
}

// Where the options end up.
func TestSendConfig(t *testing.T) {
	o := parsed(t, "-R 10000 -b 1400 -s 30 -r 1:0.5:2 -a 200 -N 10 -m 3 -W 110 -q -z -H 0x1,10.0.0.2 -U 0x777 "+
		"-t 5 -Q 0x2e -B 100000 -u 5555 -p 2044 -P 230.9.x.x -M 230.1.2.3 -D new -o -E base -l --register-count 7 --register-quiet 0.25 --register-wait 600 --roaming "+
		"--no-gso --no-gro --portable-io --workers 3 -x 5 f1 f2")
	cfg, err := o.sendConfig()
	if err != nil {
		t.Fatal(err)
	}
	s := cfg.Session
	for _, tt := range []struct {
		what      string
		got, want any
	}{
		{"rate, bytes/s", s.Rate, int64(10000 * 128)},
		{"block size", s.BlockSize, 1400},
		{"headers of UDP and IP, bytes", s.LowerLayers, 28},
		{"robustness", s.Robust, 30},
		{"GRTT", [3]time.Duration{s.GRTT, s.MinGRTT, s.MaxGRTT}, [3]time.Duration{time.Second, time.Second / 2, 2 * time.Second}},
		{"limits", [4]int{s.MaxPasses, s.MaxNAKPct, s.MaxNAKCount, s.TxWeight}, [4]int{200, 10, 3, 110}},
		{"quit, sync, preview, unicast, closed", [5]bool{s.QuitOnError, s.Sync, s.Preview, s.Unicast, s.Closed}, [5]bool{true, true, false, false, true}},
		{"hosts", [2]wire.UID{s.Hosts[0].UID, s.Hosts[1].UID}, [2]wire.UID{1, 0x0A000002}},
		{"name of a host", s.Hosts[1].Name, "10.0.0.2"},
		{"UID", s.UID, wire.UID(0x777)},
		{"public address", s.Public.String(), "230.1.2.3:2044"},
		{"port of the private address", s.Private.Port(), uint16(2044)},
		{"first half of the private address", s.Private.Addr().As4()[0]*2 + s.Private.Addr().As4()[1], byte(230*2%256 + 9)},
		{"registration", [3]int{s.RegisterCount, int(s.RegisterQuiet.Milliseconds()), int(s.RegisterWait.Seconds())}, [3]int{7, 250, 600}},
		{"socket", [5]int{int(cfg.Net.Port), cfg.Net.RcvBuf, cfg.Net.SndBuf, cfg.Net.TTL, cfg.Net.TOS}, [5]int{5555, 100000, 100000, 5, 0xb8}},
		{"switches", [3]bool{cfg.Net.Portable, cfg.Net.NoGSO, cfg.Net.NoGRO}, [3]bool{true, true, true}},
		{"interface", cfg.Net.MulticastIf.Addr.String(), "10.88.0.100"},
		{"names", cfg.Walk.DestName + " " + strings.Join(cfg.Walk.Bases, ","), "new base"},
		{"walk", [2]bool{cfg.Walk.DestIsDir, cfg.Walk.FollowLinks}, [2]bool{true, true}},
		{"roaming", s.Roaming, true},
		{"operands", strings.Join(cfg.Walk.Operands, " "), "f1 f2"},
		{"workers", cfg.Workers, 3},
		{"trace at level 5", cfg.Trace, true},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: %v, want %v", tt.what, tt.got, tt.want)
		}
	}
	if s.Group == 0 || s.Instance != 0 {
		t.Errorf("group %08X instance %d, want a random group and instance 0", s.Group, s.Instance)
	}
}

// TestAddresses checks docs/protocol.md, "Addresses and ports".
func TestAddresses(t *testing.T) {
	tests := []struct {
		line    string
		private string // what it begins with, or the error
		unicast bool
		uid     wire.UID
		over    int
	}{
		{"f", "230.5.5.", false, 0x0A580064, 28},
		{"-M 10.88.0.255 f", "10.88.0.255:1044", true, 0x0A580064, 28},
		{"-M 10.88.0.1 -P 230.5.5.5 f", "10.88.0.1:1044", true, 0x0A580064, 28},
		{"-M ff02::1:2:3 -P ff02::4:5:x f", "[ff02::4:5:", false, 0x00010000, 48},
		{"-I eth0/6 -M ff02::1:2:3 -P ff02::9 f", "[ff02::9]:1044", false, 0x00010000, 48},
		{"-I lo f", "230.5.5.", false, 0x7F000001, 28},
		{"-R -1 f", "230.5.5.", false, 0x0A580064, 28},
		{"-P xx.0.0.x f", "", false, 0, 0}, // whatever the numbers give
		{"-M ff02::1:2:3 f", "IP version mismatch between public and private addresses", false, 0, 0},
		{"-M 230.4.4.1 -P ff02::1 f", "IP version mismatch between public and private addresses", false, 0, 0},
		{"-I eth0/6 f", "IP version mismatch between public and interface addresses", false, 0, 0},
		{"-M 300.1.1.1 f", "Invalid public address or port: Name or service not known", false, 0, 0},
		{"-P 300.1.1.1 f", "Invalid private address: Name or service not known", false, 0, 0},
		{"-p 0 f", "Invalid public address or port: port 0 cannot be reached", false, 0, 0},
		{"-p 99x f", "Invalid public address or port: Name or service not known", false, 0, 0},
		{"-u 99x f", "Error getting bind address: Name or service not known", false, 0, 0},
	}
	for _, tt := range tests {
		cfg, err := parsed(t, tt.line).sendConfig()
		got := cfg.Session.Private.String()
		if err != nil {
			got = err.Error()
			if code := cli.ExitCode(err); code != cli.ExitNet {
				t.Errorf("uftp %s: exit code %d, want %d", tt.line, code, cli.ExitNet)
			}
		}
		if !strings.HasPrefix(got, tt.private) {
			t.Errorf("uftp %s: %q, want %q", tt.line, got, tt.private)
		}
		if err == nil && tt.uid != 0 && (cfg.Session.Unicast != tt.unicast || cfg.Session.UID != tt.uid || cfg.Session.LowerLayers != tt.over) {
			t.Errorf("uftp %s: unicast %v, UID %v, overhead %d, want %v, %v, %d", tt.line,
				cfg.Session.Unicast, cfg.Session.UID, cfg.Session.LowerLayers, tt.unicast, tt.uid, tt.over)
		}
	}
	if o := parsed(t, "-P 10.0.0.x f"); true {
		if _, err := o.sendConfig(); err != nil || len(o.resolver.Warnings) != 1 {
			t.Errorf("a private address that is not multicast: %v, warnings %q, want one warning", err, o.resolver.Warnings)
		}
	}
}

func TestRestartClient(t *testing.T) {
	list := t.TempDir() + "/list"
	sum := strings.Repeat("aB:", 19) + "01"
	if err := os.WriteFile(list, []byte("0x1|"+sum+"\n0x2|"+sum+":02\n0x3\n"+
		"0x6\n0x6|"+strings.Repeat("aB:", 19)+"1\n0x6\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	o := parsed(t, "-H @"+list+" f")
	o.resume.Clients = []lists.RestartClient{{Name: "kept", UID: 4, HasFingerprint: true}}
	for uid, want := range map[wire.UID]bool{1: true, 2: false, 3: false, 4: true, 5: false, 6: true} {
		c := o.restartClient("n", uid)
		if c.HasFingerprint != want || (uid == 1 || uid == 6) && (c.Fingerprint[0] != 0xab || c.Fingerprint[19] != 1 || c.Fingerprint[20] != 0) {
			t.Errorf("the record of %v is %+v, want a fingerprint: %v", uid, c, want)
		}
	}
}

// Scripts resume with the command line of the first attempt and -F behind it.
// The restart file lists the files to send, as with stock: -i is refused only behind -F.
func TestResumeBehindList(t *testing.T) {
	dir := t.TempDir()
	list, file := dir+"/list", dir+"/restart"
	if err := os.WriteFile(list, []byte("other\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	x := lists.SendRestart{Group: 7, Operands: []string{"f"}, Clients: []lists.RestartClient{{Name: "n", UID: 1}}}
	if err := x.WriteFile(file); err != nil {
		t.Fatal(err)
	}
	o := parsed(t, "-i "+list+" -F "+file)
	if strings.Join(o.operands, " ") != "f" || len(o.resolver.Warnings) != 1 || !strings.HasPrefix(o.resolver.Warnings[0], "Warning: ignoring -i") {
		t.Errorf("sends %q with warnings %q, want what the restart file lists, and a word about -i", o.operands, o.resolver.Warnings)
	}
	for line, want := range map[string]string{
		"-F " + file + " -i " + list: "Can't specify both -i and -F",
		"-F " + file + " -F " + file: "Can't specify -F twice",
	} {
		o := newOptions(cli.Host{Interfaces: testInterfaces})
		if err := o.parse(o.command(), strings.Fields(line)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("uftp %s: %v, want %q", line, err, want)
		}
	}
}

// A host has one fingerprint, in whatever form and however often it is listed;
// lists that contradict each other are refused.
func TestContradictoryPins(t *testing.T) {
	dir := t.TempDir()
	sum, same, other := strings.Repeat("0a:", 19)+"01", strings.Repeat("A:", 19)+"1", strings.Repeat("0a:", 19)+"02"
	for i, tt := range []struct {
		list, second string
		ok           bool
	}{
		{"0x1|" + sum, "0x1|" + same, true},
		{"0x1|" + sum, "0x1", true},
		{"0x1", "0x1|" + sum, true},
		{"0x1|" + sum, "0x2|" + other, true},
		{"0x1|" + sum, "0x1|" + other, false},
		{"0x1|" + sum + "\n0.0.0.1|" + other, "0x2", false},
	} {
		a, b := fmt.Sprintf("%s/a%d", dir, i), fmt.Sprintf("%s/b%d", dir, i)
		for name, text := range map[string]string{a: tt.list, b: tt.second} {
			if err := os.WriteFile(name, []byte(text+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		o := newOptions(cli.Host{Interfaces: testInterfaces})
		err := o.parse(o.command(), strings.Fields("-H @"+a+" -H @"+b+" f"))
		if tt.ok && err != nil || !tt.ok && (cli.ExitCode(err) != cli.ExitUsage || !strings.HasPrefix(err.Error(), "Contradictory fingerprints for host ")) {
			t.Errorf("lists %q and %q: %v, want them taken: %v", tt.list, tt.second, err, tt.ok)
		}
		if !tt.ok {
			continue
		}
		s := sender.Config{Hosts: o.closedGroup()}
		if err := o.fingerprints(&s, true); err != nil {
			t.Fatal(err)
		}
		for _, h := range s.Hosts {
			if h.UID == 1 && (h.Fingerprint == nil || h.Fingerprint[19] != 1) {
				t.Errorf("lists %q and %q: host 1 is held to %v, want the fingerprint that is listed", tt.list, tt.second, h.Fingerprint)
			}
		}
	}
}

func TestLongDestName(t *testing.T) {
	for n, ok := range map[int]bool{299: true, 300: false} {
		o := newOptions(cli.Host{Interfaces: testInterfaces})
		err := o.parse(o.command(), []string{"-D", strings.Repeat("n", n), "f"})
		if (err == nil) != ok {
			t.Errorf("a name of %d bytes: %v, want it taken: %v", n, err, ok)
		}
	}
}

// The fields of -r are the texts between colons, as strtok splits them.
func TestGRTTFields(t *testing.T) {
	for _, tt := range []struct {
		value string
		want  string // the initial value, or the error's text
	}{
		{"0.25", "250ms"}, {"0.25:", "250ms"}, {"0.25::", "250ms"}, {"2::1::3:", "2s"}, {":2:1:3", "2s"}, {"2:1:3:junk", "Invalid max_grtt"}, {"2s", "Invalid grtt"}, {"2:1s:3", "Invalid min_grtt"},
		{"", "Invalid grtt"}, {":", "Invalid grtt"}, {":1:2", "Missing max_grtt"}, {"1:2:3", "Invalid min_grtt/max_grtt"},
	} {
		o := newOptions(cli.Host{Interfaces: testInterfaces})
		got := ""
		if err := o.setGRTT(tt.value); err != nil {
			got, _, _ = strings.Cut(err.Error(), " (")
		} else {
			got = o.grtt[0].String()
		}
		if got != tt.want {
			t.Errorf("-r %q: %s, want %s", tt.value, got, tt.want)
		}
	}
}

func TestSubstitute(t *testing.T) {
	seen := map[string]bool{}
	for range 50 {
		got, err := substitute("x.5.x.x")
		if err != nil {
			t.Fatal(err)
		}
		if a, err := netip.ParseAddr(got); err != nil || a.As4()[1] != 5 {
			t.Fatalf("x.5.x.x became %s, want an IPv4 address with its second part kept", got)
		}
		seen[got] = true
		if got, err = substitute("ff02::x:x"); err != nil {
			t.Fatal(err)
		}
		if _, err := netip.ParseAddr(got); err != nil {
			t.Fatalf("ff02::x:x became %s, want an IPv6 address", got)
		}
	}
	if len(seen) < 40 {
		t.Errorf("only %d different addresses in 50, want random ones", len(seen))
	}
}

func TestWorkersFollowTheCipher(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4))
	for args, want := range map[string]int{
		"f":                       0, // the one that sends reads alone
		"-Y aes256-cbc f":         3, // all that are left
		"--workers 0 -Y 3des f":   0, // as requested
		"-Y 3des --workers 6 f":   6,
		"-Y aes128-cbc -R auto f": 3,
	} {
		if got := parsed(t, args).fillWorkers(); got != want {
			t.Errorf("%s: %d workers on 4 processors, want %d", args, got, want)
		}
	}
}

// -R reaches the session as bytes/s, whatever form it has.
func TestRateForms(t *testing.T) {
	for _, tt := range []struct {
		value      string
		rate, most int64
		auto       bool
	}{
		{"1000", 128000, 0, false}, {"100M", 12_500_000, 0, false}, {"1G", 125_000_000, 0, false}, {"-1", 0, 0, true},
		{"auto", 1_250_000, 0, true}, {"auto:max=5G", 1_250_000, 625_000_000, true}, {"auto:init=20M:max=1000000", 2_500_000, 128_000_000, true},
		{"auto:max=1M", 125_000, 125_000, true},
	} {
		o := parsed(t, "-R "+tt.value+" f")
		rate, adapt := o.pace()
		if rate != tt.rate || adapt.Most != tt.most || adapt.On != tt.auto {
			t.Errorf("-R %s: %d bytes/s at first, %d at most, adapting %v; want %d, %d, %v", tt.value, rate, adapt.Most, adapt.On, tt.rate, tt.most, tt.auto)
		}
	}
}
