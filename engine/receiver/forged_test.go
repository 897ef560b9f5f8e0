package receiver

import (
	"bytes"
	"crypto"
	"testing"
	"time"

	"uftp/crypto/handshake"
	"uftp/crypto/identity"
	"uftp/engine/machine"
	"uftp/wire"
)

// toRegistering sends REGISTER; came says whether the sender gets it.
func (w *world) toRegistering(came bool) {
	w.t.Helper()
	w.announceSealed()
	w.joined("")
	if came {
		w.wantRegisterSealed("the first")
	} else {
		w.next(wire.FuncRegister)
	}
	w.far.key(w.t)
	w.far.deaf = true // to what is sealed with other keys
}

// keySetsMax is how many KEYINFOs that contradict each other a session remembers, as package
// dialect has it.
const keySetsMax = 8

// forge changes byte i of our entry in a KEYINFO. Those before the last 16 leave its
// padding alone.
func forge(good []byte, i int, bits byte) []byte {
	bad := bytes.Clone(good)
	bad[len(bad)-handshake.EntryLen+i] ^= bits
	return bad
}

// However many changed KEYINFOs follow the first one, it is not forgotten.
func TestFirstKeysStay(t *testing.T) {
	for _, s := range []handshake.Suite{gcm, sig} {
		w := newSecureWorld(t, s, false)
		w.toRegistering(true)
		good := w.keyInfoFor(us)
		w.send(wire.FuncKeyInfo, good)
		w.wantKeyInfoAck("the real one")
		for i := range 30 {
			w.send(wire.FuncKeyInfo, forge(good, i, 1))
			w.wantDrop(machine.DropNone, "it opens")
			if i%10 == 0 {
				w.forgetPackets()
				w.send(wire.FuncKeyInfo, good)
				w.wantKeyInfoAck("repeated")
			}
		}
		w.fileInfo(1, 8500)
		w.wantDrop(machine.DropNone, "the sender's packet")
	}
}

// A KEYINFO that comes before the answer to another one has left does not change
// that answer; one whose keys were given up is not answered.
func TestAckOfItsOwnKeys(t *testing.T) {
	w := newSecureWorld(t, gcm, false)
	w.toRegistering(true)
	good := w.keyInfoFor(us)
	list := [][]byte{good}
	for i := range keySetsMax + 4 {
		list = append(list, forge(good, i, 1))
	}
	for _, msg := range list {
		h := wire.Header{Version: wire.Version4, Func: wire.FuncKeyInfo, Src: them, Group: w.group, GRTT: w.grtt}
		w.r.Handle(w.now, arrived(w.from, append(h.Append(nil), msg...)))
	}
	w.poll()
	if n := len(w.packets); n != keySetsMax {
		t.Fatalf("%d answers, want one for each of %d sets of keys", n, keySetsMax)
	}
	w.wantKeyInfoAck("the first")
	for _, p := range w.packets {
		if p.head.Func == wire.FuncKeyInfoAck {
			t.Fatal("the answer to a forged one opens with the real keys")
		}
	}
}

// While a stranger's KEYINFO is all there is, the receiver answers the sender's ANNOUNCE
// with REGISTER.
func TestForgedKeyInfoAndLostRegister(t *testing.T) {
	for _, c := range []struct {
		hosts wire.UIDList
		after time.Duration // in GRTT; 0 = never
	}{{nil, 24}, {uids(other, us), 4}, {uids(other), 0}} {
		w := newSecureWorld(t, gcm, true)
		w.announceSealed()
		w.joined("")
		w.wantRegisterSealed("the sender does not get it")
		w.far.key(t)
		w.far.deaf = true
		w.send(wire.FuncKeyInfo, forge(w.keyInfoFor(us), 0, 1))
		w.wantPhase(MidGroup)
		w.forgetPackets()
		w.advance(200 * time.Millisecond)
		w.wantSilence("nobody asks")
		w.announceSealed(func(a *wire.Announce) { a.Hosts = c.hosts })
		w.announceSealed(func(a *wire.Announce) { a.Hosts = c.hosts })
		w.wantSilence("not at once")
		if c.after == 0 {
			w.advance(300 * time.Millisecond)
			w.wantSilence("others are asked")
			continue
		}
		w.advance(c.after*w.roundTrip() - time.Millisecond)
		w.wantSilence("not before its time")
		w.advance(time.Millisecond)
		w.far.peer.Wipe()
		w.wantRegisterSealed("again")
		w.wantSilence("once")
		w.send(wire.FuncKeyInfo, w.keyInfoFor(us))
		w.wantKeyInfoAck("the real one")
		w.announceSealed(func(a *wire.Announce) { a.Hosts = c.hosts })
		w.fileInfo(1, 8500)
		w.wantDrop(machine.DropNone, "the keys are proved")
		w.opened(Opened{Action: Complete})
		w.forgetPackets()
		w.advance(300 * time.Millisecond)
		w.announceSealed(func(a *wire.Announce) { a.Hosts = c.hosts })
		w.advance(300 * time.Millisecond)
		w.wantSilence("what was armed is off, and nothing is missing any more")
	}
}

