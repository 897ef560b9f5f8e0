package main

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"uftp/cmd/cli"
	"uftp/cmd/internal/cmdtest"
	"uftp/crypto/identity"
	"uftp/engine"
	"uftp/engine/netio"
	"uftp/engine/receiver"
	"uftp/wire"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"uftpd": main})
}

// TestScripts runs the command as a user does.
func TestScripts(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the command")
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"exits": cmdtest.Exits, "busyport": cmdtest.BusyPort, "freeport": cmdtest.FreePort, "signal": sendSignal, "waitfor": waitFor, "gone": gone, "killed": killed, "nicer": nicer, "coreless": coreless, "nothingopen": nothingOpen, "send": send,
		},
	})
}

// sendSignal sends a signal to the process of a pid file: signal FILE NAME.
func sendSignal(ts *testscript.TestScript, _ bool, args []string) {
	pid, err := strconv.Atoi(strings.TrimSpace(ts.ReadFile(args[0])))
	ts.Check(err)
	p, err := os.FindProcess(pid)
	ts.Check(err)
	sig := map[string]syscall.Signal{"TERM": syscall.SIGTERM, "HUP": syscall.SIGHUP, "QUIT": syscall.SIGQUIT, "USR1": syscall.SIGUSR1, "USR2": syscall.SIGUSR2, "0": 0}[args[1]]
	ts.Check(p.Signal(sig))
}

// nicer checks that all threads of the process of a pid file are nicer than we are: nicer FILE N.
func nicer(ts *testscript.TestScript, _ bool, args []string) {
	field := func(path string) int64 {
		b, err := os.ReadFile(path)
		ts.Check(err)
		_, after, _ := strings.Cut(string(b), ") ") // the name may hold blanks
		n, err := strconv.ParseInt(strings.Fields(after)[16], 10, 64)
		ts.Check(err)
		return n
	}
	by, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	want := min(field("/proc/self/stat")+by, 19)
	tasks := "/proc/" + strings.TrimSpace(ts.ReadFile(args[0])) + "/task"
	dir, err := os.ReadDir(tasks)
	ts.Check(err)
	for _, d := range dir {
		if got := field(tasks + "/" + d.Name() + "/stat"); got != want {
			ts.Fatalf("thread %s has nice %d, want %d", d.Name(), got, want)
		}
	}
}

// coreless checks that the process of a pid file leaves no core file: coreless FILE.
func coreless(ts *testscript.TestScript, _ bool, args []string) {
	b, err := os.ReadFile("/proc/" + strings.TrimSpace(ts.ReadFile(args[0])) + "/limits")
	ts.Check(err)
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "Max core file size"); ok {
			if soft := strings.Fields(rest)[0]; soft != "0" {
				ts.Fatalf("core files of %s bytes, want none: there are keys in them", soft)
			}
			return
		}
	}
	ts.Fatalf("no limit for core files in %s", b)
}

// nothingOpen checks that the process of a pid file has closed the files that it was started with:
// nothingopen FILE.
func nothingOpen(ts *testscript.TestScript, _ bool, args []string) {
	fds := "/proc/" + strings.TrimSpace(ts.ReadFile(args[0])) + "/fd"
	dir, err := os.ReadDir(fds)
	ts.Check(err)
	for _, d := range dir {
		to, err := os.Readlink(fds + "/" + d.Name())
		ts.Check(err)
		ours := strings.HasPrefix(filepath.Base(to), "log") || !strings.HasPrefix(to, ts.Getenv("WORK"))
		if strings.HasPrefix(to, "pipe:") || !ours {
			ts.Fatalf("descriptor %s is %s, want nothing that was open at the start", d.Name(), to)
		}
	}
}

// killed sees to it that the process of a pid file does not outlive the script.
func killed(ts *testscript.TestScript, _ bool, args []string) {
	pid, err := strconv.Atoi(strings.TrimSpace(ts.ReadFile(args[0])))
	ts.Check(err)
	ts.Defer(func() {
		line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err != nil || !bytes.Contains(line, []byte(ts.Getenv("WORK"))) {
			return // it has ended, and another process may have its number
		}
		if p, err := os.FindProcess(pid); err == nil {
			p.Kill()
		}
	})
}

