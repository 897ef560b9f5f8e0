package receiver

import (
	"bytes"
	"crypto"
	"crypto/sha1"
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"uftp/crypto/handshake"
	"uftp/crypto/identity"
	"uftp/engine/machine"
	"uftp/engine/seal"
	"uftp/wire"
)

// wholeSession takes a file of 9 blocks, two of them in the second pass.
func wholeSession(w *world) {
	w.t.Helper()
	w.toMidGroup()
	q := w.toReceiving(1, 8500)
	l := &q.Layout
	for i := range 9 {
		if i != 3 && i != 8 {
			w.data(1, l, 0, i)
		}
	}
	w.done(1, 0, us)
	w.advance(20 * time.Millisecond)
	w.wantStatus(0, "0801", "blocks 3 and 8 are missing")
	w.data(1, l, 0, 3)
	w.data(1, l, 0, 8)
	w.closed("")
	w.done(1, 0, us)
	w.wantComplete(1, wire.StatusNormal, "the file is whole")
	if !bytes.Equal(w.disk[q.Ref], pattern(l)) {
		w.t.Fatal("the file is not what was sent")
	}
	w.done(0, 0, us)
	w.wantComplete(0, wire.StatusNormal, "the session is over")
	w.doneConf(us)
	w.wantEnded(true, EndConfirmed)
	w.wantSilence("after the end")
}

// Every cipher, hash, signature type and exchange, with and without a key of ours.
func TestSuites(t *testing.T) {
	for cipher := wire.CipherDES; cipher <= wire.CipherAES256CCM; cipher++ {
		for hash := wire.HashSHA1; hash <= wire.HashSHA512; hash++ {
			for exch := wire.KeyExchRSA; exch <= wire.KeyExchECDHECDSA; exch++ {
				for typ := wire.SigHMAC; typ <= wire.SigAuthEnc; typ++ {
					s := handshake.Suite{Cipher: cipher, Hash: hash, SigType: typ, KeyExch: exch}
					if s.Check() != nil {
						continue
					}
					for _, auth := range []bool{false, true} {
						t.Run(fmt.Sprintf("%v auth=%v", s, auth), func(t *testing.T) {
							w := newSecureWorld(t, s, auth)
							wholeSession(w)
							k := event[Keyed](w, "the user hears how well the session is protected")
							if k.Suite != s || k.ClientAuth != (auth || typ == wire.SigKeyExch) || !k.Server.Equal(keysFor(s)[0].Public()) {
								t.Errorf("%+v", k)
							}
							noEvent[HaveKey](w, "there is a key")
						})
					}
				}
			}
		}
	}
}

func TestHandshakeRepeats(t *testing.T) {
	for _, s := range []handshake.Suite{gcm, rsa} {
		w := newSecureWorld(t, s, true)
		w.announceSealed()
		w.joined("")
		w.wantRegisterSealed("the first")
		w.announceSealed()
		w.wantDrop(machine.DropPhase, "a repeated ANNOUNCE changes nothing")
		w.wantSilence("REGISTER is repeated by the timer only")
		w.advance(50 * time.Millisecond)
		w.wantRegisterSealed("after 4·GRTT, with the same random number")
		w.send(wire.FuncKeyInfo, w.keyInfoFor(other))
		w.wantDrop(machine.DropNotForUs, "KEYINFO for others")
		w.keyInfo()
		w.wantKeyInfoAck("first")
		w.keyInfo()
		w.wantKeyInfoAck("the sender has not got the first")
		w.wantSilence("and no more")
		w.advance(900 * time.Millisecond)
		w.announceSealed()
		w.advance(900 * time.Millisecond)
		w.wantPhase(MidGroup) // ANNOUNCE for others keeps us waiting
		w.wantRegisterSealed("it may be for us, too: nothing has proved the keys")
		w.wantSilence("once an ANNOUNCE")
		w.send(wire.FuncKeyInfo, w.keyInfoFor(other))
		w.advance(900 * time.Millisecond)
		w.wantPhase(MidGroup)
		w.advance(200 * time.Millisecond)
		w.wantAbort("Transfer timed out", "sealed, like everything")
		w.wantEnded(false, EndTimeout)
	}
}

