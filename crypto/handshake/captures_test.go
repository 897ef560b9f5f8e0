package handshake

import (
	"bytes"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"uftp/crypto/identity"
	"uftp/wire"
)

// Every ANNOUNCE signature in every capture is that of the key it carries, and of
// no changed packet.
func TestAnnounceSignatures(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(vectors, "enc-*.pcap"))
	if err != nil {
		t.Fatal(err)
	}
	checked, binary, unsigned := 0, 0, 0
	for _, f := range files {
		var c capture
		c.read(t, f)
		for _, pkt := range c.announces {
			o, err := parseOffer(pkt)
			if err != nil {
				t.Fatalf("%s: %v", f, err)
			}
			key, err := identity.ParsePublicKey(o.enc.PublicKey)
			if strings.Contains(f, "sect") {
				var ce *identity.CurveError
				if !errors.As(err, &ce) || !strings.HasPrefix(ce.Name, "sect") {
					t.Errorf("%s: %v, want its curve refused by name", f, err)
				}
				binary++
				continue
			}
			if err != nil {
				t.Fatalf("%s: %v", f, err)
			}
			if o.enc.KeyExch == wire.KeyExchRSA {
				if CheckAnnounce(pkt, key) != ErrSignature {
					t.Errorf("%s: an ANNOUNCE without signature verifies", f)
				}
				unsigned++
				continue
			}
			before := bytes.Clone(pkt)
			if err := CheckAnnounce(pkt, key); err != nil {
				t.Errorf("%s: %v", f, err)
			}
			if !bytes.Equal(pkt, before) {
				t.Errorf("%s: the packet was changed", f)
			}
			checked++
			if checked%7 != 0 {
				continue
			}
			for _, at := range []int{3, 4, 8, 18, 24, 40, o.signature - 1, o.signature + 5, len(pkt) - 1} {
				pkt[at] ^= 1
				if CheckAnnounce(pkt, key) == nil {
					t.Errorf("%s: good with byte %d changed", f, at)
				}
				pkt[at] ^= 1
			}
		}
	}
	if checked < 150 || binary == 0 || unsigned == 0 {
		t.Errorf("%d signatures, %d of binary curves, %d without: too few", checked, binary, unsigned)
	}
	t.Logf("%d signatures, %d of binary curves, %d without", checked, binary, unsigned)
}

// Every signed heartbeat and every PROXY_KEY of the captures.
func TestProxySignatures(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(vectors, "*.pcap"))
	if err != nil {
		t.Fatal(err)
	}
	heartbeats, proxyKeys := 0, 0
	for _, f := range files {
		var c capture
		c.read(t, f)
		for _, m := range c.heartbeats {
			if len(m.Signature) == 0 {
				continue
			}
			key, err := identity.ParsePublicKey(m.PublicKey)
			if err != nil || checkNonce(key, m.Nonce, m.Signature) != nil || checkNonce(key, m.Nonce+1, m.Signature) == nil {
				t.Errorf("%s: heartbeat signature (%v)", f, err)
			}
			heartbeats++
		}
		for _, m := range c.proxyKeys {
			key, err := identity.ParsePublicKey(m.PublicKey)
			if err != nil || checkNonce(key, m.Nonce, m.Signature) != nil || checkNonce(key, m.Nonce+1, m.Signature) == nil {
				t.Errorf("%s: PROXY_KEY signature (%v)", f, err)
			}
			proxyKeys++
		}
	}
	if heartbeats == 0 || proxyKeys == 0 {
		t.Errorf("%d heartbeats, %d PROXY_KEYs: none seen", heartbeats, proxyKeys)
	}
}

// announceFor returns the ANNOUNCE of a session that went to a client whose
// REGISTER was answered with the keys of that place: the one whose keys open it.
func (c *capture) announceFor(s *vecSession, pick func(e *wire.EncInfo) bool) []byte {
	for _, pkt := range c.announces {
		h, _, _ := wire.ParseHeader(pkt)
		o, err := parseOffer(pkt)
		if err == nil && h.Group == uint32(uidOf(s.Group)) && h.Instance == s.Instance && pick(&o.enc) {
			return pkt
		}
	}
	return nil
}

