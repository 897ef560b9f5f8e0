package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// nftTime bounds the time for listing the rules.
const nftTime = 5 * time.Second

// callsMax bounds the depth of chains that call each other; that of the kernel is 16.
const callsMax = 16

// packet is a datagram to apply the rules to. A zero field is unknown.
type packet struct {
	in       bool // it arrives; otherwise it is sent
	iface    string
	from, to netip.Addr
	srcPort  int // 0: unknown
	dstPort  int // 0: unknown
}

// outcome is a set of possible results for a packet.
type outcome uint8

const (
	accepted outcome = 1 << iota
	dropped
	returned // to the caller of a chain, or to the policy
)

// truth is the result of a match, as far as it is known.
type truth uint8

const (
	never truth = iota
	maybe
	surely
)

// ruleset is the output of nft -j list ruleset, as far as it decides about packets.
type ruleset struct {
	chains []chain
	sets   map[string][]json.RawMessage
}

type chain struct {
	family, table, name    string
	kind, hook, policy, on string // of a base chain
	rules                  [][]map[string]json.RawMessage
}

func (c *chain) String() string { return c.family + " " + c.table + " " + c.name }

// readRules asks the system for its rules.
func readRules() (*ruleset, error) {
	ctx, cancel := context.WithTimeout(context.Background(), nftTime)
	defer cancel()
	text, err := exec.CommandContext(ctx, nft(), "-j", "list", "ruleset").Output()
	if err != nil {
		return nil, err
	}
	return parseRules(text)
}

