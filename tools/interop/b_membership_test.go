//go:build linux

package interop

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"uftp/tools/netlab"
	"uftp/wire"
)

// membership is section B of the list.
var membership = []scenario{
	{id: "23", side: txOnly, run: func(t *testing.T, e *env) {
		e.file("f", 1000)
		c := e.capture(e.S)
		res := e.txCode(7, "f")
		e.want(res.Took > 1300*time.Millisecond && res.Took < 10*time.Second, "gives up after R·3·G = 1.5 s, took %v", res.Took)
		e.want(strings.Contains(res.Stderr, "Announce timed out"), "says that the announce timed out")
		e.want(len(e.packets(c).of(announce)) == 10, "R announcements")
	}},
	{id: "24", run: func(t *testing.T, e *env) {
		e.file("f", 50_000)
		e.rx(e.A)
		e.rx(e.B)
		e.txCode(0, "-H", "10.88.0.1,0x0A580002,0xbeef", "f")
		e.got("f", e.A, e.B)
		e.connect("success", "10.88.0.1", uidB)
		e.connect("failed", "0xbeef")
		e.result("10.88.0.1", "f", "copy")
		e.result(uidB, "f", "copy")
		e.result("0xbeef", "f", "mute")
		st := e.lines("STATS", "0xbeef")
		e.want(len(st) == 1 && len(st[0]) > 4 && st[0][2] == "0" && st[0][3] == "0" && st[0][4] == "0", "a STATS line of zeros for 0xbeef, got %q", st)
	}},
	{id: "25", run: func(t *testing.T, e *env) {
		e.file("f", 1000)
		p := e.rx(e.B, "-x", "3")
		e.txCode(7, hA, "f")
		e.log(p, "Name not in host list")
		e.holds(e.dest(e.B))
	}},
	{id: "26", run: func(t *testing.T, e *env) {
		e.file("f", 100_000)
		e.rx(e.A)
		p := e.txRaw("-I", netlab.Device, "-R", "10000", "-S", e.st, "f")
		time.Sleep(time.Second)
		e.rx(e.B)
		res := e.end(p)
		e.want(res.Code == 0, "exit code 0, got %d", res.Code)
		e.got("f", e.A, e.B)
		e.connect("success", uidA, uidB)
	}},
	{id: "27", run: func(t *testing.T, e *env) {
		e.file("f", 1000)
		e.rx(e.A)
		e.rx(e.B)
		fp := strings.TrimSuffix(strings.Repeat("0A:", 20), ":")
		list := e.write("# a comment\r\n\r\n"+uidA+"|"+fp+"\r\n\n"+uidB+" \n", "list")
		e.txCode(0, "-H", "@"+list, "f")
		e.got("f", e.A, e.B)
		e.connect("success", uidA, uidB+" ")
		e.want(len(e.lines("CONNECT")) == 2, "comments and empty lines are no receivers, got %q", e.status())
	}},
	{id: "28", run: func(t *testing.T, e *env) {
		e.file("f", 20_000)
		e.rx(e.A)
		var list strings.Builder
		for i := range 300 {
			fmt.Fprintf(&list, "0x0B%06X\n", i+1)
		}
		list.WriteString(uidA + "\n")
		c := e.capture(e.S)
		e.txCode(0, "-b", "512", "-H", "@"+e.write(list.String(), "list"), "f")
		e.got("f", e.A)
		var sizes []int
		for _, p := range e.packets(c).of(announce) {
			x, err := wire.ParseAnnounce(wire.Version4, p.Payload[wire.HeaderLen:])
			e.ok(err)
			sizes = append(sizes, x.Hosts.Len())
		}
		e.want(len(sizes) >= 3 && sizes[0] == 128 && sizes[1] == 128 && sizes[2] == 45, "the first round lists 128, 128 and 45 receivers, got %v", sizes)
		e.wellFormed(c)
	}},
	{id: "29", side: txOnly, run: func(t *testing.T, e *env) {
		e.file("f", 1000)
		c := e.capture(e.S)
		e.txCode(7, "-H", "12345678", "f")
		x, err := wire.ParseAnnounce(wire.Version4, e.packets(c).of(announce)[0].Payload[wire.HeaderLen:])
		e.ok(err)
		e.want(x.Hosts.Len() == 1 && x.Hosts.At(0) == 0xBC614E, "digits only are a decimal number, got %v", x.Hosts)
	}},
	{id: "30", run: func(t *testing.T, e *env) {
		e.file("f", 1_000_000) // 4 s
		e.rx(e.A)
		e.rx(e.B)
		stranger := e.udp(e.C, 1044)
		c := e.capture(e.S)
		p := e.txStart("-u", "5555", "-R", "2000", hAB, "f")
		e.ok(p.WaitUDP(5555, startMax))
		group := e.groupOf(c)
		h := wire.Header{Version: wire.Version4, Func: wire.FuncRegister, Src: 0x0A580003, Group: group}
		m := wire.Register{Time: stamp()}
		_, err := stranger.WriteToUDP(m.Append(wire.Version4, h.Append(nil)), &net.UDPAddr{IP: net.IPv4(10, 88, 0, 100), Port: 5555})
		e.ok(err)
		b := make([]byte, 2000)
		e.ok(stranger.SetReadDeadline(time.Now().Add(soon)))
		n, err := stranger.Read(b)
		e.ok(err)
		_, msg, err := wire.ParseHeader(b[:n])
		e.ok(err)
		x, err := wire.ParseAbort(msg)
		e.ok(err)
		e.want(x.Host == 0x0A580003 && strings.Contains(string(x.Text), "Not in host list"), "ABORT for C because it is not listed, got %v %q", x.Host, x.Text)
		e.want(e.end(p).Code == 0, "the session goes on")
		e.got("f", e.A, e.B)
	}},
	{id: "31", run: func(t *testing.T, e *env) {
		e.file("f", 50_000)
		e.rx(e.A, "-U", "0x55")
		e.rx(e.B, "-U", "0x55")
		e.txCode(0, "f")
		e.want(len(e.lines("CONNECT")) == 1, "one receiver is listed, got %q", e.lines("CONNECT"))
		e.connect("success", "0x00000055")
		e.want(e.await(func() bool { return e.exists(e.dest(e.A, "f")) || e.exists(e.dest(e.B, "f")) }, soon), "at least one has the file")
	}},
	{id: "32", run: func(t *testing.T, e *env) {
		e.file("f", 1000)
		e.rx(e.A, "-E")
		res := e.txCode(7, hA, "f")
		e.want(strings.Contains(res.Stderr, "No unencrypted transfers allowed"), "the sender prints the receiver's reason")
		e.connect("failed", uidA)
	}},
	{id: "33", run: func(t *testing.T, e *env) {
		e.file("f", 50_000)
		p := e.rx(e.A, "-S", e.servers(), "-M", "232.1.1.1")
		filters, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/mcfilter", p.Pid()))
		e.ok(err)
		e.want(strings.Contains(string(filters), "0xe8010101 0x0a580064"), "the kernel filters for the listed source, got %s", filters)
		e.txCode(0, "-M", "232.1.1.1", "-P", "232.2.2.x", hA, "f")
		e.got("f", e.A)
	}},
	{id: "34", run: func(t *testing.T, e *env) {
		e.file("f", 1000)
		e.rx(e.A, "-S", e.servers(), "-M", "232.1.1.1")
		res := e.txCode(7, "-M", "232.1.1.1", "-P", "230.2.2.x", hA, "f")
		e.want(strings.Contains(res.Stderr, "Invalid source specific multicast address"), "the sender prints the receiver's reason")
	}},
	{id: "35", run: func(t *testing.T, e *env) {
		e.file("f", 1000)
		e.rx(e.A, "-S", e.servers(), "-M", "232.1.1.1")
		res := e.tx("-M", "232.1.1.1", "-P", "232.2.2.x", "-U", "0x999", hA, "f")
		if e.OursRx && res.Code == 7 {
			e.holds(e.dest(e.A)) // ours may refuse a sender that is not listed
			return
		}
		e.want(res.Code == 0, "an unlisted UID from a listed address is accepted, got code %d", res.Code)
		e.got("f", e.A)
	}},
}

// servers is a receiver's list of allowed senders with S in it.
func (e *env) servers() string {
	return e.write("# servers\n"+uidS+"|10.88.0.100\n", "servers")
}

// groupOf waits until a recording holds an ANNOUNCE and returns its group ID.
// The recording goes on.
func (e *env) groupOf(c *netlab.Capture) uint32 {
	e.t.Helper()
	var group uint32
	e.want(e.await(func() bool {
		tr, _ := c.SoFar()
		for _, p := range trace(tr).of(announce) {
			h, _, err := wire.ParseHeader(p.Payload)
			e.ok(err)
			group = h.Group
		}
		return group != 0
	}, soon), "an ANNOUNCE")
	return group
}
