package netio

// How a batch is sent (WriteBatch; doc.go has the glossary):
//
//  1. fill    writes a message for each train that fits: destination, one iovec,
//             and the control message UDP_SEGMENT if the train has several
//             datagrams. With GSO off each datagram is a message of its own.
//  2. send    makes one sendmmsg inside the poller's RawConn.Write: EAGAIN parks
//             the goroutine until the socket buffer has room again.
//  3. advance moves the position (train, offset) past what the kernel took.
//  4. An error is always about the first message of a call, because the kernel
//             reports those of later messages only when they come first again.
//             If that message is a train and GSO may be the reason (EIO, EINVAL,
//             EMSGSIZE), GSO goes off and step 1 sends its datagrams one by one.
//             If the first of them fails too, GSO was not the reason and goes on
//             again. If the system has no buffers (ENOBUFS), send waits and
//             tries again; every other error goes to the caller.
//
// How a batch is received (ReadBatch):
//
//  1. arm     points the messages at the slots' buffers.
//  2. receive makes one recvmmsg inside RawConn.Read: it takes what is there. If
//             nothing is there the goroutine parks until something arrives, or
//             until the deadline or Close.
//  3. decode  writes the address and the control messages into the slot's fields.
//
// The messages live as long as the Conn and are linked once (see link), so the
// path allocates nothing. The closures given to RawConn are made once too.

import (
	"encoding/binary"
	"net/netip"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// batchMax bounds the messages of one system call.
const batchMax = 256

const (
	// txControlWords holds one control message of 2 bytes, 24 bytes at most.
	txControlWords = 3
	// rxControlWords holds three of 4 bytes (IP_TOS, IPV6_TCLASS, UDP_GRO) of 24
	// each, and one of 20 bytes, IPV6_PKTINFO.
	rxControlWords = 9 + 5
)

func newConn(s *socket, cfg Config) (Conn, error) {
	if cfg.Portable {
		return newPortable(s), nil
	}
	return newBatch(s, cfg)
}

// batch is the implementation for Linux.
type batch struct {
	*socket
	max int // messages per system call
	gro bool
	gso atomic.Bool // written by WriteBatch, read by Caps too
	rx  rxSide
	tx  txSide
}

// rxSide belongs to the goroutine in ReadBatch.
type rxSide struct {
	hdrs  []unix.Mmsghdr
	msgs  []rxMessage
	zones zoneNames

	call     func(fd uintptr) bool
	want     int // in: messages
	got      int // out: messages
	errno    syscall.Errno
	syscalls int
}

type rxMessage struct {
	name    unix.RawSockaddrInet6 // large enough for IPv4 too
	iov     unix.Iovec
	control [rxControlWords]uint64 // aligned for a Cmsghdr
}

// txSide belongs to the goroutine in WriteBatch.
type txSide struct {
	hdrs  []unix.Mmsghdr
	msgs  []txMessage
	zones zoneIndexes

	call     func(fd uintptr) bool
	want     int
	got      int
	errno    syscall.Errno
	syscalls int
}

type txMessage struct {
	name    unix.RawSockaddrInet6
	iov     unix.Iovec
	control [txControlWords]uint64
	size    int // bytes
	segs    int // datagrams
}

func newBatch(s *socket, cfg Config) (*batch, error) {
	c := &batch{socket: s, max: batchMax}
	if cfg.NoBatch {
		c.max = 1
	}
	var gso, gro error
	err := s.raw.Control(func(fd uintptr) {
		_, gso = unix.GetsockoptInt(int(fd), unix.SOL_UDP, unix.UDP_SEGMENT)
		if !cfg.NoGRO {
			gro = unix.SetsockoptInt(int(fd), unix.SOL_UDP, unix.UDP_GRO, 1)
		}
	})
	if err != nil {
		return nil, err
	}
	c.gro = gro == nil && !cfg.NoGRO
	c.gso.Store(gso == nil && !cfg.NoGSO)
	c.rx.call = c.rx.receive
	c.tx.call = c.tx.send
	return c, nil
}

func (c *batch) Caps() Caps {
	caps := c.caps()
	caps.GSO, caps.GRO = c.gso.Load(), c.gro
	return caps
}

func (c *batch) ReadBatch(slots []RxSlot) (int, error) {
	if len(slots) == 0 {
		return 0, nil
	}
	r := &c.rx
	want := min(len(slots), c.max)
	if want > len(r.hdrs) {
		r.link(want)
	}
	r.arm(slots[:want])
	for transient := 0; ; transient++ {
		r.syscalls = 0
		err := c.raw.Read(r.call)
		c.count.rxSyscalls.Add(uint64(r.syscalls))
		switch {
		case err != nil:
			return 0, ioError(err)
		case r.errno == 0:
			c.decode(slots[:r.got])
			return r.got, nil
		case !isTransientRx(r.errno) || transient == transientMax:
			return 0, r.errno
		}
		c.count.transient.Add(1)
	}
}

// link makes n messages and points their headers at their address, iovec and control buffer.
func (r *rxSide) link(n int) {
	r.hdrs = make([]unix.Mmsghdr, n)
	r.msgs = make([]rxMessage, n)
	for i := range r.hdrs {
		h, b := &r.hdrs[i].Hdr, &r.msgs[i]
		h.Name = (*byte)(unsafe.Pointer(&b.name))
		h.Iov = &b.iov
		h.SetIovlen(1)
		h.Control = (*byte)(unsafe.Pointer(&b.control))
	}
}

// arm points the messages at slots. It also resets the lengths, which the kernel overwrites.
func (r *rxSide) arm(slots []RxSlot) {
	for i := range slots {
		h, b := &r.hdrs[i].Hdr, &r.msgs[i]
		h.Namelen = uint32(unsafe.Sizeof(b.name))
		h.SetControllen(int(unsafe.Sizeof(b.control)))
		h.Flags = 0
		b.iov.Base = unsafe.SliceData(slots[i].Buf)
		b.iov.SetLen(len(slots[i].Buf))
	}
	r.want = len(slots)
}

func (r *rxSide) receive(fd uintptr) bool {
	for {
		n, _, e := unix.Syscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&r.hdrs[0])),
			uintptr(r.want), unix.MSG_DONTWAIT, 0, 0)
		r.syscalls++
		switch e {
		case unix.EINTR:
			continue
		case unix.EAGAIN:
			return false
		}
		r.got, r.errno = int(n), e
		return true
	}
}

