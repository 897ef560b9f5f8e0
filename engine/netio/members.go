package netio

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"syscall"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// memberSocketsMax bounds the membership sockets. With Linux's 20 groups on each that makes 5120
// memberships.
const memberSocketsMax = 256

// memberRcvBuf is the receive buffer of a membership socket, which nobody reads. Bound to loopback
// it receives next to nothing.
const memberRcvBuf = 2048

// members keeps the group memberships of a Conn.
//
// A membership belongs to (group, interface index) and has sources; the zero Addr as its only
// source means any. Invariant: a membership is either entirely on the bound socket or entirely on
// membership sockets, because the list of the bound socket, if it has the group, decides alone
// which sources pass.
type members struct {
	mu    sync.Mutex
	socks []*memberSocket // socks[0] is the bound socket
	byKey map[memberKey]*membership
}

type memberKey struct {
	group netip.Addr
	index int
}

type membership struct {
	ifi     Interface
	sources []memberSource
}

type memberSource struct {
	addr netip.Addr
	refs int
	at   *memberSocket
}

// memberSocket is a socket that holds memberships; the conn of a family that it does not support
// is nil.
type memberSocket struct {
	p4    *ipv4.PacketConn
	p6    *ipv6.PacketConn
	close io.Closer // nil: the bound socket, which the Conn closes
}

func (m *members) init(s *socket) {
	bound := new(memberSocket)
	if s.v4Options() {
		bound.p4 = ipv4.NewPacketConn(s.udp)
	}
	if s.v6 {
		bound.p6 = ipv6.NewPacketConn(s.udp)
	}
	m.socks = []*memberSocket{bound}
	m.byKey = make(map[memberKey]*membership)
}

func (m *members) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.socks[1:] {
		s.close.Close()
	}
	m.socks = m.socks[:1]
	m.byKey = nil
}

// anySource replaces an empty list of sources.
var anySource = []netip.Addr{{}}

func (s *socket) Join(group netip.Addr, ifi Interface, sources []netip.Addr) error {
	group = group.Unmap().WithZone("")
	if len(sources) == 0 {
		sources = anySource
	}
	if err := s.join(group, ifi, sources); err != nil {
		return fmt.Errorf("netio: join %v on %s: %w", group, ifi.Name, err)
	}
	return nil
}

func (s *socket) join(group netip.Addr, ifi Interface, sources []netip.Addr) error {
	if !group.IsValid() || group.Is6() && !s.v6 {
		return ErrFamily
	}
	m := &s.members
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.byKey == nil {
		return net.ErrClosed
	}
	key := memberKey{group, ifi.Index}
	g := m.byKey[key]
	if g == nil {
		g = &membership{ifi: ifi}
		m.byKey[key] = g
	}
	for i, src := range sources {
		if err := m.add(group, g, src); err != nil {
			for _, done := range sources[:i] {
				m.drop(group, g, done)
			}
			m.forgetEmpty(key, g)
			return err
		}
	}
	return nil
}

func (s *socket) Leave(group netip.Addr, ifi Interface, sources []netip.Addr) error {
	group = group.Unmap().WithZone("")
	if len(sources) == 0 {
		sources = anySource
	}
	m := &s.members
	m.mu.Lock()
	defer m.mu.Unlock()
	key := memberKey{group, ifi.Index}
	g := m.byKey[key]
	err := ErrNotJoined
	if g != nil {
		err = nil
		for _, src := range sources {
			err = errors.Join(err, m.drop(group, g, src))
		}
		m.forgetEmpty(key, g)
	}
	if err != nil {
		return fmt.Errorf("netio: leave %v on %s: %w", group, ifi.Name, err)
	}
	return nil
}

func (m *members) forgetEmpty(key memberKey, g *membership) {
	if len(g.sources) == 0 {
		delete(m.byKey, key)
	}
}

// add counts src once more, and joins it if it is new.
func (m *members) add(group netip.Addr, g *membership, src netip.Addr) error {
	src = src.Unmap().WithZone("")
	if src.IsValid() && src.Is4() != group.Is4() {
		return ErrFamily
	}
	for i := range g.sources {
		e := &g.sources[i]
		if e.addr == src {
			e.refs++
			return nil
		}
		if e.addr.IsValid() != src.IsValid() {
			return ErrMixedSources
		}
	}
	at, err := m.place(group, g, src)
	if err != nil {
		return err
	}
	g.sources = append(g.sources, memberSource{addr: src, refs: 1, at: at})
	return nil
}

