//go:build linux

package netlab

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
)

// ErrMalformed reports packets that tshark found malformed.
var ErrMalformed = errors.New("netlab: tshark finds bad packets")

// Capture records the packets at the interface of a host: those that the host sends, and
// those that arrive, before any drop rule.
//
// While it runs, the host's kernel cuts large sends (UDP_SEGMENT) into
// datagrams before they pass, as on a real line. Large sends of another host arrive uncut
// and are recorded only to the length of one frame, so record at the sender of the data.
type Capture struct {
	Path string // pcap file
	proc *Proc
}

// Segments that the interface takes at once: one while a capture runs, the
// kernel's default otherwise.
const (
	segsCaptured = "1"
	segsDefault  = "65535"
)

// tcpdumpMax is how long tcpdump may take to start, to write its packets, and to end.
const tcpdumpMax = 15 * time.Second

// gso sets how many segments the interface takes at once.
func (h *Host) gso(segs string) error {
	_, err := h.tool("", "ip", "link", "set", "dev", Device, "gso_max_segs", segs)
	return err
}

// Packet is one UDP datagram of a capture.
type Packet struct {
	Time    time.Time
	Src     netip.AddrPort
	Dst     netip.AddrPort
	TTL     uint8 // hop limit for IPv6
	TOS     uint8 // traffic class for IPv6
	Payload []byte
}

// Func is the message number of an unencrypted UFTP datagram, 0 if it is too short.
func (p Packet) Func() uint8 {
	if len(p.Payload) < 20 {
		return 0
	}
	return p.Payload[1]
}

// Capture starts to record UDP into the file path and returns when the
// recording runs.
func (h *Host) Capture(path string) (*Capture, error) {
	if err := h.gso(segsCaptured); err != nil {
		return nil, err
	}
	frame, err := h.frameBytes()
	if err != nil {
		return nil, err
	}
	// Each packet takes room for the longest in the buffer: with the default of 256
	// KiB it would hold 64, and tcpdump would miss some whenever it has to wait.
	p, err := h.Start(Spec{Argv: []string{
		"tcpdump", "-Z", "root", "-i", Device, "-n", "-U", "--immediate-mode", "-s", strconv.Itoa(frame), "-B", "16384", "-w", path, "udp",
	}})
	if err != nil {
		return nil, err
	}
	if err := p.WaitLog("listening on", tcpdumpMax); err != nil {
		return nil, err
	}
	return &Capture{Path: path, proc: p}, nil
}

// frameBytes is the length of the longest frame that the interface takes.
func (h *Host) frameBytes() (int, error) {
	const header, vlanTag = 14, 4
	var ifi *net.Interface
	err := h.Do(func() (err error) {
		ifi, err = net.InterfaceByName(Device)
		return err
	})
	if err != nil {
		return 0, err
	}
	return ifi.MTU + header + vlanTag, nil
}

// Stop ends the recording; the file is whole then. A second Stop does nothing.
func (c *Capture) Stop() error {
	if c.proc.Exited() {
		return nil
	}
	// Packets in the kernel's ring still count. tcpdump sleeps only when it has written
	// all of them. We look twice, since it may just have been between two steps.
	time.Sleep(20 * time.Millisecond)
	for end, idle := time.Now().Add(tcpdumpMax), 0; idle < 2 && time.Now().Before(end); time.Sleep(pollEvery) {
		if state, _ := processState(c.proc.Pid()); state == 'S' {
			idle++
		} else {
			idle = 0
		}
	}
	c.proc.Signal(syscall.SIGTERM)
	_, err := c.proc.WaitFor(tcpdumpMax)
	return errors.Join(err, c.proc.Host.gso(segsDefault))
}

// Missed is how many packets an ended recording lacks because tcpdump was too slow.
func (c *Capture) Missed() int {
	n := 0
	for line := range strings.Lines(c.proc.Stderr()) {
		if strings.HasSuffix(strings.TrimSpace(line), "dropped by kernel") {
			fmt.Sscan(line, &n)
		}
	}
	return n
}

// Packets ends the recording and returns its UDP datagrams in order of time.
// It leaves out all fragments but the first, which it returns as short as it is.
func (c *Capture) Packets() ([]Packet, error) {
	if err := c.Stop(); err != nil {
		return nil, err
	}
	return c.SoFar()
}

// SoFar is Packets while the recording goes on. The error may be that the last
// packet is only half written; the packets before it are returned.
func (c *Capture) SoFar() ([]Packet, error) {
	f, err := os.Open(c.Path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r, err := pcapgo.NewReader(f)
	if err != nil {
		return nil, fmt.Errorf("netlab: %s: %w", c.Path, err)
	}
	var packets []Packet
	for {
		frame, info, err := r.ReadPacketData()
		if errors.Is(err, io.EOF) {
			return packets, nil
		}
		if err != nil {
			return packets, fmt.Errorf("netlab: %s: %w", c.Path, err)
		}
		if p, ok := datagram(frame); ok {
			p.Time = info.Timestamp
			packets = append(packets, p)
		}
	}
}

func datagram(frame []byte) (p Packet, ok bool) {
	pkt := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.DecodeOptions{Lazy: true, NoCopy: true})
	var src, dst netip.Addr
	switch ip := pkt.NetworkLayer().(type) {
	case *layers.IPv4:
		if ip.FragOffset != 0 || len(ip.Payload) < 8 {
			return p, false
		}
		src, _ = netip.AddrFromSlice(ip.SrcIP.To4())
		dst, _ = netip.AddrFromSlice(ip.DstIP.To4())
		p.TTL, p.TOS, p.Payload = ip.TTL, ip.TOS, ip.Payload
	case *layers.IPv6:
		if ip.NextHeader != layers.IPProtocolUDP || len(ip.Payload) < 8 {
			return p, false
		}
		src, _ = netip.AddrFromSlice(ip.SrcIP)
		dst, _ = netip.AddrFromSlice(ip.DstIP)
		p.TTL, p.TOS, p.Payload = ip.HopLimit, ip.TrafficClass, ip.Payload
	default:
		return p, false
	}
	u := p.Payload
	p.Src = netip.AddrPortFrom(src, uint16(u[0])<<8|uint16(u[1]))
	p.Dst = netip.AddrPortFrom(dst, uint16(u[2])<<8|uint16(u[3]))
	p.Payload = u[8:]
	return p, true
}

// Check ends the recording and lets tshark read it. It is an error if tshark
// finds no datagram, one that is malformed or one that is not UFTP.
func (c *Capture) Check() error {
	if err := c.Stop(); err != nil {
		return err
	}
	return CheckFile(c.Path)
}

// CheckFile lets tshark read a capture, whoever took it. It is an error if tshark
// finds no datagram, one that is malformed or one that is not UFTP.
func CheckFile(path string) error {
	out, err := exec.Command("tshark", "-n", "-r", path, "-T", "fields", "-e", "frame.number", "-e", "frame.protocols", "-e", "_ws.malformed", "-Y", "udp").Output()
	if err != nil {
		return fmt.Errorf("netlab: tshark %s: %w", path, err)
	}
	frames := 0
	var bad []string
	for line := range strings.Lines(string(out)) {
		frames++
		if !strings.Contains(line, ":uftp:uftp") || strings.Contains(line, "malformed") {
			bad = append(bad, strings.TrimSpace(line))
		}
	}
	if frames == 0 {
		return fmt.Errorf("%w: none at all in %s", ErrMalformed, path)
	}
	if len(bad) > 0 {
		return fmt.Errorf("%w: %d of %d in %s, first: %s", ErrMalformed, len(bad), frames, path, bad[0])
	}
	return nil
}
