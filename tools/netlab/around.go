//go:build linux

package netlab

import "net/netip"

// Place is an existing namespace with an interface [Device].
type Place struct {
	Namespace string
	IPv4      netip.Addr
}

// Around returns a lab of existing namespaces, the sender's first. Closing it ends the
// processes in them and leaves the namespaces. There is no bridge, so cables cannot be
// unplugged, and IPv6 addresses are not known.
func Around(places []Place) *Lab {
	l := &Lab{foreign: true}
	for i, p := range places {
		h := &Host{lab: l, Name: "S", ns: p.Namespace, IPv4: p.IPv4}
		if i == 0 {
			l.sender = h
			continue
		}
		h.Name = receiverName(i - 1)
		l.receivers = append(l.receivers, h)
	}
	return l
}
