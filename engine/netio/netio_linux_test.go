package netio

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"
)

func rawFd(t testing.TB, c Conn, f func(fd int)) {
	t.Helper()
	var raw syscall.RawConn
	switch c := c.(type) {
	case *batch:
		raw = c.raw
	case *portable:
		raw = c.raw
	}
	if err := raw.Control(func(fd uintptr) { f(int(fd)) }); err != nil {
		t.Fatal(err)
	}
}

func TestBatchCaps(t *testing.T) {
	c := listen(t, Config{})
	if caps := c.Caps(); !caps.GSO || !caps.GRO || caps.MaxSegs != 64 || caps.MaxTrainBytes != 65507 {
		t.Errorf("%+v: want GSO and GRO from any kernel since 5.0", caps)
	}
	if caps := listen(t, Config{NoGSO: true}).Caps(); caps.GSO || !caps.GRO {
		t.Errorf("NoGSO: %+v", caps)
	}
	if caps := listen(t, Config{NoGRO: true}).Caps(); !caps.GSO || caps.GRO {
		t.Errorf("NoGRO: %+v", caps)
	}
	if caps := listen(t, Config{Portable: true}).Caps(); caps.GSO || caps.GRO {
		t.Errorf("Portable: %+v", caps)
	}
}

// TestBatching expects few system calls: one to send all trains, one to receive all. A busy kernel
// may deliver in parts, which needs more calls: then the test tries again.
func TestBatching(t *testing.T) {
	for _, c := range []struct {
		cfg                    Config
		txCalls, rxMin, rxMost uint64
	}{
		{Config{}, 1, 1, 1},
		{Config{NoGSO: true, NoGRO: true}, 1, 1, 6},
		{Config{NoBatch: true}, 10, 10, 10},
		{Config{NoBatch: true, NoGSO: true, NoGRO: true}, 40, 40, 40},
	} {
		var in uint64
		for range 100 {
			tx, rx := listen(t, c.cfg), listen(t, Config{RcvBuf: 4 << 20, NoGRO: c.cfg.NoGRO, NoBatch: c.cfg.NoBatch})
			trains := make([]TxTrain, 10)
			for i := range trains {
				trains[i] = TxTrain{Buf: make([]byte, 4000), Seg: 1000, To: to("127.0.0.1", rx)}
			}
			send(t, tx, trains...)
			if n := tx.Stats().TxSyscalls; n != c.txCalls {
				t.Errorf("%+v: %d system calls out, want %d", c.cfg, n, c.txCalls)
			}
			got := 0
			s := slots(40, SlotBytes)
			for got < 40 {
				n, err := rx.ReadBatch(s)
				if err != nil {
					t.Fatal(err)
				}
				for i := range s[:n] {
					got += Datagrams(s[i].N, s[i].Seg)
				}
			}
			in = rx.Stats().RxSyscalls
			tx.Close()
			rx.Close()
			if in <= c.rxMost {
				break
			}
		}
		if in < c.rxMin || in > c.rxMost {
			t.Errorf("%+v: %d system calls in, want %d to %d", c.cfg, in, c.rxMin, c.rxMost)
		}
	}
}

