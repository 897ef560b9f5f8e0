package dialect

import (
	"bytes"
	"crypto/aes"
	"errors"
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"

	"uftp/crypto/aead"
	"uftp/crypto/handshake"
	"uftp/crypto/identity"
	"uftp/engine/clock"
	"uftp/engine/machine"
	"uftp/wire"
)

const (
	group     = 7
	senderUID = wire.UID(0x0a000001)
	ownUID    = wire.UID(0x0a000002)
	start     = clock.Time(1_700_000_000e9)
)

var (
	gcm   = handshake.Suite{Cipher: wire.CipherAES128GCM, Hash: wire.HashSHA256, SigType: wire.SigAuthEnc, KeyExch: wire.KeyExchECDHECDSA}
	hmac  = handshake.Suite{Cipher: wire.CipherAES128CBC, Hash: wire.HashSHA256, SigType: wire.SigHMAC, KeyExch: wire.KeyExchECDHECDSA}
	keyex = handshake.Suite{Cipher: wire.CipherAES128CBC, Hash: wire.HashSHA256, SigType: wire.SigKeyExch, KeyExch: wire.KeyExchECDHECDSA}
)

// seeded is a source of randomness that gives the same bytes each time.
func seeded(seed uint8) *rand.ChaCha8 { return rand.NewChaCha8([32]byte{seed}) }

// testKeys are those of the sender and of a receiver.
var testKeys = sync.OnceValue(func() []*identity.PrivateKey {
	keys := make([]*identity.PrivateKey, 2)
	for i := range keys {
		var err error
		if keys[i], err = identity.GenerateEC(identity.P256, seeded(uint8(i))); err != nil {
			panic(err)
		}
	}
	return keys
})

// pair is both sides of a session.
type pair struct {
	t      *testing.T
	rand   *rand.ChaCha8
	server *Server
	client *Client
	peer   handshake.Peer
	offer  []byte // ANNOUNCE
	forged uint64 // KEYINFOs so far
}

func clear4(t *testing.T) *pair {
	server, err := NewServer(wire.Version4, nil)
	if err != nil {
		t.Fatal(err)
	}
	return &pair{t: t, server: server, client: NewClient(wire.Version4, nil)}
}

// announced is a pair whose client has heard ANNOUNCE and whose server has heard REGISTER.
func announced(t *testing.T, suite handshake.Suite, auth bool) *pair {
	t.Helper()
	return announcedFrom(t, 99, suite, auth)
}

// announcedFrom is announced with other random numbers for each seed.
func announcedFrom(t *testing.T, seed uint8, suite handshake.Suite, auth bool) *pair {
	t.Helper()
	p := &pair{t: t, rand: seeded(seed)}
	private := netip.MustParseAddr("230.5.5.9")
	hs, err := handshake.NewServer(handshake.ServerConfig{
		Suite: suite, ClientAuth: auth, Session: handshake.Session{Group: group, Private: private},
		Key: testKeys()[0], Curve: identity.P256, Rand: p.rand,
	})
	p.ok(err)
	p.server, err = NewServer(wire.Version4, hs)
	p.ok(err)

	m := wire.Announce{Robust: 20, BlockSize: 1300, Public: private, Private: private}
	p.server.FillAnnounce(&m)
	pkt := m.Append(wire.Version4, p.server.Begin(nil, p.header(senderUID, wire.FuncAnnounce), false))
	p.offer = p.server.Finish(pkt, false)
	p.client = p.register(testKeys()[1], &p.peer)
	return p
}

// register returns a client that has registered as a peer, with a key.
func (p *pair) register(key *identity.PrivateKey, peer *handshake.Peer) *Client {
	p.t.Helper()
	hc, err := handshake.NewClient(p.offer, handshake.ClientConfig{Keys: []*identity.PrivateKey{key}, Rand: p.rand})
	p.ok(err)
	c, hs := NewClient(wire.Version4, hc), p.server.Handshake()
	var r wire.Register
	if !c.FillRegister(&r) {
		p.t.Fatal("there is nothing to register with")
	}
	p.ok(hs.Register(peer, r.Random, r.KeyInfo))
	if c.ShowsKey() {
		k, err := hc.ClientKey()
		p.ok(err)
		p.ok(hs.ClientKey(peer, k, nil))
	}
	return c
}

