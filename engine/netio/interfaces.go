package netio

import (
	"net"
	"net/netip"
)

// Link is an interface, whether or not it is up and has addresses.
type Link struct {
	Name  string
	Index int
	Up    bool
}

// address is one address of an interface.
type address struct {
	addr  netip.Addr
	label string // empty: none
}

// Interfaces lists the interfaces that are up, one entry for each address, in the kernel's order.
// An interface without an address has no entry.
func Interfaces() ([]Interface, error) {
	_, list, err := Survey()
	return list, err
}

// Survey lists all interfaces, and separately the result of Interfaces.
func Survey() (links []Link, list []Interface, err error) {
	ifs, err := net.Interfaces()
	if err != nil {
		return nil, nil, err
	}
	addrsOf, err := addresses()
	if err != nil {
		return nil, nil, err
	}
	for i := range ifs {
		ifi := &ifs[i]
		links = append(links, Link{Name: ifi.Name, Index: ifi.Index, Up: ifi.Flags&net.FlagUp != 0})
		if ifi.Flags&net.FlagUp == 0 {
			continue
		}
		for _, a := range addrsOf(ifi) {
			if a.label == ifi.Name {
				a.label = ""
			}
			list = append(list, Interface{
				Name: ifi.Name, Index: ifi.Index, Addr: a.addr.Unmap(), Label: a.label,
				Loopback:  ifi.Flags&net.FlagLoopback != 0,
				Multicast: ifi.Flags&net.FlagMulticast != 0,
				NoCarrier: ifi.Flags&net.FlagRunning == 0,
			})
		}
	}
	return links, list, nil
}

// IPv6 reports whether this system has IPv6 sockets.
func IPv6() bool {
	c, err := net.ListenPacket("udp6", "[::]:0")
	if err != nil {
		return false
	}
	c.Close()
	return true
}
