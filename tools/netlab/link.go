//go:build linux

package netlab

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// ErrRule reports a drop rule that cannot be written.
var ErrRule = errors.New("netlab: bad drop rule")

// ErrNoCarrier reports a cable that stays dead.
var ErrNoCarrier = errors.New("netlab: the bridge does not forward to the host")

// noticeMax is how long the bridge may take to notice a cable.
const noticeMax = 15 * time.Second

// Offsets in bits from the start of the UDP header, which is 8 bytes long, as nftables
// counts them.
const (
	bitsFunc    = 8*8 + 8*1  // message type, 8 bits
	bitsFileID  = 8*8 + 8*18 // file ID of FILEINFO .. COMPLETE, 16 bits
	bitsSection = 8*8 + 8*20 // section of FILESEG, DONE, STATUS, 16 bits
	bitsBlock   = 8*8 + 8*22 // block of FILESEG, 16 bits
)

// Match chooses datagrams that arrive at a host. The zero value matches every
// UDP datagram; each method narrows it.
type Match struct{ expr string }

func (m Match) and(format string, args ...any) Match {
	return Match{m.expr + " " + fmt.Sprintf(format, args...)}
}

// Func matches messages of an unencrypted session with one of these numbers.
func (m Match) Func(numbers ...uint8) Match {
	text := make([]string, len(numbers))
	for i, n := range numbers {
		text[i] = strconv.Itoa(int(n))
	}
	return m.and("@th,%d,8 { %s }", bitsFunc, strings.Join(text, ", "))
}

// File matches a file ID; use it together with Func.
func (m Match) File(id uint16) Match { return m.and("@th,%d,16 %d", bitsFileID, id) }

// Section matches a section number; use it together with Func.
func (m Match) Section(n uint16) Match { return m.and("@th,%d,16 %d", bitsSection, n) }

// Blocks matches block numbers lo..hi within a section; use it together with Func.
func (m Match) Blocks(lo, hi uint16) Match { return m.and("@th,%d,16 %d-%d", bitsBlock, lo, hi) }

// From matches datagrams from a host over IPv4.
func (m Match) From(h *Host) Match { return m.and("ip saddr %s", h.IPv4) }

// Share says which part of the datagrams that a Match chooses is dropped.
type Share struct{ expr string }

// All drops everything.
func All() Share { return Share{} }

// Percent drops each datagram independently with this probability, 0 < p <= 100,
// in steps of 0.1.
func Percent(p float64) Share {
	return Share{fmt.Sprintf("numgen random mod 1000 < %d", int(p*10+0.5))}
}

// EveryNth drops the first and then every nth datagram, n > 1.
func EveryNth(n int) Share { return Share{fmt.Sprintf("numgen inc mod %d 0", n)} }

// Drop drops a share of the matching UDP datagrams that arrive at the host.
// Rules add up until ClearDrops.
func (h *Host) Drop(m Match, s Share) error {
	var b strings.Builder
	if !h.ruled {
		b.WriteString("add table inet netlab\nadd chain inet netlab in { type filter hook input priority 0; policy accept; }\n")
	}
	fmt.Fprintf(&b, "add rule inet netlab in meta l4proto udp %s %s counter drop\n", m.expr, s.expr)
	if _, err := h.tool(b.String(), "nft", "-f", "-"); err != nil {
		return fmt.Errorf("%w: %w", ErrRule, err)
	}
	h.ruled = true
	return nil
}

// Dropped is the number of datagrams that the present rules have dropped.
func (h *Host) Dropped() (int, error) {
	if !h.ruled {
		return 0, nil
	}
	text, err := h.tool("", "nft", "list", "chain", "inet", "netlab", "in")
	if err != nil {
		return 0, err
	}
	total := 0
	fields := strings.Fields(text)
	for i, f := range fields {
		if f == "packets" && i+1 < len(fields) {
			n, err := strconv.Atoi(fields[i+1])
			if err != nil {
				return 0, fmt.Errorf("netlab: nft counter: %w", err)
			}
			total += n
		}
	}
	return total, nil
}

// ClearDrops removes all drop rules of the host.
func (h *Host) ClearDrops() error {
	if !h.ruled {
		return nil
	}
	if _, err := h.tool("", "nft", "delete", "table", "inet", "netlab"); err != nil {
		return err
	}
	h.ruled = false
	return nil
}