func TestSocketOptions(t *testing.T) {
	for name, cfg := range variants() {
		for _, v6 := range []bool{false, true} {
			cfg.IPv6, cfg.TTL, cfg.TOS = v6, 7, 0xba
			c := listen(t, cfg)
			want := []struct {
				what               string
				level, name, value int
			}{
				{"no address reuse", unix.SOL_SOCKET, unix.SO_REUSEADDR, 0},
				{"no port reuse", unix.SOL_SOCKET, unix.SO_REUSEPORT, 0},
				{"broadcast", unix.SOL_SOCKET, unix.SO_BROADCAST, 1},
				{"path MTU discovery off", unix.SOL_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_DONT},
				{"multicast TTL", unix.SOL_IP, unix.IP_MULTICAST_TTL, 7},
				{"unicast TTL untouched", unix.SOL_IP, unix.IP_TTL, 64},
				{"multicast loopback", unix.SOL_IP, unix.IP_MULTICAST_LOOP, 1},
				{"TOS with ECN bits", unix.SOL_IP, unix.IP_TOS, 0xba},
				{"receive TOS", unix.SOL_IP, unix.IP_RECVTOS, 1},
			}
			if v6 {
				want = append(want, []struct {
					what               string
					level, name, value int
				}{
					{"dual-stack", unix.SOL_IPV6, unix.IPV6_V6ONLY, 0},
					{"IPv6 path MTU discovery off", unix.SOL_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_DONT},
					{"multicast hops", unix.SOL_IPV6, unix.IPV6_MULTICAST_HOPS, 7},
					{"IPv6 multicast loopback", unix.SOL_IPV6, unix.IPV6_MULTICAST_LOOP, 1},
					{"traffic class", unix.SOL_IPV6, unix.IPV6_TCLASS, 0xba},
					{"receive traffic class", unix.SOL_IPV6, unix.IPV6_RECVTCLASS, 1},
				}...)
			}
			rawFd(t, c, func(fd int) {
				for _, o := range want {
					if got, err := unix.GetsockoptInt(fd, o.level, o.name); err != nil || got != o.value {
						t.Errorf("%s, IPv6=%v: %s is %d (%v), want %d", name, v6, o.what, got, err, o.value)
					}
				}
			})
		}
	}
}

// TestBufferForced: root exceeds the sysctl limit, other users get the granted size.
func TestBufferForced(t *testing.T) {
	b, err := os.ReadFile("/proc/sys/net/core/rmem_max")
	if err != nil {
		t.Fatal(err)
	}
	var limit int
	fmt.Sscan(string(b), &limit)
	got := listen(t, Config{RcvBuf: limit + 100000}).Caps().RcvBuf
	if os.Geteuid() == 0 && got != limit+100000 {
		t.Errorf("granted %d, want %d past the limit %d", got, limit+100000, limit)
	}
	if os.Geteuid() != 0 && got != limit {
		t.Errorf("granted %d, want the limit %d", got, limit)
	}
}

// TestTransientErrors: an ICMP port unreachable, which Linux reports only to
// sockets that ask, disturbs neither direction.
func TestTransientErrors(t *testing.T) {
	for name, cfg := range variants() {
		t.Run(name, func(t *testing.T) {
			c := listen(t, cfg)
			rawFd(t, c, func(fd int) {
				if err := unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_RECVERR, 1); err != nil {
					t.Fatal(err)
				}
			})
			gone := listen(t, Config{})
			dead := TxTrain{Buf: []byte{1}, To: to("127.0.0.1", gone)}
			gone.Close()
			send(t, c, dead)
			awaitReport(t, c)
			send(t, c, dead) // meets the report of the first
			if c.Stats().Transient != 1 {
				t.Errorf("sending swallowed %d reports, want 1", c.Stats().Transient)
			}
			awaitReport(t, c)
			send(t, c, TxTrain{Buf: []byte("alive"), To: to("127.0.0.1", c)})
			if got := collect(t, c, 1, soon); len(got) != 1 || string(got[0].data) != "alive" {
				t.Errorf("got %v, want the datagram behind the reports", got)
			}
			if c.Stats().Transient < 2 {
				t.Errorf("receiving swallowed no report")
			}
		})
	}
}

// awaitReport waits until the socket has an error to report.
func awaitReport(t *testing.T, c Conn) {
	t.Helper()
	rawFd(t, c, func(fd int) {
		p := []unix.PollFd{{Fd: int32(fd)}} // poll always reports errors
		for end := time.Now().Add(soon); p[0].Revents&unix.POLLERR == 0; {
			if _, err := unix.Poll(p, 100); err != nil && err != unix.EINTR {
				t.Fatal(err)
			}
			if time.Now().After(end) {
				t.Fatal("no ICMP report comes")
			}
		}
	})
}

