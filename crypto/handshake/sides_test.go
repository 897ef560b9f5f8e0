package handshake

import (
	"bytes"
	"errors"
	"io"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"uftp/crypto/identity"
	"uftp/wire"
)

const senderUID, clientUID = wire.UID(0x0a500001), wire.UID(0x0a50000b)

var session = Session{Group: 0x11223344, Private: netip.MustParseAddr("230.5.5.7")}

// lab is one server and what it announced.
type lab struct {
	*Server
	pkt []byte
}

// newLab makes a server with the key and its signed ANNOUNCE.
func newLab(t testing.TB, s Suite, auth bool, key *identity.PrivateKey, curve identity.Curve) *lab {
	t.Helper()
	srv, err := NewServer(ServerConfig{Suite: s, ClientAuth: auth, Session: session, Key: key, Curve: curve, Rand: random(1), RSABitsMax: identity.RSABitsMax})
	if err != nil {
		t.Fatalf("%v: %v", s, err)
	}
	l := &lab{Server: srv}
	l.announce(t, srv.EncInfo())
	return l
}

func (l *lab) announce(t testing.TB, e wire.EncInfo) {
	t.Helper()
	h := wire.Header{Version: wire.Version4, Func: wire.FuncAnnounce, Src: senderUID, Group: session.Group}
	a := wire.Announce{Robust: 20, BlockSize: 1300, Public: netip.MustParseAddr("230.4.4.1"), Private: session.Private, Enc: e, HasEnc: true}
	l.pkt = a.Append(wire.Version4, h.Append(nil))
	l.pkt = wire.AppendUID(l.pkt, clientUID)
	if err := l.SignAnnounce(l.pkt); err != nil {
		t.Fatal(err)
	}
}

// shake runs the whole handshake and returns what both sides have.
func (l *lab) shake(t testing.TB, c ClientConfig) (*Client, *Peer) {
	t.Helper()
	k, err := NewClient(l.pkt, c)
	if err != nil {
		t.Fatalf("%v: client: %v", l.Suite(), err)
	}
	p := new(Peer)
	info, err := k.AppendRegisterKeyInfo(nil)
	if err != nil {
		t.Fatal(err)
	}
	r := k.Random()
	if err := l.Register(p, r[:], info); err != nil {
		t.Fatalf("%v: REGISTER: %v", l.Suite(), err)
	}
	if l.Ready(p) == k.ClientAuth() {
		t.Fatalf("%v: ready %v before CLIENT_KEY", l.Suite(), l.Ready(p))
	}
	if k.ClientAuth() {
		m, err := k.ClientKey()
		if err != nil {
			t.Fatalf("%v: %v", l.Suite(), err)
		}
		want := identity.BlobFingerprint(m.PublicKey)
		if err := l.ClientKey(p, m, &want); err != nil {
			t.Fatalf("%v: CLIENT_KEY: %v", l.Suite(), err)
		}
	}
	item := l.AppendKeyInfoItem(nil, p, clientUID, senderUID, 1)
	if err := k.OpenKeyInfo(senderUID, 1, item[4:]); err != nil {
		t.Fatalf("%v: KEYINFO: %v", l.Suite(), err)
	}
	ack, err := k.Ack()
	if err != nil {
		t.Fatal(err)
	}
	if err := l.CheckAck(p, ack[:]); err != nil {
		t.Fatalf("%v: KEYINFO_ACK: %v", l.Suite(), err)
	}
	if !bytes.Equal(k.Group().Key, l.Group().Key) || !bytes.Equal(k.Group().HMACKey, l.Group().HMACKey) || !bytes.Equal(k.Group().Salt, l.Group().Salt) {
		t.Fatalf("%v: the two sides have different keys", l.Suite())
	}
	if len(k.Group().Key) != l.Suite().KeyLen() || len(k.Group().HMACKey) != l.Suite().HashLen() || len(k.Group().Salt) != SaltLen {
		t.Fatalf("%v: keys of other lengths than the suite's", l.Suite())
	}
	return k, p
}

// suites yields all suites that are valid.
func suites(yield func(Suite) bool) {
	for c := range wire.Cipher(16) {
		for h := range wire.Hash(8) {
			for sig := range wire.Sig(5) {
				for x := range wire.KeyExch(5) {
					s := Suite{c, h, sig, x}
					if s.Check() == nil && !yield(s) {
						return
					}
				}
			}
		}
	}
}

func serverKey(t testing.TB, s Suite) *identity.PrivateKey {
	if s.KeyKind() == identity.EC {
		return keyFile(t, "ec-prime256v1-server.pem")
	}
	return keyFile(t, "rsa1024-server.pem")
}

