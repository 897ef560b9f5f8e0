package main

import (
	"net/netip"
	"os"
	"strings"
	"testing"
)

// coming is a sender's packet to the group, as a receiver gets it.
func coming(change func(*packet)) *packet {
	p := &packet{in: true, iface: "eth0", to: netip.MustParseAddr("230.4.4.1"), dstPort: 1044}
	if change != nil {
		change(p)
	}
	return p
}

// TestFirewallFile reads the output of nft for a real table.
func TestFirewallFile(t *testing.T) {
	text, err := os.ReadFile("testdata/rules.json")
	if err != nil {
		t.Fatal(err)
	}
	rules, err := parseRules(text)
	if err != nil {
		t.Fatal(err)
	}
	from := func(a string) func(*packet) { return func(p *packet) { p.from = netip.MustParseAddr(a) } }
	for _, tt := range []struct {
		why    string
		change func(*packet)
		want   outcome
	}{
		{"nobody known", nil, accepted | dropped},
		{"in the prefix of a set", from("10.0.0.77"), accepted},
		{"an element of a set", from("192.168.1.5"), accepted},
		{"in neither", from("192.168.1.6"), dropped},
		{"by a chain that returns for others", from("172.20.0.1"), accepted},
		{"by that chain, another port", func(p *packet) { from("172.20.0.1")(p); p.dstPort = 1045 }, dropped},
		{"in a range of ports", func(p *packet) { from("192.168.1.6")(p); p.dstPort = 2050 }, accepted},
		{"outside of it", func(p *packet) { from("192.168.1.6")(p); p.dstPort = 2101 }, dropped},
		{"over loopback", func(p *packet) { p.iface = "lo" }, accepted},
		{"out", func(p *packet) { p.in = false }, accepted},
		{"out by an interface of a pattern", func(p *packet) { p.in, p.iface = false, "docker0" }, dropped},
		{"IPv6, which the set has none of", func(p *packet) { p.to = netip.MustParseAddr("ff02::1") }, dropped},
	} {
		got, by := rules.judge(coming(tt.change))
		if got != tt.want {
			t.Errorf("%s: %b, want %b", tt.why, got, tt.want)
		}
		if (by == "") == (got&dropped != 0) || got&dropped != 0 && !strings.HasPrefix(by, "inet filter ") {
			t.Errorf("%s: dropped by %q", tt.why, by)
		}
	}
}