// keyed is a pair whose client has heard KEYINFO.
func keyed(t *testing.T, suite handshake.Suite, auth bool) *pair {
	t.Helper()
	p := announced(t, suite, auth)
	p.hearKeyInfo(false)
	return p
}

func (p *pair) ok(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *pair) header(src wire.UID, f wire.Func) wire.Header {
	return wire.Header{Version: wire.Version4, Func: f, Src: src, Group: group, GRTT: 100}
}

// hearKeyInfo hands the client its entry of a KEYINFO, which somebody on the way may have forged.
func (p *pair) hearKeyInfo(forged bool) *KeySet {
	p.t.Helper()
	m := p.keyInfo()
	if forged {
		p.forged++ // opens to another group master with CBC
		m.Counter ^= p.forged << 16
	}
	k, why := p.client.TakeKeyInfo(start, ownUID, p.says(wire.FuncKeyInfo, m.Append(wire.Version4, nil)))
	if why != machine.DropNone {
		p.t.Fatalf("KEYINFO is refused as %v", why)
	}
	return k
}

// keyInfo returns a KEYINFO for the client.
func (p *pair) keyInfo() *wire.KeyInfo {
	counter := p.server.Counters(1)
	return &wire.KeyInfo{Counter: counter, Items: p.server.Handshake().AppendKeyInfoItem(nil, &p.peer, ownUID, senderUID, counter)}
}

// says returns a packet of the server.
func (p *pair) says(f wire.Func, msg []byte) []byte {
	sealed := p.server.Seals(f)
	return p.server.Finish(append(p.server.Begin(make([]byte, 0, 2000), p.header(senderUID, f), sealed), msg...), sealed)
}

// answers returns a packet of the client.
func (p *pair) answers(f wire.Func, msg []byte) []byte {
	p.t.Helper()
	b, ok := p.client.Finish(append(p.client.Begin(make([]byte, 0, 2000), p.header(ownUID, f), nil), msg...), f, nil)
	if !ok {
		p.t.Fatalf("%v cannot be sent", f)
	}
	return b
}

// wantHeard wants that the client opens a packet and takes its message.
func (p *pair) wantHeard(why string, pkt, want []byte) {
	p.t.Helper()
	if d := p.client.Refuse(pkt); d != machine.DropNone {
		p.t.Fatalf("%s: refused as %v", why, d)
	}
	msg, err := p.client.Open(pkt, false)
	if err != nil || !bytes.Equal(msg, want) {
		p.t.Fatalf("%s: opened as %x, %v, want %x", why, msg, err, want)
	}
	if d := p.client.Take(pkt, msg, false); d != machine.DropNone {
		p.t.Fatalf("%s: not taken, %v", why, d)
	}
}

func done() []byte { return (&wire.Done{FileID: 1}).Append(nil) }

func complete() []byte { return (&wire.Complete{FileID: 1}).Append(nil) }

func TestConversation(t *testing.T) {
	for _, c := range []struct {
		why   string
		suite handshake.Suite
		auth  bool
	}{
		{"GCM", gcm, false},
		{"GCM, receivers show keys", gcm, true},
		{"HMAC", hmac, false},
		{"each packet signed", keyex, true},
	} {
		p := announced(t, c.suite, c.auth)
		if p.client.Keyed() || p.client.Proved() || p.client.ShowsKey() != c.auth {
			t.Errorf("%s: keyed %v, proved %v, shows a key %v before KEYINFO", c.why, p.client.Keyed(), p.client.Proved(), p.client.ShowsKey())
		}
		if b := p.answers(wire.FuncAbort, complete()); wire.Func(b[1]) != wire.FuncAbort {
			t.Errorf("%s: an ABORT before there are keys is sealed", c.why)
		}
		k := p.hearKeyInfo(false)
		p.ok(p.server.Handshake().CheckAck(&p.peer, k.Verify()))
		var last uint64
		for range 3 {
			pkt := p.answers(wire.FuncComplete, complete())
			msg, counter, err := p.server.Open(pkt, &p.peer)
			if err != nil || !bytes.Equal(msg, complete()) || counter <= last || p.server.Ours(counter) {
				t.Fatalf("%s: COMPLETE opens as %x, %v with counter %d after %d", c.why, msg, err, counter, last)
			}
			last = counter
		}
		if p.client.Proved() {
			t.Errorf("%s: the keys are proved before the sender has used them", c.why)
		}
		pkt := p.says(wire.FuncDone, done())
		if counter, ok := wire.Counter(pkt); !ok || !p.server.Ours(counter) {
			t.Errorf("%s: counter %d, %v of the server is not in its half", c.why, counter, ok)
		}
		again := bytes.Clone(pkt)
		p.wantHeard(c.why, pkt, done())
		if !p.client.Proved() || p.client.FillRegister(&wire.Register{}) {
			t.Errorf("%s: proved %v; want it, and an end of the registration", c.why, p.client.Proved())
		}
		if d := p.client.Refuse(again); d != machine.DropReplay {
			t.Errorf("%s: the same packet again is %v, want a replay", c.why, d)
		}
		if b := p.says(wire.FuncRegConf, []byte{4, 1, 0, 0}); wire.Func(b[1]) != wire.FuncRegConf {
			t.Errorf("%s: REG_CONF is sealed", c.why)
		}
	}
}