func TestKernelDrops(t *testing.T) {
	for name, cfg := range variants() {
		t.Run(name, func(t *testing.T) {
			cfg.RcvBuf = 20000
			tx, rx := listen(t, Config{NoGSO: true}), listen(t, cfg)
			for range 100 {
				send(t, tx, TxTrain{Buf: make([]byte, 1000), To: to("127.0.0.1", rx)})
			}
			got, drops := 0, uint64(0)
			for end := time.Now().Add(soon); got+int(drops) < 100 && time.Now().Before(end); drops = rx.Stats().KernelDrops {
				got += len(collect(t, rx, 100, silence))
			}
			if drops == 0 || got+int(drops) != 100 {
				t.Errorf("%d received and %d dropped, want 100 together and some dropped", got, drops)
			}
			rx.Close()
			if rx.Stats().KernelDrops != drops {
				t.Errorf("the count of drops is lost after Close")
			}
		})
	}
}

// TestKernelDropsAtTheEnd: the count is right after Close even if it was not read before.
func TestKernelDropsAtTheEnd(t *testing.T) {
	tx, rx := listen(t, Config{NoGSO: true}), listen(t, Config{RcvBuf: 20000})
	for range 100 {
		send(t, tx, TxTrain{Buf: make([]byte, 1000), To: to("127.0.0.1", rx)})
	}
	rx.Close()
	if n := rx.Stats().KernelDrops; n == 0 || n > 99 {
		t.Errorf("%d datagrams dropped, want most of 100", n)
	}
}

func TestInterfaces(t *testing.T) {
	a, _ := pair(t, 1500)
	a.ip("link add nio9 type veth peer name nio8")
	a.ip("addr add 10.99.0.1/24 dev nio9") // stays down
	var list []Interface
	var err error
	a.do(func() { list, err = Interfaces() })
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, i := range list {
		if !i.Addr.IsLinkLocalUnicast() {
			got = append(got, fmt.Sprintf("%s %v loop=%v multi=%v", i.Name, i.Addr, i.Loopback, i.Multicast))
		}
	}
	want := "lo 127.0.0.1 loop=true multi=false; lo ::1 loop=true multi=false; " +
		"nio0 10.77.0.1 loop=false multi=true; nio0 10.77.0.11 loop=false multi=true; " +
		"nio0 fd77::11 loop=false multi=true; nio0 fd77::1 loop=false multi=true"
	if s := strings.Join(got, "; "); s != want {
		t.Errorf("got\n%s\nwant each address of what is up, in the kernel's order\n%s", s, want)
	}
}

// TestAddressesAreTheSystems: one question about all addresses has the answers of net, which
// asks for each interface.
func TestAddressesAreTheSystems(t *testing.T) {
	n := newNetns(t)
	for i := range 20 {
		n.ip(fmt.Sprintf("link add a%d type veth peer name b%d", i, i))
		n.ip(fmt.Sprintf("link set a%d up", i))
		n.ip(fmt.Sprintf("addr add 10.9.%d.1/24 dev a%d", i, i))
		n.ip(fmt.Sprintf("addr add 10.9.%d.2/24 dev a%d", i, i))
		n.ip(fmt.Sprintf("addr add fd99:%d::1/64 dev a%d nodad", i, i))
	}
	n.ip("addr add 10.8.0.1 peer 10.8.0.2 dev a3")
	n.ip("link set b3 up")
	n.do(func() {
		of, err := addresses()
		if err != nil {
			t.Fatal(err)
		}
		ifs, err := net.Interfaces()
		if err != nil {
			t.Fatal(err)
		}
		for i := range ifs {
			addrs, err := ifs[i].Addrs()
			if err != nil {
				t.Fatal(err)
			}
			var want []netip.Addr
			for _, a := range addrs {
				addr, _ := netip.AddrFromSlice(a.(*net.IPNet).IP)
				want = append(want, addr.Unmap())
			}
			linkLocal := func(a netip.Addr) bool { return a.IsLinkLocalUnicast() } // come when they like
			var got []netip.Addr
			for _, a := range of(&ifs[i]) {
				got = append(got, a.addr)
			}
			got = slices.DeleteFunc(got, linkLocal)
			if want = slices.DeleteFunc(want, linkLocal); !slices.Equal(got, want) {
				t.Errorf("%s has %v, want %v as net says", ifs[i].Name, got, want)
			}
		}
	})
}

