package receiver

import (
	"math/rand/v2"
	"sync"
	"testing"

	"uftp/crypto/aead"
	"uftp/crypto/handshake"
	"uftp/crypto/identity"
	"uftp/engine/machine"
	"uftp/engine/seal"
	"uftp/wire"
)

// Keys that tests share: making them takes longer than the tests. The first is
// the sender's, the second ours.
var (
	rsaKeys  = sync.OnceValue(func() []*identity.PrivateKey { return makeKeys(identity.Spec{Kind: identity.RSA, Bits: 1024}) })
	ecKeys   = sync.OnceValue(func() []*identity.PrivateKey { return makeKeys(identity.Spec{Kind: identity.EC, Curve: identity.P256}) })
	p384Keys = sync.OnceValue(func() []*identity.PrivateKey { return makeKeys(identity.Spec{Kind: identity.EC, Curve: identity.P384}) })
)

func makeKeys(s identity.Spec) (keys []*identity.PrivateKey) {
	for range 2 {
		k, err := identity.Generate(s)
		if err != nil {
			panic(err)
		}
		keys = append(keys, k)
	}
	return keys
}

func keysFor(s handshake.Suite) []*identity.PrivateKey {
	if s.KeyKind() == identity.RSA {
		return rsaKeys()
	}
	return ecKeys()
}

// Suites of tests that are not about suites.
var (
	gcm = handshake.Suite{Cipher: wire.CipherAES256GCM, Hash: wire.HashSHA256, SigType: wire.SigAuthEnc, KeyExch: wire.KeyExchECDHECDSA}
	ccm = handshake.Suite{Cipher: wire.CipherAES128CCM, Hash: wire.HashSHA256, SigType: wire.SigAuthEnc, KeyExch: wire.KeyExchECDHECDSA}
	cbc = handshake.Suite{Cipher: wire.CipherAES256CBC, Hash: wire.HashSHA256, SigType: wire.SigHMAC, KeyExch: wire.KeyExchECDHECDSA}
	sig = handshake.Suite{Cipher: wire.CipherAES128CBC, Hash: wire.HashSHA256, SigType: wire.SigKeyExch, KeyExch: wire.KeyExchECDHECDSA}
	rsa = handshake.Suite{Cipher: wire.CipherAES128GCM, Hash: wire.HashSHA256, SigType: wire.SigAuthEnc, KeyExch: wire.KeyExchRSA}
)

// seeded is a source of randomness that gives the same bytes each time.
func seeded(seed byte) *rand.ChaCha8 { return rand.NewChaCha8([32]byte{seed}) }

// far is the sender of an encrypted session as far as secrets go.
type far struct {
	cfg     handshake.ServerConfig
	server  *handshake.Server
	peer    handshake.Peer
	counter uint64 // last one used

	sealer *aead.Sealer // from KEYINFO on
	opener *aead.Opener
	seen   map[uint64]bool // counters of the receiver
	least  uint64
	deaf   bool // packets that do not open are passed over
}

// newSecureWorld is newWorld with a sender that encrypts.
func newSecureWorld(t *testing.T, s handshake.Suite, auth bool, change ...func(*Config)) *world {
	t.Helper()
	w := newWorld(t, append([]func(*Config){func(c *Config) { c.Keys, c.Rand = keysFor(s)[1:], seeded(2) }}, change...)...)
	w.far = &far{cfg: handshake.ServerConfig{
		Suite: s, ClientAuth: auth, Session: handshake.Session{Group: theGroup, Private: privateAddr},
		Key: keysFor(s)[0], Curve: identity.P256, Rand: seeded(1),
	}}
	w.far.start(t)
	return w
}

// start begins a session, the first one or after a restart of the sender.
func (f *far) start(t testing.TB) {
	t.Helper()
	var err error
	if f.server, err = handshake.NewServer(f.cfg); err != nil {
		t.Fatal(err)
	}
	f.peer, f.counter, f.sealer, f.opener, f.seen, f.least = handshake.Peer{}, 0, nil, nil, map[uint64]bool{}, 0
}

// key makes the sealer and the opener of packets.
func (f *far) key(t testing.TB) {
	t.Helper()
	s, g := f.server.Suite(), f.server.Group()
	k := aead.Keys{Cipher: s.Cipher, SigType: s.SigType, Hash: s.Hash, Key: g.Key, Salt: g.Salt, HMACKey: g.HMACKey}
	var peer func(wire.UID) aead.Verifier
	var signer aead.Signer
	sigLen := 0
	if s.SigType == wire.SigKeyExch {
		peer = func(wire.UID) aead.Verifier { return f.peer.Key() }
		signer, sigLen = f.server.Key(), f.server.Key().Public().SignatureLen()
	}
	var err error
	if f.sealer, err = aead.NewSealer(k, signer, sigLen); err != nil {
		t.Fatal(err)
	}
	if f.opener, err = aead.NewOpener(k, peer); err != nil {
		t.Fatal(err)
	}
}

func (f *far) seal(w *world, h wire.Header, msg []byte) []byte {
	w.t.Helper()
	f.counter++
	p := make([]byte, f.sealer.Size(len(msg)))
	copy(p, h.Append(nil))
	copy(p[f.sealer.Lead():], msg)
	n, err := f.sealer.Seal(p, len(msg), f.counter)
	if err != nil {
		w.t.Fatal(err)
	}
	return p[:n]
}