// badlySigned returns a packet of the session's sender whose signature is wrong.
func badlySigned(w *world) []byte {
	h := wire.Header{Version: wire.Version4, Func: wire.FuncDone, Seq: w.seq, Src: w.src, Group: w.group, GRTT: w.grtt}
	x := wire.Done{FileID: 1, Hosts: uids(us)}
	pkt := w.far.seal(w, h, x.Append(nil))
	pkt[40] ^= 1
	return pkt
}

// flood hands in n packets with wrong signatures, 10 µs apart, and returns how many
// were looked at.
func (w *world) flood(n int) (seen int) {
	w.t.Helper()
	pkt := badlySigned(w)
	for range n {
		switch v := w.raw(bytes.Clone(pkt)); v.Drop {
		case machine.DropSealed:
			seen++
		case machine.DropLimit:
		default:
			w.t.Fatalf("verdict %v", v.Drop)
		}
		w.now = w.now.Add(10 * time.Microsecond)
	}
	return seen
}

// Wrong signatures get a part of the time. Those from elsewhere get so little that some is
// always left for the sender's own address. Right ones cost nothing.
func TestBadSignatureBudget(t *testing.T) {
	for _, settled := range []bool{false, true} {
		w := newSecureWorld(t, sig, false)
		w.toMidGroup()
		if settled {
			w.toReceiving(1, 8500)
		}
		w.from = addrOf("10.88.0.66:666")
		first := w.flood(3000) // 30 ms, and 100 ms in store: 1700 times 60 µs
		if first < 1500 || first > 2000 {
			t.Fatalf("%d of 3000 from elsewhere are looked at, want 1700", first)
		}
		if n := w.flood(3000); n > 60 {
			t.Fatalf("%d of 3000 more are looked at, want one part in 20 of the time", n)
		}
		w.from = senderAddr
		w.now = w.now.Add(200 * time.Millisecond)
		if n := w.flood(3000); n < 700 {
			t.Fatalf("%d of 3000 from the sender's address are looked at, whatever comes from elsewhere", n)
		}
		w.now = w.now.Add(10 * time.Millisecond)
		w.fileInfo(1, 8500)
		w.wantDrop(machine.DropNone, "there is time again")
	}

	w := newSecureWorld(t, sig, false)
	w.toMidGroup()
	q := w.toReceiving(1, 3_000_000)
	for i := range 2000 { // 120 ms worth of verifying, in no time
		s, b := q.Layout.Section(i)
		if v := w.data(1, &q.Layout, s, b); v.Drop != machine.DropNone {
			t.Fatalf("block %d: %v", i, v.Drop)
		}
	}
}

