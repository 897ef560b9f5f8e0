package netio

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// igmp counts the host's memberships of groups that start with prefix.
func (n *netns) igmp(v6 bool, prefix string) (count int) {
	file := "/proc/thread-self/net/igmp"
	if v6 {
		file = "/proc/thread-self/net/igmp6"
	}
	n.do(func() {
		b, err := os.ReadFile(file)
		if err != nil {
			n.t.Errorf("%v", err)
		}
		count = strings.Count(string(b), prefix)
	})
	return count
}

func TestManyGroups(t *testing.T) {
	for _, v6 := range []bool{false, true} { // IPv4 groups on both kinds of socket
		a, b := pair(t, 1500)
		near, far := a.at("10.77.0.1"), b.at("10.77.0.2")
		tx, rx := a.listen(Config{IPv6: v6, MulticastIf: &near}), b.listen(Config{IPv6: v6})
		const groups = 65 // three membership sockets beside the bound one
		group := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{230, 77, 2, byte(i)}) }
		for i := range groups {
			if err := b.join(rx, group(i), far); err != nil {
				t.Fatalf("group %d: %v", i, err)
			}
		}
		// /proc shows a group as the hexadecimal of its bytes in memory; 77 = 4D, 230 = E6.
		for i := range groups {
			send(t, tx, TxTrain{Buf: []byte{byte(i)}, To: netip.AddrPortFrom(group(i), rx.LocalPort())})
		}
		if got := collect(t, rx, groups, soon); len(got) != groups {
			t.Errorf("heard %d groups of %d", len(got), groups)
		}
		if n := b.igmp(false, "4DE6"); n != groups {
			t.Errorf("the host is in %d groups, want %d", n, groups)
		}
		for i := range groups {
			if err := rx.Leave(group(i), far, nil); err != nil {
				t.Errorf("leave %d: %v", i, err)
			}
		}
		if n := b.igmp(false, "4DE6"); n != 0 {
			t.Errorf("the host is still in %d groups", n)
		}
		b.join(rx, group(1), far)
		rx.Close()
		if n := b.igmp(false, "4DE6"); n != 0 {
			t.Errorf("Close left %d groups behind", n)
		}
	}
}

func TestManyGroupsIPv6(t *testing.T) {
	a, b := pair(t, 1500)
	near, far := a.at("fd77::1"), b.at("fd77::2")
	tx, rx := a.listen(Config{IPv6: true, MulticastIf: &near}), b.listen(Config{IPv6: true, RcvBuf: 1 << 20})
	const groups = 100
	group := func(i int) netip.Addr { return netip.MustParseAddr(fmt.Sprintf("ff15::77:%x", i)) }
	for i := range groups {
		if err := b.join(rx, group(i), far); err != nil {
			t.Fatalf("group %d: %v", i, err)
		}
		send(t, tx, TxTrain{Buf: []byte{byte(i)}, To: netip.AddrPortFrom(group(i), rx.LocalPort())})
	}
	if got := collect(t, rx, groups, soon); len(got) != groups {
		t.Errorf("heard %d groups of %d", len(got), groups)
	}
}

// TestJoinCounts: two addresses of one interface are two Joins and one membership.
func TestJoinCounts(t *testing.T) {
	for _, sources := range [][]netip.Addr{nil, {netip.MustParseAddr("10.77.0.1"), netip.MustParseAddr("10.77.0.11")}} {
		a, b := pair(t, 1500)
		near := a.at("10.77.0.1")
		tx, rx := a.listen(Config{MulticastIf: &near}), b.listen(Config{})
		group := netip.MustParseAddr("232.77.3.1")
		for _, addr := range []string{"10.77.0.2", "10.77.0.12"} {
			if err := b.join(rx, group, b.at(addr), sources...); err != nil {
				t.Fatalf("join by %s: %v", addr, err)
			}
		}
		hears := func(patience time.Duration) bool {
			send(t, tx, TxTrain{Buf: []byte{1}, To: netip.AddrPortFrom(group, rx.LocalPort())})
			return len(collect(t, rx, 1, patience)) == 1
		}
		if !hears(soon) {
			t.Error("not heard after two joins")
		}
		if err := rx.Leave(group, b.at("10.77.0.2"), sources); err != nil {
			t.Fatal(err)
		}
		if !hears(soon) {
			t.Error("not heard after one of two joins was undone")
		}
		if err := rx.Leave(group, b.at("10.77.0.12"), sources); err != nil {
			t.Fatal(err)
		}
		if hears(silence) {
			t.Error("heard after both joins were undone")
		}
		if err := rx.Leave(group, b.at("10.77.0.12"), sources); !errors.Is(err, ErrNotJoined) {
			t.Errorf("a Leave too many: %v", err)
		}
	}
}

