package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	rxBatch   = 64
	txBatch   = 64
	rxFrame   = 1 << 17  // bytes of a receive buffer: super-frames have up to 64 KiB, with IPv6 jumbograms more
	rxKernel  = 64 << 20 // bytes of a socket's receive queue
	txKernel  = 8 << 20  // bytes of a socket's send queue
	headroom  = tagLen   // before the header of a received frame
	auxLen    = 20       // bytes of struct tpacket_auxdata
	vlanValid = 1 << 4   // TP_STATUS_VLAN_VALID
	tpidValid = 1 << 6   // TP_STATUS_VLAN_TPID_VALID
)

// port is one interface: an AF_PACKET socket on it, or the file behind it if it is a TAP
// device. All frames that arrive there are received here, and all frames sent here leave
// there. One goroutine may receive while others send.
type port struct {
	fd    int
	name  string
	mtu   int
	tap   bool
	drops dropCounter // of a TAP device
	rx    rxSide
}

// rxSide belongs to the goroutine that receives.
type rxSide struct {
	heads   [rxBatch]unix.Mmsghdr
	iovs    [rxBatch]unix.Iovec
	names   [rxBatch]unix.RawSockaddrLinklayer
	control [rxBatch][8]uint64 // PACKET_AUXDATA
	bufs    [rxBatch][]byte    // headroom, header, frame
}

// txSide is a batch to be sent; it belongs to one goroutine.
type txSide struct {
	heads [txBatch]unix.Mmsghdr
	iovs  [txBatch]unix.Iovec
}

// openPort opens an interface in the network namespace of the calling thread.
func openPort(name string) (*port, error) {
	ifi, err := net.InterfaceByName(name)
	if err != nil {
		return nil, fmt.Errorf("interface %s: %w", name, err)
	}
	switch {
	case ifi.Flags&net.FlagUp == 0:
		return nil, fmt.Errorf("interface %s is down: ip link set %s up", name, name)
	case ifi.Flags&net.FlagLoopback != 0 || len(ifi.HardwareAddr) != 6:
		return nil, fmt.Errorf("interface %s carries no Ethernet frames", name)
	}
	// With protocol 0 no frame arrives before bind, when all settings are made.
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("packet socket: %w (needs root or CAP_NET_RAW)", err)
	}
	p := &port{fd: fd, name: name, mtu: ifi.MTU}
	if err := p.setup(ifi.Index); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("interface %s: %w", name, err)
	}
	p.rx.link()
	return p, nil
}

func (p *port) setup(index int) error {
	for _, o := range []struct {
		option int
		what   string
	}{
		{unix.PACKET_VNET_HDR, "PACKET_VNET_HDR"}, {unix.PACKET_AUXDATA, "PACKET_AUXDATA"}, {unix.PACKET_IGNORE_OUTGOING, "PACKET_IGNORE_OUTGOING"},
	} {
		if err := unix.SetsockoptInt(p.fd, unix.SOL_PACKET, o.option, 1); err != nil {
			return fmt.Errorf("%s: %w (needs Linux 4.20)", o.what, err)
		}
	}
	for _, o := range []struct{ force, plain, size int }{
		{unix.SO_RCVBUFFORCE, unix.SO_RCVBUF, rxKernel}, {unix.SO_SNDBUFFORCE, unix.SO_SNDBUF, txKernel},
	} {
		if unix.SetsockoptInt(p.fd, unix.SOL_SOCKET, o.force, o.size) == nil {
			continue
		}
		if err := unix.SetsockoptInt(p.fd, unix.SOL_SOCKET, o.plain, o.size); err != nil {
			return fmt.Errorf("socket buffer: %w", err)
		}
	}
	mreq := unix.PacketMreq{Ifindex: int32(index), Type: unix.PACKET_MR_PROMISC}
	if err := unix.SetsockoptPacketMreq(p.fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &mreq); err != nil {
		return fmt.Errorf("promiscuous mode: %w", err)
	}
	all := binary.NativeEndian.Uint16([]byte{unix.ETH_P_ALL >> 8, unix.ETH_P_ALL & 0xff})
	return unix.Bind(p.fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: index})
}

// link points the message headers at their buffers, once.
func (r *rxSide) link() {
	for i := range r.heads {
		r.bufs[i] = make([]byte, headroom+vnetLen+rxFrame)
		r.iovs[i].Base = &r.bufs[i][headroom]
		r.iovs[i].SetLen(vnetLen + rxFrame)
		h := &r.heads[i].Hdr
		h.Name = (*byte)(unsafe.Pointer(&r.names[i]))
		h.Iov = &r.iovs[i]
		h.SetIovlen(1)
		h.Control = (*byte)(unsafe.Pointer(&r.control[i]))
	}
}

// link points the message headers at their vectors, once.
func (x *txSide) link() {
	for i := range x.heads {
		h := &x.heads[i].Hdr
		h.Iov = &x.iovs[i]
		h.SetIovlen(1)
	}
}

func (p *port) close() {
	unix.Close(p.fd)
	if p.tap {
		p.drops.close()
	}
}

