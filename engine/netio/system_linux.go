package netio

import (
	"fmt"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Types of the control messages for parseControl.
const (
	cmsgTOS = unix.IP_TOS
	cmsgGRO = unix.UDP_GRO
	cmsgDst = unix.IP_PKTINFO

	cmsgDstAt = 8 // behind the interface index and the local address
)

type sockopt struct {
	level, name, value int
	what               string
}

func (s *socket) setSystemOptions(fd uintptr, cfg Config) error {
	d := int(fd)
	opts := []sockopt{
		{unix.SOL_SOCKET, unix.SO_BROADCAST, 1, "broadcast"},
		{unix.SOL_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_DONT, "path MTU discovery off"},
		{unix.SOL_IP, unix.IP_RECVTOS, 1, "receive TOS"},
		// This socket must receive the groups of the membership sockets. The option is on by
		// default for IPv4 sockets, and off for the IPv4 side of dual-stack ones.
		{unix.SOL_IP, unix.IP_MULTICAST_ALL, 1, "receive groups of other sockets"},
	}
	if s.v6 {
		opts = append(opts,
			sockopt{unix.SOL_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_DONT, "IPv6 path MTU discovery off"},
			sockopt{unix.SOL_IPV6, unix.IPV6_RECVTCLASS, 1, "receive traffic class"})
	}
	switch {
	case cfg.Destinations && s.v6: // IPv4 arrives mapped
		opts = append(opts, sockopt{unix.SOL_IPV6, unix.IPV6_RECVPKTINFO, 1, "receive destination"})
	case cfg.Destinations:
		opts = append(opts, sockopt{unix.SOL_IP, unix.IP_PKTINFO, 1, "receive destination"})
	}
	for _, o := range opts {
		if err := unix.SetsockoptInt(d, o.level, o.name, o.value); err != nil {
			return fmt.Errorf("netio: %s: %w", o.what, err)
		}
	}
	if ifi := cfg.MulticastIf; ifi != nil {
		mreq := unix.IPMreqn{Ifindex: int32(ifi.Index)}
		if ifi.Addr.Is4() {
			mreq.Address = ifi.Addr.As4() // chooses the source address too
		}
		if err := unix.SetsockoptIPMreqn(d, unix.SOL_IP, unix.IP_MULTICAST_IF, &mreq); err != nil {
			return fmt.Errorf("netio: multicast interface %s: %w", ifi.Name, err)
		}
	}
	var err error
	if s.rcvBuf, err = sizeBuffer(d, unix.SO_RCVBUF, unix.SO_RCVBUFFORCE, cfg.RcvBuf); err != nil {
		return fmt.Errorf("netio: receive buffer: %w", err)
	}
	if s.sndBuf, err = sizeBuffer(d, unix.SO_SNDBUF, unix.SO_SNDBUFFORCE, cfg.SndBuf); err != nil {
		return fmt.Errorf("netio: send buffer: %w", err)
	}
	return nil
}

// sizeBuffer asks for want bytes, above the sysctl limit where that is allowed, and returns what
// the kernel granted. The kernel doubles the number for its own overhead.
func sizeBuffer(fd, opt, force, want int) (int, error) {
	if want > 0 && unix.SetsockoptInt(fd, unix.SOL_SOCKET, force, want) != nil {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, opt, want); err != nil {
			return 0, err
		}
	}
	got, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, opt)
	return got / 2, err
}

// dropCounter extends the kernel's 32-bit count of drops. Reading it on request costs the data path
// nothing, unlike a control message with each datagram.
type dropCounter struct {
	mu    sync.Mutex
	last  uint32
	total uint64
}

func (c *dropCounter) read(raw syscall.RawConn) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	var info [unix.SK_MEMINFO_VARS]uint32
	size := uint32(unsafe.Sizeof(info))
	var errno syscall.Errno
	err := raw.Control(func(fd uintptr) {
		_, _, errno = unix.Syscall6(unix.SYS_GETSOCKOPT, fd, unix.SOL_SOCKET, unix.SO_MEMINFO,
			uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
	})
	// If the socket is closed, or the kernel older than 4.12, the last count stays.
	if err == nil && errno == 0 && size > 4*unix.SK_MEMINFO_DROPS {
		now := info[unix.SK_MEMINFO_DROPS]
		c.total += uint64(now - c.last)
		c.last = now
	}
	return c.total
}
