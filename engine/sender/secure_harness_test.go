package sender

import (
	"bytes"
	"crypto/rand"
	"slices"
	"strings"
	"sync"
	"testing"

	"uftp/crypto/aead"
	"uftp/crypto/handshake"
	"uftp/crypto/identity"
	"uftp/engine/dialect"
	"uftp/engine/machine"
	"uftp/wire"
)

// Keys that tests share: making them takes longer than the tests.
var (
	rsaKeys = sync.OnceValue(func() []*identity.PrivateKey { return makeKeys(identity.Spec{Kind: identity.RSA, Bits: 1024}) })
	ecKeys  = sync.OnceValue(func() []*identity.PrivateKey {
		return makeKeys(identity.Spec{Kind: identity.EC, Curve: identity.P256})
	})
)

// makeKeys makes one for the sender and three for hosts.
func makeKeys(s identity.Spec) (keys []*identity.PrivateKey) {
	for range 4 {
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

// The suite of tests that are not about suites.
var gcm = handshake.Suite{Cipher: wire.CipherAES128GCM, Hash: wire.HashSHA256, SigType: wire.SigAuthEnc, KeyExch: wire.KeyExchECDHECDSA}

// encrypted makes the session one of that suite.
func encrypted(s handshake.Suite, auth bool) func(*Config) {
	return func(c *Config) {
		server, err := handshake.NewServer(handshake.ServerConfig{
			Suite: s, ClientAuth: auth, Session: handshake.Session{Group: c.Group, Private: c.Private.Addr()},
			Key: keysFor(s)[0], Curve: identity.P256, Rand: rand.Reader,
		})
		if err != nil {
			panic(err)
		}
		if c.Dialect, err = dialect.NewServer(wire.Version4, server); err != nil {
			panic(err)
		}
	}
}

// firstCounter is the first one of a sender, as package dialect has it.
const firstCounter = 1 << 63

// packetKeys are what seals the packets of a session.
func packetKeys(server *handshake.Server) aead.Keys {
	s, group := server.Suite(), server.Group()
	k := aead.Keys{Cipher: s.Cipher, SigType: s.SigType, Hash: s.Hash, Key: group.Key, Salt: group.Salt}
	if s.SigType == wire.SigHMAC {
		k.HMACKey = group.HMACKey
	}
	return k
}

// secrets are what the rig needs to look into an encrypted session.
type secrets struct {
	server   *handshake.Server
	opener   *aead.Opener
	next     uint64 // counter that the sender must use next
	announce []byte // the last ANNOUNCE
	keyInfos []byte // message of the last KEYINFO
}

func newSecrets(x *dialect.Server) *secrets {
	if !x.Encrypted() {
		return nil
	}
	s := &secrets{server: x.Handshake(), next: firstCounter}
	var peer func(wire.UID) aead.Verifier
	if x.Signed() {
		peer = func(wire.UID) aead.Verifier { return s.server.Key().Public() }
	}
	var err error
	if s.opener, err = aead.NewOpener(packetKeys(s.server), peer); err != nil {
		panic(err)
	}
	return s
}

// counters checks that the sender continues the sequence of its counters.
func (r *rig) counters(first uint64, n int) {
	r.t.Helper()
	switch {
	case r.sec == nil && first != 0:
		r.t.Fatalf("counter %d in a session in clear", first)
	case r.sec == nil:
	case first != r.sec.next:
		r.t.Fatalf("counter %d, want %d: one row in the order of the wire", first, r.sec.next)
	default:
		r.sec.next += uint64(n)
	}
}

// unseal checks that a packet which must be sealed is sealed, and opens it.
func (r *rig) unseal(fn wire.Func, pkt, msg []byte) (wire.Func, []byte) {
	r.t.Helper()
	switch fn {
	case wire.FuncAnnounce:
		r.sec.announce = bytes.Clone(pkt)
		return fn, msg
	case wire.FuncKeyInfo, wire.FuncAbort:
		return fn, msg
	case wire.FuncEncrypted:
	default:
		r.t.Fatalf("sent %v in clear", fn)
	}
	msg, counter, err := r.sec.opener.Open(bytes.Clone(pkt))
	if err != nil {
		r.t.Fatalf("sent what cannot be opened: %v", err)
	}
	r.counters(counter, 1)
	return wire.Func(msg[0]), msg
}

// keyInfo lists the hosts that a KEYINFO is for.
func (r *rig) keyInfo(msg []byte) string {
	r.t.Helper()
	if r.sec == nil {
		r.t.Fatal("KEYINFO in a session in clear")
	}
	m, err := wire.ParseKeyInfo(wire.Version4, msg)
	r.check(err)
	if m.Len() == 0 || m.Len() > r.cfg.BlockSize/wire.KeyInfoItemLen {
		r.t.Fatalf("KEYINFO with %d entries", m.Len())
	}
	r.counters(m.Counter, 1)
	r.sec.keyInfos = append(r.sec.keyInfos[:0], msg...)
	var uids wire.UIDList
	for i := range m.Len() {
		u, _ := m.At(i)
		uids = wire.AppendUID(uids, u)
	}
	return list(uids)
}

// host is the other end of an encrypted session.
type host struct {
	r       *rig
	uid     wire.UID
	client  *handshake.Client
	sealer  *aead.Sealer
	counter uint64
	last    []byte // the datagram it sent last
}

// host makes a receiver that has heard the last ANNOUNCE.
func (r *rig) host(uid wire.UID, keys ...*identity.PrivateKey) *host {
	r.t.Helper()
	c, err := handshake.NewClient(r.sec.announce, handshake.ClientConfig{Keys: keys, Rand: rand.Reader})
	if err != nil {
		r.t.Fatalf("a receiver refuses the session: %v", err)
	}
	return &host{r: r, uid: uid, client: c}
}

func (h *host) send(pkt []byte) machine.Drop {
	h.r.t.Helper()
	h.last = bytes.Clone(pkt)
	return h.r.deliver(h.uid, pkt)
}

func (h *host) register() machine.Drop {
	h.r.t.Helper()
	info, err := h.client.AppendRegisterKeyInfo(nil)
	h.r.check(err)
	random := h.client.Random()
	m := wire.Register{Time: h.r.echo(0), Random: random[:], KeyInfo: info}
	return h.send(m.Append(wire.Version4, message(h.uid, wire.FuncRegister)))
}

func (h *host) clientKey() machine.Drop {
	h.r.t.Helper()
	m, err := h.client.ClientKey()
	h.r.check(err)
	return h.send(m.Append(message(h.uid, wire.FuncClientKey)))
}

// keyed takes the keys out of the last KEYINFO.
func (h *host) keyed() *host {
	h.r.t.Helper()
	m, err := wire.ParseKeyInfo(wire.Version4, h.r.sec.keyInfos)
	h.r.check(err)
	for i := range m.Len() {
		if u, entry := m.At(i); u == h.uid {
			h.r.check(h.client.OpenKeyInfo(testUID, m.Counter, entry))
		}
	}
	if h.client.Group() == nil {
		h.r.t.Fatalf("the last KEYINFO has nothing for %d", h.uid)
	}
	suite, group := h.client.Suite(), h.client.Group()
	k := aead.Keys{Cipher: suite.Cipher, SigType: suite.SigType, Hash: suite.Hash, Key: group.Key, Salt: group.Salt}
	var signer aead.Signer
	sigLen := 0
	switch suite.SigType {
	case wire.SigHMAC:
		k.HMACKey = group.HMACKey
	case wire.SigKeyExch:
		signer, sigLen = h.client.Key(), h.client.Key().Public().SignatureLen()
	}
	h.sealer, err = aead.NewSealer(k, signer, sigLen)
	h.r.check(err)
	return h
}

// sealed makes a sealed datagram of one in clear.
func (h *host) sealed(clear []byte) []byte {
	h.r.t.Helper()
	h.counter++
	lead, n := h.sealer.Lead(), len(clear)-wire.HeaderLen
	pkt := make([]byte, h.sealer.Size(n))
	copy(pkt, clear[:wire.HeaderLen])
	copy(pkt[lead:], clear[wire.HeaderLen:])
	_, err := h.sealer.Seal(pkt, n, h.counter)
	h.r.check(err)
	return pkt
}

func (h *host) say(fn wire.Func, m any) machine.Drop {
	h.r.t.Helper()
	return h.send(h.sealed(appendTo(message(h.uid, fn), m)))
}

func (h *host) ack() machine.Drop {
	h.r.t.Helper()
	verify, err := h.client.Ack()
	h.r.check(err)
	return h.say(wire.FuncKeyInfoAck, &wire.KeyInfoAck{Verify: verify[:]})
}

func (h *host) fileInfoAck(file uint16) machine.Drop {
	h.r.t.Helper()
	return h.say(wire.FuncFileInfoAck, &wire.FileInfoAck{FileID: file, Time: h.r.echo(0)})
}

func (h *host) complete(file uint16) machine.Drop {
	h.r.t.Helper()
	return h.say(wire.FuncComplete, &wire.Complete{FileID: file})
}

// joinSealed brings an encrypted closed group together.
func joinSealed(t *testing.T, s handshake.Suite, auth bool, set func(*Config), uids ...wire.UID) (*rig, []*host) {
	t.Helper()
	r := newRig(t, with(hosts(uids...), encrypted(s, auth), set))
	var all []*host
	for i, u := range uids {
		h := r.host(u, keysFor(s)[1+i])
		all = append(all, h)
		r.wantDrop("REGISTER of a listed host", h.register(), machine.DropNone)
		if h.client.ClientAuth() {
			r.wantState("a host that has not shown its key", u, Mute)
			r.wantDrop("its CLIENT_KEY", h.clientKey(), machine.DropNone)
		}
		r.wantState("a host that KEYINFO can go to", u, Registered)
	}
	r.advance(2 * ms)
	for _, h := range all {
		h.keyed()
		r.wantDrop("KEYINFO_ACK", h.ack(), machine.DropNone)
		r.wantState("a host that has the keys", h.uid, Active)
	}
	r.advance(40 * ms)
	r.wantPhase("a complete group goes on to the files", BetweenFiles)
	r.forget()
	return r, all
}

// beginSealed joins uids and takes them into the data phase.
func beginSealed(t *testing.T, s handshake.Suite, auth bool, set func(*Config), size int64, uids ...wire.UID) (*rig, []*host) {
	t.Helper()
	r, all := joinSealed(t, s, auth, set, uids...)
	r.offer("f", size)
	r.hold = true
	for _, h := range all {
		r.wantDrop("FILEINFO_ACK", h.fileInfoAck(1), machine.DropNone)
	}
	r.hold = false
	r.wantPhase("when all have answered FILEINFO the data starts", Data)
	r.forget()
	return r, all
}

// sent returns what left since the last forget, without the times.
func (r *rig) sent() []string {
	var l []string
	for _, w := range r.wire {
		_, what, _ := strings.Cut(w, " ")
		l = append(l, what)
	}
	return slices.Compact(l)
}