// Every valid suite, with and without client authentication, ends in equal keys.
func TestEverySuite(t *testing.T) {
	n := 0
	for s := range suites {
		for _, auth := range []bool{false, true} {
			n++
			cfg := ClientConfig{Rand: random(2), Keys: []*identity.PrivateKey{keyFile(t, "ec-prime256v1-client1.pem"), keyFile(t, "rsa1024-client1.pem")}}
			k, p := newLab(t, s, auth, serverKey(t, s), identity.P256).shake(t, cfg)
			if auth && !p.Key().Alike(serverKey(t, s).Public()) {
				t.Errorf("%v: showed a key unlike the server's although there is one", s)
			}
			if (p.Key() == nil) != (k.Key() == nil) || k.Key() != nil && !k.Key().Public().Equal(p.Key()) {
				t.Errorf("%v: the server knows another key than was shown", s)
			}
		}
	}
	// 4 CBC ciphers with 2 signature types, 4 AEAD ciphers with 1; 4 hashes; 3 exchanges.
	if want := (4*2 + 4) * 4 * 3 * 2; n != want {
		t.Errorf("%d combinations, want %d", n, want)
	}
}

// Every size of key and every curve, of both kinds of use.
func TestEveryKey(t *testing.T) {
	curves := []identity.Curve{identity.P224, identity.K256, identity.P256, identity.P384, identity.P521}
	for _, name := range []string{"rsa512-server.pem", "rsa1024-server.pem", "rsa2048-server.pem"} {
		key := keyFile(t, name)
		cfg := ClientConfig{Rand: random(2), Keys: []*identity.PrivateKey{keyFile(t, strings.Replace(name, "server", "client1", 1))}}
		newLab(t, Suite{wire.CipherAES128GCM, wire.HashSHA256, wire.SigAuthEnc, wire.KeyExchRSA}, true, key, 0).shake(t, cfg)
		for _, c := range curves {
			newLab(t, Suite{wire.CipherAES128CBC, wire.HashSHA256, wire.SigKeyExch, wire.KeyExchECDHRSA}, true, key, c).shake(t, cfg)
		}
	}
	for _, name := range []string{"ec-secp224r1", "ec-prime256v1", "ec-secp384r1", "ec-secp521r1"} {
		cfg := ClientConfig{Rand: random(2), Keys: []*identity.PrivateKey{keyFile(t, name+"-client1.pem")}}
		for _, c := range curves {
			newLab(t, Suite{wire.CipherAES256CBC, wire.HashSHA512, wire.SigKeyExch, wire.KeyExchECDHECDSA}, true, keyFile(t, name+"-server.pem"), c).shake(t, cfg)
		}
	}
	for _, bits := range []int{736, 768, 1056, 3072} {
		key, err := identity.GenerateRSA(bits)
		if err != nil {
			t.Fatal(err)
		}
		newLab(t, Suite{wire.CipherAES128GCM, wire.HashSHA1, wire.SigAuthEnc, wire.KeyExchRSA}, false, key, 0).shake(t, ClientConfig{Rand: random(2)})
	}
}

// Equal randomness gives an equal session, byte for byte.
func TestDeterministic(t *testing.T) {
	for _, x := range []wire.KeyExch{wire.KeyExchRSA, wire.KeyExchECDHRSA, wire.KeyExchECDHECDSA} {
		s := Suite{wire.CipherAES256GCM, wire.HashSHA256, wire.SigAuthEnc, x}
		run := func() []byte {
			l := newLab(t, s, false, serverKey(t, s), identity.P521)
			k, err := NewClient(l.pkt, ClientConfig{Rand: random(2)})
			if err != nil {
				t.Fatal(err)
			}
			b, err := k.AppendRegisterKeyInfo(l.pkt)
			if err != nil {
				t.Fatal(err)
			}
			return append(b, l.Group().Key...)
		}
		if !bytes.Equal(run(), run()) {
			t.Errorf("%v: two runs with one seed differ", s)
		}
	}
}

