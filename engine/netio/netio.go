package netio

import (
	"errors"
	"fmt"
	"net/netip"
	"time"
)

const (
	// SlotBytes is the size of a receive buffer that holds whatever one slot
	// can get: the largest datagram, or the longest run joined by GRO.
	SlotBytes = 65536

	// MaxTrainBytes bounds len(TxTrain.Buf): the longest UDP payload of IPv4,
	// 65535 less 20 bytes IP and 8 bytes UDP header. A train travels through
	// the kernel as one datagram of that size before it is cut.
	MaxTrainBytes = 65535 - 20 - 8

	// MaxTrainSegs bounds the datagrams of a train. Kernels before 6.9 take no more.
	MaxTrainSegs = 64
)

// Errors that are the caller's, not the network's.
var (
	// ErrTrain says that a train has more than MaxTrainSegs datagrams or MaxTrainBytes bytes.
	ErrTrain = errors.New("netio: train too long")
	// ErrFamily says that an IPv6 address met an IPv4 socket, or that an address is not valid.
	ErrFamily = errors.New("netio: address family does not fit the socket")
	// ErrMixedSources says that a group was joined with and without sources on one interface.
	ErrMixedSources = errors.New("netio: group joined both for any and for given sources")
	// ErrNotJoined says that Leave named a membership that does not exist.
	ErrNotJoined = errors.New("netio: group not joined")
	// ErrTooManyGroups says that the membership sockets are used up.
	ErrTooManyGroups = errors.New("netio: too many group memberships")
)

// RxSlot is one receive buffer.
//
// After ReadBatch the first N bytes of Buf are valid. Seg is the size of each
// datagram when the kernel joined several (the last may be shorter), 0 when
// there is one. From is the source, IPv4 never mapped into IPv6. To is the address
// that the datagrams were sent to, without zone: the group, or one of this host.
// It is the zero Addr unless Config.Destinations asks for it and the system tells.
// TOS is the traffic class byte of the IP header. Truncated says that Buf was too
// small; on Windows From is not valid then.
type RxSlot struct {
	Buf       []byte
	N, Seg    int
	From      netip.AddrPort
	To        netip.Addr
	TOS       uint8
	Truncated bool
}

// TxTrain is one or several datagrams of Seg bytes (the last may be shorter)
// that lie one behind the other in Buf. Seg of 0, or of len(Buf) and more,
// means a single datagram. At most MaxTrainSegs datagrams and MaxTrainBytes bytes.
type TxTrain struct {
	Buf []byte
	Seg int
	To  netip.AddrPort
}

// Conn is a bound UDP socket.
type Conn interface {
	// ReadBatch waits for at least one datagram and fills slots[:n] with what
	// is there. It returns os.ErrDeadlineExceeded past the read deadline and
	// net.ErrClosed after Close. Errors that ICMP reported for something sent
	// earlier are swallowed and counted. No slots: returns 0 at once.
	ReadBatch(slots []RxSlot) (n int, err error)

	// WriteBatch sends the trains in order and waits while the socket buffer
	// is full. It returns how many left whole; err, if any, concerns
	// trains[sent], of which a leading part may have left. Errors wrap the
	// system's: EPERM (a firewall), ENETUNREACH, ENETDOWN, EMSGSIZE and so on
	// are for the caller to judge. ENOBUFS is tried again for some 50 ms first.
	WriteBatch(trains []TxTrain) (sent int, err error)

	// Join becomes a member of group on interface ifi, for any source, or for
	// the given ones alone. Memberships are counted by (group, interface
	// index, source); each Join wants its Leave with the same sources. Either
	// all sources are joined or none.
	Join(group netip.Addr, ifi Interface, sources []netip.Addr) error

	// Leave undoes one Join. It drops what it can even if it returns an error.
	Leave(group netip.Addr, ifi Interface, sources []netip.Addr) error

	// SetReadDeadline bounds ReadBatch, also one that waits already. The zero time means no bound.
	SetReadDeadline(t time.Time) error

	// LocalPort is the bound port.
	LocalPort() uint16

	// Caps tells what this Conn can do now.
	Caps() Caps

	// Stats returns the counters since Listen.
	Stats() Stats

	// Close frees the sockets, drops all memberships and wakes waiting calls.
	Close() error
}

// Caps is what a Conn can do.
type Caps struct {
	GSO bool // trains leave as one message; goes off when the kernel refuses
	GRO bool // slots may hold joined runs: give them SlotBytes

	MaxTrainBytes int // longest TxTrain.Buf
	MaxSegs       int // most datagrams of a TxTrain

	RcvBuf, SndBuf int // socket buffers as granted, bytes (Linux: before the kernel's doubling)
}

// Stats counts what went through a Conn. Bytes are UDP payload.
type Stats struct {
	RxDatagrams, RxBytes, RxSyscalls uint64
	TxDatagrams, TxBytes, TxSyscalls uint64

	GSOFallbacks uint64 // times GSO was switched off because the kernel refused a train
	Truncated    uint64 // slots too small for what arrived
	Transient    uint64 // swallowed ICMP reports
	NoBufs       uint64 // waits because the system had no buffers (ENOBUFS)
	KernelDrops  uint64 // datagrams the kernel dropped because the receive buffer was full (Linux)
}

// Config describes the socket that Listen opens. Multicast loopback is always on.
type Config struct {
	Port uint16 // 0: any free one
	IPv6 bool   // dual-stack socket; else IPv4 only

	RcvBuf, SndBuf int // bytes wanted; 0: the system's default
	TTL            int // multicast hops, 1..255; 0: the system's default of 1
	TOS            int // traffic class byte of what is sent, 0..255

	MulticastIf *Interface // outgoing interface of multicast; nil: the system's choice

	// SharePort lets several sockets of this host bind the port if all of them say
	// so: each gets its copy of multicast, and one of them gets a unicast datagram.
	SharePort bool

	Destinations bool // fill in RxSlot.To; Windows never does

	Portable bool // Linux: the portable implementation
	NoGSO    bool // never let the kernel cut trains
	NoGRO    bool // never let the kernel join datagrams
	NoBatch  bool // one message a system call
}

// Interface is one address of a network interface.
type Interface struct {
	Name                string
	Index               int
	Addr                netip.Addr // without zone; Index stands for it
	Loopback, Multicast bool
	NoCarrier           bool   // no cable, no peer, no access point
	Label               string // name that the address has of its own, as eth0:1; else empty
}

// Listen opens a UDP socket on the wildcard address. A port that is taken
// gives an error that wraps EADDRINUSE.
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
