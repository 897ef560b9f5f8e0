package main

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"uftp/cmd/cli"
	"uftp/cmd/internal/cmdtest"
	"uftp/engine/netio"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"uftp-doctor": main, "uftpd": holdPort, "other": holdPort})
}

// holdPort is a program that has the port of receivers, and says so by a file.
func holdPort() {
	if _, err := net.ListenPacket("udp4", ":1044"); err != nil {
		panic(err)
	}
	if err := os.WriteFile("held", nil, 0o644); err != nil {
		panic(err)
	}
	time.Sleep(time.Minute)
}

// TestScripts runs the command as a user does.
func TestScripts(t *testing.T) {
	host, err := cli.NewHost()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cli.NewResolver().Interface(host, "lo"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("no loopback called lo")
		}
		t.Skip("SKIPPED: the loopback is not called lo here")
	}
	testscript.Run(t, testscript.Params{
		Dir:  "testdata/script",
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){"exits": cmdtest.Exits},
		Condition: func(cond string) (bool, error) {
			return cond == "namespaces" && canMakeNamespaces(t), nil
		},
	})
}

// canMakeNamespaces says whether scripts may make network namespaces; CI must.
func canMakeNamespaces(t *testing.T) bool {
	can := runtime.GOOS == "linux" && os.Geteuid() == 0
	for _, tool := range []string{"unshare", "ip", "nft"} {
		_, err := exec.LookPath(tool)
		can = can && err == nil
	}
	if !can && os.Getenv("CI") != "" {
		t.Error("no network namespaces, and CI must run these scripts")
	}
	return can
}

const gbit = 1e9 / 8

// healthy is a machine with nothing to warn of, at 1 Gbit/s.
func healthy() *facts {
	return &facts{
		iface: netio.Interface{Name: "eth0", Index: 2, Addr: netip.MustParseAddr("10.0.0.1"), Multicast: true},
		mtu:   1500, linkRate: 10 * gbit, to: netip.MustParseAddr("230.4.4.1"), ttl: 1,
		routeFrom: netip.MustParseAddr("10.0.0.1"), routeBy: "eth0",
		path:    path{sends: true, receives: true, port: 1044, coming: accepted, answers: accepted, leaving: accepted},
		wantBuf: 16 << 20, rcvBuf: 16 << 20, sndBuf: 16 << 20, gso: true, gro: true,
		rate: gbit, block: 1300, packet: 1388, cipher: "aes256-gcm", helped: true, processor: "aes", sealRate: 20 * gbit, cpus: 2,
		dest: "/srv", diskRate: 5 * gbit, linuxHints: true,
	}
}