// place joins src on a socket that has room, and keeps the invariant of members.
func (m *members) place(group netip.Addr, g *membership, src netip.Addr) (*memberSocket, error) {
	bound := m.socks[0]
	if bound.takes(group) && (len(g.sources) == 0 || g.sources[0].at == bound) {
		err := bound.join(group, g.ifi, src)
		if err == nil {
			return bound, nil
		}
		if !isFull(err) {
			return nil, err
		}
		// The bound socket takes no further source of this group: all its sources must move.
		// Joining them elsewhere first leaves no gap.
		for i := range g.sources {
			e := &g.sources[i]
			at, err := m.placeElsewhere(group, g.ifi, e.addr)
			if err != nil {
				for j := range g.sources[:i] {
					g.sources[j].at.leave(group, g.ifi, g.sources[j].addr)
					g.sources[j].at = bound
				}
				return nil, err
			}
			e.at = at
		}
		for i := range g.sources {
			bound.leave(group, g.ifi, g.sources[i].addr)
		}
	}
	return m.placeElsewhere(group, g.ifi, src)
}

func (m *members) placeElsewhere(group netip.Addr, ifi Interface, src netip.Addr) (*memberSocket, error) {
	for _, s := range m.socks[1:] {
		if !s.takes(group) {
			continue
		}
		if err := s.join(group, ifi, src); err == nil {
			return s, nil
		} else if !isFull(err) {
			return nil, err
		}
	}
	if len(m.socks) > memberSocketsMax {
		return nil, ErrTooManyGroups
	}
	s, err := openMemberSocket(group.Is6())
	if err != nil {
		return nil, err
	}
	if err := s.join(group, ifi, src); err != nil {
		s.close.Close()
		return nil, err
	}
	m.socks = append(m.socks, s)
	return s, nil
}

// drop counts src once less, and leaves it when the count is 0.
func (m *members) drop(group netip.Addr, g *membership, src netip.Addr) error {
	src = src.Unmap().WithZone("")
	for i := range g.sources {
		e := &g.sources[i]
		if e.addr != src {
			continue
		}
		if e.refs--; e.refs > 0 {
			return nil
		}
		err := e.at.leave(group, g.ifi, src)
		g.sources = append(g.sources[:i], g.sources[i+1:]...)
		return err
	}
	return ErrNotJoined
}

// openMemberSocket binds to loopback, so that nothing from outside fills a buffer that nobody
// reads. A system without loopback gets the wildcard.
func openMemberSocket(v6 bool) (*memberSocket, error) {
	network, hosts := "udp4", [...]string{"127.0.0.1:0", ":0"}
	if v6 {
		network, hosts[0] = "udp6", "[::1]:0"
	}
	var pc net.PacketConn
	var err error
	for _, host := range hosts {
		if pc, err = net.ListenPacket(network, host); err == nil {
			break
		}
	}
	if err != nil {
		return nil, err
	}
	if err := pc.(*net.UDPConn).SetReadBuffer(memberRcvBuf); err != nil {
		pc.Close()
		return nil, err
	}
	if v6 {
		return &memberSocket{p6: ipv6.NewPacketConn(pc), close: pc}, nil
	}
	return &memberSocket{p4: ipv4.NewPacketConn(pc), close: pc}, nil
}

func (s *memberSocket) takes(group netip.Addr) bool {
	if group.Is4() {
		return s.p4 != nil
	}
	return s.p6 != nil
}

func (s *memberSocket) join(group netip.Addr, ifi Interface, src netip.Addr) error {
	g := &net.UDPAddr{IP: group.AsSlice()}
	if src.IsValid() {
		from := &net.UDPAddr{IP: src.AsSlice()}
		if group.Is4() {
			return s.p4.JoinSourceSpecificGroup(ifi.net(), g, from)
		}
		return s.p6.JoinSourceSpecificGroup(ifi.net(), g, from)
	}
	if group.Is4() {
		return s.p4.JoinGroup(ifi.net(), g)
	}
	return s.p6.JoinGroup(ifi.net(), g)
}

func (s *memberSocket) leave(group netip.Addr, ifi Interface, src netip.Addr) error {
	g := &net.UDPAddr{IP: group.AsSlice()}
	if src.IsValid() {
		from := &net.UDPAddr{IP: src.AsSlice()}
		if group.Is4() {
			return s.p4.LeaveSourceSpecificGroup(ifi.net(), g, from)
		}
		return s.p6.LeaveSourceSpecificGroup(ifi.net(), g, from)
	}
	if group.Is4() {
		return s.p4.LeaveGroup(ifi.net(), g)
	}
	return s.p6.LeaveGroup(ifi.net(), g)
}

// isFull reports whether a socket takes no more memberships or sources.
func isFull(err error) bool {
	var e syscall.Errno
	return errors.As(err, &e) && isFullErrno(e)
}

// Vanished reports whether joining failed because the interface no longer exists.
func Vanished(err error) bool {
	return errors.Is(err, syscall.ENODEV) || errors.Is(err, syscall.EADDRNOTAVAIL)
}
