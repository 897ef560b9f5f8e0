//go:build linux

package interop

import (
	"strings"
	"testing"

	"uftp/tools/netlab"
)

// wired is what happens to the interfaces of hosts before and while our programs run. Each
// has a lab of its own, since the tests remove and make interfaces.
var wired = []struct {
	name string
	run  func(t *testing.T, e *env)
}{
	{"down at the start, not named", func(t *testing.T, e *env) {
		e.ok(e.A.Down(true))
		e.later(e.daemon(e.A), "no interface is up that has an IPv4 address", func() { e.ok(e.A.Down(false)) })
	}},
	{"down at the start, named", func(t *testing.T, e *env) {
		e.ok(e.A.Down(true))
		e.later(e.daemon(e.A, "-I", netlab.Device), netlab.Device+" is down", func() { e.ok(e.A.Down(false)) })
	}},
	{"not there at the start, not named", func(t *testing.T, e *env) {
		e.ok(e.A.Remove())
		e.later(e.daemon(e.A), "Waiting for an interface", func() { e.ok(e.A.Renew()) })
	}},
	{"not there at the start, named", func(t *testing.T, e *env) {
		e.ok(e.A.Remove())
		e.later(e.daemon(e.A, "-I", netlab.Device), "no such interface", func() { e.ok(e.A.Renew()) })
	}},
	{"not there at the start, named by its address", func(t *testing.T, e *env) {
		e.ok(e.A.Remove())
		e.later(e.daemon(e.A, "-I", e.A.IPv4.String()), "has the address "+e.A.IPv4.String(), func() { e.ok(e.A.Renew()) })
	}},
	{"without an address at the start", func(t *testing.T, e *env) {
		e.ip(e.A, "-4", "addr", "flush", "dev", netlab.Device)
		e.later(e.daemon(e.A, "-I", netlab.Device), "has no IPv4 address", func() { e.ip(e.A, "addr", "add", e.A.IPv4.String()+"/24", "dev", netlab.Device) })
	}},
	{"another one while it runs", func(t *testing.T, e *env) {
		e.ok(e.A.Remove())
		e.ip(e.A, "link", "add", "early0", "type", "veth", "peer", "name", "peer0")
		e.ip(e.A, "addr", "add", "10.99.0.1/24", "dev", "early0")
		e.ip(e.A, "link", "set", "early0", "up")
		p := e.daemon(e.A)
		e.log(p, "Joined 230.4.4.1 on early0 (10.99.0.1, no carrier)")
		e.ok(e.A.Renew())
		e.log(p, "Interface "+netlab.Device+" is there: joined 230.4.4.1")
		e.reaches(hearsAll...)
	}},
	{"made anew between sessions", func(t *testing.T, e *env) {
		p := e.daemon(e.A)
		e.reaches(hearsAll...)
		e.ok(e.A.Remove())
		e.ok(e.A.Renew())
		e.log(p, "Interface "+netlab.Device+" is back: joined 230.4.4.1 again")
		e.reaches(hearsAll...)
	}},
	{"renamed, and named", func(t *testing.T, e *env) {
		p := e.daemon(e.A, "-I", netlab.Device)
		e.ok(e.A.Down(true))
		e.log(p, "is down")
		e.ip(e.A, "link", "set", netlab.Device, "name", "lan0")
		e.ip(e.A, "link", "set", "lan0", "up")
		e.log(p, "Interface lan0 is there: joined 230.4.4.1")
		e.reaches(hearsAll...)
	}},
	{"another address", func(t *testing.T, e *env) {
		e.daemon(e.A, "-U", uidA)
		e.ip(e.A, "-4", "addr", "flush", "dev", netlab.Device)
		e.ip(e.A, "addr", "add", "10.88.0.77/24", "dev", netlab.Device)
		e.reaches(hearsAll...)
	}},
	{"made anew in a session", func(t *testing.T, e *env) {
		e.file("f", 3_000_000)
		rx := e.daemon(e.A)
		tx := e.txStart("-r", "0.3:0.3:5", "-s", "20", "--register-count", "1", "-R", "4000", "f")
		e.arrive(tx, e.A, 300_000)
		e.ok(e.A.Remove())
		e.ok(e.A.Renew())
		e.log(rx, "is back: joined 230.5.5.")
		res := e.end(tx)
		e.want(res.Code == 0, "the session goes on, code %d", res.Code)
		e.got("f", e.A)
	}},
	{"listed senders alone, later", func(t *testing.T, e *env) {
		e.ok(e.A.Down(true))
		list := e.write(uidS+"|"+e.S.IPv4.String()+"\n", "servers")
		p := e.daemon(e.A, "-M", "232.1.1.1", "-S", list)
		e.ok(e.A.Down(false))
		e.log(p, "Interface "+netlab.Device+" is there: joined 232.1.1.1")
		e.reaches("-I", netlab.Device, "-M", "232.1.1.1", "-P", "232.5.5.x")
	}},

	{"link-local alone, by name", func(t *testing.T, e *env) {
		e.onlyLinkLocal()
		e.daemon(e.A, "-I", netlab.Device, "-M", "ff02::4404")
		e.reaches("-I", netlab.Device, "-M", "ff02::4404", "-P", "ff02::5505")
	}},
	{"link-local alone, by zone", func(t *testing.T, e *env) {
		e.onlyLinkLocal()
		e.daemon(e.A, "-M", "ff02::4404%"+netlab.Device)
		e.reaches("-M", "ff02::4404%"+netlab.Device, "-P", "ff02::5505:x%"+netlab.Device)
	}},
	{"link-local alone, not named", func(t *testing.T, e *env) {
		e.onlyLinkLocal()
		e.daemon(e.A, "-M", "ff02::4404")
		e.reaches("-M", "ff02::4404", "-P", "ff02::5505")
	}},
	{"link-local alone, later", func(t *testing.T, e *env) {
		e.onlyLinkLocal()
		e.ok(e.A.Remove())
		p := e.daemon(e.A, "-I", netlab.Device, "-M", "ff02::4404")
		e.ok(e.A.Renew())
		e.log(p, "Interface "+netlab.Device+" is there: joined ff02::4404")
		e.reaches("-I", netlab.Device, "-M", "ff02::4404", "-P", "ff02::5505")
	}},
	{"link-local alone, IPv6 away for a small MTU", func(t *testing.T, e *env) {
		p := e.daemon(e.A, "-I", netlab.Device, "-M", "ff02::4404")
		e.ip(e.A, "link", "set", netlab.Device, "mtu", "1000")
		e.ip(e.A, "link", "set", netlab.Device, "mtu", "1500")
		e.log(p, "Interface "+netlab.Device+" is back: joined ff02::4404 again")
		e.reaches("-I", netlab.Device, "-M", "ff02::4404", "-P", "ff02::5505")
	}},

	{"a sender says what is wrong", func(t *testing.T, e *env) {
		e.file("f", 10)
		says := func(code int, text string, args ...string) {
			res := e.end(e.txRaw(append(args, "f")...))
			e.want(res.Code == code && strings.Contains(res.Stderr, text), "%q: code %d and %q, got %d %q", args, code, text, res.Code, res.Stderr)
		}
		says(1, "no such interface", "-I", "none0")
		e.ip(e.S, "-4", "addr", "flush", "dev", netlab.Device)
		says(2, netlab.Device+" has no IPv4 address; -I "+netlab.Device+"/6 takes its IPv6 one", "-I", netlab.Device)
		e.ok(e.S.Down(true))
		says(1, netlab.Device+" is down", "-I", netlab.Device)
		says(2, netlab.Device+" is down", "-M", "ff02::4404%"+netlab.Device, "-P", "ff02::5505")
	}},
	{"a sender prefers a carrier", func(t *testing.T, e *env) {
		e.ok(e.S.Remove())
		e.ip(e.S, "link", "add", "docker0", "type", "veth", "peer", "name", "peer0")
		e.ip(e.S, "addr", "add", "172.17.0.1/16", "dev", "docker0")
		e.ip(e.S, "link", "set", "docker0", "up")
		e.ok(e.S.Renew())
		e.daemon(e.A)
		e.reaches()
	}},
	{"nobody there", func(t *testing.T, e *env) {
		e.file("f", 10)
		res := e.end(e.txRaw("-r", "0.02", "-s", "10", "f"))
		e.want(res.Code == 7, "code 7, got %d", res.Code)
		_, after, _ := strings.Cut(res.Stderr, "\nAnnounce timed out\n")
		e.want(strings.Contains(after, "230.4.4.1 port 1044 on "+netlab.Device) && strings.Contains(after, "uftp-doctor"), "hints behind the line, got %q", after)
		e.daemon(e.A, "-E")
		res = e.end(e.txRaw("-r", "0.02", "-s", "10", "f"))
		_, after, _ = strings.Cut(res.Stderr, "\nAnnounce timed out\n")
		e.want(res.Code == 7 && strings.Contains(after, "No unencrypted transfers allowed"), "the reason again, got %d %q", res.Code, after)
	}},
}