func TestClear(t *testing.T) {
	p := clear4(t)
	if b := p.says(wire.FuncDone, done()); !bytes.Equal(b[wire.HeaderLen:], done()) {
		t.Errorf("DONE leaves as %x", b)
	}
	if b := p.answers(wire.FuncComplete, complete()); !bytes.Equal(b[wire.HeaderLen:], complete()) {
		t.Errorf("COMPLETE leaves as %x", b)
	}
	var r wire.Register
	var a wire.Announce
	p.server.FillAnnounce(&a)
	if !p.client.FillRegister(&r) || r.KeyInfo != nil || r.Random != nil || a.HasEnc {
		t.Errorf("REGISTER %+v and ANNOUNCE %+v speak of keys", r, a)
	}
	if !p.client.Proved() || p.client.Keyed() || p.client.ShowsKey() || p.server.Signed() {
		t.Error("a session in clear has keys, or waits for a proof")
	}
	if n := p.server.Counters(5); n != 0 || p.server.Overhead() != wire.HeaderLen+wire.FileSegLen || p.server.BlockSizeMax() != wire.MaxBlockSize {
		t.Errorf("counter %d, overhead %d, blocks of %d bytes", n, p.server.Overhead(), p.server.BlockSizeMax())
	}
	p.server.Wipe()
	p.client.Release()
}

// TestTakesClear checks which messages count in clear.
func TestTakesClear(t *testing.T) {
	for _, c := range []struct {
		f          wire.Func
		announced  machine.Drop // at the client of an encrypted session, before KEYINFO
		keyed      machine.Drop // and after it
		fromMute   bool         // at the server, from a client that has no keys
		fromMember bool         // from one that has
	}{
		{wire.FuncAnnounce, machine.DropNone, machine.DropNone, false, false},
		{wire.FuncKeyInfo, machine.DropNone, machine.DropNone, false, false},
		{wire.FuncRegConf, machine.DropPhase, machine.DropPhase, false, false},
		{wire.FuncAbort, machine.DropNone, machine.DropClear, true, false},
		{wire.FuncFileInfo, machine.DropClear, machine.DropClear, false, false},
		{wire.FuncFileSeg, machine.DropClear, machine.DropClear, false, false},
		{wire.FuncDone, machine.DropClear, machine.DropClear, false, false},
		{wire.FuncRegister, machine.DropClear, machine.DropClear, true, true},
		{wire.FuncClientKey, machine.DropClear, machine.DropClear, true, true},
		{wire.FuncKeyInfoAck, machine.DropClear, machine.DropClear, false, false},
		{wire.FuncComplete, machine.DropClear, machine.DropClear, false, false},
	} {
		p := announced(t, gcm, false)
		if got := p.client.TakesClear(c.f); got != c.announced {
			t.Errorf("%v before KEYINFO is %v, want %v", c.f, got, c.announced)
		}
		p.hearKeyInfo(false)
		if got := p.client.TakesClear(c.f); got != c.keyed {
			t.Errorf("%v after KEYINFO is %v, want %v", c.f, got, c.keyed)
		}
		if got := p.server.TakesClear(c.f, false); got != c.fromMute {
			t.Errorf("%v of a client without keys counts: %v, want %v", c.f, got, c.fromMute)
		}
		if got := p.server.TakesClear(c.f, true); got != c.fromMember {
			t.Errorf("%v of a client with keys counts: %v, want %v", c.f, got, c.fromMember)
		}
		if p = clear4(t); !p.server.TakesClear(c.f, false) {
			t.Errorf("%v does not count in a session in clear", c.f)
		}
	}
}