// Every check says nothing on a healthy machine and warns of one thing when that
// is wrong.
func TestFindings(t *testing.T) {
	peer := netip.MustParseAddr("10.7.0.1")
	denied := &os.PathError{Op: "open", Path: "/srv/x", Err: syscall.EACCES}
	for _, c := range []struct {
		why    string
		change func(*facts)
		name   string // of the warning, "" for none
		fix    string // a part of it
	}{
		{"a healthy machine", func(*facts) {}, "", ""},
		{"the loopback", func(f *facts) { f.iface.Loopback = true }, "interface", "-I INTERFACE"},
		{"a link that is too slow", func(f *facts) { f.linkRate = gbit / 10 }, "interface", "uftp -R 92773"},
		{"a link of unknown speed", func(f *facts) { f.linkRate = 0 }, "", ""},
		{"no multicast flag", func(f *facts) { f.iface.Multicast = false }, "multicast", "ip link set dev eth0 multicast on"},
		{"no multicast flag, and unicast", func(f *facts) { f.iface.Multicast, f.to = false, netip.MustParseAddr("10.0.0.2") }, "", ""},
		{"nothing leaves by the interface", func(f *facts) { f.routeErr = syscall.ENETDOWN }, "route", "ip link set dev eth0 up"},
		{"no route to a host", func(f *facts) { f.routeErr, f.to = syscall.ENETUNREACH, netip.MustParseAddr("10.9.0.2") }, "route", "ip route add 10.9.0.2 dev eth0"},
		{"a route over another interface", func(f *facts) { f.to, f.routeBy = netip.MustParseAddr("10.9.0.2"), "eth1" }, "route", "-I eth1"},
		{"another address of the interface", func(f *facts) { f.routeFrom = netip.MustParseAddr("10.0.0.7") }, "", ""},
		{"no carrier", func(f *facts) { f.iface.NoCarrier = true }, "interface", "cable"},

		{"a strict filter, nobody named", func(f *facts) { f.rpFilter = 1 }, "", ""},
		{"a strict filter, and the way back", func(f *facts) { f.rpFilter, f.peer, f.backBy = 1, peer, "eth0" }, "", ""},
		{"a strict filter, and another way back", func(f *facts) { f.rpFilter, f.peer, f.backBy = 1, peer, "eth1" }, "rp_filter", "sysctl -w net.ipv4.conf.eth0.rp_filter=2"},
		{"a loose filter, and another way back", func(f *facts) { f.rpFilter, f.peer, f.backBy = 2, peer, "eth1" }, "", ""},
		{"a filter, and no way back", func(f *facts) { f.rpFilter, f.peer, f.backErr = 2, peer, syscall.ENETUNREACH }, "rp_filter", "ip route add 10.7.0.1 dev eth0"},
		{"no filter, and no way back", func(f *facts) { f.peer, f.backErr = peer, syscall.ENETUNREACH }, "", ""},
		{"a filter, at a sender", func(f *facts) { f.receives, f.rpFilter, f.peer, f.backErr = false, 2, peer, syscall.ENETUNREACH }, "", ""},

		{"a firewall before a receiver", func(f *facts) { f.coming, f.comingBy = dropped, "inet filter input" }, "firewall", "nft insert rule inet filter input udp dport 1044 accept"},
		{"a firewall before the answers", func(f *facts) { f.receives, f.answers, f.answersBy = false, dropped, "inet filter input" }, "firewall", "uftp -u 2044, and nft insert rule inet filter input udp dport 2044 accept"},
		{"a firewall before the answers to a port", func(f *facts) { f.receives, f.sourcePort, f.answers, f.answersBy = false, 3044, dropped, "ip f in" }, "firewall", "nft insert rule ip f in udp dport 3044 accept"},
		{"a firewall before the answers, at a receiver that works", func(f *facts) { f.answers, f.answersBy = dropped, "inet filter input" }, "", ""},
		{"a firewall before both", func(f *facts) {
			f.coming, f.comingBy, f.answers, f.answersBy = dropped, "inet filter input", dropped, "inet filter input"
		}, "firewall", "udp dport 1044 accept; uftp -u 2044"},
		{"a firewall before what leaves", func(f *facts) { f.leaving, f.leavingBy = dropped, "ip f out" }, "firewall", "nft insert rule ip f out udp dport 1044 accept"},
		{"a firewall before a receiver, at a sender", func(f *facts) { f.receives, f.coming = false, dropped }, "", ""},
		{"a firewall before the answers, at a receiver", func(f *facts) { f.sends, f.answers = false, dropped }, "", ""},
		{"rules that are not understood", func(f *facts) { f.coming, f.comingBy = accepted|dropped, "ip f in" }, "", ""},
		{"rules that cannot be read", func(f *facts) { f.firewallErr, f.coming, f.answers, f.leaving = syscall.EPERM, 0, 0, 0 }, "", ""},

		{"the port has another program", func(f *facts) { f.portErr, f.holder = syscall.EADDRINUSE, "other (process 7)" }, "port", "-p"},
		{"the port has another program, at a sender", func(f *facts) { f.receives, f.portErr, f.holder = false, syscall.EADDRINUSE, "other (process 7)" }, "", ""},
		{"the port has a receiver", func(f *facts) { f.portErr, f.holder = syscall.EADDRINUSE, "uftpd (process 7)" }, "", ""},
		{"the port has somebody", func(f *facts) { f.portErr = syscall.EADDRINUSE }, "", ""},
		{"the port may not be opened", func(f *facts) { f.portErr = syscall.EACCES }, "port", "above 1023"},
		{"the group cannot be joined", func(f *facts) { f.joinErr = syscall.ENOBUFS }, "membership", "igmp_max_memberships"},
		{"a TTL for routers", func(f *facts) { f.ttl = 5 }, "", ""},
		{"a TTL for routers, and a group that stays", func(f *facts) { f.ttl, f.to = 5, netip.MustParseAddr("224.0.0.9") }, "ttl", "-M 230.4.4.1"},
		{"the same with IPv6", func(f *facts) { f.ttl, f.to = 5, netip.MustParseAddr("ff02::9") }, "ttl", "ff05::"},
		{"a packet that just fits", func(f *facts) { f.packet = 1500 }, "", ""},
		{"a packet that does not", func(f *facts) { f.packet = 1501 }, "mtu", "uftp -b 1296, or ip link set dev eth0 mtu 9000"},
		{"an MTU too small for any block", func(f *facts) { f.mtu = 500 }, "mtu", "ip link set dev eth0 mtu 9000, "},
		{"a receive buffer that was not granted", func(f *facts) { f.rcvBuf = 212992 }, "receive", "sysctl -w net.core.rmem_max=16777216"},
		{"the same on another system", func(f *facts) { f.rcvBuf, f.linuxHints = 212992, false }, "receive", "kern.ipc.maxsockbuf"},
		{"a receive buffer too small for the rate", func(f *facts) { f.rcvBuf, f.wantBuf = 65536, 65536 }, "receive", "uftpd -B 2500000"},
		{"a send buffer that was not granted", func(f *facts) { f.sndBuf = 212992 }, "send", "net.core.wmem_max"},
		{"a send buffer that is enough", func(f *facts) { f.sndBuf = 1 << 20 }, "", ""},
		{"no socket", func(f *facts) { f.socketErr = syscall.EMFILE }, "socket", "ulimit"},
		{"neither GSO nor GRO", func(f *facts) { f.gso, f.gro = false, false }, "offload", "kernel"},
		{"no GRO", func(f *facts) { f.gro = false }, "offload", "kernel"},
		{"large sends that are mangled", func(f *facts) { f.trainErr = errTrain }, "offload", "--no-gso"},
		{"one processor", func(f *facts) { f.cpus = 1 }, "processors", "two processors"},
		{"no cipher", func(f *facts) { f.cipher, f.helped, f.sealRate = "none", false, 0 }, "", ""},
		{"a cipher in software", func(f *facts) { f.helped = false }, "cipher", "aes256-gcm"},
		{"a cipher too slow for one processor", func(f *facts) { f.sealRate, f.cpus = gbit/2, 8 }, "cipher", "--workers 3"},
		{"a cipher too slow for all", func(f *facts) { f.sealRate = gbit / 2 }, "cipher", "-R 439453"},
		{"a cipher that fails", func(f *facts) { f.cipherErr = errors.New("x") }, "cipher", "-Y"},
		{"a slow disk", func(f *facts) { f.diskRate = gbit / 2 }, "disk", "uftp -R 439453"},
		{"a disk that cannot be written", func(f *facts) { f.diskErr = denied }, "disk", "check its permissions"},
		{"no destination", func(f *facts) { f.dest, f.diskErr = "", denied }, "", ""},
	} {
		f := healthy()
		c.change(f)
		var warned []finding
		for _, x := range f.findings() {
			if x.name == "" || x.text == "" {
				t.Errorf("%s: the finding %+v says nothing", c.why, x)
			}
			if x.fix != "" {
				warned = append(warned, x)
			}
		}
		switch {
		case c.name == "" && len(warned) > 0:
			t.Errorf("%s: warnings %+v, want none", c.why, warned)
		case c.name != "" && (len(warned) != 1 || warned[0].name != c.name || !strings.Contains(warned[0].fix, c.fix)):
			t.Errorf("%s: warnings %+v, want one of %q with %q", c.why, warned, c.name, c.fix)
		}
	}
}

