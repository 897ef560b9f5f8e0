package main

import (
	"net"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"strings"

	"uftp/crypto/aead"
	"uftp/engine/netio"
	"uftp/engine/seal"
	"uftp/wire"
)

// Headers of lower layers, bytes.
const (
	udpHeader  = 8
	ipv4Header = 20
	ipv6Header = 40
)

// facts has the measurements; checks.go judges them.
type facts struct {
	iface    netio.Interface
	mtu      int     // bytes
	linkRate float64 // of the interface, bytes/s; 0 = unknown
	to       netip.Addr
	ttl      int

	routeFrom netip.Addr // source address of packets to to
	routeBy   string     // interface with that address
	routeErr  error
	joinErr   error // error of joining to, if it is a group

	wantBuf, rcvBuf, sndBuf int // socket buffers requested and granted, bytes
	socketErr               error
	gso, gro                bool
	trainErr                error // error of a large send over loopback

	rate       float64 // bytes/s wanted
	block      int     // bytes
	packet     int     // a full IP packet of data, bytes
	cipher     string  // none, or as -Y names it
	helped     bool    // the CPU has instructions for the cipher
	processor  string
	sealRate   float64 // of one thread, bytes/s
	cipherErr  error
	cpus       int
	dest       string // "": do not measure the disk
	diskRate   float64
	diskErr    error
	linuxHints bool // fixes may be commands of Linux

	path
}

// gather asks the system. An error is one of the command line.
func gather(o *options) (*facts, error) {
	to, ifi, err := o.target()
	if err != nil {
		return nil, err
	}
	f := &facts{
		iface: ifi, to: to, ttl: o.ttl, wantBuf: o.bufBytes, rate: o.bytesPerSecond(), block: o.blockSize,
		cipher: o.cipher, processor: aead.Features(), cpus: runtime.NumCPU(), dest: o.dest, linuxHints: runtime.GOOS == "linux",
	}
	if n, err := net.InterfaceByIndex(ifi.Index); err == nil {
		f.mtu = n.MTU
	}
	f.linkRate = linkRate(ifi.Name)
	f.route(o)
	f.socket()
	f.look(o, to, ifi)

	f.packet = seal.NewPacker(nil, f.block, false).Stride()
	if o.cipher != "none" {
		f.measureCipher()
	}
	f.packet += udpHeader + ipv4Header
	if to.Is6() {
		f.packet += ipv6Header - ipv4Header
	}
	if o.dest != "" {
		f.diskRate, f.diskErr = measureDisk(o.dest, int64(o.diskMB)*1_000_000)
	}
	return f, nil
}

// linkRate returns the speed of an interface in bytes/s, 0 if it is unknown.
func linkRate(name string) float64 {
	text, err := os.ReadFile("/sys/class/net/" + name + "/speed")
	if err != nil {
		return 0
	}
	mbit, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || mbit <= 0 {
		return 0
	}
	return float64(mbit) * 1e6 / 8
}

// route asks how the system would send: to a group by the interface, as uftp does, which needs no
// route.
func (f *facts) route(o *options) {
	if f.to.IsMulticast() {
		f.routeFrom, f.routeErr = netio.Source(netio.Config{IPv6: f.to.Is6(), MulticastIf: &f.iface}, netip.AddrPortFrom(f.to, uint16(o.port)))
	} else {
		f.routeFrom, f.routeErr = routeTo(f.to, f.iface)
	}
	for _, x := range o.host.Interfaces {
		if x.Addr == f.routeFrom && (f.routeBy == "" || x.Index == f.iface.Index) {
			f.routeBy = x.Name
		}
	}
}

// routeTo returns the address from which the system would send. It sends nothing.
func routeTo(to netip.Addr, ifi netio.Interface) (netip.Addr, error) {
	if to.Is6() && (to.IsLinkLocalUnicast() || to.IsLinkLocalMulticast()) {
		to = to.WithZone(ifi.Name)
	}
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(to, wire.DefaultPort)))
	if err != nil {
		return netip.Addr{}, err
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap().WithZone(""), nil
}

// socket opens a socket as uftp does, reads its properties and joins the group.
func (f *facts) socket() {
	cfg := netio.Config{IPv6: f.to.Is6(), RcvBuf: f.wantBuf, SndBuf: f.wantBuf, TTL: f.ttl, MulticastIf: &f.iface}
	c, err := netio.Listen(cfg)
	if err != nil {
		f.socketErr = err
		return
	}
	defer c.Close()
	caps := c.Caps()
	f.rcvBuf, f.sndBuf, f.gso, f.gro = caps.RcvBuf, caps.SndBuf, caps.GSO, caps.GRO
	if f.to.IsMulticast() {
		if f.joinErr = c.Join(f.to, f.iface, nil); f.joinErr == nil {
			f.joinErr = c.Leave(f.to, f.iface, nil)
		}
	}
	if f.gso || f.gro {
		f.gso, f.gro, f.trainErr = tryTrain()
	}
}