// A receiver makes its checks in the order of docs/protocol.md, "ENC_INFO checks": of two
// faults it names the earlier.
func TestRefusals(t *testing.T) {
	ec := Suite{wire.CipherAES256GCM, wire.HashSHA256, wire.SigAuthEnc, wire.KeyExchECDHECDSA}
	l := newLab(t, ec, true, keyFile(t, "ec-prime256v1-server.pem"), identity.P256)
	good := l.EncInfo()
	other := identity.Fingerprint{1}
	cfg := ClientConfig{Rand: random(3)}
	var enc wire.EncInfo
	// Faults from the last check to the first; each must hide those before it in
	// this list.
	steps := []struct {
		want error
		do   func()
	}{
		{ErrSignature, func() { enc.Signature = bytes.Repeat([]byte{1}, len(good.Signature)) }},
		{ErrECDHKey, func() { enc.ECDH = bytes.Clone(good.ECDH); enc.ECDH[20] ^= 1 }},
		{ErrNoClientKey, func() { cfg.Keys = nil }},
		{ErrStrength, func() { enc.Hash, cfg.MinStrength = wire.HashSHA1, identity.Medium }},
		{ErrServerKey, func() { enc.PublicKey = bytes.Clone(good.PublicKey); enc.PublicKey[30] ^= 1 }},
		{ErrServerKey, func() { enc.PublicKey = keyFile(t, "rsa512-server.pem").Public().AppendBlob(nil) }},
		{ErrFingerprint, func() { cfg.Fingerprint = &other }},
		{ErrKeyExch, func() { enc.KeyExch = 4 }},
		{ErrKeyExch, func() { enc.KeyExch = 0 }},
		{ErrSigType, func() { enc.SigType = wire.SigHMAC }},
		{ErrSigType, func() { enc.SigType = 4 }},
		{ErrSigType, func() { enc.SigType = 0 }},
		{ErrHash, func() { enc.Hash = 1 }},
		{ErrHash, func() { enc.Hash = 6 }},
		{ErrHash, func() { enc.Hash = 0 }},
		{ErrCipher, func() { enc.Cipher = 9 }},
		{ErrCipher, func() { enc.Cipher = 0 }},
	}
	enc = good
	cfg.Keys = []*identity.PrivateKey{keyFile(t, "ec-prime256v1-client1.pem")}
	if _, err := NewClient(l.pkt, cfg); err != nil {
		t.Fatalf("without a fault: %v", err)
	}
	for i, step := range steps {
		step.do()
		h := wire.Header{Version: wire.Version4, Func: wire.FuncAnnounce, Src: senderUID, Group: session.Group}
		a := wire.Announce{Robust: 20, BlockSize: 1300, Private: session.Private, Enc: enc, HasEnc: true}
		_, err := NewClient(a.Append(wire.Version4, h.Append(nil)), cfg)
		if err != step.want {
			t.Errorf("fault %d: %v, want %v", i, err, step.want)
		}
		var r Refusal
		if !errors.As(err, &r) {
			t.Errorf("fault %d: %v is not a text for an ABORT", i, err)
		}
	}
	if _, err := NewClient(l.pkt, ClientConfig{
		Rand: random(3), Fingerprint: &other, Allow: func(int) bool { t.Error("time is asked for before what is free"); return true },
	}); err != ErrFingerprint {
		t.Errorf("another fingerprint: %v", err)
	}
	for _, allow := range []bool{false, true} {
		asked := 0
		_, err := NewClient(l.pkt, ClientConfig{
			Keys: []*identity.PrivateKey{keyFile(t, "ec-prime256v1-client1.pem")}, Rand: random(3),
			Allow: func(us int) bool { asked += us; return allow },
		})
		if (err == nil) != allow || err != nil && err != ErrBusy || asked != AnnounceCostUs(&good) {
			t.Errorf("allowed %v: %v after asking for %d µs, want %d", allow, err, asked, AnnounceCostUs(&good))
		}
	}
	if _, err := NewClient(l.pkt[:10], cfg); err != wire.ErrShort {
		t.Errorf("cut datagram: %v", err)
	}
	a := wire.Announce{Private: session.Private}
	h := wire.Header{Version: wire.Version4, Func: wire.FuncAnnounce}
	if _, err := NewClient(a.Append(wire.Version4, h.Append(nil)), cfg); err != ErrClear {
		t.Errorf("ANNOUNCE in clear: %v, want ErrClear", err)
	}
}

