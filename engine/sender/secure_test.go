package sender

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"uftp/crypto/handshake"
	"uftp/crypto/identity"
	"uftp/engine/machine"
	"uftp/wire"
)

// Every suite, with and without client keys, takes a file through.
func TestSealedSession(t *testing.T) {
	n := 0
	for cipher := wire.CipherDES; cipher <= wire.CipherAES256CCM; cipher++ {
		sigs := []wire.Sig{wire.SigHMAC, wire.SigKeyExch}
		if cipher >= wire.CipherAES128GCM {
			sigs = []wire.Sig{wire.SigAuthEnc}
		}
		for _, sig := range sigs {
			for exch := wire.KeyExchRSA; exch <= wire.KeyExchECDHECDSA; exch++ {
				for _, auth := range []bool{false, true} {
					n++
					s := handshake.Suite{Cipher: cipher, Hash: wire.HashSHA1 + wire.Hash(n%4), SigType: sig, KeyExch: exch}
					t.Run(fmt.Sprint(s, auth), func(t *testing.T) { sealedSession(t, s, auth) })
				}
			}
		}
	}
}

func sealedSession(t *testing.T, s handshake.Suite, auth bool) {
	r, all := beginSealed(t, s, auth, fast, 5500, 1, 2)
	a, b := all[0], all[1]
	r.advance(10 * ms)
	r.wantDrop("a STATUS", a.send(a.sealed(r.statusOf(1, 1, 0, 2, 5))), machine.DropNone)
	r.wantState("a host that has asked again", 1, ActiveNAK)
	r.wantDrop("a COMPLETE", b.complete(1), machine.DropNone)
	r.advance(40 * ms)
	if got := r.sent(); !slices.Contains(got, "TRAIN f1 2,5") {
		t.Fatalf("after NAKs of 2 and 5 came %q", got)
	}
	r.wantDrop("the other COMPLETE", a.complete(1), machine.DropNone)
	r.endOfFiles()
	for _, h := range all {
		r.wantDrop("COMPLETE of the group", h.complete(0), machine.DropNone)
	}
	r.advance(100 * ms)
	r.wantExit("a session that went well", ExitOK)
}

func TestKeyInfoRounds(t *testing.T) {
	r := newRig(t, with(hosts(1, 2), encrypted(gcm, false)))
	a, b := r.host(1), r.host(2)
	a.register()
	r.wantWire("KEYINFO waits for the others, or the cycle", "0 ANNOUNCE [1 2]")
	r.advance(1502 * ms)
	r.wantWire("a cycle: keys for clients that are in, ANNOUNCE for the others", "1500 KEYINFO [1]", "1500.1 ANNOUNCE [2]")
	b.register()
	r.wantWire("when all have registered one set goes out at once", "1502 KEYINFO [1 2]")
	r.advance(31 * ms)
	if got := r.sent(); !slices.Equal(got, []string{"KEYINFO [1 2]"}) {
		t.Fatalf("3 round trips later: %q, want KEYINFO again and no ANNOUNCE", got)
	}
	a.keyed()
	b.keyed()
	a.ack()
	r.wantState("a client that has acknowledged", 1, Active)
	r.forget()
	r.advance(31 * ms)
	if got := r.sent(); !slices.Equal(got, []string{"KEYINFO [2]"}) {
		t.Fatalf("with one acknowledgement: %q, want KEYINFO for the other", got)
	}
	r.advance(time.Second)
	e := want[ClientLost](r, "a client that never acknowledges is lost")
	if e.In != LostRegister || e.Client.UID != 2 {
		t.Fatalf("lost %+v, want host 2 in registration", e)
	}
	if got := r.sent(); !slices.Contains(got, "ABORT 2 Lost connection") || strings.Count(strings.Join(r.wire, ","), "ABORT 2") != 2 {
		t.Fatalf("it may have the keys or not: sent %q, want ABORT in clear and sealed", r.wire)
	}
	r.wantPhase("the session goes on with the other", BetweenFiles)
}