// waitFor waits until a file holds a text: waitfor FILE TEXT.
func waitFor(ts *testscript.TestScript, _ bool, args []string) {
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if b, err := os.ReadFile(ts.MkAbs(args[0])); err == nil && bytes.Contains(b, []byte(args[1])) {
			return
		}
	}
	ts.Fatalf("%s does not come to hold %q", args[0], args[1])
}

// gone waits until a file is not there any more: gone FILE.
func gone(ts *testscript.TestScript, _ bool, args []string) {
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if _, err := os.Lstat(ts.MkAbs(args[0])); err != nil {
			return
		}
	}
	ts.Fatalf("%s stays", args[0])
}

var testInterfaces = []netio.Interface{
	{Name: "lo", Index: 1, Addr: netip.MustParseAddr("127.0.0.1"), Loopback: true},
	{Name: "eth0", Index: 2, Addr: netip.MustParseAddr("10.88.0.1"), Multicast: true},
	{Name: "eth0", Index: 2, Addr: netip.MustParseAddr("10.88.0.2"), Multicast: true},
	{Name: "eth0", Index: 2, Addr: netip.MustParseAddr("fd88::1"), Multicast: true},
	{Name: "eth1", Index: 3, Addr: netip.MustParseAddr("10.99.0.1"), Multicast: true},
}

func TestTableOfOptions(t *testing.T) {
	cmdtest.CheckOptions(t, newOptions(cli.Host{}).command().Options, "dpUBEQxtTDALFqPSRckKmNisgnHhIM")
}