// TestFirewallRules: the verdict of a chain with one rule, or of several chains.
func TestFirewallRules(t *testing.T) {
	const (
		accept = `{"accept":null}`
		drop   = `{"drop":null}`
		udp    = `{"match":{"op":"==","left":{"payload":{"protocol":"udp","field":"dport"}},"right":1044}}`
	)
	chain := func(family, name, hook, policy string) string {
		return `{"chain":{"family":"` + family + `","table":"t","name":"` + name + `","type":"filter","hook":"` + hook + `","policy":"` + policy + `"}}`
	}
	rule := func(family, chain string, expr ...string) string {
		return `{"rule":{"family":"` + family + `","table":"t","chain":"` + chain + `","expr":[` + strings.Join(expr, ",") + `]}}`
	}
	match := func(op, left, right string) string {
		return `{"match":{"op":"` + op + `","left":` + left + `,"right":` + right + `}}`
	}
	input := func(policy string, expr ...string) []string {
		return []string{chain("inet", "input", "input", policy), rule("inet", "input", expr...)}
	}
	for _, tt := range []struct {
		why   string
		rules []string
		want  outcome
	}{
		{"no rules", nil, accepted},
		{"policy", []string{chain("ip", "input", "input", "drop")}, dropped},
		{"policy for IPv6", []string{chain("ip6", "input", "input", "drop")}, accepted},
		{"policy of what is forwarded", []string{chain("ip", "forward", "forward", "drop")}, accepted},
		{"policy of what leaves", []string{chain("ip", "output", "output", "drop")}, accepted},
		{"before the routing", []string{chain("ip", "pre", "prerouting", "accept"), rule("ip", "pre", udp, drop)}, dropped},
		{"one chain accepts, the next drops", append(input("accept", udp, accept), chain("ip", "late", "input", "drop")), dropped},
		{"a table that only keeps", append(input("drop", udp, accept), chain("ip", "late", "input", "accept")), accepted},
		{"drop", input("accept", udp, drop), dropped},
		{"reject", input("accept", udp, `{"reject":null}`), dropped},
		{"drop without a condition", input("accept", `{"counter":{}}`, drop), dropped},
		{"another port", input("accept", strings.ReplaceAll(udp, "1044", "1045"), drop), accepted},
		{"another protocol", input("accept", strings.ReplaceAll(udp, "udp", "tcp"), drop), accepted},
		{"a protocol by number", input("accept", match("==", `{"payload":{"protocol":"ip","field":"protocol"}}`, "17"), drop), dropped},
		{"a protocol not of ours", input("accept", match("!=", `{"meta":{"key":"l4proto"}}`, `"udp"`), drop), accepted},
		{"what is established", input("drop", match("in", `{"ct":{"key":"state"}}`, `["established","related"]`), accept), dropped},
		{"what is new", input("accept", match("==", `{"ct":{"key":"state"}}`, `"new"`), drop), dropped},
		{"a map of states, then the port", append(input("drop", `{"vmap":{"key":{"ct":{"key":"state"}},"data":{"set":[["established",{"accept":null}],["invalid",{"drop":null}]]}}}`),
			rule("inet", "input", udp, accept)), accepted},
		{"a map of ports", input("drop", `{"vmap":{"key":{"payload":{"protocol":"udp","field":"dport"}},"data":{"set":[[1044,{"accept":null}]]}}}`), accepted},
		{"a map that is not printed", input("drop", `{"vmap":{"key":{"payload":{"protocol":"udp","field":"dport"}},"data":"@m"}}`), accepted | dropped},
		{"multicast", input("accept", match("==", `{"meta":{"key":"pkttype"}}`, `"multicast"`), drop), dropped},
		{"the group", input("drop", match("==", `{"payload":{"protocol":"ip","field":"daddr"}}`, `{"prefix":{"addr":"224.0.0.0","len":4}}`), accept), accepted},
		{"a range of groups", input("drop", match("==", `{"payload":{"protocol":"ip","field":"daddr"}}`, `{"range":["230.0.0.0","230.255.255.255"]}`), accept), accepted},
		{"the interface", input("drop", match("==", `{"meta":{"key":"iifname"}}`, `"eth0"`), accept), accepted},
		{"another interface", input("drop", match("==", `{"meta":{"key":"iifname"}}`, `"eth1"`), accept), dropped},
		{"the interface that it leaves by", input("accept", match("==", `{"meta":{"key":"oifname"}}`, `"eth0"`), drop), accepted},
		{"a limit", input("drop", udp, `{"limit":{"rate":5,"per":"second"}}`, accept), accepted | dropped},
		{"an extension", input("drop", `{"xt":{"type":"match","name":"addrtype"}}`, accept), accepted | dropped},
		{"an extension that does not matter", input("accept", `{"xt":{"type":"match","name":"addrtype"}}`, accept), accepted},
		{"a chain that is missing", input("accept", `{"jump":{"target":"gone"}}`), accepted | dropped},
		{"a chain that calls itself", input("accept", `{"jump":{"target":"input"}}`), accepted | dropped},
		{"goto, and back to the policy", append(input("drop", `{"goto":{"target":"x"}}`), rule("inet", "input", accept), `{"chain":{"family":"inet","table":"t","name":"x"}}`), dropped},
		{"at the interface", []string{`{"chain":{"family":"netdev","table":"t","name":"in","type":"filter","hook":"ingress","dev":"eth0","policy":"accept"}}`, rule("netdev", "in", udp, drop)}, dropped},
		{"at another interface", []string{`{"chain":{"family":"netdev","table":"t","name":"in","type":"filter","hook":"ingress","dev":["eth1"],"policy":"accept"}}`, rule("netdev", "in", udp, drop)}, accepted},
		{"at an interface without a name", []string{chain("netdev", "in", "ingress", "accept"), rule("netdev", "in", udp, drop)}, accepted | dropped},
	} {
		rules, err := parseRules([]byte(`{"nftables":[` + strings.Join(tt.rules, ",") + `]}`))
		if err != nil {
			t.Errorf("%s: %v", tt.why, err)
			continue
		}
		if got, by := rules.judge(coming(nil)); got != tt.want || (by != "") != (got&dropped != 0) {
			t.Errorf("%s: %b by %q, want %b", tt.why, got, by, tt.want)
		}
	}
	if _, err := parseRules([]byte(`{"nftables":[{"rule":{"expr":5}}]}`)); err == nil {
		t.Error("what is no ruleset must be an error")
	}
}

// FuzzFirewall: whatever nft prints, there is an answer.
func FuzzFirewall(f *testing.F) {
	text, err := os.ReadFile("testdata/rules.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Fuzz(func(t *testing.T, text []byte) {
		rules, err := parseRules(text)
		if err != nil {
			return
		}
		if o, _ := rules.judge(coming(nil)); o&^(accepted|dropped) != 0 || o == 0 {
			t.Errorf("outcome %b, want accepted, dropped or either", o)
		}
	})
}
