package netio

import (
	"net"
	"net/netip"
)

// Interfaces lists the interfaces that are up, one entry for each address, in
// the kernel's order. An interface without address has no entry.
func Interfaces() ([]Interface, error) {
	ifs, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	var list []Interface
	for i := range ifs {
		ifi := &ifs[i]
		if ifi.Flags&net.FlagUp == 0 {
			continue
		}
		addrs, err := ifi.Addrs()
		if err != nil {
			continue // it vanished after the listing
		}
		for _, a := range addrs {
			ipn, ok := a.(*net.IPNet)
			if !ok {
				continue
			}
			addr, ok := netip.AddrFromSlice(ipn.IP)
			if !ok {
				continue
			}
			list = append(list, Interface{
				Name: ifi.Name, Index: ifi.Index, Addr: addr.Unmap(),
				Loopback:  ifi.Flags&net.FlagLoopback != 0,
				Multicast: ifi.Flags&net.FlagMulticast != 0,
			})
		}
	}
	return list, nil
}
