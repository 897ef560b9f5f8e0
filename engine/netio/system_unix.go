//go:build linux || darwin || freebsd

package netio

import (
	"net/netip"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// trafficClassSettable: x/net can set the traffic class of IPv6.
const trafficClassSettable = true

// sharePort is a net.ListenConfig.Control that sets SO_REUSEADDR, and
// SO_REUSEPORT where multicast sockets need that (BSD).
func sharePort(_, _ string, c syscall.RawConn) error {
	var err error
	cerr := c.Control(func(fd uintptr) {
		if err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err == nil && runtime.GOOS != "linux" {
			err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
		}
	})
	if cerr != nil {
		return cerr
	}
	return err
}

// isTransientRx reports whether a read failed only because of an ICMP report about an earlier send.
// The read has consumed the report.
func isTransientRx(e syscall.Errno) bool {
	switch e {
	case unix.ECONNREFUSED, unix.ECONNRESET, unix.EHOSTUNREACH, unix.ENETUNREACH, unix.EHOSTDOWN,
		unix.ENETDOWN, unix.ENOPROTOOPT, unix.EPROTO, unix.EACCES, unix.EMSGSIZE:
		return true
	}
	return false
}

// isTransientTx is isTransientRx for a send. Unreachable networks are not among them: there the
// route of this datagram fails, not an earlier datagram.
func isTransientTx(e syscall.Errno) bool {
	return e == unix.ECONNREFUSED || e == unix.ECONNRESET
}

func isNoBufs(e syscall.Errno) bool { return e == unix.ENOBUFS || e == unix.ENOMEM }

// isFullErrno: ENOBUFS beyond the limit of IPv4 memberships or sources, ENOMEM when the option
// memory of an IPv6 socket is used up, ETOOMANYREFS on BSD.
func isFullErrno(e syscall.Errno) bool {
	return e == unix.ENOBUFS || e == unix.ENOMEM || e == unix.ETOOMANYREFS
}

// isTruncated reports whether the buffer was too small.
func isTruncated(flags int, _ error) bool { return flags&unix.MSG_TRUNC != 0 }

// control has the values from the control messages of one received message.
type control struct {
	tos uint8
	seg int
	to  netip.Addr
}

// parseControl reads b, which the kernel wrote at an address aligned for a Cmsghdr.
func parseControl(b []byte) (c control) {
	head := unix.CmsgLen(0)
	for len(b) >= head {
		h := (*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
		n := int(h.Len)
		if n < head || n > len(b) {
			return c
		}
		data := b[head:n]
		switch {
		case h.Level == unix.IPPROTO_IP && h.Type == cmsgTOS && len(data) >= 1:
			c.tos = data[0]
		case h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_TCLASS && len(data) >= 4:
			c.tos = uint8(*(*int32)(unsafe.Pointer(&data[0])))
		case h.Level == unix.IPPROTO_UDP && h.Type == cmsgGRO && len(data) >= 4:
			c.seg = int(*(*int32)(unsafe.Pointer(&data[0])))
		case h.Level == unix.IPPROTO_IP && h.Type == cmsgDst && len(data) >= cmsgDstAt+4:
			c.to = netip.AddrFrom4([4]byte(data[cmsgDstAt:]))
		case h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_PKTINFO && len(data) >= 16:
			c.to = netip.AddrFrom16([16]byte(data)).Unmap()
		}
		next := unix.CmsgSpace(n - head)
		if next > len(b) {
			return c
		}
		b = b[next:]
	}
	return c
}

// rxControlBytes is room for a traffic class and a GRO size of 4 bytes each, for what else an IPv4
// packet on a dual-stack socket may bring, and for a destination.
var rxControlBytes = 4*unix.CmsgSpace(4) + unix.CmsgSpace(unix.SizeofInet6Pktinfo)

// sourceOf connects a socket without an address of its own, and returns the address that the system
// chose for it.
func sourceOf(fd uintptr, to syscall.Sockaddr) (syscall.Sockaddr, error) {
	if err := syscall.Connect(int(fd), to); err != nil {
		return nil, err
	}
	return syscall.Getsockname(int(fd))
}