// The least that a receiver accepts applies to the curve of the exchange too, and the grade
// is that of the weakest part.
func TestStrengthOfExchange(t *testing.T) {
	for curve, want := range map[identity.Curve]identity.Strength{identity.P224: identity.Medium, identity.P256: identity.Strong} {
		l := newLab(t, Suite{wire.CipherAES256GCM, wire.HashSHA256, wire.SigAuthEnc, wire.KeyExchECDHECDSA}, false, keyFile(t, "ec-prime256v1-server.pem"), curve)
		for least := identity.None; least <= identity.Strong; least++ {
			k, err := NewClient(l.pkt, ClientConfig{Rand: random(3), MinStrength: least})
			if least > want {
				if err != ErrStrength {
					t.Errorf("exchange over %v where %v is the least: %v, want ErrStrength", curve, least, err)
				}
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			if got, _ := k.Strength(); got != want {
				t.Errorf("exchange over %v is graded %v, want %v", curve, got, want)
			}
		}
	}
}

// A client shows a key that is like the server's, else one that the sender can use, and
// none if the sender does not ask.
func TestOwnKey(t *testing.T) {
	keys := func(names ...string) (list []*identity.PrivateKey) {
		for _, n := range names {
			list = append(list, keyFile(t, n))
		}
		return list
	}
	odd, err := identity.GenerateRSA(1032)
	if err != nil {
		t.Fatal(err)
	}
	rsa := Suite{wire.CipherAES128GCM, wire.HashSHA512, wire.SigAuthEnc, wire.KeyExchRSA}
	signed := Suite{wire.CipherAES128CBC, wire.HashSHA256, wire.SigKeyExch, wire.KeyExchRSA}
	for i, c := range []struct {
		suite Suite
		auth  bool
		keys  []*identity.PrivateKey
		want  string // "" = none needed, "-" = refused
	}{
		{rsa, false, nil, ""},
		{rsa, false, keys("rsa1024-client1.pem"), ""},
		{rsa, true, nil, "-"},
		{rsa, true, keys("ec-secp384r1-client1.pem", "rsa2048-client1.pem", "rsa1024-client2.pem", "rsa1024-client1.pem"), "rsa1024-client2.pem"},
		{rsa, true, keys("ec-secp384r1-client1.pem", "rsa2048-client1.pem"), "ec-secp384r1-client1.pem"},
		{rsa, true, keys("rsa512-client1.pem"), "-"}, // no room for SHA-512
		{signed, true, keys("ec-secp384r1-client1.pem", "rsa512-client1.pem"), "rsa512-client1.pem"},
		{signed, true, keys("ec-secp384r1-client1.pem"), "-"},
		{signed, false, nil, "-"}, // signed packets always need a key
		{rsa, true, []*identity.PrivateKey{odd}, "-"},
	} {
		l := newLab(t, c.suite, c.auth, keyFile(t, "rsa1024-server.pem"), 0)
		k, err := NewClient(l.pkt, ClientConfig{Keys: c.keys, Rand: random(2)})
		switch {
		case c.want == "-":
			if err != ErrNoClientKey {
				t.Errorf("%d: %v, want ErrNoClientKey", i, err)
			}
		case err != nil:
			t.Errorf("%d: %v", i, err)
		case c.want == "":
			if k.Key() != nil || k.ClientAuth() {
				t.Errorf("%d: shows a key unasked", i)
			}
		case k.Key() != keyFile(t, c.want):
			t.Errorf("%d: shows %v, want %s", i, k.Key().Public(), c.want)
		}
	}
}

// The server refuses messages of strangers and does not change what it knows of a host.
func TestServerRefuses(t *testing.T) {
	s := Suite{wire.CipherAES128CBC, wire.HashSHA256, wire.SigKeyExch, wire.KeyExchECDHECDSA}
	l := newLab(t, s, false, keyFile(t, "ec-prime256v1-server.pem"), identity.P384)
	if !l.ClientAuth() {
		t.Fatal("signed packets without client authentication")
	}
	own := keyFile(t, "ec-prime256v1-client1.pem")
	k, err := NewClient(l.pkt, ClientConfig{Rand: random(2), Keys: []*identity.PrivateKey{own}})
	if err != nil {
		t.Fatal(err)
	}
	m, err := k.ClientKey()
	if err != nil {
		t.Fatal(err)
	}
	var p Peer
	if err := l.ClientKey(&p, m, nil); err != ErrNotRegistered {
		t.Errorf("CLIENT_KEY before REGISTER, which stops stock: %v, want ErrNotRegistered", err)
	}
	if err := l.CheckAck(&p, make([]byte, 12)); err != ErrNotRegistered {
		t.Errorf("KEYINFO_ACK before REGISTER: %v", err)
	}

	info, err := k.AppendRegisterKeyInfo(nil)
	if err != nil {
		t.Fatal(err)
	}
	r := k.Random()
	wrongCurve, _ := identity.GenerateEC(identity.P256, random(3))
	off := bytes.Clone(info)
	off[40] ^= 1
	for i, bad := range [][]byte{nil, info[:len(info)-1], append(bytes.Clone(info), 0, 0, 0, 0), off, wrongCurve.Public().AppendBlob(nil), make([]byte, len(info)), keyFile(t, "rsa512-server.pem").Public().AppendBlob(nil)} {
		if err := l.Register(&p, r[:], bad); err != ErrPremaster || p.Registered() {
			t.Errorf("bad ECDH blob %d: %v, registered %v", i, err, p.Registered())
		}
	}
	if err := l.Register(&p, r[:31], info); err != ErrPremaster {
		t.Errorf("random number cut: %v", err)
	}
	if err := l.Register(&p, r[:], info); err != nil {
		t.Fatal(err)
	}
	if err := l.Register(&p, r[:], nil); err != nil {
		t.Errorf("REGISTER again: %v, want nil at no cost", err)
	}
	if err := l.Register(&p, make([]byte, 32), info); err != ErrOtherRandom {
		t.Errorf("REGISTER with another random number: %v", err)
	}

	print := own.Public().Fingerprint()
	wrong := identity.Fingerprint{9}
	forged := m
	forged.Signature = bytes.Clone(m.Signature)
	forged.Signature[20] ^= 1
	stolen := m
	stolen.PublicKey = keyFile(t, "ec-prime256v1-client2.pem").Public().AppendBlob(nil)
	rsa := wire.ClientKey{PublicKey: keyFile(t, "rsa1024-client1.pem").Public().AppendBlob(nil), Signature: make([]byte, 128)}
	for _, c := range []struct {
		what string
		m    wire.ClientKey
		fp   *identity.Fingerprint
		want error
	}{
		{"another fingerprint", m, &wrong, ErrClientPrint},
		{"a forged signature", forged, &print, ErrClientKey},
		{"another key", stolen, nil, ErrClientKey},
		{"an RSA key where EC signs", rsa, nil, ErrKeyKind},
		{"no key", wire.ClientKey{Signature: m.Signature}, nil, ErrClientKey},
		{"a cut key", wire.ClientKey{PublicKey: m.PublicKey[:30], Signature: m.Signature}, nil, ErrClientKey},
		{"no signature", wire.ClientKey{PublicKey: m.PublicKey}, nil, ErrClientKey},
	} {
		if err := l.ClientKey(&p, c.m, c.fp); err != c.want || p.Key() != nil || l.Ready(&p) {
			t.Errorf("CLIENT_KEY with %s: %v, want %v", c.what, err, c.want)
		}
	}
	if err := l.ClientKey(&p, m, &print); err != nil || !l.Ready(&p) {
		t.Fatalf("CLIENT_KEY: %v", err)
	}
	if err := l.ClientKey(&p, forged, &print); err != nil || !p.Key().Equal(own.Public()) {
		t.Errorf("the same key again is not looked at: %v", err)
	}
	if err := l.ClientKey(&p, stolen, nil); err != ErrOtherKey || !p.Key().Equal(own.Public()) {
		t.Errorf("CLIENT_KEY with another key later: %v", err)
	}

	item := l.AppendKeyInfoItem(nil, &p, clientUID, senderUID, 1)
	if err := k.OpenKeyInfo(senderUID, 1, item[4:51]); err != ErrGroupMaster {
		t.Errorf("cut entry: %v", err)
	}
	if err := k.OpenKeyInfo(senderUID, 1, item[4:]); err != nil {
		t.Fatal(err)
	}
	ack, _ := k.Ack()
	for _, bad := range [][]byte{nil, ack[:11], append(ack[:], 0), make([]byte, 12)} {
		if err := l.CheckAck(&p, bad); err != ErrVerify {
			t.Errorf("verify data %x: %v", bad, err)
		}
	}
	if err := l.CheckAck(&p, ack[:]); err != nil {
		t.Error(err)
	}
	p.Wipe()
	if p.Registered() || p.Key() != nil || p.transcript != nil {
		t.Error("something is left after Wipe")
	}
}

// The server refuses garbage instead of an encrypted premaster. With PKCS #1 v1.5 each
// refusal helps an attacker, so their number is limited; honest clients still register.
func TestPremasterGarbage(t *testing.T) {
	s := Suite{wire.CipherAES128GCM, wire.HashSHA256, wire.SigAuthEnc, wire.KeyExchRSA}
	for _, c := range []struct {
		key    string
		limit  bool
		length int
	}{{"rsa512-server.pem", true, 64}, {"rsa1024-server.pem", false, 128}} {
		l := newLab(t, s, false, keyFile(t, c.key), 0)
		src := random(4)
		ct := make([]byte, c.length)
		r := make([]byte, 32)
		l.badPremasters = badPremastersMax - 20
		refused := 0
		for range 60 {
			io.ReadFull(src, ct)
			ct[0] &= 0x3f
			var p Peer
			switch err := l.Register(&p, r, ct); {
			case err == ErrPremaster && !p.Registered():
				refused++
			case err != nil || !c.limit:
				t.Fatalf("%s: %v", c.key, err)
			}
		}
		if want := 60; !c.limit && refused != want {
			t.Errorf("%s: %d refused, want all", c.key, refused)
		}
		if c.limit && refused != 20 {
			t.Errorf("%s: %d refused, want the 20 that were left", c.key, refused)
		}
		for _, bad := range [][]byte{nil, ct[1:], append(bytes.Clone(ct), 0)} {
			var p Peer
			if err := l.Register(&p, r, bad); err != ErrPremaster {
				t.Errorf("%s: premaster of %d bytes: %v", c.key, len(bad), err)
			}
		}
		l.shake(t, ClientConfig{Rand: random(5)}) // and an honest client still gets in
	}
}

func TestServerConfig(t *testing.T) {
	gcm := func(x wire.KeyExch, h wire.Hash) Suite { return Suite{wire.CipherAES128GCM, h, wire.SigAuthEnc, x} }
	big, err := identity.GenerateRSA(3168)
	if err != nil {
		t.Fatal(err)
	}
	odd, err := identity.GenerateRSA(776)
	if err != nil {
		t.Fatal(err)
	}
	good := ServerConfig{Suite: gcm(wire.KeyExchECDHRSA, wire.HashSHA256), Session: session, Key: keyFile(t, "rsa2048-server.pem"), Curve: identity.P256, Rand: random(1)}
	if _, err := NewServer(good); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		say    string
		change func(c *ServerConfig)
	}{
		{string(ErrCipher), func(c *ServerConfig) { c.Suite.Cipher = 0 }},
		{"needs an EC key", func(c *ServerConfig) { c.Suite.KeyExch = wire.KeyExchECDHECDSA }},
		{"needs an RSA key", func(c *ServerConfig) { c.Key = keyFile(t, "ec-prime256v1-server.pem") }},
		{"private address", func(c *ServerConfig) { c.Session.Private = netip.Addr{} }},
		{"too large for the receivers", func(c *ServerConfig) { c.Key = big }},
		{"whole words", func(c *ServerConfig) { c.Key = odd }},
		{"too small for signatures", func(c *ServerConfig) { c.Key, c.Suite.Hash = keyFile(t, "rsa512-server.pem"), wire.HashSHA384 }},
		{"sect571r1", func(c *ServerConfig) { c.Curve = 14 }},
		{"not an EC key", func(c *ServerConfig) { c.ECDH = keyFile(t, "rsa512-server.pem") }},
		{"fit into ANNOUNCE", func(c *ServerConfig) { c.Key, c.Curve, c.RSABitsMax = big, identity.P521, 4096 }},
	} {
		cfg := good
		c.change(&cfg)
		_, err := NewServer(cfg)
		if !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), c.say) {
			t.Errorf("%v, want it to say %q", err, c.say)
		}
	}
	good.Rand = strings.NewReader("too little")
	if _, err := NewServer(good); err == nil {
		t.Error("a server without randomness")
	}
}

