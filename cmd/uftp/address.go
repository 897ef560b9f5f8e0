package main

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"

	"uftp/cmd/cli"
	"uftp/engine"
	"uftp/engine/netio"
	"uftp/engine/sender"
	"uftp/engine/store"
	"uftp/wire"
)

// Headers around a block that the rate counts (docs/protocol.md, "Rate"), bytes.
const (
	udpHeader  = 8
	ipv4Header = 20
	ipv6Header = 40
)

// sendConfig resolves addresses and returns the engine's configuration. Errors have exit code 2.
func (o *options) sendConfig() (engine.SendConfig, error) {
	var cfg engine.SendConfig
	public, private, err := o.addresses()
	if err != nil {
		return cfg, err
	}
	six := public.Addr().Is6()
	iface, err := o.host.Outgoing(o.iface,
		cli.Target{Addr: public.Addr(), Option: "-M " + o.public}, cli.Target{Addr: private.Addr(), Option: "-P " + o.private})
	if err != nil {
		return cfg, err
	}
	public, private = withoutZone(public), withoutZone(private)
	source, err := o.resolver.Port(o.sourcePort)
	if err != nil {
		return cfg, netError("Error getting bind address: "+err.Error(), "-u "+o.sourcePort, "0 to 65535 or the name of a service")
	}
	uid := o.uid
	if uid == 0 {
		uid = wire.AddrUID(iface.Addr)
	}
	ip := ipv4Header
	if six {
		ip = ipv6Header
	}
	rate, adapt := o.pace()
	group, instance, err := o.session()
	if err != nil {
		return cfg, err
	}
	hosts := o.closedGroup()
	cfg = engine.SendConfig{
		Session: sender.Config{
			UID: uid, Group: group, Instance: instance,
			Public: public, Private: private, Unicast: !public.Addr().IsMulticast(),
			BlockSize: o.blockSize, Robust: o.robust,
			Rate: rate, Adapt: adapt, LowerLayers: udpHeader + ip,
			GRTT: o.grtt[0], MinGRTT: o.grtt[1], MaxGRTT: o.grtt[2],
			Hosts: hosts, Closed: len(hosts) > 0,
			RegisterCount: o.registerCount, RegisterQuiet: o.registerQuiet, RegisterWait: o.registerWait, Roaming: o.roaming,
			MaxNAKPct: o.maxNAKPct, MaxNAKCount: o.maxNAKCount, MaxPasses: o.maxPasses, StallPasses: o.stallPasses, TxWeight: o.txWeight,
			QuitOnError: o.quitOnError, Sync: o.sync, Preview: o.preview,
		},
		Net: netio.Config{
			Port: source, IPv6: six, RcvBuf: o.bufBytes, SndBuf: o.bufBytes, TTL: o.ttl, TOS: o.dscp << 2,
			MulticastIf: &iface, Portable: o.net.Portable, NoGSO: o.net.NoGSO, NoGRO: o.net.NoGRO,
		},
		Walk: store.WalkConfig{
			Operands: o.operands, DestName: o.destName, DestIsDir: o.destIsDir,
			Bases: o.bases, Exclude: o.exclude, FollowLinks: o.followLnk,
		},
		Workers: o.fillWorkers(),
		Trace:   o.logLevel >= 5,
	}
	return cfg, nil
}

func netError(text, option, allowed string) error {
	return &cli.Error{Code: cli.ExitNet, Text: text + " (" + option + ")", Allowed: allowed}
}

// addresses returns the address of announcements, public, and that of everything else, private.
// They are the same unless the public address is multicast (docs/protocol.md, "Addresses and
// ports").
func (o *options) addresses() (public, private netip.AddrPort, err error) {
	const invalid = "Invalid public address or port: "
	port, err := o.resolver.Port(o.port)
	switch {
	case err != nil:
		return public, private, netError(invalid+err.Error(), "-p "+o.port, "1 to 65535 or the name of a service")
	case port == 0:
		return public, private, netError(invalid+"port 0 cannot be reached", "-p "+o.port, "1 to 65535 or the name of a service")
	}
	pub, err := o.resolver.Addr("ip", o.public)
	if err != nil {
		return public, private, netError(invalid+err.Error(), "-M "+o.public, "an IP address or the name of a host")
	}
	public = netip.AddrPortFrom(pub, port)
	if !pub.IsMulticast() {
		return public, public, nil
	}
	family, numbers := "ip4", "IPv4"
	if pub.Is6() {
		family, numbers = "ip6", "IPv6"
	}
	allowed := "an " + numbers + " multicast address, as -M " + o.public + "; each x is replaced by a random part"
	text, err := substitute(o.private)
	if err != nil {
		return public, private, err
	}
	priv, err := o.resolver.Addr("ip", text)
	switch {
	case err != nil:
		return public, private, netError("Invalid private address: "+err.Error(), "-P "+o.private, allowed)
	case priv.Is6() != (family == "ip6"):
		return public, private, netError("IP version mismatch between public and private addresses", "-P "+o.private, allowed)
	}
	if !priv.IsMulticast() {
		o.resolver.Warnings = append(o.resolver.Warnings,
			fmt.Sprintf("Warning: private address %s is not a multicast address: receivers will refuse the session", priv))
	}
	return public, netip.AddrPortFrom(priv, port), nil
}

// substitute replaces each x by a random number: 0 to 255, or 0 to ffff in hex in an IPv6 address.
func substitute(address string) (string, error) {
	var b strings.Builder
	address, zone, zoned := strings.Cut(address, "%")
	for _, r := range address {
		if r != 'x' {
			b.WriteRune(r)
			continue
		}
		n, err := random32()
		if err != nil {
			return "", err
		}
		if strings.Contains(address, ":") {
			fmt.Fprintf(&b, "%x", n&0xffff)
		} else {
			fmt.Fprintf(&b, "%d", n&0xff)
		}
	}
	if zoned {
		b.WriteString("%" + zone)
	}
	return b.String(), nil
}

func random32() (uint32, error) {
	var b [4]byte
	if _, err := rand.Read(b[:]); err != nil {
		return 0, &cli.Error{Code: cli.ExitNet, Text: "No random numbers: " + err.Error()}
	}
	return binary.BigEndian.Uint32(b[:]), nil
}

// withoutZone removes the zone of a group: the outgoing interface replaces it, and receivers get
// the bare address.
func withoutZone(a netip.AddrPort) netip.AddrPort {
	if !a.Addr().IsMulticast() {
		return a
	}
	return netip.AddrPortFrom(a.Addr().WithZone(""), a.Port())
}

// session returns the group ID and instance: those of the restart file with the next instance, or a
// new random group.
func (o *options) session() (group uint32, instance uint8, err error) {
	if o.restartName != "" && o.resume.Group != 0 {
		return o.resume.Group, o.resume.Instance + 1, nil
	}
	for group == 0 && err == nil {
		group, err = random32()
	}
	return group, 0, err
}

// closedGroup returns the listed hosts; none means an open group.
func (o *options) closedGroup() []sender.Host {
	var hosts []sender.Host
	for _, h := range o.hosts {
		hosts = append(hosts, sender.Host{UID: h.UID, Name: h.Name})
	}
	for _, c := range o.resume.Clients {
		hosts = append(hosts, sender.Host{UID: c.UID, Name: c.Name})
	}
	return hosts
}