// A KEYINFO that does not open changes nothing. If no better one comes, the sender gets a
// reason.
func TestBadKeyInfo(t *testing.T) {
	w := newSecureWorld(t, gcm, false)
	w.announceSealed()
	w.joined("")
	w.wantRegisterSealed("register")
	good := w.keyInfoFor(us)
	// Only its padding shows a bad entry, and the last 16 bytes decide about that.
	for i := len(good) - 16; i < len(good); i++ {
		bad := bytes.Clone(good)
		bad[i] ^= 1
		w.send(wire.FuncKeyInfo, bad)
		w.wantDrop(machine.DropSealed, "a bit is flipped")
	}
	for n := range good {
		w.send(wire.FuncKeyInfo, good[:n])
		if w.last.Drop == machine.DropNone {
			t.Fatalf("KEYINFO cut to %d bytes is taken", n)
		}
	}
	w.wantSilence("nothing is answered")
	w.wantPhase(Registering)
	w.from = addrOf("10.88.0.66:40000")
	w.send(wire.FuncKeyInfo, good)
	w.wantDrop(machine.DropSource, "KEYINFO from elsewhere")
	w.from = senderAddr
	w.advance(1100 * time.Millisecond)
	for len(w.packets) > 1 {
		w.next(wire.FuncRegister)
	}
	w.wantAbort("Decrypt failed for group master", "no key came")
}

// A KEYINFO that a stranger has changed mostly opens, to keys that nobody has. Whatever
// comes before and after the sender's own, that one counts.
func TestForgedKeyInfo(t *testing.T) {
	for _, s := range []handshake.Suite{gcm, cbc, sig} {
		w := newSecureWorld(t, s, false)
		w.announceSealed()
		w.joined("")
		w.wantRegisterSealed("register")
		w.far.key(t)
		w.far.deaf = true // to what is sealed with other keys
		good := w.keyInfoFor(us)
		entry := len(good) - handshake.EntryLen
		taken := 0
		for i := range good {
			if i >= 12 && i < entry-4 {
				continue // entry for others
			}
			bad := bytes.Clone(good)
			bad[i] ^= 1
			w.send(wire.FuncKeyInfo, bad)
			if w.last.Drop == machine.DropNone {
				taken++
			}
		}
		if taken < 20 {
			t.Fatalf("%d changed entries open, want most of those whose padding is whole", taken)
		}
		w.forgetPackets()
		w.send(wire.FuncKeyInfo, good)
		w.wantKeyInfoAck("the real one")
		for i := range keySetsMax - 1 {
			bad := bytes.Clone(good)
			bad[entry+i] ^= 1
			w.send(wire.FuncKeyInfo, bad)
		}
		w.forgetPackets()
		w.far.deaf = false
		w.fileInfo(1, 8500)
		w.wantDrop(machine.DropNone, "the sender's packet shows which keys are right")
		w.opened(Opened{Action: Receive})
		w.wantAck(1, false, "sealed with them")
		w.done(0, 0)
		bad := bytes.Clone(good)
		bad[entry] ^= 1
		w.send(wire.FuncKeyInfo, bad)
		w.wantPhase(Receiving)
	}
}

// snapshot is what no refused datagram may change.
type snapshot struct {
	phase   Phase
	info    Session
	win     window
	grtt    time.Duration
	seq     uint16
	due     [numTimers]int64
	missing int
	nak     nak
	fin     finished
	queue   int
}

func (w *world) snapshot() (s snapshot) {
	se := w.session()
	if se == nil {
		return s
	}
	s = snapshot{se.phase, se.info, se.win, se.grtt, se.seq, [numTimers]int64{}, se.file.missing.Count(), se.file.nak, se.finished, len(w.packets) + len(w.events)}
	for i, d := range se.due {
		s.due[i] = int64(d)
	}
	return s
}

