package cli

import (
	"net/netip"
	"strings"
	"testing"

	"uftp/engine/netio"
)

// testHost has interfaces in every state.
var testHost = Host{
	Links: []netio.Link{
		{Name: "lo", Index: 1, Up: true}, {Name: "eth0", Index: 2, Up: true}, {Name: "down0", Index: 3},
		{Name: "six0", Index: 4, Up: true}, {Name: "bare0", Index: 5, Up: true},
	},
	Interfaces: []netio.Interface{
		{Name: "lo", Index: 1, Addr: netip.MustParseAddr("127.0.0.1"), Loopback: true},
		{Name: "lo", Index: 1, Addr: netip.MustParseAddr("::1"), Loopback: true},
		{Name: "eth0", Index: 2, Addr: netip.MustParseAddr("10.88.0.7"), Multicast: true},
		{Name: "eth0", Index: 2, Addr: netip.MustParseAddr("10.88.0.9"), Multicast: true},
		{Name: "eth0", Index: 2, Addr: netip.MustParseAddr("10.88.0.10"), Multicast: true, Label: "eth0:1"},
		{Name: "eth0", Index: 2, Addr: netip.MustParseAddr("fd88::7"), Multicast: true},
		{Name: "six0", Index: 4, Addr: netip.MustParseAddr("fe80::4"), Multicast: true},
	},
}

// TestInterfaceByText: values of -I, for a program that sends at once and one that waits.
func TestInterfaceByText(t *testing.T) {
	const none = "Invalid name/address X: no such interface"
	for _, tt := range []struct{ text, now, later string }{ // the choice, or the error with X for the text
		{"eth0", "eth0", "eth0"}, {"eth0/4", "eth0/4", "eth0/4"}, {"eth0/6", "eth0/6", "eth0/6"}, {"2", "2", "2"}, {"2/6", "2/6", "2/6"}, {"lo", "lo", "lo"},
		{"eth0:1", "eth0:1", "eth0:1"}, {"eth0:2", none, none},
		{"six0", "six0", "six0"}, {"six0/6", "six0/6", "six0/6"}, {"fe80::4%six0", "six0/6", "six0/6"},
		{"10.88.0.9", "10.88.0.9", "10.88.0.9"}, {"fd88::7", "fd88::7", "fd88::7"}, {"clienta", "10.88.0.7", "10.88.0.7"},
		{"down0", "Invalid name/address X: down0 is down", "down0"}, {"3", "Invalid name/address X: down0 is down", "3"},
		{"down0/6", "Invalid name/address X: down0 is down", "down0/6"},
		{"bare0", "Invalid name/address X: bare0 has no address", "bare0"}, {"bare0/6", "Invalid name/address X: bare0 has no IPv6 address", "bare0/6"},
		{"six0/4", "Invalid name/address X: six0 has no IPv4 address; -I six0/6 takes its IPv6 one, with an IPv6 address in -M", "six0/4"},
		{"eth1", none, "eth1"}, {"eth1/6", none, "eth1/6"}, {"eth0.100", none, "eth0.100"}, {"77", none, "77"},
		{"10.9.9.9", "Interface X not found", "10.9.9.9"}, {"fd99::9", "Interface X not found", "fd99::9"}, {"fe80::9%eth9", none, "eth9/6"},
		{"", none, none}, {"..", none, none}, {"a b", none, none}, {"0", none, none}, {"-1", none, none}, {"300.1.1.1", none, none}, {"1.2.3.", none, none},
		{"a/b", none, none}, {"fe80::zz", none, none}, {"no.such.interface.", none, none}, {"e%d", none, none}, {"10.88.0.9/4", none, none},
	} {
		for _, c := range []struct {
			read func(Host, string) (netio.Choice, error)
			want string
		}{{offline().Interface, tt.now}, {offline().LaterInterface, tt.later}} {
			choice, err := c.read(testHost, tt.text)
			got := choice.String()
			if err != nil {
				got, _, _ = strings.Cut(err.Error(), " (allowed")
			}
			if want := strings.ReplaceAll(c.want, "X", tt.text); got != want {
				t.Errorf("-I %q: %q, want %q", tt.text, got, want)
			}
		}
	}
}

