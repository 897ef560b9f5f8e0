package netio

import (
	"fmt"
	"net/netip"
	"strconv"
)

// Choice names an interface of this host, one that exists or one that may appear later: by its
// name or the label of an address, by its index or by one of its addresses, whichever matches. The
// zero Choice means every interface that is not a loopback.
type Choice struct {
	Name   string     // empty: not by name
	Index  int        // 0: not by index
	Addr   netip.Addr // the zero Addr: not by address
	Family int        // 4 or 6: with addresses of that family alone; 0: of either
}

// Zone returns the Choice of the interface that the zone of an address names.
func Zone(zone string) Choice {
	index, _ := strconv.Atoi(zone)
	return Choice{Name: zone, Index: index}
}

// String returns i for people to read.
func (i Interface) String() string {
	if i.NoCarrier {
		return fmt.Sprintf("%s (%v, no carrier)", i.Name, i.Addr)
	}
	return fmt.Sprintf("%s (%v)", i.Name, i.Addr)
}

// Any reports whether c means every interface.
func (c Choice) Any() bool { return c.Name == "" && c.Index == 0 && !c.Addr.IsValid() }

// String returns c in the form of -I.
func (c Choice) String() string {
	text := c.Name
	switch {
	case c.Any():
		return "an interface"
	case c.Addr.IsValid() && c.Name == "":
		return c.Addr.String()
	case text == "":
		text = strconv.Itoa(c.Index)
	}
	if c.Family != 0 {
		text += "/" + strconv.Itoa(c.Family)
	}
	return text
}

// Takes reports whether c can match an address of the family.
func (c Choice) Takes(six bool) bool {
	return (c.Family == 0 || six == (c.Family == 6)) && (!c.Addr.IsValid() || c.Name != "" || c.Addr.Is6() == six)
}

// Pick returns the first entry of each interface in list, made by [Interfaces], that c names and
// that has an address of the family.
func (c Choice) Pick(list []Interface, six bool) (picked []Interface) {
	if !c.Takes(six) {
		return nil
	}
	seen := func(index int) bool {
		for i := range picked {
			if picked[i].Index == index {
				return true
			}
		}
		return false
	}
	for _, ifi := range list {
		if ifi.Addr.Is6() == six && !seen(ifi.Index) && c.names(ifi) {
			picked = append(picked, ifi)
		}
	}
	return picked
}

func (c Choice) names(ifi Interface) bool {
	if c.Any() {
		return !ifi.Loopback
	}
	return c.Name != "" && (ifi.Name == c.Name || ifi.Label == c.Name) || c.Index != 0 && ifi.Index == c.Index ||
		c.Addr.IsValid() && ifi.Addr == c.Addr
}

// Missing explains why list, made by [Interfaces], has no entry that c names with an address of the
// family. links are all interfaces, made by [Survey]. It returns "" if there is such an entry.
func (c Choice) Missing(links []Link, list []Interface, six bool) string {
	if len(c.Pick(list, six)) > 0 {
		return ""
	}
	family, other, suffix := familyName(six), familyName(!six), "6"
	if six {
		suffix = "4"
	}
	if c.Any() {
		return "no interface is up that has an " + family + " address"
	}
	if c.Addr.IsValid() && c.Name == "" {
		return fmt.Sprintf("no interface that is up has the address %v", c.Addr)
	}
	for _, l := range links {
		switch {
		case l.Name != c.Name && (c.Index == 0 || l.Index != c.Index):
		case !l.Up:
			return l.Name + " is down"
		case !c.Takes(six):
			return fmt.Sprintf("%v takes no %s address", c, family)
		case len(Choice{Name: l.Name}.Pick(list, !six)) > 0:
			return fmt.Sprintf("%s has no %s address; -I %s/%s takes its %s one, with an %s address in -M", l.Name, family, l.Name, suffix, other, other)
		default:
			return fmt.Sprintf("%s has no %s address", l.Name, family)
		}
	}
	return "no such interface"
}

func familyName(six bool) string {
	if six {
		return "IPv6"
	}
	return "IPv4"
}