// hostile hands in pkt and checks that it is refused and changes nothing.
func (w *world) hostile(pkt []byte, why string) machine.Drop {
	w.t.Helper()
	before := w.snapshot()
	v := w.r.Handle(w.now, arrived(w.from, bytes.Clone(pkt)))
	w.poll()
	if v.Drop == machine.DropNone || v.Store.Data != nil {
		w.t.Fatalf("%s: taken", why)
	}
	if after := w.snapshot(); after != before {
		w.t.Fatalf("%s: refused (%v), but the session is\n%+v, was\n%+v", why, v.Drop, after, before)
	}
	if u := w.unsealer(); u != nil {
		defer u.Wipe()
		for i, u := range []*seal.Unsealer{{}, u} {
			if o := w.unsealed(u, bytes.Clone(pkt)); o.Drop != v.Drop || o.Store.Data != nil || w.snapshot() != before {
				w.t.Fatalf("%s: %q when it is opened in another place (%d), want %q and no change", why, o.Drop, i, v.Drop)
			}
		}
	}
	return v.Drop
}

// Every message of a sender, at a time when it would have an effect, has none in clear,
// with any bit flipped, cut anywhere, or replayed.
func TestHostilePackets(t *testing.T) {
	messages := []struct {
		f    wire.Func
		msg  func(w *world) []byte
		keep bool // the session goes on
	}{
		{wire.FuncFileInfo, func(w *world) []byte {
			x := wire.FileInfo{FileID: 2, Size: 5000, Name: []byte("evil"), Hosts: uids(us)}
			return x.Append(wire.Version4, nil)
		}, true},
		{wire.FuncFileSeg, func(w *world) []byte {
			x := wire.FileSeg{FileID: 1, Block: 4, Data: make([]byte, 1000)}
			return x.Append(nil)
		}, true},
		{wire.FuncDone, func(w *world) []byte {
			x := wire.Done{FileID: 1, Hosts: uids(us)}
			return x.Append(nil)
		}, true},
		{wire.FuncCongCtrl, func(w *world) []byte {
			x := wire.CongCtrl{CCSeq: 1}
			return x.Append(wire.Version4, nil)
		}, true},
		{wire.FuncDoneConf, func(w *world) []byte {
			x := wire.HostList{Func: wire.FuncDoneConf, Hosts: uids(us)}
			return x.Append(nil)
		}, true},
		{wire.FuncAbort, func(w *world) []byte {
			x := wire.Abort{Text: []byte("enough")}
			return x.Append(nil)
		}, false},
	}
	for _, s := range []handshake.Suite{gcm, ccm, cbc, sig} {
		for _, m := range messages {
			t.Run(fmt.Sprintf("%v/%v", s, m.f), func(t *testing.T) {
				w := newSecureWorld(t, s, false)
				w.toMidGroup()
				q := w.toReceiving(1, 8500)
				w.data(1, &q.Layout, 0, 0)
				w.forget()
				h := wire.Header{Version: wire.Version4, Func: m.f, Seq: w.seq + 3, Src: them, Group: w.group, GRTT: code500ms}
				msg := m.msg(w)
				if d := w.hostile(append(h.Append(nil), msg...), "in clear"); d != machine.DropClear {
					t.Fatalf("in clear: %v, want %v", d, machine.DropClear)
				}
				pkt := w.far.seal(w, h, msg)
				step := max(1, len(pkt)/97) // signatures take their time
				for i := 0; i < len(pkt); i += step {
					bad := bytes.Clone(pkt)
					bad[i] ^= 1 << (i % 8)
					if i >= wire.HeaderLen || s.AEAD() || i < 12 {
						w.hostile(bad, fmt.Sprintf("bit flipped in byte %d", i))
					}
					w.hostile(pkt[:i], fmt.Sprintf("cut to %d bytes", i))
				}
				w.hostile(append(bytes.Clone(pkt), 0), "one byte too many")
				if v := w.raw(bytes.Clone(pkt)); v.Drop != machine.DropNone && v.Drop != machine.DropPhase {
					t.Fatalf("the real one is refused: %v", v.Drop)
				}
				w.forget()
				d := w.hostile(pkt, "replayed")
				if m.keep && d != machine.DropReplay || !m.keep && d != machine.DropGroup {
					t.Fatalf("replayed: %v", d)
				}
				if m.keep {
					w.wantPhase(Receiving)
				}
			})
		}
	}
}