// After Settle the keys never change, and the secrets of the handshake are wiped.
func TestForget(t *testing.T) {
	for _, x := range []wire.KeyExch{wire.KeyExchRSA, wire.KeyExchECDHECDSA} {
		s := Suite{wire.CipherAES256CCM, wire.HashSHA384, wire.SigAuthEnc, x}
		l := newLab(t, s, true, serverKey(t, s), identity.P256)
		k, p := l.shake(t, ClientConfig{Rand: random(2), Keys: []*identity.PrivateKey{keyFile(t, "ec-prime256v1-client1.pem")}})
		group := bytes.Clone(k.Group().Key)
		if err := k.OpenKeyInfo(senderUID, 2, make([]byte, EntryLen)); err != nil || !bytes.Equal(k.Group().Key, group) {
			t.Errorf("%v: a later KEYINFO has an effect: %v", s, err)
		}
		if _, err := k.AppendRegisterKeyInfo(nil); err != ErrOver {
			t.Errorf("%v: REGISTER when all is over: %v", s, err)
		}
		if _, err := k.ClientKey(); err != ErrOver {
			t.Errorf("%v: CLIENT_KEY when all is over: %v", s, err)
		}
		if slices.ContainsFunc(k.premaster, func(b byte) bool { return b != 0 }) || slices.ContainsFunc(k.transcript, func(b byte) bool { return b != 0 }) {
			t.Errorf("%v: the premaster is still there", s)
		}
		key := k.group.Key
		k.Wipe()
		if slices.ContainsFunc(key, func(b byte) bool { return b != 0 }) || k.Group() != nil || k.GroupMaster() != [MasterLen]byte{} {
			t.Errorf("%v: group keys are still there", s)
		}
		if err := k.OpenKeyInfo(senderUID, 2, make([]byte, EntryLen)); err != ErrOver {
			t.Errorf("%v: KEYINFO after Wipe: %v", s, err)
		}
		transcript := p.transcript
		p.Wipe()
		l.Wipe()
		if slices.ContainsFunc(transcript, func(b byte) bool { return b != 0 }) || l.GroupMaster() != [MasterLen]byte{} {
			t.Errorf("%v: the server still has secrets", s)
		}
	}
}