// TestLabel: an address that has a name of its own can be chosen by it, as with the stock
// programs.
func TestLabel(t *testing.T) {
	a, _ := pair(t, 1500)
	a.ip("addr add 10.77.1.5/24 dev nio0 label nio0:1")
	var list []Interface
	var err error
	a.do(func() { list, err = Interfaces() })
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"nio0:1": "10.77.1.5", "nio0": "10.77.0.1", "nio0:2": ""} {
		got := ""
		for _, ifi := range (Choice{Name: name}).Pick(list, false) {
			got += ifi.Addr.String()
		}
		if got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

// TestCuttingRefused: segments above the MTU cannot be cut by the kernel; they
// go plainly and are fragmented, without loss, and the Conn remembers.
func TestCuttingRefused(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		a, b := pair(t, 1500)
		host := "10.77.0.2"
		if v6 {
			host = "fd77::2"
		}
		tx, rx := a.listen(Config{IPv6: v6}), b.listen(Config{IPv6: v6, RcvBuf: 4 << 20})
		small := TxTrain{Buf: pattern(3000, 1), Seg: 1324, To: to(host, rx)}
		large := TxTrain{Buf: pattern(4*8824+10, 2), Seg: 8824, To: to(host, rx)}
		send(t, tx, small)
		if !tx.Caps().GSO {
			t.Fatal("a train below the MTU switched GSO off")
		}
		send(t, tx, small, large, small)
		want := append(split(small), split(small)...)
		want = append(append(want, split(large)...), split(small)...)
		got := collect(t, rx, len(want), soon)
		if len(got) != len(want) {
			t.Fatalf("IPv6=%v: %d datagrams arrived, want %d", v6, len(got), len(want))
		}
		for i, d := range got {
			if !bytes.Equal(d.data, want[i]) {
				t.Fatalf("IPv6=%v: datagram %d differs", v6, i)
			}
		}
		if s := tx.Stats(); s.GSOFallbacks != 1 || tx.Caps().GSO {
			t.Errorf("IPv6=%v: %d fallbacks, GSO %v: want one and off", v6, s.GSOFallbacks, tx.Caps().GSO)
		}
	}
}

// TestLargeTrains goes through a real device queue with jumbo frames, GSO on and off at both ends.
func TestLargeTrains(t *testing.T) {
	a, b := pair(t, 9000)
	ifi := a.at("10.77.0.11")
	group := netip.MustParseAddr("230.77.9.9")
	for _, noGSO := range []bool{false, true} {
		for _, noGRO := range []bool{false, true} {
			tx := a.listen(Config{NoGSO: noGSO, MulticastIf: &ifi, TOS: 0x28})
			rx := b.listen(Config{NoGRO: noGRO, RcvBuf: 8 << 20})
			if err := b.join(rx, group, b.at("10.77.0.2")); err != nil {
				t.Fatal(err)
			}
			var want [][]byte
			for i := range 10 {
				tr := TxTrain{Buf: pattern(7*8824-i, uint64(i)), Seg: 8824, To: netip.AddrPortFrom(group, rx.LocalPort())}
				send(t, tx, tr)
				want = append(want, split(tr)...)
			}
			got := collect(t, rx, len(want), soon)
			if len(got) != len(want) {
				t.Fatalf("NoGSO=%v NoGRO=%v: %d datagrams, want %d", noGSO, noGRO, len(got), len(want))
			}
			for i, d := range got {
				if !bytes.Equal(d.data, want[i]) {
					t.Fatalf("NoGSO=%v NoGRO=%v: datagram %d differs", noGSO, noGRO, i)
				}
				if d.from.Addr().String() != "10.77.0.11" || d.tos != 0x28 {
					t.Fatalf("source %v, TOS %#x: want the chosen address of the interface and 0x28", d.from, d.tos)
				}
			}
			if !noGSO && tx.Stats().GSOFallbacks != 0 {
				t.Error("jumbo trains were not cut by the kernel")
			}
		}
	}
}

