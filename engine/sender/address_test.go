package sender

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"uftp/crypto/handshake"
	"uftp/engine/machine"
	"uftp/wire"
)

// homes are where messages under the UID of client 1 come from.
var homes = []struct {
	name  string
	first netip.AddrPort // where it registered from
	from  netip.AddrPort
	same  bool
}{
	{"its address", addr(1), addr(1), true},
	{"another port", addr(1), netip.AddrPortFrom(addr(1).Addr(), 999), true},
	{"IPv4 in IPv6", addr(1), netip.AddrPortFrom(netip.AddrFrom16(addr(1).Addr().As16()), 1044), true},
	{"another host", addr(1), addr(66), false},
	{"another family", addr(1), netip.MustParseAddrPort("[2001:db8::1]:1044"), false},
	{"IPv6", netip.MustParseAddrPort("[2001:db8::1]:1044"), netip.MustParseAddrPort("[2001:db8::1]:9"), true},
	{"another IPv6 host", netip.MustParseAddrPort("[2001:db8::1]:1044"), netip.MustParseAddrPort("[2001:db8::2]:1044"), false},
	{"the same zone", netip.MustParseAddrPort("[fe80::1%a]:1044"), netip.MustParseAddrPort("[fe80::1%a]:9"), true},
	{"another zone", netip.MustParseAddrPort("[fe80::1%a]:1044"), netip.MustParseAddrPort("[fe80::1%b]:1044"), false},
}

// said are all messages of receivers, each in a phase in which it counts.
var said = []struct {
	name  string
	bring func(r *rig)
	msg   func(r *rig) []byte
}{
	{"REGISTER", func(*rig) {}, func(r *rig) []byte {
		return (&wire.Register{Time: r.echo(0)}).Append(wire.Version4, message(1, wire.FuncRegister))
	}},
	{"ABORT while announcing", func(*rig) {}, func(*rig) []byte { return (&wire.Abort{}).Append(message(1, wire.FuncAbort)) }},
	{"FILEINFO_ACK", func(r *rig) { r.toFile() }, func(r *rig) []byte {
		return (&wire.FileInfoAck{FileID: 1, Time: r.echo(0)}).Append(wire.Version4, message(1, wire.FuncFileInfoAck))
	}},
	{"COMPLETE instead of it", func(r *rig) { r.toFile() }, func(*rig) []byte {
		return (&wire.Complete{FileID: 1, Status: wire.StatusSkipped}).Append(message(1, wire.FuncComplete))
	}},
	{"STATUS", func(r *rig) { r.toData() }, func(r *rig) []byte { return r.statusOf(1, 1, 0, 2) }},
	{"COMPLETE", func(r *rig) { r.toData() }, func(*rig) []byte {
		return (&wire.Complete{FileID: 1}).Append(message(1, wire.FuncComplete))
	}},
	{"ABORT", func(r *rig) { r.toData() }, func(*rig) []byte { return (&wire.Abort{}).Append(message(1, wire.FuncAbort)) }},
	{"COMPLETE of the session", func(r *rig) { r.toEnd() }, func(*rig) []byte {
		return (&wire.Complete{}).Append(message(1, wire.FuncComplete))
	}},
}

// toFile, toData and toEnd bring a session on whose clients 1 and 2 are in.
func (r *rig) toFile() {
	r.t.Helper()
	r.begin()
	r.advance(20 * ms)
	r.wantPhase("begun", BetweenFiles)
	r.offer("f", 5000)
}

func (r *rig) toData() {
	r.t.Helper()
	r.toFile()
	r.from1((&wire.FileInfoAck{FileID: 1, Time: r.echo(0)}).Append(wire.Version4, message(1, wire.FuncFileInfoAck)))
	r.ack(2, 1, 0, false)
	r.wantPhase("acknowledged", Data)
	r.advance(20 * ms)
}

func (r *rig) toEnd() {
	r.t.Helper()
	r.toData()
	r.from1((&wire.Complete{FileID: 1}).Append(message(1, wire.FuncComplete)))
	r.complete(2, 1, wire.StatusNormal)
	r.advance(ms)
	r.endOfFiles()
	r.advance(ms)
	r.wantPhase("the end", Finishing)
}

// from1 delivers what client 1 says where it lives.
func (r *rig) from1(pkt []byte) {
	r.t.Helper()
	i, _ := r.s.roster.Find(1)
	r.wantDrop("client 1", r.deliverFrom(r.s.roster.At(i).addr, pkt), machine.DropNone)
}

