package cli

import (
	"strconv"
	"strings"

	"uftp/engine/netio"
)

// FindInterface returns the interface address that text names: a name or an
// index, with /4 or /6 behind it for the family (IPv4 without), or else an
// address or the name of a host with exactly that address (v4-sender.md 1.1).
func (r *Resolver) FindInterface(all []netio.Interface, text string) (netio.Interface, error) {
	name, six := text, false
	switch {
	case strings.HasSuffix(text, "/4"):
		name = text[:len(text)-2]
	case strings.HasSuffix(text, "/6"):
		name, six = text[:len(text)-2], true
	}
	index, err := strconv.Atoi(name)
	if err != nil {
		index = -1
	}
	for _, ifi := range all {
		if (ifi.Name == name || ifi.Index == index) && ifi.Addr.Is6() == six {
			return ifi, nil
		}
	}
	const allowed = "the name or index of an interface that is up, with /4 or /6 for the family, or its address"
	addr, err := r.Addr("ip", text)
	if err != nil {
		return netio.Interface{}, &Error{Text: "Invalid name/address " + text + ": " + err.Error(), Allowed: allowed}
	}
	for _, ifi := range all {
		if ifi.Addr == addr.WithZone("") {
			return ifi, nil
		}
	}
	return netio.Interface{}, &Error{Text: "Interface " + text + " not found", Allowed: allowed}
}

// DefaultInterface returns the first interface of the family that is not a
// loopback, else the first of the family.
func DefaultInterface(all []netio.Interface, six bool) (netio.Interface, bool) {
	var spare netio.Interface
	found := false
	for _, ifi := range all {
		switch {
		case ifi.Addr.Is6() != six:
		case !ifi.Loopback:
			return ifi, true
		case !found:
			spare, found = ifi, true
		}
	}
	return spare, found
}