// Before there are keys, an ABORT in clear counts and sealed packets do not; afterwards it
// is the other way round.
func TestKeysDivideClearAndSealed(t *testing.T) {
	w := newSecureWorld(t, gcm, false)
	w.announceSealed()
	w.joined("")
	w.wantRegisterSealed("register")
	w.far.key(t)
	x := wire.FileInfo{FileID: 1, Size: 10, Name: []byte("f"), Hosts: uids(us)}
	w.send(wire.FuncFileInfo, x.Append(wire.Version4, nil))
	w.wantDrop(machine.DropPhase, "sealed, and no keys yet")
	h := wire.Header{Version: wire.Version4, Func: wire.FuncFileInfo, Src: them, Group: w.group, Seq: w.seq}
	w.hostile(x.Append(wire.Version4, h.Append(nil)), "in clear FILEINFO does not stand for a confirmation")
	h.Func = wire.FuncRegConf
	c := wire.HostList{Func: wire.FuncRegConf, Hosts: uids(us)}
	w.hostile(c.Append(h.Append(nil)), "nor does REG_CONF")
	a := wire.Abort{Text: []byte("no")}
	h.Func = wire.FuncAbort
	w.raw(a.Append(h.Append(nil)))
	w.wantEnded(false, EndAborted)
}

// Once there are keys, headers in clear do not change GRTT and the window, as they do in
// sessions in clear.
func TestClearHeadersMoveNothing(t *testing.T) {
	w := newSecureWorld(t, gcm, false)
	w.announceSealed()
	w.joined("")
	w.wantRegisterSealed("register")
	w.grtt = code100ms
	w.keyInfo()
	w.wantKeyInfoAck("keys")
	if g := w.roundTrip(); g < 100*time.Millisecond {
		t.Fatalf("GRTT %v: KEYINFO carries the first one that was measured", g)
	}
	before := w.session().win
	w.seq, w.grtt = 30000, code10ms
	w.announceSealed()
	w.keyInfo()
	if w.session().win != before || w.roundTrip() < 100*time.Millisecond {
		t.Fatal("ANNOUNCE and KEYINFO in clear moved the window or the GRTT")
	}
	w.grtt = code500ms
	w.announceSealed()
	if w.session().win != before || w.roundTrip() < 500*time.Millisecond {
		t.Fatal("until a packet has proved the keys only ANNOUNCE can say that GRTT has grown")
	}
	w.forget()
	w.seq, w.grtt = 9, code100ms
	w.fileInfo(1, 5000)
	w.wantDrop(machine.DropNone, "the window begins with what is authentic")
	w.grtt = code500ms
	w.announceSealed()
	if w.roundTrip() > 120*time.Millisecond {
		t.Fatal("ANNOUNCE moved the GRTT when the keys were proved")
	}
	w.from = addrOf("10.88.0.66:40000")
	w.announceSealed()
	w.wantDrop(machine.DropSource, "ANNOUNCE from elsewhere does not keep the session alive")
}

// A session that has ended still seals the messages that are left, and wipes its secrets
// after that.
func TestSecretsAreWiped(t *testing.T) {
	w := newSecureWorld(t, gcm, false)
	w.toMidGroup()
	w.fileInfo(1, 8500)
	w.opened(Opened{Action: Complete})
	w.forget()
	own := w.session().dialect
	w.r.Stop(w.now)
	if own.Handshake().Group() == nil {
		t.Fatal("the ABORT in the queue needs the keys")
	}
	w.poll()
	w.wantAbort("Client shutting down", "sealed")
	w.wantEnded(false, EndShutdown)
	if own.Handshake().Group() != nil {
		t.Fatal("the secrets of a session that has ended are kept")
	}
}

// A receiver that comes back within a session gets the same keys again. Its counters
// continue above all that it has used.
func TestCountersAfterRestart(t *testing.T) {
	w := newSecureWorld(t, gcm, false)
	w.toMidGroup()
	w.toReceiving(1, 8500)
	first := w.far.least
	if first < uint64(w.now.Add(-time.Second)) {
		t.Fatalf("counter %d, want one of this second", first)
	}
	again := newWorld(t, func(c *Config) { c.Rand = seeded(9) })
	again.now, again.far, again.seq = w.now.Add(time.Second), w.far, w.seq
	again.far.peer.Wipe()
	again.announceSealed()
	again.joined("")
	again.wantRegisterSealed("with another random number")
	again.keyInfo()
	again.wantKeyInfoAck("the keys are the same") // far.open compares the counters
}