func (c *batch) decode(slots []RxSlot) {
	var total, bytes, cut uint64
	for i := range slots {
		s, m, b := &slots[i], &c.rx.hdrs[i], &c.rx.msgs[i]
		ctl := parseControl(unsafe.Slice((*byte)(unsafe.Pointer(&b.control)), int(m.Hdr.Controllen)))
		s.N, s.Seg, s.TOS, s.To = int(m.Len), ctl.seg, ctl.tos, ctl.to
		if s.Seg >= s.N {
			s.Seg = 0 // the last datagram of a run, alone
		}
		s.From = c.rx.source(&b.name)
		s.Truncated = m.Hdr.Flags&unix.MSG_TRUNC != 0
		if s.Truncated {
			cut++
		}
		total += uint64(Datagrams(s.N, s.Seg))
		bytes += uint64(s.N)
	}
	c.count.rxDatagrams.Add(total)
	c.count.rxBytes.Add(bytes)
	if cut > 0 {
		c.count.truncated.Add(cut)
	}
}

// source decodes the address that the kernel wrote.
func (r *rxSide) source(sa *unix.RawSockaddrInet6) netip.AddrPort {
	port := binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(&sa.Port))[:])
	if sa.Family == unix.AF_INET {
		v4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(sa))
		return netip.AddrPortFrom(netip.AddrFrom4(v4.Addr), port)
	}
	addr := netip.AddrFrom16(sa.Addr).Unmap()
	if sa.Scope_id != 0 && addr.Is6() {
		addr = r.zones.with(addr, sa.Scope_id)
	}
	return netip.AddrPortFrom(addr, port)
}

func (c *batch) WriteBatch(trains []TxTrain) (int, error) {
	w := &c.tx
	if want := min(len(trains)*MaxTrainSegs, c.max); want > len(w.hdrs) {
		w.link(want)
	}
	var budget retry
	var refused syscall.Errno // why the kernel refused the train whose datagrams are tried one by one
	for t, off := 0, 0; t < len(trains); {
		if err := c.fill(trains, t, off); err != nil {
			return t, sendError(trains[t].To, err)
		}
		w.syscalls = 0
		err := c.raw.Write(w.call)
		c.count.txSyscalls.Add(uint64(w.syscalls))
		switch {
		case err != nil:
			return t, ioError(err)
		case w.errno == 0:
			if refused != 0 {
				refused = 0
				c.count.gsoFallbacks.Add(1)
			}
			budget = retry{}
			t, off = c.advance(trains, t, off)
		case w.msgs[0].segs > 1 && refusesGSO(w.errno):
			refused = w.errno
			c.gso.Store(false)
		case budget.again(&c.count, w.errno):
		default:
			if refused != 0 {
				c.gso.Store(true) // GSO was not the reason
			}
			w.zones = zoneIndexes{} // an interface may have been created again with another index
			return t, sendError(trains[t].To, w.errno)
		}
	}
	return len(trains), nil
}

