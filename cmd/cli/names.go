package cli

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"uftp/cmd/lists"
	"uftp/wire"
)

// Limits of name look-ups: a look-up fails after lookupMax, and all look-ups of a command line
// together take no longer than budgetMax.
const (
	lookupMax = 2 * time.Second
	budgetMax = 10 * time.Second
)

// Texts of the system's resolver, as C programs print them.
const (
	textNotKnown  = "Name or service not known"
	textTemporary = "Temporary failure in name resolution"
)

// Resolver looks up names in bounded time and collects warnings. It is for one command line, and
// not for use by several goroutines.
type Resolver struct {
	Warnings []string // lines for the user, without a newline
	spent    time.Duration
	lookup   func(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// NewResolver returns a resolver that asks the system.
func NewResolver() *Resolver { return &Resolver{lookup: net.DefaultResolver.LookupNetIP} }

// lookupError is a failed look-up, with the text of C programs.
type lookupError string

func (e lookupError) Error() string { return string(e) }

// Addr returns the first address of host: an IP address in any form that inet_aton reads, an IPv6
// address, or a name. wanted is the family: "ip4", "ip6", or "ip" for either, IPv4 first.
func (r *Resolver) Addr(wanted, host string) (netip.Addr, error) {
	if n, ok := IPv4Number(host); ok && wanted != "ip6" {
		return n, nil
	}
	if a, err := netip.ParseAddr(host); err == nil {
		if wanted == "ip" || (wanted == "ip6") == a.Is6() {
			return a.Unmap(), nil
		}
		return a, lookupError("Address family for hostname not supported")
	}
	all, err := r.names(wanted, host)
	if err != nil {
		return netip.Addr{}, err
	}
	var six netip.Addr
	for _, a := range all {
		a = a.Unmap()
		switch {
		case a.Is4() && wanted != "ip6":
			return a, nil
		case a.Is6() && wanted != "ip4" && !six.IsValid():
			six = a
		}
	}
	if !six.IsValid() {
		return six, lookupError(textNotKnown)
	}
	return six, nil
}

// names asks for all addresses of a name.
func (r *Resolver) names(network, host string) ([]netip.Addr, error) {
	left := min(lookupMax, budgetMax-r.spent)
	if host == "" || strings.ContainsAny(host, " \t/:%@") {
		return nil, lookupError(textNotKnown)
	}
	if left <= 0 {
		return nil, lookupError(textTemporary)
	}
	ctx, cancel := context.WithTimeout(context.Background(), left)
	defer cancel()
	start := time.Now()
	all, err := r.lookup(ctx, network, host)
	r.spent += time.Since(start)
	var de *net.DNSError
	switch {
	case errors.As(err, &de) && !de.IsNotFound, ctx.Err() != nil:
		return nil, lookupError(textTemporary)
	case err != nil, len(all) == 0:
		return nil, lookupError(textNotKnown)
	}
	return all, nil
}

// Port reads a UDP port: a number, or the name of a service. Of a larger number the stock programs
// take the low 16 bits; Port refuses it.
func (r *Resolver) Port(text string) (uint16, error) {
	if n, ok := Number(text, 10); ok {
		if n < 0 || n > math.MaxUint16 {
			return 0, lookupError("Port out of range")
		}
		return uint16(n), nil
	}
	n, err := net.LookupPort("udp", text)
	if err != nil || text == "" {
		return 0, lookupError(textNotKnown)
	}
	return uint16(n), nil
}

// HostPort reads host[:port], as -H of the daemons lists heartbeat servers; an IPv6 address with a
// port is in brackets.
func (r *Resolver) HostPort(text string, port uint16) (netip.AddrPort, error) {
	if a, err := netip.ParseAddr(text); err == nil {
		return netip.AddrPortFrom(a.Unmap(), port), nil
	}
	if inner, behind, ok := strings.Cut(strings.TrimPrefix(text, "["), "]"); ok && strings.HasPrefix(text, "[") {
		a, err := netip.ParseAddr(inner)
		service, has := strings.CutPrefix(behind, ":")
		switch {
		case err != nil, !has && behind != "":
			return netip.AddrPort{}, lookupError(textNotKnown)
		case has:
			if port, err = r.Port(service); err != nil {
				return netip.AddrPort{}, err
			}
		}
		return netip.AddrPortFrom(a.Unmap(), port), nil
	}
	host, service, has := strings.Cut(text, ":")
	if has {
		var err error
		if port, err = r.Port(service); err != nil {
			return netip.AddrPort{}, err
		}
	}
	a, err := r.Addr("ip", host)
	return netip.AddrPortFrom(a, port), err
}

// IPv4Number reads an IPv4 address as inet_aton does: one to four numbers, decimal, octal (leading
// 0) or hexadecimal (leading 0x); the last one fills the remaining bytes.
func IPv4Number(s string) (netip.Addr, bool) {
	parts := strings.Split(s, ".")
	if len(parts) > 4 {
		return netip.Addr{}, false
	}
	var v uint64
	for i, p := range parts {
		if p == "" || p[0] < '0' || p[0] > '9' || strings.ContainsAny(p, "_oObB") && !isHexNumber(p) {
			return netip.Addr{}, false
		}
		n, err := strconv.ParseUint(p, 0, 32)
		if err != nil {
			return netip.Addr{}, false
		}
		if i < len(parts)-1 {
			if n > 255 {
				return netip.Addr{}, false
			}
			v |= n << (24 - 8*i)
			continue
		}
		if n >= 1<<(32-8*i) {
			return netip.Addr{}, false
		}
		v |= n
	}
	return netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)}), true
}