// A restarted session has new keys. It takes the place of an encrypted one, but
// a session in clear does not.
func TestRestartOfEncrypted(t *testing.T) {
	w := newSecureWorld(t, gcm, false)
	w.toMidGroup()
	w.toReceiving(1, 8500)
	w.forget()

	clear := w.far
	w.far = nil
	w.instance = 1
	w.from = netip.AddrPortFrom(w.from.Addr(), 5)
	w.announce()
	w.wantAbort("No unencrypted transfers allowed", "a restart in clear of an encrypted session")
	w.instance = 0
	w.far = clear
	w.wantPhase(Receiving)

	w.instance = 1
	w.far.start(t)
	w.announceSealed()
	w.wantRegisterSealed("the group is joined already")
	w.keyInfo()
	w.wantKeyInfoAck("new keys")
	noEvent[SessionEnded](w, "nobody has proved yet that the new session is its sender's")
	w.fileInfo(1, 8500)
	if e := event[SessionEnded](w, "the older one"); e.Reason != EndSuperseded || e.Session.Instance != 0 {
		t.Fatalf("%+v", e)
	}
	w.wantPhase(Opening)
}

func TestEncryptedRefusals(t *testing.T) {
	good := keysFor(gcm)[0].Public().Fingerprint()
	list := func(uid wire.UID, f *identity.Fingerprint) func(*Config) {
		return func(c *Config) { c.Servers = []Server{{UID: uid, Addr: senderAddr.Addr(), Fingerprint: f}} }
	}
	twice := func(c *Config) {
		c.Servers = []Server{
			{UID: them, Addr: senderAddr.Addr(), Fingerprint: &identity.Fingerprint{1}},
			{UID: them, Addr: senderAddr.Addr(), Fingerprint: &good},
		}
	}
	enc := func(change func(*wire.EncInfo)) func(*wire.Announce) {
		return func(a *wire.Announce) { change(&a.Enc) }
	}
	for _, c := range []struct {
		name   string
		suite  handshake.Suite
		auth   bool
		config func(*Config)
		change func(*wire.Announce)
		text   string // "" = taken
	}{
		{"as it is", gcm, false, nil, nil, ""},
		{"cipher 9", gcm, false, nil, enc(func(e *wire.EncInfo) { e.Cipher = 9 }), "Keytype invalid or not supported here"},
		{"MD5", gcm, false, nil, enc(func(e *wire.EncInfo) { e.Hash = 1 }), "Hashtype invalid or not supported here"},
		{"HMAC with GCM", gcm, false, nil, enc(func(e *wire.EncInfo) { e.SigType = 1 }), "Invalid sigtype specified"},
		{"exchange 4", gcm, false, nil, enc(func(e *wire.EncInfo) { e.KeyExch = 4 }), "Invalid keyextype specified"},
		{"fingerprint", gcm, false, list(them, &good), nil, ""},
		{"one of two fingerprints", gcm, false, twice, nil, ""},
		{"any key of a known sender", gcm, false, list(them, nil), nil, ""},
		{"other fingerprint", gcm, false, list(them, &identity.Fingerprint{1}), nil, "Failed to verify server key fingerprint"},
		{"other UID", gcm, false, list(other, &good), nil, "Failed to verify server key fingerprint"},
		{"point off the curve", gcm, false, nil, enc(func(e *wire.EncInfo) { e.PublicKey[20] ^= 1 }), "Failed to load server public key"},
		{"RSA garbage", rsa, false, nil, enc(func(e *wire.EncInfo) { clear(e.PublicKey[4:]) }), "Failed to load server public key"},
		{"ECDH point off the curve", gcm, false, nil, enc(func(e *wire.EncInfo) { e.ECDH[20] ^= 1 }), "Failed to load server public ECDH key"},
		{"client authentication without a key", gcm, true, func(c *Config) { c.Keys = nil }, nil, "No client key compatible with server key"},
		{"no key, nobody asks", gcm, false, func(c *Config) { c.Keys = nil }, nil, ""},
		{"a key of another size will do", gcm, true, func(c *Config) { c.Keys = p384Keys()[1:] }, nil, ""},
		{"medium wanted, RSA exchange has it not", rsa, false, func(c *Config) { c.MinSecurity = identity.Strong }, nil, string(handshake.ErrStrength)},
		{"strong wanted and got", gcm, false, func(c *Config) { c.MinSecurity = identity.Strong }, nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.config == nil {
				c.config = func(*Config) {}
			}
			if c.change == nil {
				c.change = func(*wire.Announce) {}
			}
			w := newSecureWorld(t, c.suite, c.auth, c.config, func(cfg *Config) {
				if len(cfg.Servers) > 0 {
					cfg.Public = append(cfg.Public, privateAddr)
				}
			})
			ssm := func(a *wire.Announce) {
				if len(w.r.cfg.Servers) > 0 {
					a.Private = addrOf("232.5.5.9:1").Addr()
				}
			}
			w.announceSealed(ssm, c.change)
			if c.text == "" {
				w.wantPhase(Joining)
				return
			}
			w.wantPhase(Free)
			w.wantAbort(c.text, "in clear: there are no keys")
			if e := event[Refused](w, "the user hears it"); e.Text != c.text {
				t.Fatalf("%+v", e)
			}
		})
	}
}