// receive reads up to rxBatch frames that have come, without waiting.
func (p *port) receive() (n int, err error) {
	if p.tap {
		return p.receiveTap()
	}
	r := &p.rx
	for i := range r.heads {
		h := &r.heads[i].Hdr
		h.Namelen = uint32(unsafe.Sizeof(r.names[i]))
		h.SetControllen(int(unsafe.Sizeof(r.control[i])))
		h.Flags = 0
	}
	for {
		n, _, e := unix.Syscall6(unix.SYS_RECVMMSG, uintptr(p.fd), uintptr(unsafe.Pointer(&r.heads[0])), rxBatch, unix.MSG_DONTWAIT, 0, 0)
		switch e {
		case 0:
			return int(n), nil
		case unix.EINTR:
			continue
		case unix.EAGAIN:
			return 0, nil
		}
		return 0, e
	}
}

// frame returns the i-th frame received, with its VLAN tag in place, and its
// header. ok is false for frames that this host sent itself and for truncated ones.
func (p *port) frame(i int) (frame []byte, v vnet, ok bool) {
	r := &p.rx
	m := &r.heads[i]
	n := int(m.Len) - vnetLen
	if p.tap {
		return r.bufs[i][headroom+vnetLen:][:max(n, 0)], getVnet(r.bufs[i][headroom:]), n >= 14
	}
	if n < 14 || m.Hdr.Flags&unix.MSG_TRUNC != 0 || r.names[i].Pkttype == unix.PACKET_OUTGOING {
		return nil, v, false
	}
	buf := r.bufs[i]
	v = getVnet(buf[headroom:])
	start := headroom + vnetLen
	if tpid, tci, tagged := tag(unsafe.Slice((*byte)(unsafe.Pointer(&r.control[i])), int(m.Hdr.Controllen))); tagged {
		v = insertTag(buf[start-tagLen:start+n], v, tpid, tci)
		start -= tagLen
		n += tagLen
	}
	return buf[start : start+n], v, true
}

// tag reads the VLAN tag that the kernel took out of a frame.
func tag(control []byte) (tpid, tci uint16, ok bool) {
	if len(control) < unix.CmsgLen(auxLen) {
		return 0, 0, false
	}
	h := (*unix.Cmsghdr)(unsafe.Pointer(&control[0]))
	if h.Level != unix.SOL_PACKET || h.Type != unix.PACKET_AUXDATA {
		return 0, 0, false
	}
	aux := control[unix.CmsgLen(0):]
	status := binary.NativeEndian.Uint32(aux)
	tci, tpid = binary.NativeEndian.Uint16(aux[16:]), binary.NativeEndian.Uint16(aux[18:])
	if status&tpidValid == 0 {
		tpid = 0x8100
	}
	return tpid, tci, status&vlanValid != 0
}

// load puts a frame with its header before it into place i.
func (x *txSide) load(i int, withHeader []byte) {
	x.iovs[i].Base = unsafe.SliceData(withHeader)
	x.iovs[i].SetLen(len(withHeader))
}

// frame is what was loaded into place i.
func (x *txSide) frame(i int) []byte { return unsafe.Slice(x.iovs[i].Base, x.iovs[i].Len) }

// send sends the frames in places from..to and returns how many the kernel took;
// an error is about the first of the others. While the interface is full, frames wait.
func (p *port) send(x *txSide, from, to int) (n int, err error) {
	if p.tap {
		return p.sendTap(x, from, to)
	}
	for waits := 0; ; {
		n, _, e := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(p.fd), uintptr(unsafe.Pointer(&x.heads[from])), uintptr(to-from), unix.MSG_DONTWAIT, 0, 0)
		switch {
		case e == 0:
			return int(n), nil
		case e == unix.EINTR:
			continue
		case (e == unix.EAGAIN || e == unix.ENOBUFS) && waits < 10:
			// The interface's own queue is full. That is no loss of the link: the frame waits.
			waits++
			time.Sleep(100 * time.Microsecond)
			continue
		}
		return 0, e
	}
}

// kernelDrops is how many frames the kernel has dropped since the last call, because the
// queue of the socket or device was full.
func (p *port) kernelDrops() uint64 {
	if p.tap {
		return p.drops.more()
	}
	st, err := unix.GetsockoptTpacketStats(p.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS)
	if err != nil {
		return 0
	}
	return uint64(st.Drops)
}

// clearError removes the error that a poll reports from the socket. A TAP device returns its
// error when it is read.
func (p *port) clearError() error {
	if p.tap {
		return nil
	}
	n, err := unix.GetsockoptInt(p.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && n != 0 {
		err = syscall.Errno(n)
	}
	return err
}

// gone reports whether an error means that the interface does not exist any more.
func gone(err error) bool {
	return errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ENXIO) || errors.Is(err, unix.EBADFD)
}

// own returns the addresses that the host itself has on the interface. With one it would
// answer frames that should only pass.
func own(name string) []net.Addr {
	ifi, err := net.InterfaceByName(name)
	if err != nil {
		return nil
	}
	all, _ := ifi.Addrs()
	return all
}