// open checks and opens a packet of the receiver. Once there are keys everything but the
// handshake must be sealed, with counters that rise.
func (f *far) open(w *world, fn wire.Func, pkt, msg []byte) (wire.Func, []byte) {
	w.t.Helper()
	if fn != wire.FuncEncrypted {
		again := (fn == wire.FuncRegister || fn == wire.FuncClientKey) && w.session() != nil && !w.session().dialect.Proved()
		if w.session() != nil && w.session().dialect.Keyed() && !again {
			w.t.Fatalf("%v leaves in clear though there are keys", fn)
		}
		return fn, msg
	}
	if f.opener == nil {
		w.t.Fatal("a sealed packet before there are keys")
	}
	pkt = append([]byte(nil), pkt...)
	msg, ctr, err := f.opener.Open(pkt)
	if err != nil && f.deaf {
		return 0, []byte{0}
	}
	if err != nil {
		w.t.Fatalf("a packet of the receiver does not open: %v", err)
	}
	if f.seen[ctr] || ctr < f.least {
		w.t.Fatalf("counter %d comes again", ctr)
	}
	f.seen[ctr], f.least = true, ctr
	return wire.Func(msg[0]), msg
}

// announcement returns the datagram of an ANNOUNCE that offers encryption.
func (w *world) announcement(change ...func(*wire.Announce)) []byte {
	w.t.Helper()
	a := wire.Announce{Robust: 20, BlockSize: 1000, Time: 77_999_000, Public: publicAddr, Private: privateAddr}
	a.HasEnc, a.Enc = true, w.far.server.EncInfo()
	for _, c := range change {
		c(&a)
	}
	h := wire.Header{Version: wire.Version4, Func: wire.FuncAnnounce, Seq: w.seq, Src: w.src, Group: w.group, Instance: w.instance, GRTT: w.grtt}
	w.seq++
	pkt := a.Append(wire.Version4, h.Append(nil))
	if err := w.far.server.SignAnnounce(pkt); err != nil {
		w.t.Fatal(err)
	}
	return pkt
}

func (w *world) announceSealed(change ...func(*wire.Announce)) {
	w.t.Helper()
	w.raw(w.announcement(change...))
}

// wantRegisterSealed takes REGISTER, and CLIENT_KEY when it was asked for.
func (w *world) wantRegisterSealed(why string) {
	w.t.Helper()
	p := w.next(wire.FuncRegister)
	x, err := wire.ParseRegister(wire.Version4, p.msg)
	if err != nil || x.Clients.Len() != 0 {
		w.t.Fatalf("%s: REGISTER %v", why, err)
	}
	if err := w.far.server.Register(&w.far.peer, x.Random, x.KeyInfo); err != nil {
		w.t.Fatalf("%s: %v", why, err)
	}
	if !w.far.server.ClientAuth() {
		return
	}
	q := w.next(wire.FuncClientKey)
	k, err := wire.ParseClientKey(q.msg)
	if err != nil || q.head.Seq != p.head.Seq+1 || q.to != p.to {
		w.t.Fatalf("%s: CLIENT_KEY %d after REGISTER %d: %v", why, q.head.Seq, p.head.Seq, err)
	}
	if err := w.far.server.ClientKey(&w.far.peer, k, nil); err != nil {
		w.t.Fatalf("%s: %v", why, err)
	}
}

// keyInfoFor returns the message KEYINFO for us and others.
func (w *world) keyInfoFor(uid wire.UID) []byte {
	w.far.counter++
	x := wire.KeyInfo{Counter: w.far.counter}
	x.Items = append(wire.AppendUID(nil, other), make([]byte, handshake.EntryLen)...)
	x.Items = w.far.server.AppendKeyInfoItem(x.Items, &w.far.peer, uid, them, x.Counter)
	return x.Append(wire.Version4, nil)
}

func (w *world) keyInfo() {
	w.t.Helper()
	if w.far.sealer == nil {
		w.far.key(w.t)
	}
	w.send(wire.FuncKeyInfo, w.keyInfoFor(us))
}

func (w *world) wantKeyInfoAck(why string) {
	w.t.Helper()
	x, err := wire.ParseKeyInfoAck(wire.Version4, w.next(wire.FuncKeyInfoAck).msg)
	if err == nil {
		err = w.far.server.CheckAck(&w.far.peer, x.Verify)
	}
	if err != nil {
		w.t.Fatalf("%s: KEYINFO_ACK: %v", why, err)
	}
}

// unsealer returns an Unsealer with a key of the session, nil if there is none to have.
func (w *world) unsealer() *seal.Unsealer {
	k, ok := w.r.UnsealKey(SessionID{Group: w.group, Instance: w.instance})
	if !ok {
		return nil
	}
	u := new(seal.Unsealer)
	u.Add(k)
	return u
}

// unsealed hands in a datagram that u has seen before.
func (w *world) unsealed(u *seal.Unsealer, pkt []byte) machine.Verdict {
	w.t.Helper()
	var opened [1]seal.Mark
	var out [1]machine.Verdict
	u.Unseal([][]byte{pkt}, opened[:])
	w.r.HandleBatch(w.now, arrived(w.from, nil), [][]byte{pkt}, opened[:], out[:])
	w.poll()
	return out[0]
}