func TestMulticastHops(t *testing.T) {
	a, b := pair(t, 1500)
	ifi := a.at("10.77.0.1")
	tx := a.listen(Config{IPv6: true, MulticastIf: &ifi, TTL: 33})
	var pc net.PacketConn
	var err error
	b.do(func() { pc, err = net.ListenPacket("udp", ":0") })
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	port := uint16(pc.LocalAddr().(*net.UDPAddr).Port)
	p4, p6 := ipv4.NewPacketConn(pc), ipv6.NewPacketConn(pc)
	far := b.at("10.77.0.2")
	g4, g6 := netip.MustParseAddr("230.77.1.1"), netip.MustParseAddr("ff15::7711")
	for _, err := range []error{
		p4.JoinGroup(far.net(), net.UDPAddrFromAddrPort(netip.AddrPortFrom(g4, 0))),
		p6.JoinGroup(far.net(), net.UDPAddrFromAddrPort(netip.AddrPortFrom(g6, 0))),
		p4.SetControlMessage(ipv4.FlagTTL, true),
		p6.SetControlMessage(ipv6.FlagHopLimit, true),
		pc.SetReadDeadline(time.Now().Add(soon)),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	send(t, tx, TxTrain{Buf: []byte{4}, To: netip.AddrPortFrom(g4, port)})
	if _, cm, _, err := p4.ReadFrom(make([]byte, 10)); err != nil || cm == nil || cm.TTL != 33 {
		t.Errorf("IPv4 multicast from the dual-stack socket: %+v, %v; want TTL 33", cm, err)
	}
	send(t, tx, TxTrain{Buf: []byte{6}, To: netip.AddrPortFrom(g6, port)})
	if _, cm, _, err := p6.ReadFrom(make([]byte, 10)); err != nil || cm == nil || cm.HopLimit != 33 {
		t.Errorf("IPv6 multicast: %+v, %v; want hop limit 33", cm, err)
	}
}

// TestSourceOnInterface: the interface that multicast leaves by chooses the source,
// not the route; and destinations of IPv6 multicast are reported.
func TestSourceOnInterface(t *testing.T) {
	a, b := pair(t, 1500)
	ifi := a.at("10.77.0.11")
	for name, cfg := range variants() {
		cfg.Destinations = true
		for _, group := range []string{"230.77.9.8", "ff15::7712", "ff12::7712"} {
			t.Run(name+"/"+group, func(t *testing.T) {
				addr := netip.MustParseAddr(group)
				rxCfg := cfg
				rxCfg.IPv6 = addr.Is6()
				txCfg := rxCfg
				txCfg.MulticastIf = &ifi
				tx, rx := a.listen(txCfg), b.listen(rxCfg)
				if err := b.join(rx, addr, b.at("10.77.0.2")); err != nil {
					t.Fatal(err)
				}
				dest := netip.AddrPortFrom(addr, rx.LocalPort())
				var source netip.Addr
				var err error
				a.do(func() { source, err = Source(txCfg, dest) })
				if err != nil {
					t.Fatal(err)
				}
				checkDestination(t, tx, rx, dest, source)
			})
		}
	}
}

// TestLinkLocal: a destination without zone goes out by the multicast
// interface, a source has its zone, and answering to it works.
func TestLinkLocal(t *testing.T) {
	for name, cfg := range variants() {
		t.Run(name, func(t *testing.T) {
			a, b := pair(t, 1500)
			near, far := a.at("fd77::1"), b.at("fd77::2")
			cfg.IPv6 = true
			cfg.MulticastIf = &near
			tx := a.listen(cfg)
			cfg.MulticastIf = nil
			rx := b.listen(cfg)
			group := netip.MustParseAddr("ff02::7702")
			if err := b.join(rx, group, far); err != nil {
				t.Fatal(err)
			}
			send(t, tx, TxTrain{Buf: []byte("ask"), To: netip.AddrPortFrom(group, rx.LocalPort())})
			// A zone is a name that means something in its own namespace only.
			var got []datagram
			b.do(func() { got = collect(t, rx, 1, soon) })
			if len(got) != 1 || got[0].from.Addr().Zone() == "" {
				t.Fatalf("got %v, want one datagram from a link-local address with its zone", got)
			}
			// The standard library keeps one table of names for all namespaces.
			if zone := got[0].from.Addr().Zone(); name != "portable" && zone != "nio1" {
				t.Errorf("zone %q, want the interface's name", zone)
			}
			var err error
			b.do(func() { _, err = rx.WriteBatch([]TxTrain{{Buf: []byte("answer"), To: got[0].from}}) })
			if err != nil {
				t.Fatal(err)
			}
			if got := collect(t, tx, 1, soon); len(got) != 1 || string(got[0].data) != "answer" {
				t.Fatalf("got %v, want the answer to the link-local source", got)
			}
			checkNoAllocation(t, tx, rx, netip.AddrPortFrom(group, rx.LocalPort()))
			if name == "portable" {
				return // the standard library takes an unknown zone for none
			}
			_, err = rx.WriteBatch([]TxTrain{{Buf: []byte{1}, To: netip.MustParseAddrPort("[fe80::1%nio-none]:9")}})
			if err == nil || !strings.Contains(err.Error(), "nio-none") {
				t.Errorf("a zone that does not exist: %v, want an error that names it", err)
			}
		})
	}
}

func TestBroadcast(t *testing.T) {
	for name, cfg := range variants() {
		a, b := pair(t, 1500)
		tx, rx := a.listen(cfg), b.listen(cfg)
		send(t, tx, TxTrain{Buf: []byte("all"), To: to("10.77.0.255", rx)})
		if got := collect(t, rx, 1, soon); len(got) != 1 {
			t.Errorf("%s: the broadcast did not arrive", name)
		}
	}
}

func TestInterfaceDown(t *testing.T) {
	for name, cfg := range variants() {
		t.Run(name, func(t *testing.T) {
			a, b := pair(t, 1500)
			near := a.at("10.77.0.1")
			cfg.MulticastIf = &near
			tx, rx := a.listen(cfg), b.listen(Config{})
			group := netip.MustParseAddr("230.77.7.1")
			if err := b.join(rx, group, b.at("10.77.0.2")); err != nil {
				t.Fatal(err)
			}
			train := TxTrain{Buf: pattern(3000, 3), Seg: 1000, To: netip.AddrPortFrom(group, rx.LocalPort())}
			a.ip("link set nio0 down")
			n, err := tx.WriteBatch([]TxTrain{train})
			if n != 0 || !errors.Is(err, syscall.ENETUNREACH) && !errors.Is(err, syscall.ENETDOWN) && !errors.Is(err, syscall.ENODEV) {
				t.Fatalf("got %d, %v; want an error that says the network is down", n, err)
			}
			if !strings.Contains(err.Error(), group.String()) {
				t.Errorf("%q does not name the destination", err)
			}
			if n, err := tx.WriteBatch([]TxTrain{{Buf: []byte{1}, To: to("10.77.0.2", rx)}}); n != 0 || err == nil {
				t.Errorf("unicast without route: %d, %v; want an error", n, err)
			}
			a.ip("link set nio0 up")
			a.settle("nio0")
			b.settle("nio1")
			send(t, tx, train)
			if got := collect(t, rx, 3, soon); len(got) != 3 {
				t.Errorf("%d datagrams after the interface came back, want 3", len(got))
			}
		})
	}
}

func TestInterfaceGone(t *testing.T) {
	a, b := pair(t, 1500)
	far := b.at("10.77.0.2")
	rx := b.listen(Config{})
	group := netip.MustParseAddr("230.77.7.2")
	if err := b.join(rx, group, far); err != nil {
		t.Fatal(err)
	}
	a.ip("link del nio0")
	rx.Leave(group, far, nil) // may fail, must forget
	if err := rx.Leave(group, far, nil); !errors.Is(err, ErrNotJoined) {
		t.Errorf("the membership of a lost interface was kept: %v", err)
	}
	if err := b.join(rx, group, far); err == nil || !strings.Contains(err.Error(), "nio1") {
		t.Errorf("join on a lost interface: %v, want an error that names it", err)
	}
}

// TestFirewall: a drop at output is EPERM, for the caller to judge.
func TestFirewall(t *testing.T) {
	for name, cfg := range variants() {
		t.Run(name, func(t *testing.T) {
			a, b := pair(t, 1500)
			if _, err := exec.LookPath("nft"); err != nil {
				missing(t, "no nft")
			}
			tx, rx := a.listen(cfg), b.listen(Config{})
			train := TxTrain{Buf: pattern(3000, 3), Seg: 1000, To: to("10.77.0.2", rx)}
			a.run("nft add table ip nio")
			a.run("nft add chain ip nio out { type filter hook output priority 0 ; }")
			a.run("nft add rule ip nio out udp dport " + fmt.Sprint(rx.LocalPort()) + " drop")
			if n, err := tx.WriteBatch([]TxTrain{train}); n != 0 || !errors.Is(err, syscall.EPERM) {
				t.Fatalf("got %d, %v; want EPERM", n, err)
			}
			a.run("nft delete table ip nio")
			send(t, tx, train)
			if got := collect(t, rx, 3, soon); len(got) != 3 {
				t.Errorf("%d datagrams after the rule was lifted, want 3", len(got))
			}
		})
	}
}

// TestWriteWaits: a full socket buffer parks WriteBatch, without spinning,
// until the device has taken some or Close wakes it.
func TestWriteWaits(t *testing.T) {
	for name, cfg := range variants() {
		t.Run(name, func(t *testing.T) {
			a, b := pair(t, 1500)
			if out, err := a.try("tc", "qdisc", "add", "dev", "nio0", "root", "tbf", "rate", "8mbit", "burst", "20000", "limit", "10000000"); err != nil {
				missing(t, "no token bucket queue: "+string(out))
			}
			cfg.SndBuf = 100000
			tx, rx := a.listen(cfg), b.listen(Config{RcvBuf: 4 << 20})
			trains := make([]TxTrain, 30)
			for i := range trains {
				trains[i] = TxTrain{Buf: pattern(10000, uint64(i)), Seg: 1000, To: to("10.77.0.2", rx)}
			}
			start := time.Now()
			send(t, tx, trains...) // 300 kB at 1 MB/s
			if d := time.Since(start); d < 50*time.Millisecond {
				t.Errorf("WriteBatch took %v, want it to wait for the device", d)
			}
			if n := tx.Stats().TxSyscalls; n > 600 {
				t.Errorf("%d system calls for 300 datagrams: it spins", n)
			}
			if got := collect(t, rx, 300, soon); len(got) != 300 {
				t.Errorf("%d datagrams arrived, want 300", len(got))
			}
			a.run("tc qdisc replace dev nio0 root tbf rate 8kbit burst 20000 limit 10000000")
			done := make(chan error, 1)
			go func() {
				for {
					if _, err := tx.WriteBatch(trains); err != nil {
						done <- err
						return
					}
				}
			}()
			time.Sleep(50 * time.Millisecond)
			tx.Close()
			select {
			case err := <-done:
				if err != net.ErrClosed {
					t.Errorf("the waiting WriteBatch returned %v, want net.ErrClosed itself", err)
				}
			case <-time.After(soon):
				t.Fatal("Close did not wake WriteBatch")
			}
		})
	}
}

// TestNoBufs: a device queue that is full, which Linux reports only to sockets
// that ask, delays datagrams but loses none.
func TestNoBufs(t *testing.T) {
	for name, cfg := range variants() {
		t.Run(name, func(t *testing.T) {
			a, b := pair(t, 1500)
			if out, err := a.try("tc", "qdisc", "add", "dev", "nio0", "root", "tbf", "rate", "8mbit", "burst", "2000", "limit", "4000"); err != nil {
				missing(t, "no token bucket queue: "+string(out))
			}
			cfg.SndBuf, cfg.NoGSO = 1<<20, true
			tx, rx := a.listen(cfg), b.listen(Config{RcvBuf: 1 << 20})
			rawFd(t, tx, func(fd int) {
				if err := unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_RECVERR, 1); err != nil {
					t.Fatal(err)
				}
			})
			train := TxTrain{Buf: pattern(50000, 5), Seg: 1000, To: to("10.77.0.2", rx)}
			send(t, tx, train)
			got := collect(t, rx, 50, soon)
			if len(got) != 50 || tx.Stats().NoBufs == 0 {
				t.Errorf("%d datagrams arrived after %d waits, want all 50 and some waits", len(got), tx.Stats().NoBufs)
			}
			for i, want := range split(train) {
				if i < len(got) && !bytes.Equal(got[i].data, want) {
					t.Fatalf("datagram %d differs", i)
				}
			}
		})
	}
}