// responder returns the long-term and the exchange key a client registered with:
// those of an ANNOUNCE, or those of a response proxy.
func (c *capture) responder(t *testing.T, s *vecSession, v *vecClient) (key, ecdh []byte) {
	t.Helper()
	var keys, exchange [][]byte
	for _, pkt := range c.announces {
		if o, err := parseOffer(pkt); err == nil {
			keys, exchange = append(keys, o.enc.PublicKey), append(exchange, o.enc.ECDH)
		}
	}
	for _, m := range c.proxyKeys {
		keys, exchange = append(keys, m.PublicKey), append(exchange, m.ECDH)
	}
	reg := c.register(t, v)
	for i := range keys {
		switch {
		case v.DecryptedBy != "":
			if bytes.Equal(keyFile(t, v.DecryptedBy).Public().AppendBlob(nil), keys[i]) {
				return keys[i], nil
			}
		default:
			k := s.exchangeKey(t, exchange[i])
			if k == nil {
				continue
			}
			peer, err := identity.ParsePublicKey(reg.KeyInfo)
			if err != nil {
				t.Fatal(err)
			}
			if x, err := k.Shared(peer); err == nil && bytes.Equal(x, v.SharedX) {
				return keys[i], exchange[i]
			}
		}
	}
	t.Fatalf("%s: %v registered with nobody", s.Case, uidOf(v.UID))
	return nil, nil
}

// With the secrets of the stock sender, or proxy, in it, our server comes from
// the captured REGISTER and CLIENT_KEY to the captured KEYINFO entry and takes
// the captured verify data.
func TestAsServer(t *testing.T) {
	clients, shown := 0, 0
	for _, s := range loadDerived(t).Sessions {
		if s.binary() {
			continue
		}
		caps := readCaptures(t, s.Case)
		for _, v := range s.Clients {
			where := s.Case + " " + uidOf(v.UID).String()
			blob, exchange := caps.responder(t, &s, &v)
			cfg := ServerConfig{
				Suite:       s.suite(t),
				ClientAuth:  s.ClientAuth != 0,
				Session:     s.session(t),
				Key:         keyOf(t, blob),
				Rand:        noRandom{t},
				Random:      (*[wire.RandomLen]byte)(s.Random),
				GroupMaster: (*[MasterLen]byte)(s.GroupMaster),
			}
			if exchange != nil {
				cfg.ECDH = s.exchangeKey(t, exchange)
			} else {
				cfg.Rand = random(1) // for the stand-in of a bad premaster
			}
			srv, err := NewServer(cfg)
			if err != nil {
				t.Fatalf("%s: %v", where, err)
			}
			var p Peer
			reg := caps.register(t, &v)
			if err := srv.Register(&p, reg.Random, reg.KeyInfo); err != nil {
				t.Fatalf("%s: REGISTER: %v", where, err)
			}
			sameKeys(t, where, p.keys, v.KeyBlock, v.HMACKey, v.Key, v.Salt)
			header := wire.Header{Group: uint32(uidOf(s.Group)), Instance: s.Instance}
			if m := caps.clientKey(header, &v); m != nil {
				if len(v.ClientKeyRaw) == 0 {
					t.Errorf("%s: a CLIENT_KEY the vectors do not know", where)
				}
				print := identity.BlobFingerprint(m.PublicKey)
				if err := srv.ClientKey(&p, *m, &print); err != nil {
					t.Fatalf("%s: CLIENT_KEY: %v", where, err)
				}
				same(t, where, "client key", p.Key().AppendBlob(nil), v.ClientKeyRaw)
				shown++
			}
			entry := srv.AppendKeyInfoItem(nil, &p, uidOf(v.UID), uidOf(v.KeyInfo.Source), v.KeyInfo.Counter)
			same(t, where, "entry", entry[4:], v.KeyInfo.Ciphertext)
			if err := srv.CheckAck(&p, v.Verify); err != nil {
				t.Errorf("%s: KEYINFO_ACK: %v", where, err)
			}
			group := srv.Group()
			sameKeys(t, where, *group, s.GroupBlock, s.GroupHMAC, s.GroupKey, s.GroupSalt)
			clients++
		}
	}
	if clients != 99 || shown < 35 {
		t.Errorf("%d clients, %d with CLIENT_KEY, want 99 and 35 or more", clients, shown)
	}
}

// noRandom fails the test when randomness is asked for.
type noRandom struct{ t testing.TB }

func (r noRandom) Read([]byte) (int, error) {
	r.t.Error("randomness was asked for")
	return 0, io.ErrUnexpectedEOF
}

