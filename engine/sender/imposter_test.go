package sender

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"uftp/crypto/handshake"
	"uftp/crypto/identity"
	"uftp/engine/machine"
	"uftp/wire"
)

// Addresses of a host that pretends to be a client.
var elsewhere = netip.MustParseAddrPort("10.66.6.6:666")

// registerFrom is register from another address, with an echo of its own.
func (h *host) registerFrom(from netip.AddrPort, rtt time.Duration) machine.Drop {
	h.r.t.Helper()
	info, err := h.client.AppendRegisterKeyInfo(nil)
	h.r.check(err)
	random := h.client.Random()
	m := wire.Register{Time: h.r.echo(rtt), Random: random[:], KeyInfo: info}
	return h.r.deliverFrom(from, m.Append(wire.Version4, message(h.uid, wire.FuncRegister)))
}

func (h *host) clientKeyFrom(from netip.AddrPort) machine.Drop {
	h.r.t.Helper()
	m, err := h.client.ClientKey()
	h.r.check(err)
	return h.r.deliverFrom(from, m.Append(message(h.uid, wire.FuncClientKey)))
}

// missing reports whether the last KEYINFO has nothing that h can read.
func (h *host) missing() bool {
	m, err := wire.ParseKeyInfo(wire.Version4, h.r.sec.keyInfos)
	for i := range m.Len() {
		if u, entry := m.At(i); err == nil && u == h.uid && h.client.OpenKeyInfo(testUID, m.Counter, entry) == nil {
			return false
		}
	}
	return true
}

func (r *rig) abortFrom(from netip.AddrPort, u wire.UID) machine.Drop {
	r.t.Helper()
	m := wire.Abort{Text: []byte("bye")}
	return r.deliverFrom(from, m.Append(message(u, wire.FuncAbort)))
}

// Nobody puts out a client by registering in its name, whether clients show keys
// or not, before its KEYINFO_ACK and after.
func TestImposter(t *testing.T) {
	keys := ecKeys()
	for _, auth := range []bool{true, false} {
		var pin *identity.Fingerprint
		if auth {
			p := keys[1].Public().Fingerprint()
			pin = &p
		}
		r := newRig(t, with(hosts(1, 2), encrypted(gcm, auth), func(c *Config) { c.Hosts[0].Fingerprint = pin }))
		a := r.host(1, keys[1])
		a.register()
		if auth {
			a.clientKey()
		}
		for range 3 {
			evil := r.host(1, keys[3])
			r.wantDrop("REGISTER in its name", evil.registerFrom(elsewhere, 0), machine.DropNone)
			r.wantState("a client that was there", 1, Registered)
			if auth {
				r.wantDrop("with the wrong key", evil.clientKeyFrom(elsewhere), machine.DropSealed)
			}
			r.wantDrop("ABORT in its name", r.abortFrom(elsewhere, 1), machine.DropSource)
		}
		r.advance(1502 * ms)
		r.wantDrop("its KEYINFO_ACK", a.keyed().ack(), machine.DropNone)
		r.wantState("it has the keys", 1, Active)
		r.host(1, keys[3]).registerFrom(elsewhere, 0)
		r.wantDrop("ABORT in its name", r.abortFrom(elsewhere, 1), machine.DropClear)
		r.wantState("still", 1, Active)
		r.wantDrop("its own ABORT", a.say(wire.FuncAbort, &wire.Abort{}), machine.DropNone)
		r.wantState("is taken", 1, Mute)
	}
}

// An imposter that was first does not get the client's address.
func TestImposterFirst(t *testing.T) {
	keys := ecKeys()
	r := newRig(t, with(hosts(1, 2), encrypted(gcm, true)))
	r.host(1, keys[3]).registerFrom(elsewhere, 0)
	a := r.host(1, keys[1])
	a.register()
	r.wantDrop("a client that shows its key", a.clientKey(), machine.DropNone)
	r.wantDrop("ABORT from where another came first", r.abortFrom(elsewhere, 1), machine.DropSource)
	r.wantState("it stays", 1, Registered)
	r.wantDrop("its own ABORT", r.abortFrom(addr(1), 1), machine.DropNone)

	// Without keys to show, one that never answers KEYINFO loses its place in the end.
	r = newRig(t, with(hosts(1, 2), encrypted(gcm, false)))
	r.host(1).registerFrom(elsewhere, 0)
	b := r.host(1)
	b.register()
	r.advance(1502*ms + time.Duration(r.cfg.Robust/2)*31*ms)
	r.wantDrop("a client that came second", b.keyed().ack(), machine.DropNone)
	r.wantState("has the keys", 1, Active)
}