// Limit bounds the rate at which the host sends, in Kbit/s (1000 bit/s), with a queue of
// queueBytes, which drops what does not fit.
func (h *Host) Limit(rateKbps, queueBytes int) error {
	_, err := h.tool("", "tc", "qdisc", "replace", "dev", Device, "root", "tbf",
		"rate", fmt.Sprintf("%dkbit", rateKbps), "burst", "20000", "limit", strconv.Itoa(queueBytes))
	h.limited = h.limited || err == nil
	return err
}

// Unlimit removes the rate limit.
func (h *Host) Unlimit() error {
	if !h.limited {
		return nil
	}
	_, err := h.tool("", "tc", "qdisc", "del", "dev", Device, "root")
	h.limited = err != nil
	return err
}

// Unplug pulls the host's cable at the bridge: its interface stays up without
// carrier, and keeps addresses and routes.
func (h *Host) Unplug() error {
	_, err := h.lab.bridge.tool("", "ip", "link", "set", h.port, "down")
	h.cut = h.cut || err == nil
	return err
}

// Plug puts the cable back and waits until the bridge has noticed.
func (h *Host) Plug() error {
	_, err := h.lab.bridge.tool("", "ip", "link", "set", h.port, "up")
	if err == nil {
		err = h.waitForwarding()
	}
	h.cut = h.cut && err != nil
	return err
}

// Down takes the interface itself down (true) or up again, with its routes. It returns when
// the bridge has noticed that the interface is up, which takes the kernel up to a second.
func (h *Host) Down(down bool) error {
	if down {
		_, err := h.tool("", "ip", "link", "set", Device, "down")
		return err
	}
	lines := fmt.Sprintf("link set %[1]s up\naddr replace %[2]s/64 dev %[1]s\nroute replace 224.0.0.0/4 dev %[1]s\n", Device, h.IPv6)
	if err := ipBatch(h.ns, lines); err != nil {
		return err
	}
	return h.waitForwarding()
}

// Remove deletes the host's interface with its cable.
func (h *Host) Remove() error { return ipBatch(h.ns, "link del "+Device+"\n") }

// Renew makes a removed interface again, with another index and the same addresses.
func (h *Host) Renew() error {
	if err := ipBatch(h.lab.bridge.ns, h.cable(h.lab.mtu)); err != nil {
		return err
	}
	if err := ipBatch(h.ns, h.address()); err != nil {
		return err
	}
	return h.waitForwarding()
}

// waitForwarding returns when the host's interface is running and the bridge passes packets
// of its port. The kernel notices both ends of a cable up to a second late, and silently
// drops their packets until then.
func (h *Host) waitForwarding() error { return h.lab.waitForwarding([]*Host{h}) }

// waitForwarding is waitForwarding for several hosts.
func (l *Lab) waitForwarding(hosts []*Host) error {
	for limit := time.Now().Add(noticeMax); ; time.Sleep(pollEvery) {
		text, err := l.bridge.tool("", "bridge", "link", "show")
		if err != nil {
			return err
		}
		waiting := ""
		for _, h := range hosts {
			running, err := h.running()
			if err != nil {
				return err
			}
			if !running || !forwards(text, h.port) {
				waiting = h.Name
				break
			}
		}
		if waiting == "" {
			return nil
		}
		if time.Now().After(limit) {
			return fmt.Errorf("%w %s: %s", ErrNoCarrier, waiting, text)
		}
	}
}

// running reports whether the host's interface has noticed its carrier.
func (h *Host) running() (bool, error) {
	var ifi *net.Interface
	err := h.Do(func() (err error) {
		ifi, err = net.InterfaceByName(Device)
		return err
	})
	return err == nil && ifi.Flags&net.FlagRunning != 0, err
}

// forwards looks for a port that forwards in what "bridge link show" printed:
// "7: p1@if2: <...> mtu 1500 master br0 state forwarding ...".
func forwards(text, port string) bool {
	for line := range strings.Lines(text) {
		if strings.Contains(line, " "+port+"@") || strings.Contains(line, " "+port+":") {
			return strings.Contains(line, "state forwarding")
		}
	}
	return false
}