func TestOpenGroupKeys(t *testing.T) {
	r := newRig(t, encrypted(gcm, false))
	a := r.host(1)
	a.register()
	r.advance(1502 * ms)
	r.wantWire("an open group", "0 ANNOUNCE []", "1500 KEYINFO [1]", "1500.1 ANNOUNCE []")
	a.keyed()
	a.ack()
	r.until("the last round", func() bool { return r.s.cycle.attempt == r.cfg.Robust })
	b := r.host(2)
	r.wantDrop("REGISTER in the last cycle", b.register(), machine.DropNone)
	r.advance(40 * ms)
	b.keyed()
	r.wantDrop("it gets its keys after the last ANNOUNCE", b.ack(), machine.DropNone)
	c := r.host(3)
	r.wantDrop("REGISTER after the last ANNOUNCE", c.register(), machine.DropNone)
	r.forget()
	r.advance(2 * time.Second)
	r.wantPhase("a client that does not answer does not hold the group for ever", BetweenFiles)
	if n := strings.Count(strings.Join(r.sent(), ","), "KEYINFO [3]"); n == 0 || len(r.sent()) > 3 {
		t.Fatalf("to the late one went %q", r.sent())
	}
	r.wantState("the last one", 3, Lost)
}

// Where registration waits for few clients, KEYINFO does not wait for the cycle.
func TestKeysAtOnce(t *testing.T) {
	r := newRig(t, with(encrypted(gcm, false), func(c *Config) { c.RegisterCount = 1 }))
	a := r.host(1)
	r.advance(2 * ms)
	a.register()
	r.wantWire("keys leave at once", "0 ANNOUNCE []", "2 KEYINFO [1]")
	a.keyed()
	a.ack()
	r.advance(20 * ms)
	r.wantPhase("one was waited for", BetweenFiles)
}

func TestQuietGroupWaitsForKeys(t *testing.T) {
	r := newRig(t, with(encrypted(gcm, false), func(c *Config) { c.RegisterQuiet = 10 * ms }))
	a := r.host(1)
	a.register()
	r.advance(35 * ms)
	r.wantPhase("nobody new came, but the keys of one are under way", Announcing)
	a.keyed()
	a.ack()
	r.advance(60 * ms)
	r.wantPhase("now nobody is waited for", BetweenFiles)
}

func TestKeyInfoIsSplit(t *testing.T) {
	var uids []wire.UID
	for i := range 25 {
		uids = append(uids, wire.UID(i+1))
	}
	r := newRig(t, with(hosts(uids...), encrypted(gcm, false), func(c *Config) { c.BlockSize = 512 }))
	for _, u := range uids {
		r.host(u).register()
	}
	r.advance(10 * ms)
	got := r.sent()[1:]
	if len(got) != 3 || got[0] != "KEYINFO [1 2 3 4 5 6 7 8 9]" || got[2] != "KEYINFO [19 20 21 22 23 24 25]" {
		t.Fatalf("25 hosts at 9 in a datagram: %q", got)
	}
}

// Whatever comes in clear, or is not what it should be, changes nothing.
func TestHostileHandshake(t *testing.T) {
	r := newRig(t, with(hosts(1, 2), encrypted(gcm, true)))
	keys := ecKeys()
	a := r.host(1, keys[1])
	r.wantDrop("CLIENT_KEY before REGISTER", a.clientKey(), machine.DropPhase)
	stranger := r.host(9, keys[1])
	r.wantDrop("CLIENT_KEY of a stranger", stranger.clientKey(), machine.DropUnknown)
	r.wantDrop("sealed before any REGISTER", r.deliver(1, append(message(1, wire.FuncEncrypted), make([]byte, 40)...)), machine.DropSealed)
	r.wantDrop("sealed by a stranger", r.deliver(9, append(message(9, wire.FuncEncrypted), make([]byte, 40)...)), machine.DropUnknown)

	bad := wire.Register{Time: r.echo(0), Random: make([]byte, 32), KeyInfo: make([]byte, 68)}
	r.wantDrop("REGISTER without a point", r.deliver(1, bad.Append(wire.Version4, message(1, wire.FuncRegister))), machine.DropSealed)
	a.register()
	good := bytes.Clone(a.last)
	for n := range len(good) {
		r.wantDrop(fmt.Sprintf("REGISTER cut to %d bytes", n), r.deliver(1, good[:n]), machine.DropMalformed)
	}
	r.wantState("REGISTER alone", 1, Mute)
	a.clientKey()
	ck := bytes.Clone(a.last)
	b := r.host(2, keys[2])
	b.register()
	for _, i := range []int{20, 30, 90, 100, len(ck) - 1} {
		flipped := bytes.Clone(ck)
		copy(flipped[4:8], "\x00\x00\x00\x02")
		flipped[i] ^= 4
		if d := r.deliver(2, flipped); d == machine.DropNone {
			t.Fatalf("CLIENT_KEY with byte %d changed was taken", i)
		}
		r.wantState("nothing changed", 2, Mute)
	}
	b.clientKey()
	r.advance(2 * ms)
	a.keyed()
	b.keyed()

	wrong := make([]byte, wire.VerifyLen)
	r.wantDrop("wrong verify data", a.say(wire.FuncKeyInfoAck, &wire.KeyInfoAck{Verify: wrong}), machine.DropSealed)
	verify, _ := b.client.Ack()
	r.wantDrop("verify data of another", a.say(wire.FuncKeyInfoAck, &wire.KeyInfoAck{Verify: verify[:]}), machine.DropSealed)
	verify, _ = a.client.Ack()
	m := wire.KeyInfoAck{Verify: verify[:]}
	r.wantDrop("KEYINFO_ACK in clear", r.deliver(1, m.Append(wire.Version4, message(1, wire.FuncKeyInfoAck))), machine.DropClear)
	r.wantDrop("something else before KEYINFO_ACK", a.complete(0), machine.DropPhase)
	r.wantState("nothing changed", 1, Registered)

	r.wantDrop("the right one", a.ack(), machine.DropNone)
	r.wantDrop("the same again", r.deliver(1, a.last), machine.DropReplay)
	r.wantDrop("another one", a.ack(), machine.DropNone)
	r.wantState("once in, in", 1, Active)
}