// With the random bytes of the stock receiver, our client comes from the captured
// ANNOUNCE to the captured REGISTER, CLIENT_KEY and verify data. Those that used the
// keys of a response proxy are left out.
func TestAsClient(t *testing.T) {
	clients, shown, proxied := 0, 0, 0
	for _, s := range loadDerived(t).Sessions {
		if s.binary() {
			continue
		}
		caps := readCaptures(t, s.Case)
		for _, v := range s.Clients {
			where := s.Case + " " + uidOf(v.UID).String()
			reg := caps.register(t, &v)
			secret := []byte(v.Premaster)
			if s.KeyEx != "rsa" {
				k := s.exchangeKey(t, reg.KeyInfo)
				if k == nil {
					t.Fatalf("%s: its ECDH key was not recorded", where)
				}
				secret = ephemeralOf(t, &s, reg.KeyInfo)
			}
			cfg := ClientConfig{Rand: io.MultiReader(bytes.NewReader(v.Random), bytes.NewReader(secret), random(7))}
			blob, exchange := caps.responder(t, &s, &v)
			pkt := caps.announceFor(&s, func(e *wire.EncInfo) bool {
				return bytes.Equal(e.PublicKey, blob) && (exchange == nil || bytes.Equal(e.ECDH, exchange))
			})
			if pkt == nil {
				if len(caps.proxyKeys) == 0 {
					t.Fatalf("%s: no ANNOUNCE", where)
				}
				proxied++
				continue
			}
			if len(v.ClientKeyRaw) > 0 {
				cfg.Keys = []*identity.PrivateKey{keyOf(t, v.ClientKeyRaw)}
			}
			k, err := NewClient(pkt, cfg)
			if err != nil {
				t.Fatalf("%s: %v", where, err)
			}
			checkClient(t, where, k, &s, &v, &reg)
			clients++
			if k.ClientAuth() {
				shown++
			}
		}
	}
	if clients != 93 || shown < 35 || proxied != 6 {
		t.Errorf("%d clients, %d with a key, %d behind a proxy", clients, shown, proxied)
	}
}

// ephemeralOf returns the scalar of an ECDH blob, of full length.
func ephemeralOf(t *testing.T, s *vecSession, blob []byte) []byte {
	t.Helper()
	for _, list := range s.Ephemeral {
		for _, e := range list {
			n := e.Curve.CoordLen()
			if bytes.Equal(e.Public[1:], blob[4:4+2*n]) {
				return append(make([]byte, n-len(e.Private)), e.Private...)
			}
		}
	}
	t.Fatalf("%s: no such ECDH key", s.Case)
	return nil
}

func checkClient(t *testing.T, where string, k *Client, s *vecSession, v *vecClient, reg *wire.Register) {
	t.Helper()
	r := k.Random()
	same(t, where, "client random", r[:], v.Random)
	info, err := k.AppendRegisterKeyInfo(nil)
	if err != nil || len(info) != len(reg.KeyInfo) {
		t.Fatalf("%s: %d bytes of key information, %v", where, len(info), err)
	}
	if s.KeyEx != "rsa" {
		same(t, where, "ECDH blob", info, reg.KeyInfo)
	}
	if k.ClientAuth() != (len(v.ClientKeyRaw) > 0) {
		t.Fatalf("%s: client authentication %v", where, k.ClientAuth())
	}
	if k.ClientAuth() {
		m, err := k.ClientKey()
		if err != nil {
			t.Fatalf("%s: %v", where, err)
		}
		same(t, where, "client key", m.PublicKey, v.ClientKeyRaw)
		v := s.session(t).Transcript(s.Random, v.Random, v.Premaster)
		if k.Key().Public().Verify(k.Suite().HashFunc(), k.Suite().digest(v), m.Signature) != nil {
			t.Errorf("%s: the signature is not over V", where)
		}
	}
	if _, err := k.Ack(); err != ErrNotKeyed {
		t.Errorf("%s: verify data before KEYINFO: %v", where, err)
	}
	if err := k.OpenKeyInfo(uidOf(v.KeyInfo.Source), v.KeyInfo.Counter, v.KeyInfo.Ciphertext); err != nil {
		t.Fatalf("%s: KEYINFO: %v", where, err)
	}
	ack, err := k.Ack()
	if err != nil {
		t.Fatal(err)
	}
	same(t, where, "verify data", ack[:], v.Verify)
	sameKeys(t, where, *k.Group(), s.GroupBlock, s.GroupHMAC, s.GroupKey, s.GroupSalt)
}
