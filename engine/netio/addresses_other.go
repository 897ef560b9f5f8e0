//go:build !linux

package netio

import (
	"net"
	"net/netip"
)

// addresses returns a function that lists the addresses of an interface.
func addresses() (of func(*net.Interface) []address, err error) {
	return func(ifi *net.Interface) (list []address) {
		addrs, err := ifi.Addrs()
		if err != nil {
			return nil // it disappeared after the listing
		}
		for _, a := range addrs {
			ipn, ok := a.(*net.IPNet)
			if !ok {
				continue
			}
			if addr, ok := netip.AddrFromSlice(ipn.IP); ok {
				list = append(list, address{addr: addr})
			}
		}
		return list
	}, nil
}