func TestFingerprints(t *testing.T) {
	keys := ecKeys()
	right := keys[1].Public().Fingerprint()
	set := with(hosts(1), encrypted(gcm, true), func(c *Config) { c.Hosts[0].Fingerprint = &right })
	r := newRig(t, set)
	other := r.host(1, keys[2])
	other.register()
	r.wantDrop("a key with another fingerprint", other.clientKey(), machine.DropSealed)
	r.wantState("its host", 1, Mute)
	want[Refused](r, "the log says so")
	r.forget()
	for range 5 {
		r.advance(20 * ms)
		other.register()
		r.wantDrop("it goes on", other.clientKey(), machine.DropSealed)
	}
	wantNone[Refused](r, "once is enough")
	owner := r.host(1, keys[1])
	owner.register()
	r.wantDrop("the key that was listed", owner.clientKey(), machine.DropNone)
	r.wantState("its host", 1, Registered)

	r = newRig(t, with(hosts(1), encrypted(gcm, false), func(c *Config) { c.Hosts[0].Fingerprint = &right }))
	r.host(1).register()
	r.wantState("without client authentication nobody is asked", 1, Registered)
}

// In the data phase whatever is replayed, changed or in clear bounces off.
func TestHostileData(t *testing.T) {
	for _, s := range []handshake.Suite{
		gcm,
		{Cipher: wire.CipherAES256CBC, Hash: wire.HashSHA256, SigType: wire.SigHMAC, KeyExch: wire.KeyExchECDHECDSA},
		{Cipher: wire.CipherAES256CBC, Hash: wire.HashSHA1, SigType: wire.SigKeyExch, KeyExch: wire.KeyExchRSA},
	} {
		r, all := beginSealed(t, s, false, nothing, 5500, 1, 2)
		a := all[0]
		r.advance(10 * ms)
		status := r.statusOf(1, 1, 0, 2)
		good := a.sealed(status)
		for i := range good {
			bad := bytes.Clone(good)
			bad[i] ^= 0x10
			if i >= 13 && i < 16 {
				continue // GRTT, group size and the spare byte are covered too: below
			}
			if d := r.deliver(1, bad); d == machine.DropNone {
				t.Fatalf("%v: byte %d changed, and taken", s, i)
			}
			r.wantState("a changed STATUS", 1, Active)
		}
		for n := range len(good) {
			if d := r.deliver(1, good[:n]); d == machine.DropNone {
				t.Fatalf("%v: cut to %d bytes, and taken", s, n)
			}
		}
		forged := bytes.Clone(good)
		copy(forged[4:8], "\x00\x00\x00\x02")
		if d := r.deliver(2, forged); d == machine.DropNone {
			t.Fatalf("%v: taken from another source", s)
		}
		r.wantDrop("a STATUS in clear", r.deliver(1, status), machine.DropClear)
		for _, m := range []struct {
			fn wire.Func
			m  any
		}{
			{wire.FuncComplete, &wire.Complete{FileID: 1}},
			{wire.FuncFileInfoAck, &wire.FileInfoAck{FileID: 1}},
			{wire.FuncAbort, &wire.Abort{Text: []byte("bye")}},
		} {
			r.wantDrop("in clear: "+m.fn.String(), r.deliver(1, appendTo(message(1, m.fn), m.m)), machine.DropClear)
			r.wantState("nothing changed", 1, Active)
		}
		reg := wire.Register{Time: r.echo(time.Minute), Random: make([]byte, 32), KeyInfo: make([]byte, 68)}
		r.wantDrop("REGISTER when registration is over", r.deliver(1, reg.Append(wire.Version4, message(1, wire.FuncRegister))), machine.DropPhase)
		r.wantDrop("REGISTER in a seal", a.say(wire.FuncRegister, &wire.Register{}), machine.DropPhase)
		r.wantDrop("the STATUS itself", r.deliver(1, good), machine.DropNone)
		r.wantDrop("the STATUS again", r.deliver(1, good), machine.DropReplay)
		a.complete(1)
		done := bytes.Clone(a.last)
		r.wantState("a client that has completed", 1, Done)
		r.wantDrop("COMPLETE again", r.deliver(1, done), machine.DropReplay)
		r.wantDrop("a sealed ABORT", all[1].say(wire.FuncAbort, &wire.Abort{Text: []byte("bye")}), machine.DropNone)
		r.wantState("a client that has sent it", 2, Aborted)
		r.wantDrop("and again", r.deliver(2, all[1].last), machine.DropPhase)
	}
}

