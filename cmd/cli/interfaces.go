package cli

import (
	"net/netip"
	"runtime"
	"strconv"
	"strings"

	"uftp/engine/netio"
	"uftp/wire"
)

const allowedInterface = "the name or index of an interface, with /4 or /6 for the family, or its address"

// Host lists the interfaces of this host.
type Host struct {
	Links      []netio.Link      // all
	Interfaces []netio.Interface // those that are up, one entry for each address
}

// NewHost asks the system.
func NewHost() (h Host, err error) {
	h.Links, h.Interfaces, err = netio.Survey()
	return h, err
}

// Interface reads a value of -I: a name or an index, with /4 or /6 behind it for the family, or an
// address, or the name of a host with exactly that address. Without a suffix either family is
// right. The interface must exist and be up.
func (r *Resolver) Interface(h Host, text string) (netio.Choice, error) {
	c, err := r.LaterInterface(h, text)
	if err != nil {
		return c, err
	}
	if len(c.Pick(h.Interfaces, false))+len(c.Pick(h.Interfaces, true)) > 0 {
		return c, nil
	}
	if c.Name == "" && c.Addr.IsValid() {
		return c, &Error{Text: "Interface " + text + " not found", Allowed: allowedInterface}
	}
	why := c.Missing(h.Links, h.Interfaces, c.Family == 6)
	if strings.HasSuffix(why, " has no IPv4 address") && c.Family == 0 {
		why = strings.TrimSuffix(why, " has no IPv4 address") + " has no address"
	}
	return c, &Error{Text: "Invalid name/address " + text + ": " + why, Allowed: allowedInterface}
}

// LaterInterface is Interface for a program that waits for interfaces: it accepts anything that may
// name one later.
func (r *Resolver) LaterInterface(h Host, text string) (netio.Choice, error) {
	c := netio.Choice{Name: text}
	switch {
	case strings.HasSuffix(text, "/4"):
		c = netio.Choice{Name: text[:len(text)-2], Family: 4}
	case strings.HasSuffix(text, "/6"):
		c = netio.Choice{Name: text[:len(text)-2], Family: 6}
	}
	if n, err := strconv.ParseInt(c.Name, 10, 32); err == nil && n > 0 {
		c.Index = int(n)
	}
	for _, l := range h.Links {
		if l.Name == c.Name || c.Index != 0 && l.Index == c.Index {
			return c, nil
		}
	}
	for _, ifi := range h.Interfaces {
		if ifi.Name == c.Name || c.Name != "" && ifi.Label == c.Name || c.Index != 0 && ifi.Index == c.Index {
			return c, nil
		}
	}
	invalid := &Error{Text: "Invalid name/address " + text + ": no such interface", Allowed: allowedInterface}
	if n, err := strconv.Atoi(c.Name); err == nil && n <= 0 {
		return c, invalid
	}
	if c.Index != 0 {
		return c, nil
	}
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() != "" {
		return netio.Choice{Name: a.Zone(), Family: 6}, nil
	}
	addr, err := r.Addr("ip", text)
	name := nameOfInterface(c.Name)
	here := false
	for _, ifi := range h.Interfaces {
		here = here || ifi.Addr == addr
	}
	switch {
	case err == nil && (here || !name):
		return netio.Choice{Addr: addr}, nil
	case err == nil: // the name may be that of a host or of a future interface
		c.Addr = addr
		return c, nil
	case name:
		return c, nil
	}
	return c, invalid
}

// nameOfInterface reports whether an interface can have that name.
func nameOfInterface(name string) bool {
	if runtime.GOOS == "windows" {
		return name != "" && !strings.ContainsAny(name, "/\\:")
	}
	if strings.Trim(name, "0123456789.") == "" { // an address, possibly a wrong one
		return false
	}
	return len(name) <= 15 && !strings.ContainsAny(name, "/:% \t\n\v\f\r")
}

// NamedZone replaces a zone that is an index by the interface's name, as in received addresses.
func (h Host) NamedZone(a netip.Addr) netip.Addr {
	for _, l := range h.Links {
		if a.Zone() == strconv.Itoa(l.Index) {
			return a.WithZone(l.Name)
		}
	}
	return a
}

// Target is an address to send to, and the option that it came from.
type Target struct {
	Addr   netip.Addr
	Option string // as written
}

// Outgoing returns the interface for multicast to the targets: that of choice, unless it is nil, or
// that of the targets' zones, or the best one for the first target. The targets have one family.
// Errors have exit code 2.
func (h Host) Outgoing(choice *netio.Choice, to ...Target) (netio.Interface, error) {
	six := to[0].Addr.Is6()
	fail := func(text, option, allowed string) (netio.Interface, error) {
		return netio.Interface{}, &Error{Code: ExitNet, Text: text + " (" + option + ")", Allowed: allowed}
	}
	by := ""
	if choice != nil {
		by = "-I " + choice.String()
	}
	for _, t := range to {
		zone := netio.Zone(t.Addr.Zone())
		if zone.Any() {
			continue
		}
		if why := zone.Missing(h.Links, h.Interfaces, six); why != "" {
			return fail("Invalid zone of an address: "+why, t.Option, "the name or index of an interface that is up")
		}
		if choice != nil && !sameInterface(choice.Pick(h.Interfaces, six), zone.Pick(h.Interfaces, six)) {
			return fail("Interface mismatch with "+by, t.Option, "one interface")
		}
		if choice == nil {
			choice, by = &zone, t.Option
		}
	}
	if choice != nil {
		picked := choice.Pick(h.Interfaces, six)
		if len(picked) == 0 {
			why := choice.Missing(h.Links, h.Interfaces, six)
			return fail("IP version mismatch between public and interface addresses: "+why, by, "the family of "+to[0].Option)
		}
		return picked[0], nil
	}
	// On an error from is invalid, and DefaultInterface takes the first interface.
	from, _ := netio.Source(netio.Config{IPv6: six}, netip.AddrPortFrom(to[0].Addr, wire.DefaultPort))
	ifi, ok := DefaultInterface(h.Interfaces, to[0].Addr, from)
	if !ok {
		return fail("No network interface found", to[0].Option, "an address of a family that an interface has")
	}
	return ifi, nil
}

// sameInterface reports whether two picks are of one interface.
func sameInterface(a, b []netio.Interface) bool {
	return len(a) > 0 && len(b) > 0 && a[0].Index == b[0].Index
}

// DefaultInterface returns the interface for sending to the address to if the user names none. It
// prefers one that is not a loopback, has a carrier, and supports multicast if to is a group. Among
// several it takes the one with the address from, which the system would use as the source, and
// otherwise the first.
func DefaultInterface(all []netio.Interface, to, from netip.Addr) (best netio.Interface, ok bool) {
	value := -1
	for _, ifi := range all {
		if ifi.Addr.Is6() != to.Is6() {
			continue
		}
		v := 0
		for _, good := range [...]bool{!ifi.Loopback, !ifi.NoCarrier, ifi.Multicast || !to.IsMulticast(), ifi.Addr == from} {
			v <<= 1
			if good {
				v |= 1
			}
		}
		if v > value {
			best, value = ifi, v
		}
	}
	return best, value >= 0
}
