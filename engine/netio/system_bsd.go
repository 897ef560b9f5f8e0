//go:build darwin || freebsd

package netio

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// Types of the control messages for parseControl. These systems have no GRO: no control message has
// type -1.
const (
	cmsgTOS = unix.IP_RECVTOS
	cmsgGRO = -1
	cmsgDst = unix.IP_RECVDSTADDR

	cmsgDstAt = 0
)

func (s *socket) setSystemOptions(fd uintptr, cfg Config) error {
	d := int(fd)
	if err := unix.SetsockoptInt(d, unix.SOL_SOCKET, unix.SO_BROADCAST, 1); err != nil {
		return fmt.Errorf("netio: broadcast: %w", err)
	}
	// Don't-fragment is off unless set; older systems do not know the option.
	if s.v6 {
		unix.SetsockoptInt(d, unix.IPPROTO_IPV6, unix.IPV6_DONTFRAG, 0)
		if err := unix.SetsockoptInt(d, unix.IPPROTO_IPV6, unix.IPV6_RECVTCLASS, 1); err != nil {
			return fmt.Errorf("netio: receive traffic class: %w", err)
		}
		if cfg.Destinations {
			if err := unix.SetsockoptInt(d, unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1); err != nil {
				return fmt.Errorf("netio: receive destination: %w", err)
			}
		}
	} else {
		unix.SetsockoptInt(d, unix.IPPROTO_IP, unix.IP_DONTFRAG, 0)
		if err := unix.SetsockoptInt(d, unix.IPPROTO_IP, unix.IP_RECVTOS, 1); err != nil {
			return fmt.Errorf("netio: receive TOS: %w", err)
		}
		if cfg.Destinations {
			if err := unix.SetsockoptInt(d, unix.IPPROTO_IP, unix.IP_RECVDSTADDR, 1); err != nil {
				return fmt.Errorf("netio: receive destination: %w", err)
			}
		}
		if ifi := cfg.MulticastIf; ifi != nil && ifi.Addr.Is4() {
			if err := unix.SetsockoptInet4Addr(d, unix.IPPROTO_IP, unix.IP_MULTICAST_IF, ifi.Addr.As4()); err != nil {
				return fmt.Errorf("netio: multicast interface %s: %w", ifi.Name, err)
			}
		}
	}
	var err error
	if s.rcvBuf, err = sizeBuffer(d, unix.SO_RCVBUF, cfg.RcvBuf); err != nil {
		return fmt.Errorf("netio: receive buffer: %w", err)
	}
	if s.sndBuf, err = sizeBuffer(d, unix.SO_SNDBUF, cfg.SndBuf); err != nil {
		return fmt.Errorf("netio: send buffer: %w", err)
	}
	return nil
}

// sizeBuffer asks for want bytes and returns what the system granted. These systems refuse a size
// above their limit instead of reducing it, so sizeBuffer halves it until one is accepted.
func sizeBuffer(fd, opt, want int) (int, error) {
	for ; want > 0; want /= 2 {
		if unix.SetsockoptInt(fd, unix.SOL_SOCKET, opt, want) == nil {
			break
		}
	}
	return unix.GetsockoptInt(fd, unix.SOL_SOCKET, opt)
}

// dropCounter: these systems count drops for the whole host only.
type dropCounter struct{}

func (dropCounter) read(syscall.RawConn) uint64 { return 0 }