// nft returns the path of the program, which may be in a directory that only root's PATH has.
func nft() string {
	for _, name := range [...]string{"nft", "/usr/sbin/nft", "/sbin/nft"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return "nft"
}

func parseRules(text []byte) (*ruleset, error) {
	var top struct {
		Nftables []map[string]json.RawMessage
	}
	if err := json.Unmarshal(text, &top); err != nil {
		return nil, err
	}
	r := &ruleset{sets: map[string][]json.RawMessage{}}
	for _, object := range top.Nftables {
		for kind, body := range object {
			var o struct {
				Family, Table, Name, Chain, Type, Hook, Policy string

				Dev  json.RawMessage
				Expr []map[string]json.RawMessage
				Elem []json.RawMessage
			}
			if kind != "chain" && kind != "rule" && kind != "set" {
				continue
			}
			if err := json.Unmarshal(body, &o); err != nil {
				return nil, fmt.Errorf("%s: %w", kind, err)
			}
			switch kind {
			case "chain":
				r.chains = append(r.chains, chain{family: o.Family, table: o.Table, name: o.Name, kind: o.Type, hook: o.Hook, policy: o.Policy, on: string(o.Dev)})
			case "set":
				r.sets[o.Family+" "+o.Table+" "+o.Name] = o.Elem
			case "rule":
				if c := r.chain(o.Family, o.Table, o.Chain); c != nil {
					c.rules = append(c.rules, o.Expr)
				}
			}
		}
	}
	return r, nil
}

func (r *ruleset) chain(family, table, name string) *chain {
	for i := range r.chains {
		if c := &r.chains[i]; c.family == family && c.table == table && c.name == name {
			return c
		}
	}
	return nil
}

// judge returns the outcome for p, and the base chain that may drop it.
func (r *ruleset) judge(p *packet) (o outcome, by string) {
	o = accepted
	for i := range r.chains {
		c := &r.chains[i]
		if !c.sees(p) {
			continue
		}
		x := r.run(c, p, 0)
		if x&returned != 0 {
			x &^= returned
			if c.policy == "drop" {
				x |= dropped
			} else {
				x |= accepted
			}
		}
		if c.on == "" && (c.hook == "ingress" || c.hook == "egress") { // older programs do not print the interface
			x |= accepted
		}
		if x&dropped != 0 {
			by = c.String()
			o |= dropped
		}
		if x == dropped {
			return dropped, by
		}
	}
	return o, by
}

// sees reports whether p passes base chain c.
func (c *chain) sees(p *packet) bool {
	six := p.to.Is6()
	switch {
	case c.hook == "":
		return false
	case c.family == "netdev":
		hook := "egress"
		if p.in {
			hook = "ingress"
		}
		return c.hook == hook && c.guards(p.iface)
	case c.family != "inet" && c.family != "ip" && c.family != "ip6", c.family == "ip" && six, c.family == "ip6" && !six:
		return false
	case c.kind == "nat":
		return false
	case p.in:
		return c.hook == "ingress" && c.guards(p.iface) || c.hook == "prerouting" || c.hook == "input"
	}
	return c.hook == "output" || c.hook == "postrouting"
}

// guards reports whether c, which belongs to an interface, may belong to this one.
func (c *chain) guards(iface string) bool {
	return c.on == "" || strings.Contains(c.on, `"`+iface+`"`)
}

// run returns the outcome of chain c for p.
func (r *ruleset) run(c *chain, p *packet, depth int) (o outcome) {
	if c == nil || depth > callsMax {
		return accepted | dropped | returned
	}
	for _, rule := range c.rules {
		match, verdict := surely, outcome(0)
		var target string
		leave := false // the rest of this chain, whatever the target returns
		for _, e := range rule {
			for kind, body := range e {
				switch kind {
				case "match":
					match = min(match, r.match(c, body, p))
				case "accept":
					verdict = accepted
				case "drop", "reject":
					verdict = dropped
				case "return":
					verdict = returned
				case "jump", "goto":
					var to struct{ Target string }
					_ = json.Unmarshal(body, &to) // on an error no chain is found below
					target, leave = to.Target, kind == "goto"
				case "counter", "log", "mangle", "notrack", "comment", "meta", "ct":
				case "limit", "quota", "connlimit", "ct count", "xt":
					match = min(match, maybe)
				case "vmap":
					var known bool
					if verdict, target, leave, known = r.lookUp(c, body, p); !known {
						match, verdict = min(match, maybe), accepted|dropped
					}
				case "queue", "tproxy", "synproxy":
					match, verdict = min(match, maybe), accepted|dropped
				}
			}
		}
		if match == never {
			continue
		}
		switch {
		case target != "":
			x := r.run(r.chain(c.family, c.table, target), p, depth+1)
			o |= x &^ returned
			if leave && x&returned != 0 {
				o |= returned
			}
			if match == surely && (leave || x&returned == 0) {
				return o
			}
		case verdict != 0:
			o |= verdict
			if match == surely {
				return o
			}
		}
	}
	return o | returned
}

// lookUp returns the entry of a map of verdicts for p: nothing, a verdict or a chain to go to.
func (r *ruleset) lookUp(c *chain, body json.RawMessage, p *packet) (verdict outcome, target string, leave, known bool) {
	var m struct {
		Key  map[string]json.RawMessage
		Data struct {
			Set [][2]json.RawMessage
		}
	}
	if json.Unmarshal(body, &m) != nil {
		return 0, "", false, false
	}
	value, known := p.value(m.Key)
	if !known {
		return 0, "", false, false
	}
	for _, pair := range m.Data.Set {
		var to map[string]struct{ Target string }
		switch is := r.holds(c, pair[0], value, 0); {
		case is == never:
			continue
		case is == maybe, json.Unmarshal(pair[1], &to) != nil:
			return 0, "", false, false
		}
		for kind, x := range to {
			switch kind {
			case "accept":
				return accepted, "", false, true
			case "drop":
				return dropped, "", false, true
			case "return":
				return returned, "", false, true
			case "jump", "goto":
				return 0, x.Target, kind == "goto", true
			}
		}
	}
	return 0, "", false, true
}

// match reports whether p meets one condition of a rule of c.
func (r *ruleset) match(c *chain, body json.RawMessage, p *packet) truth {
	var m struct {
		Op    string
		Left  map[string]json.RawMessage
		Right json.RawMessage
	}
	if json.Unmarshal(body, &m) != nil {
		return maybe
	}
	value, known := p.value(m.Left)
	if value == "" && known { // p has no such header
		return never
	}
	if !known {
		return maybe
	}
	is := r.holds(c, m.Right, value, 0)
	switch m.Op {
	case "==", "in", "":
		return is
	case "!=":
		return surely - is
	}
	return maybe
}

// value returns p's value for the left side of a condition; "" if it has no such header.
func (p *packet) value(left map[string]json.RawMessage) (value string, known bool) {
	var f struct{ Protocol, Field, Key string }
	port := func(n int) (string, bool) { return fmt.Sprint(n), n != 0 }
	addr := func(a netip.Addr) (string, bool) { return a.String(), a.IsValid() }
	for kind, body := range left {
		if json.Unmarshal(body, &f) != nil {
			return "", false
		}
		switch kind + " " + f.Protocol + f.Key + " " + f.Field {
		case "payload udp dport", "payload th dport":
			return port(p.dstPort)
		case "payload udp sport", "payload th sport":
			return port(p.srcPort)
		case "payload ip daddr", "payload ip6 daddr":
			if (f.Protocol == "ip6") != p.to.Is6() {
				return "", true
			}
			return addr(p.to)
		case "payload ip saddr", "payload ip6 saddr":
			if (f.Protocol == "ip6") != p.to.Is6() {
				return "", true
			}
			return addr(p.from)
		case "payload ip protocol", "payload ip6 nexthdr", "meta l4proto ":
			return "udp", true
		case "meta iifname ", "meta iif ", "meta oifname ", "meta oif ":
			if p.in != strings.HasPrefix(f.Key, "iif") {
				return "", true
			}
			return p.iface, true
		case "meta pkttype ":
			if p.to.IsMulticast() {
				return "multicast", true
			}
			return "host", p.in
		case "meta nfproto ":
			if p.to.Is6() {
				return "ipv6", true
			}
			return "ipv4", true
		case "meta protocol ":
			if p.to.Is6() {
				return "ip6", true
			}
			return "ip", true
		case "ct state ":
			return "new", true // the kernel does not recognise answers to multicast
		}
		if kind == "payload" && slices.Contains([]string{"tcp", "icmp", "icmpv6", "igmp", "sctp", "dccp", "esp", "ah"}, f.Protocol) {
			return "", true
		}
	}
	return "", false
}

// holds reports whether value matches the right side of a condition.
func (r *ruleset) holds(c *chain, right json.RawMessage, value string, depth int) truth {
	if depth > callsMax {
		return maybe
	}
	var text string
	var list []json.RawMessage
	var object map[string]json.RawMessage
	oneOf := func(list []json.RawMessage) truth {
		best := never
		for _, e := range list {
			best = max(best, r.holds(c, e, value, depth+1))
		}
		return best
	}
	switch {
	case json.Unmarshal(right, &text) == nil:
		if name, ok := strings.CutPrefix(text, "@"); ok {
			elems, known := r.sets[c.family+" "+c.table+" "+name]
			if !known {
				return maybe
			}
			return oneOf(elems)
		}
		if prefix, ok := strings.CutSuffix(text, "*"); ok {
			return truthOf(strings.HasPrefix(value, prefix))
		}
		return truthOf(text == value)
	case json.Unmarshal(right, &list) == nil:
		return oneOf(list)
	case json.Unmarshal(right, &object) == nil:
		for kind, body := range object {
			switch kind {
			case "set":
				return r.holds(c, body, value, depth+1)
			case "elem":
				var e struct{ Val json.RawMessage }
				if json.Unmarshal(body, &e) == nil {
					return r.holds(c, e.Val, value, depth+1)
				}
			case "range":
				return within(body, value)
			case "prefix":
				var x struct {
					Addr string
					Len  int
				}
				a, err := netip.ParseAddr(value)
				if json.Unmarshal(body, &x) != nil || err != nil {
					return maybe
				}
				net, err := netip.ParsePrefix(fmt.Sprintf("%s/%d", x.Addr, x.Len))
				if err != nil {
					return maybe
				}
				return truthOf(net.Contains(a))
			}
		}
		return maybe
	}
	var n json.Number
	if json.Unmarshal(right, &n) == nil {
		return truthOf(n.String() == value || n.String() == "17" && value == "udp")
	}
	return maybe
}

// within reports whether value is in a range of numbers or addresses.
func within(body json.RawMessage, value string) truth {
	var ends [2]json.RawMessage
	if json.Unmarshal(body, &ends) != nil {
		return maybe
	}
	lo, hi := strings.Trim(string(ends[0]), `"`), strings.Trim(string(ends[1]), `"`)
	a, err := netip.ParseAddr(value)
	l, lerr := netip.ParseAddr(lo)
	h, herr := netip.ParseAddr(hi)
	if err == nil && lerr == nil && herr == nil {
		return truthOf(l.Compare(a) <= 0 && a.Compare(h) <= 0)
	}
	var n, from, to int
	if _, err := fmt.Sscan(value+" "+lo+" "+hi, &n, &from, &to); err != nil {
		return maybe
	}
	return truthOf(from <= n && n <= to)
}

func truthOf(b bool) truth {
	if b {
		return surely
	}
	return never
}