// Before it has the keys, a host can only refuse in clear.
func TestClearAbort(t *testing.T) {
	r := newRig(t, with(hosts(1, 2), encrypted(gcm, false)))
	r.host(1).register()
	const text = "No client key compatible with server key"
	r.wantDrop("refusing the session", r.abort(1, text), machine.DropNone)
	r.wantState("a client that was in is missing again", 1, Mute)
	r.wantDrop("refusing the session", r.refuse(2, text), machine.DropNone)
	r.wantState("a client that has refused", 2, Aborted)
}

// ABORT to everybody reaches those with keys and those without.
func TestShoutIsHeard(t *testing.T) {
	r := newRig(t, with(hosts(1, 2), encrypted(gcm, false), func(c *Config) { c.QuitOnError = true }))
	r.host(1).register()
	r.forget()
	r.refuse(2, "no")
	if len(r.wire) != 2 || r.sent()[0] != "ABORT 0 A client aborted, aborting all" || r.sec.next == firstCounter {
		t.Fatalf("sent %q, want ABORT in clear and sealed", r.wire)
	}
	r.wantExit("nobody is left", ExitNobody)

	q, _ := beginSealed(t, gcm, false, nothing, 5500, 1)
	q.s.FileFailed(q.now, 1, "gone")
	q.drain()
	if n := strings.Count(strings.Join(q.wire, ","), "ABORT 0 file"); n != 1 {
		t.Fatalf("an ABORT of a file: %q, want it sealed only", q.wire)
	}
}

// A receiver that is started again within registration gets the keys again; what
// it has said before cannot be replayed, and nobody can push it out.
func TestReceiverRestarts(t *testing.T) {
	r := newRig(t, with(hosts(1, 2), encrypted(gcm, true)))
	keys := ecKeys()
	a := r.host(1, keys[1])
	a.register()
	fresh := r.host(1, keys[1])
	r.wantDrop("another start before the keys", fresh.register(), machine.DropNone)
	fresh.clientKey()
	r.advance(1500 * ms)
	fresh.keyed()
	r.wantDrop("the new one has them", fresh.ack(), machine.DropNone)
	old := bytes.Clone(fresh.last)
	r.wantState("the new one", 1, Active)

	thief := r.host(1, keys[3])
	thief.register()
	r.wantDrop("with another key", thief.clientKey(), machine.DropSealed)
	r.wantState("a client that was there stays", 1, Active)

	again := r.host(1, keys[1])
	again.register()
	again.clientKey()
	r.wantState("until it has proved itself nothing changes", 1, Active)
	grtt := r.s.Stats().GRTT
	m := wire.Register{Time: r.echo(10 * time.Second), Random: make([]byte, 32), KeyInfo: make([]byte, 68)}
	random := again.client.Random()
	copy(m.Random, random[:])
	r.deliver(1, m.Append(wire.Version4, message(1, wire.FuncRegister)))
	r.advance(40 * ms)
	again.keyed()
	if g := r.s.Stats().GRTT; g > grtt {
		t.Errorf("what anybody can repeat in clear moves the round-trip time from %v to %v", grtt, g)
	}
	r.wantDrop("what the last one said", r.deliver(1, old), machine.DropReplay)
	r.wantDrop("a message without the proof", again.complete(0), machine.DropReplay)
	r.wantDrop("the proof", again.ack(), machine.DropNone)
	r.wantDrop("what the last one said", r.deliver(1, old), machine.DropSealed)
	r.wantState("back again", 1, Active)
}