// In a session in clear nothing counts under a client's UID that comes from another
// host than the one that has registered, and it moves nothing.
func TestForeignAddresses(t *testing.T) {
	for _, m := range said {
		for _, h := range homes {
			for _, roaming := range []bool{false, true} {
				why := fmt.Sprintf("%s from %s, roaming %v", m.name, h.name, roaming)
				r := newRig(t, func(c *Config) { c.Roaming = roaming })
				r.deliverFrom(h.first, (&wire.Register{Time: r.echo(30 * ms)}).Append(wire.Version4, message(1, wire.FuncRegister)))
				r.register(2, 30*ms)
				m.bring(r)
				r.forget()
				i, _ := r.s.roster.Find(1)
				before, stats := *r.s.roster.At(i), r.s.Stats()
				d := r.deliverFrom(h.from, m.msg(r))
				if h.same || roaming {
					r.wantDrop(why, d, machine.DropNone)
					wantNone[SharedUID](r, why)
					continue
				}
				r.wantDrop(why, d, machine.DropSource)
				after := *r.s.roster.At(i)
				before.sharedReported = after.sharedReported // it was reported
				if after != before {
					t.Errorf("%s: the client was %+v and is %+v", why, before, after)
				}
				if now := r.s.Stats(); now.GRTT != stats.GRTT || now.Phase != stats.Phase || now.Left != stats.Left || now.States != stats.States {
					t.Errorf("%s: the session was %+v and is %+v", why, stats, now)
				}
				if now := r.s.Stats(); now.Counters.Drops[machine.DropSource] != stats.Counters.Drops[machine.DropSource]+1 {
					t.Errorf("%s: not counted", why)
				}
			}
		}
	}
}

// Two receivers with one UID: the first stays, the second gets an ABORT for each message,
// and the user once. Those behind one address differ by their ports.
func TestSharedUID(t *testing.T) {
	port := func(p uint16) netip.AddrPort { return netip.AddrPortFrom(addr(1).Addr(), p) }
	for _, c := range []struct {
		name   string
		second netip.AddrPort
		behind bool // the same address
	}{
		{"another address", addr(66), false},
		{"another port", port(2000), true},
	} {
		r := newRig(t, nil)
		register := func(from netip.AddrPort) machine.Drop {
			return r.deliverFrom(from, said[0].msg(r))
		}
		register(addr(1))
		r.forget()
		want1 := machine.DropSource
		if c.behind {
			want1 = machine.DropNone // a port may change
		}
		r.wantDrop(c.name, register(c.second), want1)
		register(addr(1))
		e := want[SharedUID](r, c.name)
		if e.Client.UID != 1 || e.First != addr(1) || e.Second != c.second {
			t.Errorf("%s: reported %+v", c.name, e)
		}
		r.forget()
		r.wantDrop(c.name+" again", register(c.second), machine.DropSource)
		wantNone[SharedUID](r, "reported once")
		r.advance(ms)
		to := fmt.Sprintf("ABORT 1 %s @%v", sharedUID, c.second.Addr())
		if !strings.Contains(strings.Join(r.wire, ","), to) {
			t.Errorf("%s: sent %q, want %q", c.name, r.wire, to)
		}
		r.register(2, 0)
		r.toFile()
		r.ack(1, 1, 0, false)
		r.ack(2, 1, 0, false)
		r.advance(20 * ms)
		r.forget()
		r.wantDrop("what the second one has is not what the first has", r.deliverFrom(c.second, (&wire.Complete{FileID: 1}).Append(message(1, wire.FuncComplete))), machine.DropSource)
		r.wantState("the first is not done", 1, Active)
		r.wantDrop("the second one's ABORT", r.deliverFrom(c.second, (&wire.Abort{}).Append(message(1, wire.FuncAbort))), machine.DropSource)
		r.wantState("the first stays", 1, Active)
		r.complete(1, 1, wire.StatusNormal)
		r.wantState("the first", 1, Done)
		for range 20_000 {
			r.deliverFrom(c.second, r.statusOf(1, 1, 0, 2))
		}
		if n := len(r.wire); n > 200 {
			t.Errorf("%s: %d packets in answer to a flood", c.name, n)
		}
	}
}