// A sender and a receiver on one host have one UID, and our own packets open with the same
// keys. They have no effect if somebody sends them back to us.
func TestEcho(t *testing.T) {
	for _, s := range []handshake.Suite{gcm, ccm, cbc} {
		for _, settled := range []bool{false, true} {
			w := newSecureWorld(t, s, false)
			w.src = us
			w.announceSealed()
			w.joined("")
			w.wantRegisterSealed("register")
			w.far.key(t)
			w.far.counter++
			x := wire.KeyInfo{Counter: w.far.counter}
			x.Items = w.far.server.AppendKeyInfoItem(nil, &w.far.peer, us, us, x.Counter)
			w.send(wire.FuncKeyInfo, x.Append(wire.Version4, nil))
			w.wantKeyInfoAck("keys")
			if settled {
				w.toReceiving(1, 8500)
			}
			w.forget()
			own := w.session().dialect
			status, complete, abort := wire.Status{NAKs: []byte{1}}, wire.Complete{FileID: 1}, wire.Abort{Text: []byte("x")}
			for _, msg := range [][]byte{status.Append(wire.Version4, nil), complete.Append(nil), abort.Append(nil)} {
				h := wire.Header{Version: wire.Version4, Func: wire.Func(msg[0]), Src: us, Group: w.group}
				pkt, ok := own.Finish(append(own.Begin(make([]byte, 0, 1000), h, nil), msg...), h.Func, nil)
				if !ok {
					t.Fatal("cannot seal")
				}
				w.hostile(pkt, "a packet of ours that comes back")
				if own.Proved() != settled {
					t.Fatal("it has proved the keys")
				}
			}
			w.fileInfo(2, 100)
			w.wantDrop(machine.DropNone, "the window of the sender's counters has not moved")
		}
	}
}

// An ANNOUNCE that is refused before anything is computed leaves the budget to others.
func TestRefusalsAreFree(t *testing.T) {
	good := keysFor(gcm)[0].Public().Fingerprint()
	ssm := func(a *wire.Announce) { a.Private = addrOf("232.5.5.9:1").Addr() }
	for _, c := range []struct {
		why    string
		change func(a *wire.Announce)
		config func(*Config)
	}{
		{"another key than the one listed", func(a *wire.Announce) {
			a.Enc.PublicKey = p384Keys()[0].Public().AppendBlob(nil)
		}, func(*Config) {}},
		{"no such cipher", func(a *wire.Announce) { a.Enc.Cipher = 99 }, func(*Config) {}},
		{"too weak", func(a *wire.Announce) { a.Enc.Cipher, a.Enc.SigType = wire.CipherDES, wire.SigHMAC }, func(c *Config) {
			c.MinSecurity = identity.Strong
		}},
		{"a key of another kind", func(a *wire.Announce) { a.Enc.KeyExch = wire.KeyExchECDHRSA }, func(*Config) {}},
	} {
		w := newSecureWorld(t, gcm, false, func(cfg *Config) {
			cfg.Servers = []Server{{UID: them, Addr: senderAddr.Addr(), Fingerprint: &good}}
			c.config(cfg)
		})
		w.far.cfg.Session.Private = addrOf("232.5.5.9:1").Addr()
		w.far.start(t)
		bad := w.announcement(ssm, c.change)
		for range 3000 {
			if w.raw(bytes.Clone(bad)); w.last.Drop == machine.DropLimit {
				t.Fatalf("%s: it has used up the budget", c.why)
			}
		}
		w.wantPhase(Free)
		w.announceSealed(ssm)
		w.wantPhase(Joining)
	}
}

// Keys that were made here are wiped with the receiver; configured ones are not.
func TestWipe(t *testing.T) {
	w := newSecureWorld(t, gcm, true, func(c *Config) { c.Keys, c.MakeKeys = nil, true })
	w.toMidGroup()
	w.toReceiving(1, 8500)
	own := w.session().dialect
	w.r.Stop(w.now)
	w.r.Wipe() // the way out was stuck
	if own.Handshake().Group() != nil || own.Keyed() {
		t.Error("the secrets of the session are kept")
	}
	if _, err := w.r.own[0].AppendSignature(nil, crypto.SHA256, make([]byte, 32)); err == nil {
		t.Error("the key that was made still signs")
	}
	w.r.KeyMade(nil)

	key := ecKeys()[1]
	w = newSecureWorld(t, gcm, true)
	w.toMidGroup()
	w.r.Stop(w.now)
	w.poll()
	w.r.Wipe()
	if _, err := key.AppendSignature(nil, crypto.SHA256, make([]byte, 32)); err != nil {
		t.Errorf("a key of the caller was wiped: %v", err)
	}
}