// An ANNOUNCE that anybody has touched is refused: its signature covers it all.
func TestForgedAnnounce(t *testing.T) {
	// With encryption demanded: a flipped extension type makes an ANNOUNCE in clear.
	w := newSecureWorld(t, gcm, false, func(c *Config) { c.MinSecurity = identity.Legacy })
	pkt := w.announcement()
	for i := range pkt {
		bad := bytes.Clone(pkt)
		bad[i] ^= 1
		w.now = w.now.Add(time.Second) // for the answers and the work
		w.raw(bad)
		if w.live() != 0 {
			t.Fatalf("taken with a bit flipped in byte %d", i)
		}
	}
	for n := range pkt {
		w.now = w.now.Add(time.Second)
		w.raw(pkt[:n])
		if w.live() != 0 {
			t.Fatalf("taken though cut to %d bytes", n)
		}
	}
	w.forget()
	w.raw(pkt)
	w.wantPhase(Joining)
}

// A flood of ANNOUNCEs gets a part of the time, not all of it: a burst of public-key work at once,
// and another ANNOUNCE when the work of the last one is paid for.
func TestAnnounceBudget(t *testing.T) {
	w := newSecureWorld(t, gcm, false)
	pkt := w.announcement(func(a *wire.Announce) { a.Robust = 9 })
	pkt[19]++ // after signing
	seen := func() bool {
		w.raw(bytes.Clone(pkt))
		w.forget()
		return w.last.Drop != machine.DropLimit
	}
	n := 0
	for seen() {
		n++
	}
	enc := w.far.server.EncInfo()
	cost := handshake.AnnounceCostUs(&enc)
	if want := (workBurst + cost - 1) / cost; n != want {
		t.Fatalf("%d ANNOUNCEs are looked at in one moment, want %d of %d µs each", n, want, cost)
	}
	debt := time.Duration(n*cost-workBurst) * time.Second / announceWork
	w.now = w.now.Add(debt - 1)
	if seen() {
		t.Fatal("another one is looked at too early")
	}
	w.now = w.now.Add(1)
	if !seen() {
		t.Fatalf("no other one is looked at after %v", debt)
	}
	w.now = w.now.Add(time.Second)
	w.announceSealed()
	w.wantPhase(Joining)
}