// Two that share address and port count their messages alike; one that is started again
// or whose datagrams come twice does not.
func TestSharedUIDAndPort(t *testing.T) {
	type said struct {
		seq uint16
		ago time.Duration // what its stamp says
	}
	for _, c := range []struct {
		name           string
		said           []said
		sharedReported bool
	}{
		{"one", []said{{0, 0}, {1, ms}, {2, 2 * ms}}, false},
		{"datagrams come twice", []said{{0, 0}, {0, 0}, {1, ms}, {1, ms}}, false},
		{"started again, and again", []said{{0, 0}, {0, ms}, {0, 2 * ms}, {1, 0}, {0, 3 * ms}, {1, 4 * ms}}, false},
		{"two", []said{{0, 0}, {0, ms}, {1, 0}, {1, ms}}, true},
	} {
		r := newRig(t, nil)
		r.advance(10 * ms)
		for _, x := range c.said {
			h := wire.Header{Version: wire.Version4, Func: wire.FuncRegister, Src: 1, Group: testGroup, Seq: x.seq}
			r.deliver(1, (&wire.Register{Time: r.echo(x.ago)}).Append(wire.Version4, h.Append(nil)))
		}
		e, ok := got[SharedUID](r)
		if ok != c.sharedReported || ok && (e.First != addr(1) || e.Second != addr(1)) {
			t.Errorf("%s: reported %v, %+v", c.name, ok, e)
		}
	}
}

// A port that changes is not two receivers.
func TestChangingPort(t *testing.T) {
	r := newRig(t, nil)
	r.register(1, 0)
	for p := range uint16(20) {
		from := netip.AddrPortFrom(addr(1).Addr(), 3000+p)
		r.wantDrop("another port", r.deliverFrom(from, (&wire.Register{Time: r.echo(0)}).Append(wire.Version4, message(1, wire.FuncRegister))), machine.DropNone)
	}
	wantNone[SharedUID](r, "it is one")
}

// All members of an encrypted session have the same keys. So what one seals counts for
// another only if it bears the signature of that one.
func TestMembersCannotSpeakForOthers(t *testing.T) {
	hmac, keyex := gcm, gcm
	hmac.Cipher, hmac.SigType = wire.CipherAES128CBC, wire.SigHMAC
	keyex.Cipher, keyex.SigType = wire.CipherAES128CBC, wire.SigKeyExch
	for _, c := range []struct {
		suite   handshake.Suite
		roaming bool
		want    machine.Drop
	}{
		{gcm, false, machine.DropSource},
		{hmac, false, machine.DropSource},
		{gcm, true, machine.DropNone},
		{keyex, false, machine.DropNone}, // it is its signature
	} {
		why := fmt.Sprintf("%v, roaming %v", c.suite, c.roaming)
		r, all := beginSealed(t, c.suite, true, func(cfg *Config) { cfg.Roaming = c.roaming }, 5500, 1, 2)
		m := wire.Complete{FileID: 1}
		sealed := all[0].sealed(m.Append(message(1, wire.FuncComplete)))
		r.wantDrop(why, r.deliverFrom(elsewhere, sealed), c.want)
		if c.want == machine.DropSource {
			r.wantState(why, 1, Active)
			r.advance(ms)
			want[SharedUID](r, why)
			r.wantDrop("where the client lives it counts, the other has used up nothing", r.deliver(1, sealed), machine.DropNone)
		}
		r.wantState(why, 1, Done)
	}
}

// Two hosts with one UID that both get the keys take turns until they are noticed.
func TestSharedUIDWithKeys(t *testing.T) {
	r := newRig(t, with(encrypted(gcm, true), func(c *Config) { c.RegisterQuiet = 3 * time.Second }))
	a, b := r.host(1, ecKeys()[1]), r.host(1, ecKeys()[1]) // clones
	a.register()
	a.clientKey()
	r.advance(2 * ms)
	a.keyed().ack()
	r.sec.keyInfos = nil
	b.registerFrom(elsewhere, 0)
	b.clientKeyFrom(elsewhere)
	r.advance(2 * ms)
	b.keyed()
	verify, err := b.client.Ack()
	r.check(err)
	ack := b.sealed((&wire.KeyInfoAck{Verify: verify[:]}).Append(wire.Version4, message(1, wire.FuncKeyInfoAck)))
	r.wantDrop("it has shown that it was started anew", r.deliverFrom(elsewhere, ack), machine.DropNone)
	r.begin()
	r.advance(20 * ms)
	r.offer("f", 5000)
	r.forget()
	r.wantDrop("but the first is still there", a.fileInfoAck(1), machine.DropSource)
	want[SharedUID](r, "this is reported")
	r.advance(ms)
	if got := strings.Join(r.wire, ","); strings.Count(got, "ABORT 1 "+sharedUID) != 1 {
		t.Errorf("sent %q, want an ABORT in clear, and none sealed, which a stranger could hand to the other", got)
	}
}