// TestForgedKeyInfo: a forged KEYINFO gives keys too. The sender's packet shows which are right, and
// the others are forgotten.
func TestForgedKeyInfo(t *testing.T) {
	for _, order := range [][]bool{{true, false}, {false, true}, {true, false, true, true}} {
		p := announced(t, hmac, false)
		var right *KeySet
		for _, forged := range order {
			if k := p.hearKeyInfo(forged); !forged {
				right = k
			}
		}
		if n := len(p.client.keys); n != len(order) {
			t.Fatalf("%v: %d sets of keys, want them all", order, n)
		}
		pkt := p.says(wire.FuncDone, done())
		p.wantHeard("the sender's own packet", pkt, done())
		if p.client.current != right || len(p.client.keys) != 1 {
			t.Errorf("%v: %d sets of keys are left, and not the right one", order, len(p.client.keys))
		}
		if k := p.hearKeyInfo(true); k != right {
			t.Errorf("%v: keys changed after they were proved", order)
		}
		p.answers(wire.FuncComplete, complete())
	}
}

// TestFirstKeysStay: however many forged ones come, the first set is not pushed out.
func TestFirstKeysStay(t *testing.T) {
	p := announced(t, hmac, false)
	first := p.hearKeyInfo(false)
	for range 3 * keySetsMax {
		p.hearKeyInfo(true)
	}
	if len(p.client.keys) != keySetsMax || p.client.keys[0] != first {
		t.Errorf("%d sets of keys, the first among them: %v", len(p.client.keys), p.client.keys[0] == first)
	}
	if _, ok := p.client.Finish(p.client.Begin(make([]byte, 0, 100), p.header(ownUID, wire.FuncKeyInfoAck), first), wire.FuncKeyInfoAck, first); !ok {
		t.Error("the first keys cannot seal")
	}
}

func TestKeyInfoThatGivesNoKeys(t *testing.T) {
	p := announced(t, gcm, false)
	m := p.keyInfo()
	pkt := p.says(wire.FuncKeyInfo, m.Append(wire.Version4, nil))
	wrong := bytes.Clone(pkt)
	wrong[len(wrong)-1-aes.BlockSize] ^= 1 // with CBC that changes the padding at the end
	for _, c := range []struct {
		why  string
		uid  wire.UID
		pkt  []byte
		want machine.Drop
		bad  bool
	}{
		{"it has no entry for us", ownUID + 1, pkt, machine.DropNotForUs, false},
		{"its header is cut", ownUID, pkt[:wire.HeaderLen+11], machine.DropMalformed, false},
		{"its only entry is cut", ownUID, pkt[:len(pkt)-1], machine.DropNotForUs, false},
		{"the entry does not open", ownUID, wrong, machine.DropSealed, true},
	} {
		k, why := p.client.TakeKeyInfo(start, c.uid, c.pkt)
		if k != nil || why != c.want || p.client.BadKeyInfo() != c.bad || p.client.Keyed() {
			t.Errorf("%s: keys %v, refused as %v, want %v; bad %v", c.why, k, why, c.want, p.client.BadKeyInfo())
		}
	}
	if k, why := p.client.TakeKeyInfo(start, ownUID, pkt); k == nil || why != machine.DropNone {
		t.Errorf("a good one after those is refused as %v", why)
	}
}

func TestGivenUpKeysDoNotSeal(t *testing.T) {
	p := announced(t, hmac, false)
	forged := p.hearKeyInfo(true)
	p.hearKeyInfo(false)
	b := p.client.Begin(make([]byte, 0, 100), p.header(ownUID, wire.FuncKeyInfoAck), forged)
	p.wantHeard("proof", p.says(wire.FuncDone, done()), done())
	if _, ok := p.client.Finish(b, wire.FuncKeyInfoAck, forged); ok {
		t.Error("an answer to a forged KEYINFO was sealed with keys that were given up")
	}
}

// TestEcho: a client refuses its own packets, though the key is the same.
func TestEcho(t *testing.T) {
	p := keyed(t, gcm, false)
	pkt := p.answers(wire.FuncComplete, complete())
	if _, err := p.client.Open(pkt, true); !errors.Is(err, aead.ErrAuth) || p.client.Proved() {
		t.Errorf("our own COMPLETE proves the keys: %v", err)
	}
	p.wantHeard("proof", p.says(wire.FuncDone, done()), done())
	pkt = p.answers(wire.FuncComplete, complete())
	msg, err := p.client.Open(pkt, true)
	p.ok(err)
	if d := p.client.Take(pkt, msg, true); d != machine.DropFunction {
		t.Errorf("our own COMPLETE is %v, want a message of the other side", d)
	}
}