// TestOutgoing: the interface that is sent by follows from -I, the addresses and their zones.
func TestOutgoing(t *testing.T) {
	for _, tt := range []struct{ iface, public, private, want string }{ // want: name and address, or the error
		{"", "230.4.4.1", "230.5.5.5", "eth0 (10.88.0.7)"},
		{"", "ff02::1", "ff02::2", "eth0 (fd88::7)"},
		{"eth0", "230.4.4.1", "230.5.5.5", "eth0 (10.88.0.7)"},
		{"eth0", "ff02::1", "ff02::2", "eth0 (fd88::7)"},
		{"six0", "ff02::1", "ff02::2", "six0 (fe80::4)"},
		{"4", "ff02::1", "ff02::2", "six0 (fe80::4)"},
		{"", "ff02::1%six0", "ff02::2", "six0 (fe80::4)"},
		{"", "ff02::1", "ff02::2%six0", "six0 (fe80::4)"},
		{"", "ff02::1%4", "ff02::2%six0", "six0 (fe80::4)"},
		{"six0", "ff02::1%six0", "ff02::2", "six0 (fe80::4)"},
		{"", "fe80::77%six0", "fe80::77%six0", "six0 (fe80::4)"},
		{"10.88.0.9", "230.4.4.1", "230.5.5.5", "eth0 (10.88.0.9)"},
		{"six0", "230.4.4.1", "230.5.5.5", "six0 has no IPv4 address; -I six0/6 takes its IPv6 one, with an IPv6 address in -M (-I six0)"},
		{"eth0/6", "230.4.4.1", "230.5.5.5", "eth0/6 takes no IPv4 address (-I eth0/6)"},
		{"eth0", "ff02::1%six0", "ff02::2", "Interface mismatch with -I eth0 (-M ff02::1%six0)"},
		{"", "ff02::1%eth0", "ff02::2%six0", "Interface mismatch with -M ff02::1%eth0 (-P ff02::2%six0)"},
		{"", "ff02::1%down0", "ff02::2", "down0 is down (-M ff02::1%down0)"},
		{"", "ff02::1%none0", "ff02::2", "no such interface (-M ff02::1%none0)"},
	} {
		var choice *netio.Choice
		if tt.iface != "" {
			c, err := offline().Interface(testHost, tt.iface)
			if err != nil {
				t.Fatal(err)
			}
			choice = &c
		}
		ifi, err := testHost.Outgoing(choice, Target{netip.MustParseAddr(tt.public), "-M " + tt.public}, Target{netip.MustParseAddr(tt.private), "-P " + tt.private})
		got := ifi.String()
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, tt.want) || (err == nil) != (got == tt.want) {
			t.Errorf("-I %s -M %s -P %s: %q, want %q", tt.iface, tt.public, tt.private, got, tt.want)
		}
	}
}

// TestDefaultInterface: first an interface that supports the transfer, then the one that the system
// would use, then the first one.
func TestDefaultInterface(t *testing.T) {
	ifi := func(name, addr, lacks string) netio.Interface {
		return netio.Interface{Name: name, Addr: netip.MustParseAddr(addr), Loopback: name == "lo",
			NoCarrier: strings.Contains(lacks, "carrier"), Multicast: !strings.Contains(lacks, "multicast") && name != "lo"}
	}
	lo, docker, e0, e1, tun := ifi("lo", "127.0.0.1", ""), ifi("docker0", "172.17.0.1", "carrier"), ifi("e0", "10.0.0.1", ""), ifi("e1", "10.1.0.1", ""), ifi("tun0", "10.2.0.1", "multicast")
	all := func(l ...netio.Interface) []netio.Interface { return l }
	for _, tt := range []struct {
		why      string
		have     []netio.Interface
		to, from string
		want     string
	}{
		{"the first", all(lo, e0, e1), "230.4.4.1", "", "e0"},
		{"that of the route", all(lo, e0, e1), "230.4.4.1", "10.1.0.1", "e1"},
		{"one with a carrier", all(lo, docker, e0), "230.4.4.1", "", "e0"},
		{"one with a carrier, whatever the route", all(lo, docker, e0), "230.4.4.1", "172.17.0.1", "e0"},
		{"no carrier rather than loopback", all(lo, docker), "230.4.4.1", "", "docker0"},
		{"one that takes multicast, whatever the route", all(lo, tun, e0), "230.4.4.1", "10.2.0.1", "e0"},
		{"one that does not, if it is all there is", all(lo, tun), "230.4.4.1", "", "tun0"},
		{"any for one host", all(lo, tun, e0), "10.2.0.7", "10.2.0.1", "tun0"},
		{"the loopback, if it is all there is", all(lo), "230.4.4.1", "", "lo"},
		{"of the family", all(lo, e0, ifi("e6", "fe80::1", "")), "ff02::1", "", "e6"},
		{"none of the family", all(lo, e0), "ff02::1", "", ""},
	} {
		var from netip.Addr
		if tt.from != "" {
			from = netip.MustParseAddr(tt.from)
		}
		got, ok := DefaultInterface(tt.have, netip.MustParseAddr(tt.to), from)
		if got.Name != tt.want || ok != (tt.want != "") {
			t.Errorf("%s: %v, want %q", tt.why, got, tt.want)
		}
	}
}
