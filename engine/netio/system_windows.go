package netio

import (
	"errors"
	"fmt"
	"net/netip"
	"syscall"

	"golang.org/x/sys/windows"
)

// Options that package windows does not name.
const (
	ipDontFragment   = 14
	ipv6DontFragment = 14
)

// trafficClassSettable: x/net has no traffic class of IPv6 on Windows.
const trafficClassSettable = false

// rxControlBytes is not 0, so that reads report truncation.
const rxControlBytes = 64

// sharePort is a net.ListenConfig.Control that sets SO_REUSEADDR.
func sharePort(_, _ string, c syscall.RawConn) error {
	var err error
	cerr := c.Control(func(fd uintptr) {
		err = windows.SetsockoptInt(windows.Handle(fd), windows.SOL_SOCKET, windows.SO_REUSEADDR, 1)
	})
	if cerr != nil {
		return cerr
	}
	return err
}

func (s *socket) setSystemOptions(fd uintptr, cfg Config) error {
	h := windows.Handle(fd)
	if err := windows.SetsockoptInt(h, windows.SOL_SOCKET, windows.SO_BROADCAST, 1); err != nil {
		return fmt.Errorf("netio: broadcast: %w", err)
	}
	// The option is off by default; a version without it fragments anyway.
	if s.v6 {
		windows.SetsockoptInt(h, windows.IPPROTO_IPV6, ipv6DontFragment, 0)
	} else {
		windows.SetsockoptInt(h, windows.IPPROTO_IP, ipDontFragment, 0)
		if ifi := cfg.MulticastIf; ifi != nil && ifi.Addr.Is4() {
			if err := windows.SetsockoptInet4Addr(h, windows.IPPROTO_IP, windows.IP_MULTICAST_IF, ifi.Addr.As4()); err != nil {
				return fmt.Errorf("netio: multicast interface %s: %w", ifi.Name, err)
			}
		}
	}
	var err error
	if s.rcvBuf, err = sizeBuffer(h, windows.SO_RCVBUF, cfg.RcvBuf); err != nil {
		return fmt.Errorf("netio: receive buffer: %w", err)
	}
	if s.sndBuf, err = sizeBuffer(h, windows.SO_SNDBUF, cfg.SndBuf); err != nil {
		return fmt.Errorf("netio: send buffer: %w", err)
	}
	return nil
}

// sizeBuffer asks for want bytes and returns what the system granted.
func sizeBuffer(h windows.Handle, opt, want int) (int, error) {
	if want > 0 {
		if err := windows.SetsockoptInt(h, windows.SOL_SOCKET, opt, want); err != nil {
			return 0, err
		}
	}
	return windows.GetsockoptInt(h, windows.SOL_SOCKET, opt)
}

// isTransientRx: a port or host was unreachable for an earlier send.
func isTransientRx(e syscall.Errno) bool {
	return e == windows.WSAECONNRESET || e == windows.WSAENETRESET
}

func isTransientTx(e syscall.Errno) bool { return isTransientRx(e) }

func isNoBufs(e syscall.Errno) bool { return e == windows.WSAENOBUFS }

func isFullErrno(e syscall.Errno) bool { return e == windows.WSAENOBUFS }

// isTruncated reports whether the buffer was too small, which is an error on Windows.
func isTruncated(_ int, err error) bool { return errors.Is(err, windows.WSAEMSGSIZE) }

// control has the values from control messages; none are requested on Windows.
type control struct {
	tos uint8
	to  netip.Addr
}

func parseControl([]byte) control { return control{} }

// sourceOf connects a socket without an address of its own, and returns the address that the system
// chose for it.
func sourceOf(fd uintptr, to syscall.Sockaddr) (syscall.Sockaddr, error) {
	if err := syscall.Connect(syscall.Handle(fd), to); err != nil {
		return nil, err
	}
	return syscall.Getsockname(syscall.Handle(fd))
}

// dropCounter: Windows does not count drops.
type dropCounter struct{}

func (dropCounter) read(syscall.RawConn) uint64 { return 0 }