// An entry opens with its own counter, source and keys only.
func TestEntryProperty(t *testing.T) {
	all := slices.Collect(suites)
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.SampledFrom(all).Draw(t, "suite")
		secret := rapid.SliceOfN(rapid.Byte(), MasterLen, MasterLen).Draw(t, "secret")
		keys := s.ClientKeys(secret, make([]byte, 32), make([]byte, 32))
		gm := [MasterLen]byte(rapid.SliceOfN(rapid.Byte(), MasterLen, MasterLen).Draw(t, "group master"))
		gm[0] = groupMasterVersion
		src := wire.UID(rapid.Uint32().Draw(t, "source"))
		ctr := rapid.Uint64().Draw(t, "counter")
		entry := s.AppendGroupMaster(nil, &keys, src, ctr, &gm)
		if got, err := s.OpenGroupMaster(&keys, src, ctr, entry); err != nil || got != gm {
			t.Fatalf("%x, %v, want %x", got, err, gm)
		}
		if got, err := s.OpenGroupMaster(&keys, src, ctr+1, entry); err == nil && got == gm {
			t.Fatal("opened with another counter")
		}
		if got, err := s.OpenGroupMaster(&keys, src+1, ctr, entry); err == nil && got == gm {
			t.Fatal("opened with another source")
		}
	})
}