// Where the options end up.
func TestReceiveConfig(t *testing.T) {
	dest, temp := t.TempDir(), t.TempDir()
	list := t.TempDir() + "/servers"
	if err := os.WriteFile(list, []byte("# allowed\n0A580064|10.88.0.100\r\n\n0x65|10.88.0.101|00:11:22:33:44:55:66:77:88:99:aa:BB:CC:DD:EE:FF:0:1:2:3\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	o := newOptions(cli.Host{Interfaces: testInterfaces})
	line := "-d -q -D " + dest + " -T " + temp + " -i --durable --allow-outside-links -c 20000 -M 232.1.1.1,ff3e::1 -p 2044 -I eth0,eth0/6,eth1 " +
		"-U 0x55 -B 100000 -Q 0x0a --no-gso --no-gro --portable-io -S " + list + " -E --max-sessions 7 --roaming -H 10.0.0.9,10.0.0.8:1055 -h 30 --workers 3 -x 5"
	if err := o.parse(o.command(), strings.Fields(line)); err != nil {
		t.Fatal(err)
	}
	cfg, err := o.receiveConfig()
	if err != nil {
		t.Fatal(err)
	}
	r := cfg.Receiver
	for _, tt := range []struct {
		what      string
		got, want any
	}{
		{"UID", r.UID, wire.UID(0x55)},
		{"sessions", r.MaxSessions, 7},
		{"public addresses", r.Public[0].String() + " " + r.Public[1].String(), "232.1.1.1 ff3e::1"},
		{"encrypted only, restart, roaming", [3]bool{r.MinSecurity == identity.Legacy, r.Restart, r.Roaming}, [3]bool{true, true, true}},
		{"checkpoints", r.CheckpointEvery, checkpointTime},
		{"servers", len(r.Servers), 2},
		{"first server", r.Servers[0], receiver.Server{UID: 0x0A580064, Addr: netip.MustParseAddr("10.88.0.100")}},
		{"second server", r.Servers[1].Addr.String() + " " + r.Servers[1].Fingerprint.String(), "10.88.0.101 00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:01:02:03"},
		{"heartbeats", r.Heartbeats[0].String() + " " + r.Heartbeats[1].String(), "10.0.0.9:1044 10.0.0.8:1055"},
		{"heartbeat interval", r.HeartbeatEvery, 30 * time.Second},
		{"socket", [4]int{int(cfg.Net.Port), cfg.Net.RcvBuf, cfg.Net.TOS, cfg.CacheBytes}, [4]int{2044, 100000, 0x28, 20000}},
		{"switches", [4]bool{cfg.Net.IPv6, cfg.Net.Portable, cfg.Net.NoGSO, cfg.Net.NoGRO}, [4]bool{true, true, true, true}},
		{"sink", [3]bool{cfg.Sink.Merge, cfg.Sink.Durable, cfg.Sink.AllowOutsideLinks}, [3]bool{true, true, true}},
		{"directories", cfg.Sink.Dests[0] + cfg.Sink.Temp, dest + temp},
		{"interfaces", len(cfg.Interfaces), 3},
		{"workers", cfg.Workers, 3},
		{"trace at level 5", cfg.Trace, true},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: %v, want %v", tt.what, tt.got, tt.want)
		}
	}
}

// TestGuardOfRSAExchange: with medium security or more a daemon does not prove keys to any sender.
func TestGuardOfRSAExchange(t *testing.T) {
	for line, want := range map[string]bool{
		"":                      false,
		"-E":                    false,
		"--min-security legacy": false,
		"--min-security medium": true,
		"--min-security strong": true,
		"--rsa-exchange listed": true,
		"--rsa-exchange any":    false,
		"--min-security medium --rsa-exchange any":    false,
		"--rsa-exchange any --min-security strong":    false,
		"--min-security legacy --rsa-exchange listed": true,
	} {
		o := newOptions(cli.Host{Interfaces: testInterfaces})
		if err := o.parse(o.command(), append(strings.Fields(line), "-d", "-D", t.TempDir())); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		cfg, err := o.receiveConfig()
		if err != nil || cfg.Receiver.GuardRSA != want {
			t.Errorf("%q: guarded %v (%v), want %v", line, cfg.Receiver.GuardRSA, err, want)
		}
	}
}

// Which interfaces are asked of the engine, for which groups, and which are refused.
func TestInterfaces(t *testing.T) {
	for _, tt := range []struct {
		line string
		want string // the choices, groups and warnings, or the error
	}{
		{"-d", " [230.4.4.1] 0"},
		{"-d -I eth1,eth0", "eth1 eth0 [230.4.4.1] 0"},
		{"-d -I 10.88.0.2 -I eth0", "10.88.0.2 eth0 [230.4.4.1] 0"},
		{"-d -I eth0/6 -M ff02::1:2:3", "eth0/6 [ff02::1:2:3] 0"},
		{"-d -I eth0 -M ff02::1%eth0,230.4.4.1", "eth0 [ff02::1%eth0 230.4.4.1] 0"},
		{"-d -I eth0/4 -M ff02::1,230.4.4.1", "eth0/4 [230.4.4.1] 1"},
		{"-d -I later0,7,10.9.9.9,fd99::9", "later0 7 10.9.9.9 fd99::9 [230.4.4.1] 0"},
		{"-d -I eth0/6", "Error joining multicast group 230.4.4.1: no interface of its address family"},
		{"-d -I fd88::1", "Error joining multicast group 230.4.4.1: no interface of its address family"},
		{"-d -I eth0,no.such.interface.", "Invalid name/address no.such.interface.: no such interface: -I eth0,no.such.interface."},
	} {
		o := newOptions(cli.Host{Interfaces: testInterfaces})
		err := o.parse(o.command(), append(strings.Fields(tt.line), "-D", t.TempDir()))
		var cfg engine.ReceiveConfig
		if err == nil {
			cfg, err = o.receiveConfig()
		}
		var got []string
		for _, c := range cfg.Interfaces {
			got = append(got, c.String())
		}
		text := fmt.Sprintf("%s %v %d", strings.Join(got, " "), cfg.Receiver.Public, len(o.resolver.Warnings))
		if err != nil {
			text, _, _ = strings.Cut(err.Error(), " (allowed")
		}
		if text != tt.want {
			t.Errorf("uftpd %s: %q, want %q", tt.line, text, tt.want)
		}
	}
}

func TestSourceSpecific(t *testing.T) {
	for a, want := range map[string]bool{
		"232.0.0.0": true, "232.255.1.1": true, "231.1.1.1": false, "230.4.4.1": false,
		"ff3e::1": true, "ff31::8000:1": true, "ff3e:1::1": false, "ff02::1": false, "fe3e::1": false,
	} {
		if got := sourceSpecific(netip.MustParseAddr(a)); got != want {
			t.Errorf("sourceSpecific(%s) = %v, want %v", a, got, want)
		}
	}
}

// Windows runs batch files with an interpreter, whatever follows their names.
func TestBatchFiles(t *testing.T) {
	for name, want := range map[string]bool{`c:\x.bat`: true, `c:\x.CMD`: true, `c:\x.bat. `: true, `c:\x.exe`: false, `c:\bat`: false, "/x.bat.exe": false} {
		if got := batchFile(name); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}
