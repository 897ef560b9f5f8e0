package netio

import (
	"errors"
	"fmt"
	"net/netip"
	"time"
)

const (
	// SlotBytes is the size of a receive buffer that holds everything one slot can get: the
	// largest datagram, or the longest run.
	SlotBytes = 65536

	// MaxTrainBytes bounds len(TxTrain.Buf): the longest UDP payload of IPv4, 65535 less 20
	// bytes IP and 8 bytes UDP header. The kernel handles a train as one datagram of that size
	// before it cuts it.
	MaxTrainBytes = 65535 - 20 - 8

	// MaxTrainSegs bounds the datagrams of a train. Kernels before 6.9 take no more.
	MaxTrainSegs = 64
)

// Errors that are the caller's fault, not the network's.
var (
	// ErrTrain means that a train has more than MaxTrainSegs datagrams or MaxTrainBytes bytes.
	ErrTrain = errors.New("netio: train too long")
	// ErrFamily means an IPv6 address on an IPv4 socket, or an address that is not valid.
	ErrFamily = errors.New("netio: address family does not fit the socket")
	// ErrMixedSources means that a group was joined with and without sources on one interface.
	ErrMixedSources = errors.New("netio: group joined both for any and for given sources")
	// ErrNotJoined means that Leave named a membership that does not exist.
	ErrNotJoined = errors.New("netio: group not joined")
	// ErrTooManyGroups means that all membership sockets are full.
	ErrTooManyGroups = errors.New("netio: too many group memberships")
)

// RxSlot is one receive buffer.
//
// After ReadBatch the first N bytes of Buf are valid. If they are a run, Seg is the size of its
// datagrams (the last may be shorter); for a single datagram Seg is 0. From is the source; an IPv4
// address is never mapped into IPv6. To is the address that the datagrams were sent to, without
// zone: the group, or an address of this host. It is the zero Addr unless Config.Destinations asks
// for it and the system reports it. TOS is the traffic class byte of the IP header. Truncated means
// that Buf was too small; on Windows From is not valid then.
type RxSlot struct {
	Buf       []byte
	N, Seg    int
	From      netip.AddrPort
	To        netip.Addr
	TOS       uint8
	Truncated bool
}

// TxTrain is a train: one or several datagrams of Seg bytes (the last may be shorter), one behind
// the other in Buf. A Seg of 0, or of len(Buf) and more, means a single datagram. Limits:
// MaxTrainSegs datagrams and MaxTrainBytes bytes.
type TxTrain struct {
	Buf []byte
	Seg int
	To  netip.AddrPort
}

// Conn is a bound UDP socket.
type Conn interface {
	// ReadBatch waits for at least one datagram and fills slots[:n] with what is there. After
	// the read deadline it returns os.ErrDeadlineExceeded, after Close net.ErrClosed. It counts
	// and ignores errors that ICMP reported for earlier sends. Without slots it returns 0 at once.
	ReadBatch(slots []RxSlot) (n int, err error)

	// WriteBatch sends the trains in order and waits while the socket buffer is full. It returns
	// how many were sent completely; err, if any, is about trains[sent], whose first datagrams
	// may have been sent. Errors wrap those of the system: the caller decides about EPERM (a
	// firewall), ENETUNREACH, ENETDOWN, EMSGSIZE and so on. After ENOBUFS it tries again for
	// some 50 ms.
	WriteBatch(trains []TxTrain) (sent int, err error)

	// Join joins group on interface ifi, for any source, or only for the given ones. Memberships
	// are counted by (group, interface index, source); each Join needs a Leave with the same
	// sources. Join joins either all sources or none.
	Join(group netip.Addr, ifi Interface, sources []netip.Addr) error

	// Leave undoes one Join. It leaves what it can even if it returns an error.
	Leave(group netip.Addr, ifi Interface, sources []netip.Addr) error

	// SetReadDeadline bounds ReadBatch, including a call that is waiting. The zero time means no
	// bound.
	SetReadDeadline(t time.Time) error

	// LocalPort returns the bound port.
	LocalPort() uint16

	// Caps returns what this Conn can do now.
	Caps() Caps

	// Stats returns the counters since Listen.
	Stats() Stats

	// Close frees the sockets, drops all memberships and wakes waiting calls.
	Close() error
}

