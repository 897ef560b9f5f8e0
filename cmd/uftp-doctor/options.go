package main

import (
	"net/netip"

	"uftp/cmd/cli"
	"uftp/cmd/version"
	"uftp/crypto/aead"
	"uftp/engine/netio"
	"uftp/wire"
)

// options is the command line.
type options struct {
	resolver *cli.Resolver
	host     cli.Host

	iface   *netio.Choice
	address string
	role    string
	peer    netip.Addr
	port    int

	sourcePort int

	ttl       int
	rate      int64 // bytes/s
	blockSize int
	bufBytes  int
	cipher    string
	dest      string
	diskMB    int
}

const (
	defaultAddress = "230.4.4.1"
	defaultBuffer  = 16 << 20 // that of uftpd
	defaultDiskMB  = 256
)

func newOptions(host cli.Host) *options {
	return &options{
		resolver: cli.NewResolver(), host: host,
		address: defaultAddress, role: "both", port: wire.DefaultPort, ttl: 1, rate: 1000 * 1024 / 8, blockSize: wire.DefaultBlockSize,
		bufBytes: defaultBuffer, cipher: "none", diskMB: defaultDiskMB,
	}
}

const examples = `  Can this machine take 5 Gbit/s of encrypted jumbo frames?
      uftp-doctor -I eth0 -R 4882812 -b 8800 -Y aes256-gcm -D /srv/in
  Can this receiver hear a sender of another network?
      uftp-doctor -I eth0 --role receiver --peer 10.7.0.1
`

func (o *options) command() *cli.Command {
	const (
		network = "Network"
		work    = "Work"
	)
	return &cli.Command{
		Name: "uftp-doctor", Version: version.Version, About: "cipher instructions: " + aead.Features(),
		Purpose:  "Checks this machine for problems that would stop or slow down uftp and uftpd.",
		Examples: examples,
		Exits:    "   0  nothing to warn of\n   1  an option\n   2  an address or an interface\n   4  standard output\n   7  there are warnings\n",
		Options: []cli.Option{
			{Letter: 'I', Name: "interface", Arg: "INTERFACE", Group: network, Set: o.setInterface,
				Help: "name or index, with /4 or /6 for the family, or address; the family is\nthat of -M (default: as uftp chooses)"},
			{Letter: 'M', Name: "address", Arg: "ADDRESS", Group: network, Set: cli.String(&o.address),
				Help: "multicast address, or that of the receiver (default: 230.4.4.1)"},
			{Name: "role", Arg: "ROLE", Group: network, Set: cli.OneOf(&o.role, []string{"sender", "receiver", "both"}, "Invalid role"),
				Help: "what this machine does: sender, receiver or both (default: both)"},
			{Name: "peer", Arg: "ADDRESS", Group: network, Set: o.setPeer,
				Help: "address of the other side, for reverse-path filter and firewall"},
			{Letter: 'p', Name: "port", Arg: "PORT", Group: network, Set: cli.Int(&o.port, 1, 65535, "Invalid port", ""),
				Help: "UDP port of the receivers (1 to 65535, default: 1044)"},
			{Letter: 'u', Name: "source-port", Arg: "PORT", Group: network, Set: cli.Int(&o.sourcePort, 0, 65535, "Invalid port", ""),
				Help: "UDP port that uftp sends from (0 to 65535, default: 0, any)"},
			{Letter: 't', Name: "ttl", Arg: "N", Group: network, Set: cli.Int(&o.ttl, 1, 255, "Invalid ttl", "hops"),
				Help: "hops that multicast may take (1 to 255, default: 1)"},
			{Letter: 'B', Name: "buffer", Arg: "BYTES", Group: network,
				Set:  cli.Int(&o.bufBytes, 65536, 104857600, "Invalid receive buffer size", "bytes"),
				Help: "socket buffers (65536 to 104857600, default: 16777216)"},
			{Letter: 'R', Name: "rate", Arg: "KBPS", Group: work,
				Set:  o.setRate,
				Help: "a number is Kbps of 1024 bit/s (1 to 1073741824, default: 1000); with\nk, M or G behind it, bit/s: 100M, 2.5G"},
			{Letter: 'b', Name: "block-size", Arg: "BYTES", Group: work,
				Set:  cli.Int(&o.blockSize, wire.MinBlockSize, wire.MaxBlockSize, "Invalid blocksize", "bytes"),
				Help: "bytes of the file in a datagram (512 to 8800, default: 1300)"},
			{Letter: 'Y', Name: "cipher", Arg: "CIPHER", Group: work, Set: cli.OneOf(&o.cipher, cli.Ciphers, "Invalid keytype"),
				Help: "cipher of the session, as -Y of uftp (default: none)"},
			{Letter: 'D', Name: "dest", Arg: "DIR", Group: work, Set: cli.String(&o.dest),
				Help: "directory for received files (default: do not measure the disk)"},
			{Name: "disk-size", Arg: "MB", Group: work, Set: cli.Int(&o.diskMB, 1, 65536, "Invalid disk size", "MB"),
				Help: "size of the file for measuring the disk (1 to 65536, default: 256)"},
		},
	}
}

func (o *options) setInterface(v string) error {
	c, err := o.resolver.Interface(o.host, v)
	if err != nil {
		return err
	}
	o.iface = &c
	return nil
}

func (o *options) setPeer(v string) error {
	a, err := o.resolver.Addr("ip", v)
	if err != nil {
		return &cli.Error{Code: cli.ExitNet, Text: "Invalid address: " + err.Error(), Allowed: "an IP address or the name of a host"}
	}
	o.peer = a.WithZone("")
	return nil
}

// target returns the address without its zone, and the interface that reaches it, which replaces
// the zone.
func (o *options) target() (netip.Addr, netio.Interface, error) {
	to, err := o.resolver.Addr("ip", o.address)
	if err != nil {
		return to, netio.Interface{}, &cli.Error{Code: cli.ExitNet, Text: "Invalid address: " + err.Error() + " (-M " + o.address + ")"}
	}
	if o.peer.IsValid() && o.peer.Is6() != to.Is6() {
		return to, netio.Interface{}, &cli.Error{Code: cli.ExitNet, Text: "IP version mismatch between address and peer (--peer " + o.peer.String() + ", -M " + o.address + ")"}
	}
	ifi, err := o.host.Outgoing(o.iface, cli.Target{Addr: to, Option: "-M " + o.address})
	return to.WithZone(""), ifi, err
}

// bytesPerSecond returns the rate.
func (o *options) bytesPerSecond() float64 { return float64(o.rate) }

func (o *options) setRate(v string) error {
	n, ok := cli.ParseRate(v)
	if !ok {
		return &cli.Error{Text: "Invalid rate", Allowed: cli.AllowedRates}
	}
	o.rate = n
	return nil
}