func TestFindingIsWritten(t *testing.T) {
	for _, c := range []struct {
		x    finding
		want string
	}{
		{finding{"mtu", "1500", ""}, "ok    mtu         1500\n"},
		{finding{"disk", "a\x1bb", "do it"}, "warn  disk        a?b\n                  fix: do it\n"},
	} {
		var b strings.Builder
		c.x.write(&b)
		if b.String() != c.want {
			t.Errorf("got %q, want %q", b.String(), c.want)
		}
	}
}

// On this machine the measurements must be plausible.
func TestMeasure(t *testing.T) {
	if _, _, err := tryTrain(); err != nil {
		t.Errorf("a train over loopback: %v", err)
	}
	dir := t.TempDir()
	if rate, err := measureDisk(dir, 3_000_000); err != nil || rate <= 0 {
		t.Errorf("disk: %v bytes/s, %v", rate, err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("the measurement left %v, %v", left, err)
	}
	for _, name := range cli.Ciphers[1:] {
		f := &facts{cipher: name, block: 1300}
		f.measureCipher()
		if f.cipherErr != nil || f.sealRate <= 0 || f.packet <= 1324 {
			t.Errorf("%s: %v bytes/s, packets of %d, %v", name, f.sealRate, f.packet, f.cipherErr)
		}
	}
}

// Every option is in one group, has both names once, and its lines fit.
func TestTableOfOptions(t *testing.T) {
	seen := map[string]bool{}
	for _, opt := range newOptions(cli.Host{}).command().Options {
		if opt.Name == "" || opt.Help == "" || opt.Set == nil || seen[opt.Name] || seen[string(opt.Letter)] {
			t.Errorf("option -%c --%s is not whole, or there twice", opt.Letter, opt.Name)
		}
		seen[opt.Name] = true
		if opt.Letter != 0 {
			seen[string(opt.Letter)] = true
		}
		for line := range strings.SplitSeq(opt.Help, "\n") {
			if len(line) > 72 {
				t.Errorf("--%s: the help line %q is %d long, want at most 72", opt.Name, line, len(line))
			}
		}
	}
}

// TestMbit: rates as people write them.
func TestMbit(t *testing.T) {
	for rate, want := range map[float64]string{
		1.25e9: "10.00 Gbit/s", 125e6: "1.00 Gbit/s", 124.99e6: "1000 Mbit/s", 12.5e6: "100 Mbit/s", 1.2345e6: "9.88 Mbit/s", 8000: "0.064 Mbit/s",
	} {
		if got := mbit(rate); got != want {
			t.Errorf("%v bytes/s: %q, want %q", rate, got, want)
		}
	}
}