// Caps is what a Conn can do.
type Caps struct {
	GSO bool // a train of several datagrams is one message; goes off when the kernel refuses
	GRO bool // slots may hold runs: give them SlotBytes

	MaxTrainBytes int // longest TxTrain.Buf
	MaxSegs       int // most datagrams of a TxTrain

	RcvBuf, SndBuf int // socket buffers as granted, bytes (Linux: before the kernel's doubling)
}

// Stats counts what went through a Conn. Bytes are UDP payload.
type Stats struct {
	RxDatagrams, RxBytes, RxSyscalls uint64
	TxDatagrams, TxBytes, TxSyscalls uint64

	GSOFallbacks uint64 // times GSO was switched off because the kernel refused a train
	Truncated    uint64 // messages that did not fit into their slot
	Transient    uint64 // ignored ICMP reports
	NoBufs       uint64 // waits because the system had no buffers (ENOBUFS)
	KernelDrops  uint64 // datagrams the kernel dropped because the receive buffer was full (Linux)
}

// Config describes the socket that Listen opens. Multicast loopback is always on.
type Config struct {
	Port uint16 // 0: any free one
	IPv6 bool   // dual-stack socket; otherwise IPv4 only

	RcvBuf, SndBuf int // bytes wanted; 0: the system's default
	TTL            int // multicast hops, 1..255; 0: the system's default of 1
	TOS            int // traffic class byte of what is sent, 0..255

	MulticastIf *Interface // outgoing interface of multicast; nil: the system's choice

	// SharePort lets several sockets of this host bind the port if all of them set it: each gets
	// a copy of multicast, and one of them gets a unicast datagram.
	SharePort bool

	Destinations bool // fill in RxSlot.To; Windows never does

	Portable bool // Linux: the portable implementation
	NoGSO    bool // never send a train as one message
	NoGRO    bool // never receive runs
	NoBatch  bool // one message per system call
}

// Interface is one address of a network interface.
type Interface struct {
	Name                string
	Index               int
	Addr                netip.Addr // without zone; Index stands for it
	Loopback, Multicast bool
	NoCarrier           bool   // no cable, no peer, no access point
	Label               string // name of the address itself, as eth0:1; "" if it has none
}

// Listen opens a UDP socket on the wildcard address. For a port that is taken the error wraps
// EADDRINUSE.
func Listen(cfg Config) (Conn, error) {
	switch {
	case cfg.TTL < 0 || cfg.TTL > 255:
		return nil, fmt.Errorf("netio: TTL %d outside 1..255", cfg.TTL)
	case cfg.TOS < 0 || cfg.TOS > 255:
		return nil, fmt.Errorf("netio: TOS %d outside 0..255", cfg.TOS)
	case cfg.RcvBuf < 0 || cfg.SndBuf < 0:
		return nil, fmt.Errorf("netio: negative socket buffer size (%d, %d)", cfg.RcvBuf, cfg.SndBuf)
	}
	s, err := openSocket(cfg)
	if err != nil {
		return nil, err
	}
	c, err := newConn(s, cfg)
	if err != nil {
		s.Close()
		return nil, err
	}
	return c, nil
}

// Datagrams returns how many datagrams of seg bytes n bytes make; seg 0 means one.
func Datagrams(n, seg int) int {
	if seg <= 0 || seg >= n {
		return 1
	}
	return (n + seg - 1) / seg
}

// check returns the datagram size of t (len(t.Buf) for a single one), or ErrTrain.
func (t *TxTrain) check() (seg int, err error) {
	n := len(t.Buf)
	if t.Seg <= 0 || t.Seg >= n {
		return n, nil
	}
	if n > MaxTrainBytes || Datagrams(n, t.Seg) > MaxTrainSegs {
		return 0, ErrTrain
	}
	return t.Seg, nil
}