// FuzzParseControl: whatever bytes stand there, parsing ends inside them.
func FuzzParseControl(f *testing.F) {
	message := func(level, typ int32, data ...byte) []byte {
		b := make([]byte, unix.CmsgSpace(len(data)))
		h := (*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
		h.Level, h.Type = level, typ
		h.SetLen(unix.CmsgLen(len(data)))
		copy(b[unix.CmsgLen(0):], data)
		return b
	}
	tos := message(unix.SOL_IP, unix.IP_TOS, 0xba)
	gro := message(unix.SOL_UDP, unix.UDP_GRO, 0x2c, 5, 0, 0)
	class := message(unix.SOL_IPV6, unix.IPV6_TCLASS, 0xba, 0, 0, 0)
	dst4 := message(unix.SOL_IP, unix.IP_PKTINFO, 1, 0, 0, 0, 10, 0, 0, 1, 230, 4, 4, 1)
	dst6 := message(unix.SOL_IPV6, unix.IPV6_PKTINFO, append([]byte{0xff, 5, 15: 7}, 1, 0, 0, 0)...)
	for _, seed := range [][]byte{dst4, dst6, append(bytes.Clone(dst6), tos...), tos, gro, class, append(bytes.Clone(tos), gro...), tos[:unix.CmsgLen(1)], {}} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		words := make([]uint64, len(b)/8+1) // aligned, as the kernel's buffers are
		aligned := unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), len(b))
		copy(aligned, b)
		whole := parseControl(aligned)
		for n := range aligned {
			if c := parseControl(aligned[:n:n]); c != (control{}) && c.seg != whole.seg && c.tos != whole.tos && c.to != whole.to {
				t.Fatalf("cut to %d bytes: %+v, whole: %+v", n, c, whole)
			}
		}
	})
}

