package netio

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"syscall"
)

// Source returns the address from which a socket that Listen opens with cfg sends to a destination.
// Such sockets are bound to the wildcard address and do not know it. IPv4 is not mapped, and there is
// no zone. Source opens a socket for a moment and sends nothing.
func Source(cfg Config, to netip.AddrPort) (netip.Addr, error) {
	s, err := openSocket(Config{IPv6: cfg.IPv6, MulticastIf: cfg.MulticastIf})
	if err != nil {
		return netip.Addr{}, err
	}
	defer s.Close()
	peer, err := s.sockaddr(to)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("netio: source for %v: %w", to, err)
	}
	var local syscall.Sockaddr
	if cerr := s.raw.Control(func(fd uintptr) { local, err = sourceOf(fd, peer) }); cerr != nil {
		err = cerr
	}
	if err != nil {
		return netip.Addr{}, fmt.Errorf("netio: source for %v: %w", to, err)
	}
	switch a := local.(type) {
	case *syscall.SockaddrInet4:
		return netip.AddrFrom4(a.Addr), nil
	case *syscall.SockaddrInet6:
		return netip.AddrFrom16(a.Addr).Unmap(), nil
	}
	return netip.Addr{}, fmt.Errorf("netio: source for %v: %w", to, ErrFamily)
}

// sockaddr returns address to in the form of the socket's family.
func (s *socket) sockaddr(to netip.AddrPort) (syscall.Sockaddr, error) {
	addr := to.Addr()
	if !s.v6 {
		if addr = addr.Unmap(); !addr.Is4() {
			return nil, ErrFamily
		}
		return &syscall.SockaddrInet4{Port: int(to.Port()), Addr: addr.As4()}, nil
	}
	if !addr.IsValid() {
		return nil, ErrFamily
	}
	sa := &syscall.SockaddrInet6{Port: int(to.Port()), Addr: addr.As16()}
	if !scoped(addr) {
		return sa, nil
	}
	sa.ZoneId = s.scopeIndex
	if zone := addr.Zone(); zone != "" {
		ifi, err := net.InterfaceByName(zone)
		if err == nil {
			sa.ZoneId = uint32(ifi.Index)
		} else if n, nerr := strconv.ParseUint(zone, 10, 32); nerr == nil {
			sa.ZoneId = uint32(n)
		} else {
			return nil, err
		}
	}
	return sa, nil
}