func TestStrength(t *testing.T) {
	rsa512, rsa2048, p256 := keyFile(t, "rsa512-server.pem").Public(), keyFile(t, "rsa2048-server.pem").Public(), keyFile(t, "ec-prime256v1-server.pem").Public()
	p224 := keyFile(t, "ec-secp224r1-server.pem").Public()
	for _, c := range []struct {
		s    Suite
		key  *identity.PublicKey
		ecdh identity.Curve
		auth bool
		want identity.Strength
		n    int // reasons
	}{
		{Suite{wire.CipherAES256GCM, wire.HashSHA256, wire.SigAuthEnc, wire.KeyExchECDHECDSA}, p256, identity.P256, true, identity.Strong, 0},
		{Suite{wire.CipherAES128CBC, wire.HashSHA512, wire.SigHMAC, wire.KeyExchECDHRSA}, rsa2048, identity.P256, false, identity.Strong, 0},
		{Suite{wire.CipherAES256GCM, wire.HashSHA256, wire.SigAuthEnc, wire.KeyExchRSA}, rsa2048, 0, false, identity.Medium, 2},
		{Suite{wire.CipherAES256GCM, wire.HashSHA1, wire.SigAuthEnc, wire.KeyExchRSA}, rsa2048, 0, false, identity.Medium, 3},
		{Suite{wire.CipherAES256GCM, wire.HashSHA1, wire.SigAuthEnc, wire.KeyExchRSA}, rsa2048, 0, true, identity.Legacy, 4},
		{Suite{wire.CipherAES256GCM, wire.HashSHA1, wire.SigAuthEnc, wire.KeyExchECDHECDSA}, p256, identity.P256, false, identity.Legacy, 1},
		{Suite{wire.Cipher3DES, wire.HashSHA256, wire.SigHMAC, wire.KeyExchECDHECDSA}, p256, identity.P256, false, identity.Medium, 1},
		{Suite{wire.CipherDES, wire.HashSHA1, wire.SigKeyExch, wire.KeyExchRSA}, rsa512, 0, true, identity.Legacy, 6},
		{Suite{wire.CipherAES256GCM, wire.HashSHA256, wire.SigAuthEnc, wire.KeyExchECDHECDSA}, p256, identity.P224, false, identity.Medium, 1},
		{Suite{wire.CipherAES256GCM, wire.HashSHA256, wire.SigAuthEnc, wire.KeyExchECDHECDSA}, p224, identity.P224, false, identity.Medium, 2},
		{Suite{wire.CipherAES256GCM, wire.HashSHA256, wire.SigAuthEnc, wire.KeyExchECDHRSA}, rsa2048, identity.K256, false, identity.Strong, 0},
	} {
		got, weak := c.s.Strength(c.key, c.ecdh, c.auth)
		if got != c.want || len(weak) != c.n {
			t.Errorf("%v with %v, exchange over %v: %v for %v, want %v for %d reasons", c.s, c.key, c.ecdh, got, weak, c.want, c.n)
		}
		for _, w := range weak {
			if w.Reason == "" || w.Strength < got {
				t.Errorf("%v: %v", c.s, w)
			}
		}
	}
}