// TestSourceFilter: only the given source passes, also when another socket of
// this host is in the group for any source, and also after the sources have
// outgrown the bound socket and moved (then without that other socket).
func TestSourceFilter(t *testing.T) {
	for _, c := range []struct {
		name               string
		v6                 bool
		group, good, other string // group, the two source addresses in a
		near, far          string
		sources            int
		anyToo             bool
	}{
		{"IPv4", false, "232.77.5.1", "10.77.0.1", "10.77.0.11", "10.77.0.1", "10.77.0.2", 1, true},
		{"IPv4 on a dual-stack socket", true, "232.77.5.1", "10.77.0.1", "10.77.0.11", "10.77.0.1", "10.77.0.2", 1, true},
		{"IPv6", true, "ff35::7751", "fd77::1", "fd77::11", "fd77::1", "fd77::2", 1, true},
		{"more sources than a socket takes", false, "232.77.5.1", "10.77.0.1", "10.77.0.11", "10.77.0.1", "10.77.0.2", 25, false},
		{"more IPv6 sources than a socket takes", true, "ff35::7751", "fd77::1", "fd77::11", "fd77::1", "fd77::2", 150, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, b := pair(t, 1500)
			group, far := netip.MustParseAddr(c.group), b.at(c.far)
			rx := b.listen(Config{IPv6: c.v6})
			if c.anyToo {
				if err := b.join(b.listen(Config{IPv6: c.v6}), group, far); err != nil {
					t.Fatal(err)
				}
			}
			var sources []netip.Addr
			for i := 1; i < c.sources; i++ { // strangers first, the good one last
				s := netip.AddrFrom4([4]byte{10, 78, 0, byte(i)})
				if group.Is6() {
					s = netip.MustParseAddr(fmt.Sprintf("fd78::%x", i))
				}
				sources = append(sources, s)
			}
			sources = append(sources, netip.MustParseAddr(c.good))
			if err := b.join(rx, group, far, sources...); err != nil {
				t.Fatal(err)
			}
			for _, from := range []string{c.other, c.good} {
				a.sendFrom(from, netip.AddrPortFrom(group, rx.LocalPort()))
			}
			got := collect(t, rx, 1, soon) // the good one went last
			got = append(got, collect(t, rx, 1, silence)...)
			if len(got) != 1 || got[0].from.Addr().String() != c.good {
				t.Errorf("heard %v, want the datagram from %s alone", got, c.good)
			}
			if err := rx.Leave(group, far, sources); err != nil {
				t.Error(err)
			}
			if !c.anyToo {
				a.sendFrom(c.good, netip.AddrPortFrom(group, rx.LocalPort()))
				if got := collect(t, rx, 1, silence); len(got) != 0 {
					t.Errorf("heard %v after Leave", got)
				}
			}
		})
	}
}

// sendFrom sends one datagram from a chosen source address out of nio0.
func (n *netns) sendFrom(src string, dst netip.AddrPort) {
	n.t.Helper()
	ifi := n.at(src)
	n.do(func() {
		pc, err := net.ListenPacket("udp", net.JoinHostPort(src, "0"))
		if err != nil {
			n.t.Error(err)
			return
		}
		defer pc.Close()
		if dst.Addr().Is4() {
			err = ipv4.NewPacketConn(pc).SetMulticastInterface(ifi.net())
		} else {
			err = ipv6.NewPacketConn(pc).SetMulticastInterface(ifi.net())
		}
		if err == nil {
			_, err = pc.(*net.UDPConn).WriteToUDPAddrPort([]byte(src), dst)
		}
		if err != nil {
			n.t.Error(err)
		}
	})
}

// TestSourceAddedMoves: a further source that the bound socket has no room for
// moves the group without losing the earlier sources.
func TestSourceAddedMoves(t *testing.T) {
	a, b := pair(t, 1500)
	group, far := netip.MustParseAddr("232.77.6.1"), b.at("10.77.0.2")
	rx := b.listen(Config{})
	first := netip.MustParseAddr("10.77.0.1")
	if err := b.join(rx, group, far, first); err != nil {
		t.Fatal(err)
	}
	for i := range 30 {
		if err := b.join(rx, group, far, netip.AddrFrom4([4]byte{10, 78, 1, byte(i)})); err != nil {
			t.Fatalf("source %d: %v", i, err)
		}
		a.sendFrom("10.77.0.1", netip.AddrPortFrom(group, rx.LocalPort()))
		if got := collect(t, rx, 1, soon); len(got) != 1 {
			t.Fatalf("the first source is lost after %d more", i+1)
		}
	}
	m := &rx.(*batch).members
	for _, e := range m.byKey[memberKey{group, far.Index}].sources {
		if e.at == m.socks[0] {
			t.Fatalf("%v stayed on the bound socket and shuts the others out", e.addr)
		}
	}
}