// isHexNumber reports whether s is 0x and hex digits.
func isHexNumber(s string) bool {
	return len(s) > 2 && s[0] == '0' && s[1]|0x20 == 'x' && !strings.ContainsAny(s, "_oO")
}

// HostUID turns an ID of a host list into a UID. It tries, in this order: 0x and hex digits, or
// eight hex digits of which one is a letter; an IP address, where a single number is decimal, or
// octal with a leading 0; the name of a host; hex digits. ok is false if none matches or if no host
// can have the UID.
//
// The stock sender looks for a name first, and uses the hex digits at the start of an unknown name.
// The order here gives the same UIDs, except for hosts whose name looks like a UID. An unknown name
// is an error, because it would make a session for the wrong host.
func (r *Resolver) HostUID(id string) (uid wire.UID, ok bool) {
	text := strings.TrimSpace(id)
	if digits, has := cutHexPrefix(text); has || len(text) == 8 && strings.ContainsAny(text, "abcdefABCDEF") {
		if n, err := strconv.ParseUint(digits, 16, 32); err == nil {
			return wire.UID(n), true
		}
	}
	if a, is := IPv4Number(text); is {
		uid := wire.AddrUID(a)
		switch {
		case strings.Contains(text, "."):
		case len(text) > 1 && text[0] == '0':
			r.warn("host %s is read as an octal number: UID %s (write 0x%s for hexadecimal)", id, uid, text)
		case len(text) > 1:
			r.warn("host %s is read as a decimal number: UID %s (write 0x%s for hexadecimal)", id, uid, text)
		}
		return uid, true
	}
	if a, err := netip.ParseAddr(text); err == nil {
		return wire.AddrUID(a), true
	}
	if a, err := r.Addr("ip4", text); err == nil {
		return wire.AddrUID(a), true
	}
	n, ok := Number(text, 16)
	if !ok || n <= 0 || n >= math.MaxUint32 {
		return 0, false
	}
	return wire.UID(n), true
}

// cutHexPrefix removes 0x.
func cutHexPrefix(s string) (string, bool) {
	if len(s) > 2 && s[0] == '0' && s[1]|0x20 == 'x' {
		return s[2:], true
	}
	return s, false
}

func (r *Resolver) warn(format string, args ...any) {
	const maxWarnings = 20
	if len(r.Warnings) < maxWarnings {
		r.Warnings = append(r.Warnings, Clean("Warning: "+fmt.Sprintf(format, args...)))
	}
}

// ListedHost is one entry of -H or -j.
type ListedHost struct {
	Name        string // as written
	UID         wire.UID
	Fingerprint string // as written, empty if none
}

// Hosts returns a Set that adds the hosts of a value: IDs separated by commas, or @file.
func (r *Resolver) Hosts(p *[]ListedHost) func(string) error {
	return func(v string) error {
		if file, ok := strings.CutPrefix(v, "@"); ok {
			return r.hostFile(p, file, "destination list", "Hostlist")
		}
		for _, id := range SplitList(v) {
			if err := r.addHost(p, lists.ListEntry{Name: id}); err != nil {
				return err
			}
		}
		return nil
	}
}

// Proxies returns a Set that adds the proxies listed in a file.
func (r *Resolver) Proxies(p *[]ListedHost) func(string) error {
	return func(v string) error { return r.hostFile(p, v, "proxy list", "Proxylist") }
}

func (r *Resolver) hostFile(p *[]ListedHost, file, what, list string) error {
	entries, err := lists.ReadHostList(file)
	switch {
	case errors.Is(err, lists.ErrNameTooLong):
		return &Error{Text: list + ": name too long", Allowed: "at most 79 bytes"}
	case errors.Is(err, lists.ErrTooMany):
		return errTooManyHosts
	case err != nil:
		return Fail("Couldn't open %s %s: %s", what, file, ErrText(err))
	}
	for _, e := range entries {
		if err := r.addHost(p, e); err != nil {
			return err
		}
	}
	return nil
}

var errTooManyHosts = &Error{Text: "Exceeded maximum destination count", Allowed: "at most " + strconv.Itoa(lists.MaxHosts) + " hosts"}

func (r *Resolver) addHost(p *[]ListedHost, e lists.ListEntry) error {
	if len(*p) >= lists.MaxHosts {
		return errTooManyHosts
	}
	uid, ok := r.HostUID(e.Name)
	if !ok || uid == 0 { // 0 ends the list in every message
		return &Error{Text: "Invalid UID " + e.Name, Allowed: "0x and hex digits, an IP address, or the name of a host"}
	}
	*p = append(*p, ListedHost{Name: e.Name, UID: uid, Fingerprint: e.Fingerprint})
	return nil
}