// TestSignatures: a packet of KEYEX is verified once and its cost is reported; without the key of
// its sender it does not open.
func TestSignatures(t *testing.T) {
	p := keyed(t, keyex, true)
	p.hearKeyInfo(true)
	if !p.client.Signed() || !p.server.Signed() {
		t.Fatal("nothing is signed")
	}
	pkt := p.says(wire.FuncDone, done())
	pkt[wire.HeaderLen+wire.EncryptedLen+8] ^= 1
	if _, err := p.client.Open(pkt, false); err == nil || p.client.FailureCostUs() != p.client.Handshake().VerifyCostUs() {
		t.Errorf("a wrong signature: %v, cost %d µs", err, p.client.FailureCostUs())
	}
	p.wantHeard("a good one", p.says(wire.FuncDone, done()), done())

	mine := p.answers(wire.FuncComplete, complete())
	var mute, other handshake.Peer
	p.register(testKeys()[0], &other)
	for why, host := range map[string]*handshake.Peer{"no key": &mute, "another key": &other} {
		if _, _, err := p.server.Open(bytes.Clone(mine), host); err == nil {
			t.Errorf("a packet opens as one of a host that has shown %s", why)
		}
	}
	p.peer.Forget()
	if msg, _, err := p.server.Open(mine, &p.peer); err != nil || !bytes.Equal(msg, complete()) {
		t.Errorf("after the handshake is forgotten: %x, %v", msg, err)
	}
}

func TestSizes(t *testing.T) {
	for _, s := range []handshake.Suite{gcm, hmac, keyex} {
		p := keyed(t, s, true)
		n := p.server.BlockSizeMax()
		for _, extra := range []int{0, 1} {
			packer, err := p.server.NewPacker(n + extra)
			p.ok(err)
			if fits := packer.Stride() <= wire.MaxDatagram; fits != (extra == 0) && n+extra <= wire.MaxBlockSize {
				t.Errorf("%v: blocks of %d bytes fit: %v, and the largest are said to have %d", s, n+extra, fits, n)
			}
		}
		for _, sealed := range []bool{false, true} {
			b := p.server.Begin(make([]byte, 0, machine.MaxPacket), p.header(senderUID, wire.FuncAbort), sealed)
			b = b[:p.server.LongestPacket(sealed)]
			if b = p.server.Finish(b, sealed); len(b) > wire.MaxDatagram {
				t.Errorf("%v: the longest packet has %d bytes", s, len(b))
			}
		}
		packer, err := p.server.NewPacker(n)
		p.ok(err)
		if got, want := p.server.Overhead(), packer.Lead()+16; got != want {
			t.Errorf("%v: overhead %d, want %d", s, got, want)
		}
	}
}

func TestRelease(t *testing.T) {
	p := keyed(t, gcm, false)
	p.client.Hold()
	p.client.Release()
	p.answers(wire.FuncComplete, complete())
	p.client.Release()
	if p.client.Keyed() || p.client.Handshake().Group() != nil {
		t.Error("there are keys after the last use")
	}
}

func TestNothingAllocates(t *testing.T) {
	p := keyed(t, gcm, false)
	p.wantHeard("proof", p.says(wire.FuncDone, done()), done())
	buf := make([]byte, 0, 2000)
	msg := done()
	if n := testing.AllocsPerRun(100, func() {
		pkt := p.server.Finish(append(p.server.Begin(buf, p.header(senderUID, wire.FuncDone), true), msg...), true)
		if p.client.Refuse(pkt) != machine.DropNone {
			t.Fatal("refused")
		}
		got, err := p.client.Open(pkt, false)
		if err != nil || p.client.Take(pkt, got, false) != machine.DropNone {
			t.Fatal("not heard")
		}
		b, _ := p.client.Finish(append(p.client.Begin(buf, p.header(ownUID, wire.FuncDone), nil), msg...), wire.FuncDone, nil)
		if _, _, err := p.server.Open(b, &p.peer); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("a packet each way allocates %v times, want 0", n)
	}
}