func TestParseControl(t *testing.T) {
	words := make([]uint64, 9)
	b := unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), 72)
	put := func(off int, level, typ int32, n int) []byte {
		h := (*unix.Cmsghdr)(unsafe.Pointer(&b[off]))
		h.Level, h.Type = level, typ
		h.SetLen(unix.CmsgLen(n))
		return b[off+unix.CmsgLen(0):]
	}
	step := unix.CmsgSpace(4)
	put(0, unix.SOL_IP, unix.IP_TOS, 1)[0] = 0xba
	*(*int32)(unsafe.Pointer(&put(step, unix.SOL_UDP, unix.UDP_GRO, 4)[0])) = 1324
	if c := parseControl(b[:2*step]); c != (control{tos: 0xba, seg: 1324}) {
		t.Errorf("TOS and GRO size: %+v", c)
	}
	if c := parseControl(b[:2*step-1]); c != (control{tos: 0xba, seg: 1324}) && c != (control{tos: 0xba}) {
		t.Errorf("without the padding of the last: %+v", c)
	}
	if c := parseControl(b[:step]); c != (control{tos: 0xba}) {
		t.Errorf("TOS alone: %+v", c)
	}
	if c := parseControl(b[:unix.CmsgLen(0)-1]); c != (control{}) {
		t.Errorf("less than a header: %+v", c)
	}
	copy(put(0, unix.SOL_IP, unix.IP_PKTINFO, unix.SizeofInet4Pktinfo), []byte{1, 0, 0, 0, 10, 0, 0, 1, 230, 4, 4, 1})
	if c := parseControl(b[:unix.CmsgSpace(unix.SizeofInet4Pktinfo)]); c != (control{to: netip.MustParseAddr("230.4.4.1")}) {
		t.Errorf("destination: %+v, want that of the header and not the one to answer from", c)
	}
	put(0, unix.SOL_IP, unix.IP_PKTINFO, unix.SizeofInet4Pktinfo-1)
	if c := parseControl(b[:unix.CmsgSpace(unix.SizeofInet4Pktinfo)]); c != (control{}) {
		t.Errorf("destination that is cut: %+v", c)
	}
	put(0, unix.SOL_IP, unix.IP_TOS, 1000)
	if c := parseControl(b); c != (control{}) {
		t.Errorf("length past the end: %+v", c)
	}
}