// A receiver without keys makes one when it is asked who it is.
func TestMakeKeys(t *testing.T) {
	none := func(c *Config) { c.Keys, c.MakeKeys = nil, true }
	w := newSecureWorld(t, gcm, true, none)
	wholeSession(w)
	if k := event[HaveKey](w, "a key was made").Key; k.Curve() != identity.P256 {
		t.Fatalf("made %v", k)
	}

	rsaSigned := handshake.Suite{Cipher: wire.CipherAES128CBC, Hash: wire.HashSHA512, SigType: wire.SigKeyExch, KeyExch: wire.KeyExchRSA}
	w = newSecureWorld(t, rsaSigned, true, none)
	for range 2 {
		w.announceSealed()
		w.wantSilence("the key is not there yet")
		w.wantPhase(Free)
	}
	want := event[KeyWanted](w, "the host has to make an RSA key")
	noEvent[KeyWanted](w, "once")
	if want.Spec.Kind != identity.RSA {
		t.Fatalf("%v wanted", want.Spec)
	}
	w.r.KeyMade(nil)
	w.announceSealed()
	event[KeyWanted](w, "it failed, so it is asked for again")
	w.r.KeyMade(rsaKeys()[1])
	w.poll()
	wholeSession(w)
	if k := event[HaveKey](w, "a key was made").Key; k.Kind() != identity.RSA {
		t.Fatalf("made %v", k)
	}
}

// Secrets are for a key log only, and there when there are keys.
func TestSecretsForKeyLog(t *testing.T) {
	w := newSecureWorld(t, gcm, false)
	w.announceSealed()
	id := event[SessionStarted](w, "accepted").Session.SessionID
	if _, ok := w.r.Secrets(id); ok {
		t.Fatal("there are none yet")
	}
	w.joined("")
	w.wantRegisterSealed("register")
	w.keyInfo()
	if _, ok := w.r.Secrets(id); ok {
		t.Fatal("nobody has proved yet that they are right")
	}
	noEvent[Keyed](w, "nor is it reported")
	w.fileInfo(1, 100)
	event[Keyed](w, "the sender has proved it")
	w.opened(Opened{Action: Complete})
	s, ok := w.r.Secrets(id)
	if !ok || s.Suite != gcm || s.GroupMaster != w.far.server.GroupMaster() || s.ServerRandom != w.far.server.Random() {
		t.Fatal("not the secrets of the session")
	}
	w.abort(wire.Abort{Text: []byte("over")})
	if _, ok := w.r.Secrets(id); ok {
		t.Fatal("the session is over")
	}
}

// A host that asks for proof of who sends heartbeats gets one signature for each.
func TestHeartbeatChallenge(t *testing.T) {
	peer := addrOf("10.0.0.9:1044")
	key := ecKeys()[1]
	w := newWorld(t, func(c *Config) {
		c.Heartbeats, c.HeartbeatEvery = []netip.AddrPort{peer}, 20*time.Second
		c.Keys = []*identity.PrivateKey{key, rsaKeys()[1]}
	})
	w.from, w.group = peer, 0
	answer := func(x wire.HBResp) { w.send(wire.FuncHBResp, x.Append(nil)) }
	for range 2 {
		w.poll()
		if x, err := wire.ParseHBReq(w.next(wire.FuncHBReq).msg); err != nil || x.Nonce != 0 || len(x.PublicKey) != 0 {
			t.Fatalf("the first HB_REQ shows something: %+v %v", x, err)
		}
		answer(wire.HBResp{Result: wire.HBChallenge, Nonce: 0xCAFE0001})
		p := w.next(wire.FuncHBReq)
		x, err := wire.ParseHBReq(p.msg)
		if err != nil || p.to != peer || x.Nonce != 0xCAFE0001 || identity.BlobFingerprint(x.PublicKey) != key.Public().Fingerprint() {
			t.Fatalf("%+v %v, want the first key and the nonce that was given", x, err)
		}
		digest := sha1.Sum(binary.BigEndian.AppendUint32(nil, x.Nonce))
		if err := key.Public().Verify(crypto.SHA1, digest[:], x.Signature); err != nil {
			t.Fatal(err)
		}
		answer(wire.HBResp{Result: wire.HBChallenge, Nonce: 7})
		w.wantSilence("it has got its answer")
		answer(wire.HBResp{Result: wire.HBOK})
		w.wantSilence("nor does it get another")
		w.advance(20 * time.Second)
	}

	w = newWorld(t, func(c *Config) { c.Heartbeats, c.MakeKeys = []netip.AddrPort{peer}, true })
	w.from, w.group = peer, 0
	w.poll()
	w.next(wire.FuncHBReq)
	answer(wire.HBResp{Result: wire.HBChallenge, Nonce: 1})
	w.wantSilence("there is no key to show")
}