// In a session that asks for no keys of clients, a client that has the keys of the group stays,
// whatever comes from other addresses with its UID.
func TestNobodyTakesThePlaceOfAnother(t *testing.T) {
	r := newRig(t, with(encrypted(gcm, false), func(c *Config) { c.RegisterQuiet = 3 * time.Second }))
	a, evil := r.host(1), r.host(1)
	a.register()
	r.advance(2 * ms)
	a.keyed().ack()
	r.forget()
	r.sec.keyInfos = nil
	r.wantDrop("REGISTER in its name", evil.registerFrom(elsewhere, 0), machine.DropSource)
	want[SharedUID](r, "it is reported")
	r.advance(100 * ms)
	if !evil.missing() {
		t.Error("a host at another address gets the keys")
	}
	r.wantDrop("the client itself, started again", r.host(1).register(), machine.DropNone)
	wantNone[GotAbort](r, "nobody is out")
	r.wantState("the client", 1, Active)
}

// Another key is another host.
func TestSharedUIDWithOtherKey(t *testing.T) {
	keys := ecKeys()
	for _, from := range []netip.AddrPort{elsewhere, netip.AddrPortFrom(addr(1).Addr(), 2000)} {
		r := newRig(t, encrypted(gcm, true))
		a, b := r.host(1, keys[1]), r.host(1, keys[2])
		a.register()
		a.clientKey()
		b.registerFrom(from, 0)
		r.forget()
		r.wantDrop("the second one", b.clientKeyFrom(from), machine.DropSealed)
		if e := want[SharedUID](r, "it is reported"); e.First != addr(1) || e.Second != from {
			t.Errorf("reported %+v", e)
		}
		r.advance(ms)
		if got := strings.Join(r.wire, ","); !strings.Contains(got, "ABORT 1 "+sharedUID) {
			t.Errorf("sent %q, want an ABORT", got)
		}
	}
}

// A host that invents UIDs leaves room for others, and so do many clients at one address.
func TestClientsOfOneAddress(t *testing.T) {
	for _, c := range []struct {
		name string
		from func(i int) netip.AddrPort
		want int
	}{
		{"one address", func(i int) netip.AddrPort { return netip.AddrPortFrom(addr(1).Addr(), uint16(i+1)) }, maxPerAddress},
		{"one address, mapped", func(i int) netip.AddrPort {
			return netip.AddrPortFrom(netip.AddrFrom16(addr(1).Addr().As16()), uint16(i+1))
		}, maxPerAddress},
		{"one /64", func(i int) netip.AddrPort {
			return netip.MustParseAddrPort(fmt.Sprintf("[2001:db8::%x]:1044", i+1))
		}, maxPerAddress},
		{"zones of one link-local address", func(i int) netip.AddrPort {
			return netip.MustParseAddrPort(fmt.Sprintf("[fe80::1%%z%d]:1044", i))
		}, maxPerAddress},
		{"an address each", func(i int) netip.AddrPort { return addr(hostUID(i)) }, 3 * maxPerAddress},
	} {
		for _, secret := range []bool{false, true} {
			if secret && c.want > maxPerAddress {
				continue // public-key operations have a limit of their own
			}
			r := newRig(t, func(cfg *Config) {
				if secret {
					encrypted(gcm, false)(cfg)
				}
			})
			n := 0
			for i := range 3 * maxPerAddress {
				u := hostUID(i)
				m := wire.Register{Time: r.echo(0)}
				if secret {
					if r.s.roster.Len() >= maxPerAddress && i%100 > 0 {
						continue
					}
					if r.host(u).registerFrom(c.from(i), 0) == machine.DropNone {
						n++
					}
					r.now = r.now.Add(ms / 2)
					continue
				}
				if r.deliverFrom(c.from(i), m.Append(wire.Version4, message(u, wire.FuncRegister))) == machine.DropNone {
					n++
				}
			}
			if n != c.want && !secret || n > c.want {
				t.Errorf("%s, encrypted %v: %d were let in, want %d", c.name, secret, n, c.want)
			}
			if c.want == maxPerAddress && !secret {
				r.wantDrop("another host", r.deliverFrom(addr(0x99999), (&wire.Register{Time: r.echo(0)}).Append(wire.Version4, message(0x99999, wire.FuncRegister))), machine.DropNone)
			}
		}
	}
}