// hearsAll are the sender's arguments for a receiver that listens to the usual group.
var hearsAll = []string{"-I", netlab.Device}

// daemon starts our receiver on a host with these arguments alone.
func (e *env) daemon(h *netlab.Host, args ...string) *netlab.Proc {
	e.t.Helper()
	p := e.start(h, e.dir, append([]string{e.bin.path("uftpd", true), "-d", "-q", "-D", e.dest(h)}, args...)...)
	e.ok(p.WaitLog(ready, startMax))
	return p
}

// later waits until p says what it waits for, lets that come, and sends something.
func (e *env) later(p *netlab.Proc, waits string, come func()) {
	e.t.Helper()
	e.log(p, waits)
	come()
	e.log(p, "Interface "+netlab.Device+" is there: joined 230.4.4.1")
	e.reaches(hearsAll...)
}

// reaches sends a file with these arguments, which must arrive at A.
func (e *env) reaches(args ...string) {
	e.t.Helper()
	e.tries++
	name := "f" + strings.Repeat("x", e.tries)
	e.file(name, 20_000)
	res := e.end(e.txRaw(append(append([]string{"-r", "0.05", "-R", "50000"}, args...), name)...))
	e.want(res.Code == 0, "%q reaches the receiver, got code %d", args, res.Code)
	e.got(name, e.A)
}

// onlyLinkLocal leaves sender and receiver the addresses of IPv6 that they gave themselves.
func (e *env) onlyLinkLocal() {
	e.t.Helper()
	for _, h := range []*netlab.Host{e.S, e.A} {
		e.ip(h, "-4", "addr", "flush", "dev", netlab.Device)
		e.ip(h, "-6", "addr", "flush", "dev", netlab.Device, "scope", "global")
	}
}

// ip configures a host.
func (e *env) ip(h *netlab.Host, args ...string) {
	e.t.Helper()
	res, err := h.Run(soon, append([]string{"ip"}, args...)...)
	e.ok(err)
	e.want(res.Code == 0, "ip %q: %s", args, res.Stderr)
}

// TestInterfaces runs what happens to interfaces.
func TestInterfaces(t *testing.T) {
	netlab.Require(t)
	b, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range wired {
		t.Run(w.name, func(t *testing.T) {
			e := newEnv(t, combo{oursTx: true, oursRx: true}, b, netlab.New(t, netlab.Config{Receivers: 3}))
			defer func() {
				if t.Failed() {
					e.explain()
				}
			}()
			w.run(t, e)
		})
	}
}
