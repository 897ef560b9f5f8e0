package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"uftp/cmd/cli"
	"uftp/engine/netio"
	"uftp/wire"
)

// path describes what is between this machine's socket and the network; pathFindings judges it.
type path struct {
	sends, receives bool // role of the machine
	port            int  // of receivers
	sourcePort      int  // of a sender; 0: any free one

	rpFilter int        // reverse-path filter of the interface: 0 off, 1 strict, 2 loose
	peer     netip.Addr // the other side, if given
	backBy   string     // interface for answers to peer
	backErr  error

	firewallErr error   // the rules could not be read
	coming      outcome // outcome for a sender's packets
	comingBy    string  // chain that drops them
	answers     outcome // outcome for answers to a sender
	answersBy   string
	leaving     outcome // outcome for sent packets
	leavingBy   string

	portErr error  // error of opening the port
	holder  string // program that uses it; "": unknown
}

// errOldTables means that there are rules that nft does not show.
var errOldTables = errors.New("there are rules of the old iptables, which nft does not show: iptables-legacy -L -v")

// anyPort represents a port that the system chooses.
const anyPort = 40000

// look sets all fields of p.
func (p *path) look(o *options, to netip.Addr, ifi netio.Interface) {
	p.sends, p.receives = o.role != "receiver", o.role != "sender"
	p.port, p.sourcePort, p.peer = o.port, o.sourcePort, o.peer
	if to.Is4() {
		p.rpFilter = max(readNumber("/proc/sys/net/ipv4/conf/all/rp_filter"), readNumber("/proc/sys/net/ipv4/conf/"+ifi.Name+"/rp_filter"))
	}
	if p.peer.IsValid() {
		var from netip.Addr
		from, p.backErr = routeTo(p.peer, ifi)
		for _, x := range o.host.Interfaces {
			if x.Addr == from {
				p.backBy = x.Name
			}
		}
	}
	p.lookAtPort(to.Is6())
	rules, err := readRules()
	if err == nil && hasOldTables() {
		err = errOldTables
	}
	if p.firewallErr = err; rules != nil {
		p.ask(rules, to, ifi)
	}
}

// ask applies the rules to the packets of a session.
func (p *path) ask(rules *ruleset, to netip.Addr, ifi netio.Interface) {
	at := to
	if !to.IsMulticast() {
		at = ifi.Addr
	}
	port := p.sourcePort
	if port == 0 {
		port = anyPort
	}
	p.coming, p.comingBy = rules.judge(&packet{in: true, iface: ifi.Name, from: p.peer, to: at, dstPort: p.port, srcPort: p.sourcePort})
	p.answers, p.answersBy = rules.judge(&packet{in: true, iface: ifi.Name, from: p.peer, to: ifi.Addr, dstPort: port, srcPort: p.port})
	p.leaving, p.leavingBy = rules.judge(&packet{iface: ifi.Name, from: ifi.Addr, to: to, dstPort: p.port, srcPort: port})
}

// lookAtPort tries to open the port of receivers.
func (p *path) lookAtPort(six bool) {
	c, err := netio.Listen(netio.Config{IPv6: six, Port: uint16(p.port)})
	if err == nil {
		c.Close()
		return
	}
	if p.portErr = err; errors.Is(err, syscall.EADDRINUSE) {
		p.holder = holderOf(p.port)
	}
}

// readNumber reads a file with a number; 0 if there is none.
func readNumber(name string) int {
	text, err := os.ReadFile(name)
	if err != nil {
		return 0
	}
	n, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	return n
}

// hasOldTables reports whether the kernel has tables of the old iptables.
func hasOldTables() bool {
	for _, name := range []string{"/proc/net/ip_tables_names", "/proc/net/ip6_tables_names"} {
		if text, err := os.ReadFile(name); err == nil && len(text) > 0 {
			return true
		}
	}
	return false
}

// holderOf returns the name of the program that has a UDP port open, "" if it is unknown.
func holderOf(port int) string {
	inode := ""
	for _, name := range []string{"/proc/net/udp", "/proc/net/udp6"} {
		text, _ := os.ReadFile(name)
		for line := range strings.Lines(string(text)) {
			f := strings.Fields(line)
			if len(f) > 9 && strings.HasSuffix(f[1], fmt.Sprintf(":%04X", port)) {
				inode = f[9]
			}
		}
	}
	if inode == "" {
		return ""
	}
	links, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, l := range links {
		if to, err := os.Readlink(l); err == nil && to == "socket:["+inode+"]" {
			pid := strings.Split(l, "/")[2]
			comm, _ := os.ReadFile("/proc/" + pid + "/comm")
			return strings.TrimSpace(string(comm)) + " (process " + pid + ")"
		}
	}
	return ""
}