// refusesGSO reports whether GSO may be the reason for e: EINVAL and EMSGSIZE for a segment above
// the MTU (depending on the kernel's version), EIO from a path without checksums for segments.
func refusesGSO(e syscall.Errno) bool {
	return e == unix.EIO || e == unix.EINVAL || e == unix.EMSGSIZE
}

// link makes n messages with a control message each. fill writes the segment size into it, and
// includes or excludes it by the length in the header.
func (w *txSide) link(n int) {
	w.hdrs = make([]unix.Mmsghdr, n)
	w.msgs = make([]txMessage, n)
	for i := range w.hdrs {
		h, b := &w.hdrs[i].Hdr, &w.msgs[i]
		h.Name = (*byte)(unsafe.Pointer(&b.name))
		h.Iov = &b.iov
		h.SetIovlen(1)
		h.Control = (*byte)(unsafe.Pointer(&b.control))
		cm := (*unix.Cmsghdr)(unsafe.Pointer(&b.control))
		cm.Level, cm.Type = unix.SOL_UDP, unix.UDP_SEGMENT
		cm.SetLen(unix.CmsgLen(2))
	}
}

// fill makes messages of what follows offset off of train t. It stops before a train that cannot
// be sent, and returns an error if that is the first one.
func (c *batch) fill(trains []TxTrain, t, off int) error {
	w := &c.tx
	gso := c.gso.Load()
	n := 0
	for ; t < len(trains); t, off = t+1, 0 {
		train := &trains[t]
		seg, err := train.check()
		var namelen uint32
		if err == nil && n < len(w.hdrs) {
			namelen, err = c.encode(&w.msgs[n].name, train.To)
		}
		if err != nil {
			if n > 0 {
				break
			}
			return err
		}
		for first := n; ; n++ {
			rest := train.Buf[off:]
			if n == len(w.hdrs) || n == c.max {
				w.want = n
				return nil
			}
			h, b := &w.hdrs[n].Hdr, &w.msgs[n]
			b.size, b.segs = min(seg, len(rest)), 1
			controllen := 0
			if gso && len(rest) > seg {
				b.size, b.segs = len(rest), Datagrams(len(rest), seg)
				*(*uint16)(unsafe.Pointer(uintptr(unsafe.Pointer(&b.control)) + uintptr(unix.CmsgLen(0)))) = uint16(seg)
				controllen = unix.CmsgSpace(2)
			}
			if n > first {
				b.name = w.msgs[first].name
			}
			h.Namelen = namelen
			h.SetControllen(controllen)
			b.iov.Base = unsafe.SliceData(rest)
			b.iov.SetLen(b.size)
			if off += b.size; off >= len(train.Buf) {
				n++
				break
			}
		}
	}
	w.want = n
	return nil
}

func (w *txSide) send(fd uintptr) bool {
	for {
		n, _, e := unix.Syscall6(unix.SYS_SENDMMSG, fd, uintptr(unsafe.Pointer(&w.hdrs[0])),
			uintptr(w.want), unix.MSG_DONTWAIT, 0, 0)
		w.syscalls++
		switch e {
		case unix.EINTR:
			continue
		case unix.EAGAIN:
			return false
		}
		w.got, w.errno = int(n), e
		return true
	}
}

// advance returns the position behind the messages that the kernel took.
func (c *batch) advance(trains []TxTrain, t, off int) (int, int) {
	var segs, bytes uint64
	for i := range c.tx.got {
		b := &c.tx.msgs[i]
		segs += uint64(b.segs)
		bytes += uint64(b.size)
		if off += b.size; off >= len(trains[t].Buf) {
			t, off = t+1, 0
		}
	}
	c.count.txDatagrams.Add(segs)
	c.count.txBytes.Add(bytes)
	return t, off
}

// encode writes address to in the form of the socket's family and returns its length.
func (c *batch) encode(sa *unix.RawSockaddrInet6, to netip.AddrPort) (uint32, error) {
	addr := to.Addr()
	if !addr.IsValid() || !c.v6 && !addr.Is4() && !addr.Is4In6() {
		return 0, ErrFamily
	}
	binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(&sa.Port))[:], to.Port())
	if !c.v6 {
		v4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(sa))
		v4.Family = unix.AF_INET
		v4.Addr = addr.As4()
		return uint32(unsafe.Sizeof(*v4)), nil
	}
	sa.Family = unix.AF_INET6
	sa.Flowinfo = 0
	sa.Addr = addr.As16()
	sa.Scope_id = 0
	if scoped(addr) {
		sa.Scope_id = c.scopeIndex
		if zone := addr.Zone(); zone != "" {
			index, err := c.tx.zones.index(zone)
			if err != nil {
				return 0, err
			}
			sa.Scope_id = index
		}
	}
	return uint32(unsafe.Sizeof(*sa)), nil
}
