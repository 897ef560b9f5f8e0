package sender

import (
	"testing"

	"uftp/crypto/aead"
	"uftp/crypto/identity"
	"uftp/engine/machine"
	"uftp/wire"
)

// A host listed twice must have the key that any of its entries names.
func TestListedTwice(t *testing.T) {
	keys := ecKeys()
	p1, p2 := keys[1].Public().Fingerprint(), keys[2].Public().Fingerprint()
	same := p1
	for _, c := range []struct {
		why    string
		pins   []*identity.Fingerprint
		warned bool
	}{
		{"only the second entry has a fingerprint", []*identity.Fingerprint{nil, &p1}, false},
		{"only the first one has", []*identity.Fingerprint{&p1, nil}, false},
		{"both have the same", []*identity.Fingerprint{&p1, &same}, false},
		{"they contradict", []*identity.Fingerprint{nil, &p1, &p2, nil}, true},
	} {
		r := newRig(t, with(encrypted(gcm, true), func(cfg *Config) {
			for _, p := range c.pins {
				cfg.Hosts = append(cfg.Hosts, Host{UID: 1, Name: "a", Fingerprint: p})
			}
		}))
		if e, ok := got[KeyWarning](r); ok != c.warned || ok && e.Client.UID != 1 {
			t.Errorf("%s: warned %v of %v, want %v", c.why, ok, e, c.warned)
		}
		other := r.host(1, keys[2])
		other.register()
		r.wantDrop(c.why+": another key", other.clientKey(), machine.DropSealed)
		owner := r.host(1, keys[1])
		owner.register()
		r.wantDrop(c.why+": the right one", owner.clientKey(), machine.DropNone)
	}
}

// Keys that cannot be right use up none of the time that the right one needs.
func TestWrongKeysCostNothing(t *testing.T) {
	keys := ecKeys()
	pin := keys[1].Public().Fingerprint()
	r := newRig(t, with(hosts(1, 2), encrypted(gcm, true), func(c *Config) { c.Hosts[0].Fingerprint = &pin }))
	evil, other := r.host(1, keys[3]), r.host(2, keys[2])
	evil.register()
	for range 20_000 {
		evil.clientKey()
	}
	r.wantDrop("REGISTER of another", other.register(), machine.DropNone)
	r.wantDrop("its CLIENT_KEY", other.clientKey(), machine.DropNone)
	a := r.host(1, keys[1])
	a.register()
	r.wantDrop("the right key", a.clientKey(), machine.DropNone)
}

// A weak key is accepted, and reported once.
func TestWeakKey(t *testing.T) {
	weak, err := identity.Generate(identity.Spec{Kind: identity.RSA, Bits: 512})
	if err != nil {
		t.Fatal(err)
	}
	s := gcm
	s.KeyExch = wire.KeyExchECDHRSA
	r := newRig(t, with(hosts(1, 2), encrypted(s, true)))
	verify := func(u wire.UID, k *identity.PrivateKey) {
		t.Helper()
		h := r.host(u, k)
		h.register()
		r.wantDrop("CLIENT_KEY", h.clientKey(), machine.DropNone)
	}
	verify(2, rsaKeys()[2])
	wantNone[KeyWarning](r, "a key of 1024 bits is not worth a line")
	verify(1, weak)
	if e := want[KeyWarning](r, "a key of 512 bits is"); e.Client.UID != 1 || e.Text == "" {
		t.Errorf("warned of %+v, want host 1 and why", e)
	}
	r.forget()
	verify(1, weak)
	wantNone[KeyWarning](r, "once is enough")
}

// A receiver with the sender's UID, as on the same host, does no harm: their counters never
// meet, and the sender does not take its own packets for the receiver's.
func TestOwnUID(t *testing.T) {
	r, all := joinSealed(t, gcm, false, nothing, testUID, 2)
	r.offer("f", 5500)
	a := all[0]
	r.wantDrop("its first words", a.fileInfoAck(1), machine.DropNone)
	keys := packetKeys(r.cfg.Dialect.Handshake())
	echo := func(counter uint64) machine.Drop {
		seal, err := aead.NewSealer(keys, nil, 0)
		r.check(err)
		h := &host{r: r, uid: testUID, sealer: seal, counter: counter - 1}
		return h.say(wire.FuncAbort, &wire.Abort{})
	}
	r.wantDrop("one of ours that comes back", echo(firstCounter+3), machine.DropReplay)
	r.wantState("it stays", testUID, Active)
	all[1].fileInfoAck(1)
	r.wantPhase("both are there", Data)
	a.counter = 1_800_000_000_000_000_000 // the Unix time in ns
	r.wantDrop("its COMPLETE", a.complete(1), machine.DropNone)
	if first := r.cfg.Dialect.Counters(1); first < firstCounter {
		t.Errorf("the sender is at counter %d, want at least 2^63", first)
	}
}

// However registration ends, the secrets of clients end with it.
func TestPremastersAreForgotten(t *testing.T) {
	for why, end := range map[string]func(r *rig){
		"stopped":         func(r *rig) { r.s.Stop(r.now); r.drain() },
		"timed out":       func(r *rig) { r.advance(60e9) },
		"a client aborts": func(r *rig) { r.refuse(2, "") },
	} {
		r := newRig(t, with(hosts(1, 2), encrypted(gcm, false), func(c *Config) { c.QuitOnError = true }))
		r.host(1).register()
		r.host(1).registerFrom(elsewhere, 0)
		i, _ := r.s.roster.Find(1)
		k := r.s.roster.At(i).keys
		next := k.next
		if !k.peer.Registered() || !next.Registered() {
			t.Fatal("nothing to forget")
		}
		end(r)
		if r.s.phase != Ended || k.peer.Registered() || next.Registered() || k.next != nil {
			t.Errorf("%s: in phase %v client keys are left", why, r.s.phase)
		}
	}
}