// Public-key operations for anybody are limited, and the limit passes.
func TestRegisterFlood(t *testing.T) {
	s := gcm
	s.KeyExch = wire.KeyExchECDHRSA
	r := newRig(t, encrypted(s, false))
	key, err := identity.GenerateEC(identity.P256, rand.Reader)
	r.check(err)
	m := wire.Register{Time: r.echo(0), Random: make([]byte, 32), KeyInfo: key.Public().AppendBlob(nil)}
	taken := 0
	for u := wire.UID(1); ; u++ {
		d := r.deliver(u, m.Append(wire.Version4, message(u, wire.FuncRegister)))
		if d == machine.DropLimit {
			break
		}
		r.wantDrop("REGISTER", d, machine.DropNone)
		if taken++; taken > 20_000 {
			t.Fatal("nothing limits the work that REGISTER causes")
		}
	}
	if taken < 1000 {
		t.Errorf("only %d hosts can register at once", taken)
	}
	r.advance(100 * ms)
	r.wantDrop("a moment later", r.deliver(99_999, m.Append(wire.Version4, message(99_999, wire.FuncRegister))), machine.DropNone)
}

// A flood of bad signatures cannot keep the sender from sending.
func TestSignatureFlood(t *testing.T) {
	s := handshake.Suite{Cipher: wire.CipherAES256CBC, Hash: wire.HashSHA256, SigType: wire.SigKeyExch, KeyExch: wire.KeyExchECDHECDSA}
	r, all := beginSealed(t, s, true, nothing, 5500, 1)
	r.advance(10 * ms)
	good := all[0].sealed(r.statusOf(1, 1, 0, 2))
	bad := bytes.Clone(good)
	bad[len(bad)-1] ^= 1
	far := addr(7)
	n := 0
	for ; r.deliverFrom(far, bad) == machine.DropSealed; n++ {
		if n > 1000 {
			t.Fatal("nothing limits the work that bad signatures cause")
		}
	}
	r.wantDrop("from elsewhere the limit is reached", r.deliverFrom(far, bad), machine.DropLimit)
	r.wantDrop("from where the client lives it is not", r.deliver(1, good), machine.DropNone)
}

// FuzzSealedSession hands an encrypted session whatever there may be, in every
// phase, as a REGISTER, a CLIENT_KEY, in a seal and below a seal that is right.
func FuzzSealedSession(f *testing.F) {
	f.Add(byte(0), []byte{2, 11, 0, 0})
	f.Add(byte(1), []byte{3, 2, 0, 0, 0, 68, 0, 68})
	f.Add(byte(2), bytes.Repeat([]byte{0}, 60))
	f.Add(byte(7), []byte{6, 4, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12})
	f.Add(byte(11), []byte{11, 2, 0, 1, 0, 0, 0, 0, 255})
	f.Fuzz(func(t *testing.T, how byte, data []byte) {
		if len(data) > 9000 {
			return
		}
		var r *rig
		var all []*host
		switch phase := how >> 2 % 3; phase {
		case 0:
			r = newRig(t, with(hosts(1, 2), encrypted(gcm, true)))
			h := r.host(1, ecKeys()[1])
			h.register()
			h.clientKey()
			g := r.host(2, ecKeys()[2])
			g.register()
			g.clientKey()
			r.advance(2 * ms)
			all = []*host{h.keyed(), g.keyed()}
		case 1:
			r, all = joinSealed(t, gcm, true, nothing, 1, 2)
		default:
			r, all = beginSealed(t, gcm, true, nothing, 5500, 1, 2)
		}
		fns := []wire.Func{wire.FuncRegister, wire.FuncClientKey, wire.FuncEncrypted}
		if how&3 == 3 {
			r.deliver(1, all[0].sealed(append(message(1, wire.FuncEncrypted), data...)))
		} else {
			fn := fns[how&3]
			r.deliver(1, append(message(1, fn), data...))
			r.deliver(9, append(message(9, fn), data...))
			if fn == wire.FuncEncrypted {
				if i, _ := r.s.roster.Find(1); r.s.roster.At(i).state.Failed() {
					t.Fatal("a seal that is not right has put a client out")
				}
			}
		}
		r.advance(100 * ms)
	})
}
