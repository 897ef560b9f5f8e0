package netio

import (
	"encoding/binary"
	"errors"
	"net"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// mtuLeastIPv6 is the MTU below which the kernel removes IPv6 from an interface, including its
// memberships.
const mtuLeastIPv6 = 1280

// goneMax bounds the indexes that Gone keeps. A host may lose hundreds of interfaces at once, when
// its containers stop.
const goneMax = 1 << 12

// newsBytes is room for notices about thousands of interfaces. If notices are lost, every group has
// to be joined again.
const newsBytes = 4 << 20

// Watch receives the kernel's notices about changed interfaces and addresses.
type Watch struct {
	file *os.File
	buf  []byte

	mu   sync.Mutex
	gone []int
	all  bool // gone was full, or notices were lost
}

// NewWatch starts to listen for changes (rtnetlink). It fails on a system without such notices.
func NewWatch() (*Watch, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	// The system may grant less, which is enough for fewer interfaces.
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, newsBytes) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, newsBytes)
	}
	news := &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: unix.RTMGRP_LINK | unix.RTMGRP_IPV4_IFADDR | unix.RTMGRP_IPV6_IFADDR}
	if err := unix.Bind(fd, news); err != nil {
		unix.Close(fd)
		return nil, os.NewSyscallError("bind", err)
	}
	return &Watch{file: os.NewFile(uintptr(fd), "rtnetlink"), buf: make([]byte, 1<<16)}, nil
}

// Next waits for a change. After Close it returns net.ErrClosed. If the kernel had to drop notices,
// that counts as a change.
func (w *Watch) Next() error {
	for {
		n, err := w.file.Read(w.buf)
		if err != nil {
			switch {
			case errors.Is(err, unix.ENOBUFS):
				linksChanged.Add(1)
				w.setAll()
				return nil
			case errors.Is(err, os.ErrClosed):
				return net.ErrClosed
			}
			return err
		}
		msgs, err := syscall.ParseNetlinkMessage(w.buf[:n])
		if err != nil {
			continue
		}
		changed := false
		for i := range msgs {
			changed = w.note(&msgs[i]) || changed
		}
		if changed {
			return nil
		}
	}
}

// note reports whether m is about a change, and keeps the index of an interface that has lost its
// memberships.
func (w *Watch) note(m *syscall.NetlinkMessage) bool {
	switch m.Header.Type {
	case unix.RTM_NEWADDR, unix.RTM_DELADDR:
		return true
	case unix.RTM_NEWLINK, unix.RTM_DELLINK:
	default:
		return false
	}
	if len(m.Data) < unix.SizeofIfInfomsg || m.Data[0] != unix.AF_UNSPEC { // a port of a bridge
		return false
	}
	linksChanged.Add(1)
	index := int(int32(binary.NativeEndian.Uint32(m.Data[4:])))
	if m.Header.Type == unix.RTM_DELLINK || linkMTU(m) < mtuLeastIPv6 {
		w.mu.Lock()
		defer w.mu.Unlock()
		if len(w.gone) < goneMax {
			w.gone = append(w.gone, index)
		} else {
			w.all = true
		}
	}
	return true
}

func (w *Watch) setAll() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all = true
}

// linkMTU returns the MTU in a notice about an interface, bytes.
func linkMTU(m *syscall.NetlinkMessage) uint32 {
	attrs, err := syscall.ParseNetlinkRouteAttr(m)
	if err != nil {
		return mtuLeastIPv6
	}
	for _, a := range attrs {
		if a.Attr.Type == unix.IFLA_MTU && len(a.Value) >= 4 {
			return binary.NativeEndian.Uint32(a.Value)
		}
	}
	return mtuLeastIPv6
}

// Gone returns the indexes of interfaces that have lost their memberships since the last call, even
// if they exist again; all means that it may be any interface.
func (w *Watch) Gone() (list []int, all bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	list, all = w.gone, w.all
	w.gone, w.all = nil, false
	return list, all
}

// Close ends Next.
func (w *Watch) Close() error { return w.file.Close() }