func TestNames(t *testing.T) {
	for c := range wire.Cipher(16) {
		s := Suite{c, wire.HashSHA1, wire.SigHMAC, wire.KeyExchRSA}
		if c >= wire.CipherAES128GCM {
			s.SigType = wire.SigAuthEnc
		}
		if s.Check() != nil {
			continue
		}
		name, _, _ := strings.Cut(s.String(), " ")
		if got, ok := CipherByName(name); !ok || got != c {
			t.Errorf("cipher %d is %q by name, and that is %d", c, name, got)
		}
	}
	for name, want := range map[string]wire.Hash{"sha1": 2, "sha256": 3, "sha384": 4, "sha512": 5} {
		if got, ok := HashByName(name); !ok || got != want {
			t.Errorf("%s is hash %d, want %d", name, got, want)
		}
	}
	for _, bad := range []string{"", "none", "md5", "AES128-GCM", "0"} {
		c, isCipher := CipherByName(bad)
		h, isHash := HashByName(bad)
		s, isSig := SigTypeByName(bad)
		x, isKeyExch := KeyExchByName(bad)
		if isCipher || isHash || isSig || isKeyExch || c != 0 || h != 0 || s != 0 || x != 0 {
			t.Errorf("%q is cipher %d, hash %d, signature type %d, key exchange %d", bad, c, h, s, x)
		}
	}
	bad := Suite{Cipher: 99}
	if bad.String() != string(ErrCipher) {
		t.Errorf("a suite that is none is %q", bad)
	}
}

// Every public-key operation has an estimate, which rises with the size of the key.
func TestCosts(t *testing.T) {
	cost := func(x wire.KeyExch, key string, c identity.Curve) (int, int) {
		s := Suite{wire.CipherAES128GCM, wire.HashSHA256, wire.SigAuthEnc, x}
		l := newLab(t, s, false, keyFile(t, key), c)
		e := l.EncInfo()
		return l.RegisterCostUs(), AnnounceCostUs(&e)
	}
	r512, a512 := cost(wire.KeyExchRSA, "rsa512-server.pem", 0)
	r2048, a2048 := cost(wire.KeyExchRSA, "rsa2048-server.pem", 0)
	p256, a256 := cost(wire.KeyExchECDHRSA, "rsa2048-server.pem", identity.P256)
	p521, a521 := cost(wire.KeyExchECDHECDSA, "ec-secp521r1-server.pem", identity.P521)
	if !(r512 > 0 && r512 < r2048 && p256 < r2048 && p256 < p521) {
		t.Errorf("REGISTER: %d %d %d %d µs", r512, r2048, p256, p521)
	}
	if !(a512 > 0 && a512 <= a2048 && a2048 < a256 && a256 < a521) {
		t.Errorf("ANNOUNCE: %d %d %d %d µs", a512, a2048, a256, a521)
	}
	s := Suite{wire.CipherAES128GCM, wire.HashSHA256, wire.SigAuthEnc, wire.KeyExchRSA}
	l := newLab(t, s, true, keyFile(t, "rsa512-server.pem"), 0)
	small := l.ClientKeyCostUs(keyFile(t, "rsa512-client1.pem").Public().AppendBlob(nil))
	large := l.ClientKeyCostUs(keyFile(t, "ec-secp521r1-client1.pem").Public().AppendBlob(nil))
	if small <= 0 || large <= small || l.ClientKeyCostUs(nil) <= 0 {
		t.Errorf("CLIENT_KEY: %d and %d µs", small, large)
	}
}

func TestNonceSignature(t *testing.T) {
	for _, name := range []string{"rsa512-server.pem", "ec-secp521r1-server.pem"} {
		k := keyFile(t, name)
		sig, err := AppendNonceSignature(nil, k, 7)
		if err != nil || checkNonce(k.Public(), 7, sig) != nil {
			t.Errorf("%s: %v", name, err)
		}
		if checkNonce(k.Public(), 8, sig) == nil {
			t.Errorf("%s: good for another nonce", name)
		}
	}
}
