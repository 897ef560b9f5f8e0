package netio

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

const (
	// transientMax bounds the ICMP reports that one call ignores in a row; a socket that returns
	// nothing else is broken.
	transientMax = 100

	// Waits for ENOBUFS double from the first to the tenth: 50 µs to 26 ms, 51 ms together.
	noBufsTries     = 10
	noBufsWaitFirst = 50 * time.Microsecond
)

// socket is the part that both implementations share: the bound socket, its options, memberships
// and counters.
type socket struct {
	udp  *net.UDPConn
	raw  syscall.RawConn
	v6   bool
	port uint16

	// scopeIndex and scopeName complete link-local IPv6 destinations without a zone.
	scopeIndex uint32
	scopeName  string

	rcvBuf, sndBuf int
	members        members
	count          counters
}

// counters are written once per system call and read by Stats at any time.
type counters struct {
	rxDatagrams, rxBytes, rxSyscalls atomic.Uint64
	txDatagrams, txBytes, txSyscalls atomic.Uint64
	gsoFallbacks, truncated          atomic.Uint64
	transient, noBufs                atomic.Uint64
	drops                            dropCounter
}

// openSocket binds a socket and sets the options that both implementations need.
func openSocket(cfg Config) (*socket, error) {
	network := "udp4"
	if cfg.IPv6 {
		network = "udp" // dual-stack
	}
	var lc net.ListenConfig
	if cfg.SharePort {
		lc.Control = sharePort
	}
	pc, err := lc.ListenPacket(context.Background(), network, ":"+strconv.Itoa(int(cfg.Port)))
	if err != nil {
		return nil, err
	}
	udp := pc.(*net.UDPConn)
	local := udp.LocalAddr().(*net.UDPAddr)
	s := &socket{udp: udp, v6: cfg.IPv6, port: uint16(local.Port)}
	if cfg.IPv6 && local.IP.To4() != nil {
		udp.Close()
		return nil, errors.New("netio: this system has no IPv6")
	}
	if ifi := cfg.MulticastIf; ifi != nil {
		s.scopeIndex, s.scopeName = uint32(ifi.Index), ifi.Name
	}
	if s.raw, err = udp.SyscallConn(); err == nil {
		err = s.setOptions(cfg)
	}
	if err != nil {
		udp.Close()
		return nil, err
	}
	s.members.init(s)
	return s, nil
}

// v4Options reports whether the socket takes options and groups of IPv4. Linux allows them on a
// dual-stack socket too.
func (s *socket) v4Options() bool { return !s.v6 || runtime.GOOS == "linux" }

func (s *socket) setOptions(cfg Config) error {
	if s.v4Options() {
		p := ipv4.NewPacketConn(s.udp)
		if err := p.SetMulticastLoopback(true); err != nil {
			return fmt.Errorf("netio: multicast loopback: %w", err)
		}
		if cfg.TTL > 0 {
			if err := p.SetMulticastTTL(cfg.TTL); err != nil {
				return fmt.Errorf("netio: multicast TTL %d: %w", cfg.TTL, err)
			}
		}
		if cfg.TOS > 0 {
			if err := p.SetTOS(cfg.TOS); err != nil {
				return fmt.Errorf("netio: TOS %#x: %w", cfg.TOS, err)
			}
		}
	}
	if s.v6 {
		p := ipv6.NewPacketConn(s.udp)
		if err := p.SetMulticastLoopback(true); err != nil {
			return fmt.Errorf("netio: multicast loopback: %w", err)
		}
		if cfg.TTL > 0 {
			if err := p.SetMulticastHopLimit(cfg.TTL); err != nil {
				return fmt.Errorf("netio: multicast hop limit %d: %w", cfg.TTL, err)
			}
		}
		if ifi := cfg.MulticastIf; ifi != nil {
			if err := p.SetMulticastInterface(ifi.net()); err != nil {
				return fmt.Errorf("netio: multicast interface %s: %w", ifi.Name, err)
			}
		}
		if cfg.TOS > 0 && trafficClassSettable {
			if err := p.SetTrafficClass(cfg.TOS); err != nil {
				return fmt.Errorf("netio: traffic class %#x: %w", cfg.TOS, err)
			}
		}
	}
	var err error
	if cerr := s.raw.Control(func(fd uintptr) { err = s.setSystemOptions(fd, cfg) }); cerr != nil {
		return cerr
	}
	return err
}

// net returns i as the packages of x/net expect it; nil for index 0.
func (i *Interface) net() *net.Interface {
	if i.Index == 0 {
		return nil
	}
	return &net.Interface{Index: i.Index, Name: i.Name}
}

func (s *socket) SetReadDeadline(t time.Time) error { return ioError(s.udp.SetReadDeadline(t)) }

func (s *socket) LocalPort() uint16 { return s.port }

func (s *socket) Close() error {
	s.count.drops.read(s.raw) // the last count, for Stats
	s.members.close()
	return ioError(s.udp.Close())
}

func (s *socket) Stats() Stats {
	c := &s.count
	return Stats{
		RxDatagrams: c.rxDatagrams.Load(), RxBytes: c.rxBytes.Load(), RxSyscalls: c.rxSyscalls.Load(),
		TxDatagrams: c.txDatagrams.Load(), TxBytes: c.txBytes.Load(), TxSyscalls: c.txSyscalls.Load(),
		GSOFallbacks: c.gsoFallbacks.Load(), Truncated: c.truncated.Load(),
		Transient: c.transient.Load(), NoBufs: c.noBufs.Load(),
		KernelDrops: c.drops.read(s.raw),
	}
}

func (s *socket) caps() Caps {
	return Caps{
		MaxTrainBytes: MaxTrainBytes, MaxSegs: MaxTrainSegs,
		RcvBuf: s.rcvBuf, SndBuf: s.sndBuf,
	}
}

// ioError replaces the errors that every caller tests for by the bare sentinels. Callers then need
// no errors.Is, and the log no wordy wrapper.
func ioError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		return os.ErrDeadlineExceeded
	case errors.Is(err, net.ErrClosed):
		return net.ErrClosed
	}
	return err
}

// sendError adds the destination to err.
func sendError(to netip.AddrPort, err error) error {
	return fmt.Errorf("netio: send to %v: %w", to, err)
}

// retry decides what follows a failed send: another attempt, at once or after a short wait (true),
// or an error. It holds the budget of one WriteBatch.
type retry struct{ transient, noBufs int }

func (r *retry) again(c *counters, e syscall.Errno) bool {
	switch {
	case isTransientTx(e) && r.transient < transientMax:
		r.transient++
		c.transient.Add(1)
		return true
	case isNoBufs(e) && r.noBufs < noBufsTries:
		c.noBufs.Add(1)
		time.Sleep(noBufsWaitFirst << r.noBufs)
		r.noBufs++
		return true
	}
	return false
}

// scoped reports whether addr needs the index of an interface to be reachable.
func scoped(addr netip.Addr) bool {
	return addr.IsLinkLocalUnicast() || addr.IsLinkLocalMulticast() || addr.IsInterfaceLocalMulticast()
}