// A restarted client proves itself from a new address, and lives there then.
func TestRestartElsewhere(t *testing.T) {
	keys := ecKeys()
	for _, keyed := range []bool{false, true} {
		r := newRig(t, with(hosts(1, 2), encrypted(gcm, true)))
		a := r.host(1, keys[1])
		a.register()
		a.clientKey()
		if keyed {
			r.advance(1502 * ms)
			a.keyed().ack()
		}
		r.sec.keyInfos = nil // one in 256 of those for others seems to open
		again := r.host(1, keys[1])
		again.registerFrom(elsewhere, 0)
		again.clientKeyFrom(elsewhere)
		late := r.host(1, keys[3])
		if d := late.registerFrom(addr(9), 0); keyed && d != machine.DropLimit {
			t.Errorf("REGISTER of a third: %v, want no place for it, one that has shown the key waits", d)
		}
		for n := 0; again.missing(); n++ {
			if n > 300 {
				t.Fatal("no KEYINFO for the client that was started again")
			}
			r.advance(10 * ms)
		}
		again.keyed()
		verify, err := again.client.Ack()
		r.check(err)
		m := wire.KeyInfoAck{Verify: verify[:]}
		pkt := again.sealed(m.Append(wire.Version4, message(1, wire.FuncKeyInfoAck)))
		r.wantDrop("its proof", r.deliverFrom(elsewhere, pkt), machine.DropNone)
		i, _ := r.s.roster.Find(1)
		if got := r.s.roster.At(i).addr; got != elsewhere {
			t.Errorf("keyed before: %v; it lives at %v, want %v", keyed, got, elsewhere)
		}
		r.wantState("it is in", 1, Active)
	}
}

// What comes in clear cannot raise the round-trip time above what the session
// began with; what a host said at first counts when it has the keys.
func TestRegisterEcho(t *testing.T) {
	r := newRig(t, with(hosts(1, 2), encrypted(gcm, false)))
	a := r.host(1)
	r.advance(1200 * ms)
	r.wantDrop("REGISTER", a.registerFrom(addr(1), 20*ms), machine.DropNone)
	r.wantDrop("the same from elsewhere", a.registerFrom(elsewhere, 900*ms), machine.DropNone)
	r.wantDrop("the same later", a.registerFrom(addr(1), 900*ms), machine.DropNone)
	r.advance(310 * ms)
	if g := r.s.Stats().GRTT; g != 20*ms {
		t.Errorf("GRTT %v, want the 20 ms of the first REGISTER at once", g)
	}
	slow := r.host(2)
	slow.registerFrom(addr(2), 900*ms)
	r.advance(61 * ms)
	if g := r.s.Stats().GRTT; g != 500*ms {
		t.Errorf("GRTT %v, want the 500 ms of the start: 900 are not proved", g)
	}
	r.wantDrop("in its name, to make it seem near", slow.registerFrom(elsewhere, 0), machine.DropNone)
	slow.keyed().ack()
	a.keyed().ack()
	r.advance(ms)
	if g := r.s.Stats().GRTT; g != 900*ms {
		t.Errorf("GRTT %v, want the 900 ms of a client that has the keys", g)
	}
}

// A flood with the UID of one client costs the others nothing, whether the sender verifies
// it or not, wherever it comes from.
func TestFloodStarvesNobody(t *testing.T) {
	s := handshake.Suite{Cipher: wire.CipherAES128CBC, Hash: wire.HashSHA256, SigType: wire.SigKeyExch, KeyExch: wire.KeyExchECDHECDSA}
	r, all := beginSealed(t, s, true, fast, 5500, 1, 2)
	a, b := all[0], all[1]
	r.advance(10 * ms)
	short := append(message(1, wire.FuncEncrypted), make([]byte, 12)...)
	other := append(message(1, wire.FuncEncrypted), make([]byte, 12+32+16)...)
	other[wire.HeaderLen+9], other[wire.HeaderLen+11] = 32, 16 // a signature of another length
	for _, cheap := range [][]byte{short, other} {
		for range 3000 {
			r.deliver(1, bytes.Clone(cheap))
		}
		r.wantDrop("nothing was verified, nothing is counted", r.deliver(1, a.sealed(r.statusOf(1, 1, 0, 2))), machine.DropNone)
	}

	bad := a.sealed(r.statusOf(1, 1, 0, 2))
	bad[len(bad)-1] ^= 1
	for _, from := range []netip.AddrPort{elsewhere, addr(1)} {
		verified := 0
		for range 1000 {
			r.advance(ms / 20)
			if r.deliverFrom(from, bytes.Clone(bad)) == machine.DropSealed {
				verified++
			}
		}
		if verified < 3 || verified > 250 {
			t.Errorf("%d of 1000 bad signatures in 50 ms were verified, want some: at most 15 ms of work", verified)
		}
		for _, place := range []netip.AddrPort{addr(2), elsewhere} {
			r.wantDrop("another client", r.deliverFrom(place, b.sealed(r.statusOf(2, 1, 0, 2))), machine.DropNone)
		}
		if from == elsewhere {
			r.wantDrop("the client itself", r.deliver(1, a.sealed(r.statusOf(1, 1, 0, 2))), machine.DropNone)
		}
	}
}