// pathFindings judges the path of f, which is about f.iface.
func (f *facts) pathFindings() []finding {
	list := []finding{f.checkFirewall(), f.checkPort()}
	if f.to.Is4() && f.receives {
		list = append(list, f.checkReversePath())
	}
	if f.receives {
		list = append(list, f.checkUID())
	}
	return list
}

func (f *facts) checkReversePath() finding {
	x := finding{name: "rp_filter", text: "off on " + f.iface.Name}
	loose := fmt.Sprintf("sysctl -w net.ipv4.conf.%s.rp_filter=2", f.iface.Name)
	switch {
	case f.rpFilter == 0:
	case !f.peer.IsValid():
		x.text = fmt.Sprintf("on for %s: senders without a route back are dropped (--peer ADDRESS checks one)", f.iface.Name)
	case f.backErr != nil:
		x.text = fmt.Sprintf("on for %s, and there is no route to %v: its packets are dropped", f.iface.Name, f.peer)
		x.fix = fmt.Sprintf("ip route add %v dev %s, or sysctl -w net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.%s.rp_filter=0", f.peer, f.iface.Name, f.iface.Name)
	case f.rpFilter == 1 && f.backBy != "" && f.backBy != f.iface.Name:
		x.text = fmt.Sprintf("strict on %s, and the route to %v leaves by %s: its packets are dropped", f.iface.Name, f.peer, f.backBy)
		x.fix = loose
	default:
		x.text = fmt.Sprintf("on for %s, and %v passes", f.iface.Name, f.peer)
	}
	return x
}

func (f *facts) checkFirewall() finding {
	x := finding{name: "firewall"}
	var said, fixes []string
	ask := func(o outcome, by, what, fix string) {
		switch o {
		case dropped:
			said = append(said, fmt.Sprintf("%s drops %s", by, what))
			if fix != "" {
				fixes = append(fixes, fix)
			}
		case accepted | dropped:
			said = append(said, fmt.Sprintf("%s may drop %s: its rules need more than is known here", by, what))
		}
	}
	open := func(by, word string, port int) string {
		return fmt.Sprintf("nft insert rule %s udp %s %d accept", by, word, port)
	}
	if f.receives {
		ask(f.coming, f.comingBy, fmt.Sprintf("packets to UDP port %d", f.port), open(f.comingBy, "dport", f.port))
	}
	if f.sends {
		fix := "uftp -u 2044, and " + open(f.answersBy, "dport", 2044)
		what := "answers to the port that uftp uses"
		if f.sourcePort != 0 {
			fix, what = open(f.answersBy, "dport", f.sourcePort), fmt.Sprintf("answers to UDP port %d", f.sourcePort)
		}
		if f.receives && f.coming != dropped { // the machine may only receive
			what, fix = what+" (to send from here, "+fix+")", ""
		}
		ask(f.answers, f.answersBy, what, fix)
		ask(f.leaving, f.leavingBy, fmt.Sprintf("sent packets to UDP port %d", f.port), open(f.leavingBy, "dport", f.port))
	}
	if f.firewallErr != nil {
		said = append(said, "not looked at: "+firewallText(f.firewallErr))
	}
	if x.text = strings.Join(said, "; "); x.text == "" {
		x.text = "the rules of this machine let sessions pass"
	}
	x.fix = strings.Join(fixes, "; ")
	return x
}

// firewallText returns why the rules could not be read.
func firewallText(err error) string {
	var exit *exec.ExitError
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return "nft is not installed"
	case errors.As(err, &exit):
		return "nft failed: only root may list rules"
	}
	return cli.ErrText(err)
}

func (f *facts) checkPort() finding {
	x := finding{name: "port", text: fmt.Sprintf("%d is free", f.port)}
	switch {
	case f.portErr == nil:
	case !errors.Is(f.portErr, syscall.EADDRINUSE):
		x.text = fmt.Sprintf("%d cannot be opened: %s", f.port, cli.ErrText(f.portErr))
		x.fix = "run uftpd as root, or use a port above 1023 for uftp and uftpd (-p)"
	case f.holder == "":
		x.text = fmt.Sprintf("%d is in use; only root can see by which program", f.port)
	case strings.HasPrefix(f.holder, "uftpd "):
		x.text = fmt.Sprintf("%d belongs to %s; for several receivers start each with --share-port and its own -U", f.port, f.holder)
	default:
		x.text = fmt.Sprintf("%d belongs to %s", f.port, f.holder)
		if f.receives {
			x.fix = "end that program, or use another port for uftp and uftpd (-p)"
		}
	}
	return x
}

func (f *facts) checkUID() finding {
	x := finding{name: "id", text: fmt.Sprintf("%v, from %v; hosts that share an address, such as containers and clones, need uftpd -U", wire.AddrUID(f.iface.Addr), f.iface.Addr)}
	return x
}
