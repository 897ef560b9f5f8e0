package aead

import (
	"bytes"
	"crypto"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"uftp/crypto/identity"
	"uftp/wire"
)

// kit is a way to protect datagrams.
type kit struct {
	name string
	keys Keys
	s    *Sealer
	o    *Opener
}

// kits are all ciphers, those in CBC with HMAC of every hash and with signatures
// of RSA and ECDSA, and CCM without assembly.
func kits(tb testing.TB) []kit {
	tb.Helper()
	var list []kit
	for _, c := range cipherNames {
		k := testKeys(c.cipher, 3)
		if ciphers[c.cipher].mode != modeCBC {
			s, o := pair(tb, k, true)
			list = append(list, kit{c.name, k, s, o})
			if ciphers[c.cipher].mode == modeCCM {
				s, o := pair(tb, k, false)
				list = append(list, kit{c.name + " portable", k, s, o})
			}
			continue
		}
		for h, id := range hashes {
			if id == 0 {
				continue
			}
			k.Hash, k.HMACKey = wire.Hash(h), stream("hmac", id.Size())
			s, o := pair(tb, k, true)
			list = append(list, kit{fmt.Sprintf("%s %v", c.name, id), k, s, o})
		}
	}
	rsa, err := identity.GenerateRSA(1024)
	if err != nil {
		tb.Fatal(err)
	}
	ec, err := identity.GenerateEC(23, rand.NewChaCha8([32]byte{1}))
	if err != nil {
		tb.Fatal(err)
	}
	for _, key := range []*identity.PrivateKey{rsa, ec} {
		k := testKeys(wire.CipherAES128CBC, 3)
		k.SigType, k.HMACKey = wire.SigKeyExch, nil
		s, err := NewSealer(k, key, key.Public().SignatureLen())
		if err != nil {
			tb.Fatal(err)
		}
		o, err := NewOpener(k, func(src wire.UID) Verifier {
			if src != testSource {
				return nil
			}
			return key.Public()
		})
		if err != nil {
			tb.Fatal(err)
		}
		list = append(list, kit{fmt.Sprintf("aes128-cbc %v", key.Public().Kind()), k, s, o})
	}
	return list
}

// refuse wants pkt refused, nothing of the plaintext in the buffer afterwards, and
// the Opener as good as before.
func (k *kit) refuse(t *testing.T, pkt []byte, want error, why string) {
	t.Helper()
	pkt = bytes.Clone(pkt)
	msg, counter, err := k.o.Open(pkt)
	if msg != nil || counter != 0 || err == nil || want != nil && err != want {
		t.Fatalf("%s, %s: %d bytes, counter %d, %v; want %v", k.name, why, len(msg), counter, err, want)
	}
	for at := 0; at+8 <= 64; at += 8 {
		if bytes.Contains(pkt, message(64)[at:at+8]) {
			t.Fatalf("%s, %s: plaintext is left in the buffer", k.name, why)
		}
	}
}

func TestDamage(t *testing.T) {
	const n = 61
	for _, k := range kits(t) {
		good := sealedPacket(t, k.s, n, 42)
		var w Window
		w.Mark(41)
		before := w
		for i := range good {
			bits := []byte{1 << (i % 8)}
			if k.keys.SigType != wire.SigKeyExch {
				bits = []byte{1, 2, 4, 8, 16, 32, 64, 128, 0xff}
			}
			for _, bit := range bits {
				bad := bytes.Clone(good)
				bad[i] ^= bit
				want := ErrAuth
				if i == 1 || i == 24 || i == 25 || i == 26 || i == 27 {
					want = ErrMalformed // function and lengths
				}
				k.refuse(t, bad, want, fmt.Sprintf("byte %d XOR %#x", i, bit))
			}
		}
		for size := range good {
			k.refuse(t, good[:size], ErrMalformed, fmt.Sprintf("cut to %d bytes", size))
		}
		k.refuse(t, append(bytes.Clone(good), 0), ErrMalformed, "one byte more")
		mustOpen(t, k.o, good, n, 42)
		if w != before || !w.Check(42) {
			t.Errorf("%s: refused datagrams moved the window", k.name)
		}
	}
}

// setLengths makes the two length fields agree with a datagram cut or grown.
func setLengths(pkt []byte, sig, payload int) []byte {
	binary.BigEndian.PutUint16(pkt[24:], uint16(sig))
	binary.BigEndian.PutUint16(pkt[26:], uint16(payload))
	return pkt
}

// TestConsistentLies changes length fields and datagram together, so that only
// the cipher can object.
func TestConsistentLies(t *testing.T) {
	const n = 64
	for _, k := range kits(t) {
		good := sealedPacket(t, k.s, n, 42)
		sig := k.s.Lead() - headLen
		payload := len(good) - k.s.Lead()
		for size := range payload {
			k.refuse(t, setLengths(bytes.Clone(good[:k.s.Lead()+size]), sig, size), nil, fmt.Sprintf("payload of %d bytes", size))
		}
		more := append(bytes.Clone(good), make([]byte, 32)...)
		k.refuse(t, setLengths(more, sig, payload+32), ErrAuth, "payload longer by two blocks")
		for s := range sig + payload + 1 {
			if s != sig {
				k.refuse(t, setLengths(bytes.Clone(good), s, sig+payload-s), nil, fmt.Sprintf("signature of %d bytes", s))
			}
		}
		mustOpen(t, k.o, good, n, 42)
	}
}

// TestWrongKeys opens with keys that differ in one bit of one part.
func TestWrongKeys(t *testing.T) {
	for _, k := range kits(t) {
		if k.keys.SigType == wire.SigKeyExch {
			continue
		}
		good := sealedPacket(t, k.s, 64, 42)
		for i, part := range [][]byte{k.keys.Key, k.keys.Salt, k.keys.HMACKey} {
			// CBC with another key or salt is authentic but nonsense: see TestPadding.
			if part == nil || k.keys.SigType == wire.SigHMAC && i < 2 {
				continue
			}
			part[0] ^= 2
			o, err := NewOpener(k.keys, nil)
			part[0] ^= 2
			if err != nil {
				t.Fatal(err)
			}
			other := k
			other.o = o
			other.refuse(t, good, ErrAuth, fmt.Sprintf("part %d of the keys is another", i))
		}
	}
}

// TestUnknownSource signs with the right key for a source whose key the opener lacks, and with
// the key of another source.
func TestUnknownSource(t *testing.T) {
	for _, k := range kits(t) {
		if k.keys.SigType != wire.SigKeyExch {
			continue
		}
		pkt := clearPacket(k.s, 64, 1)
		binary.BigEndian.PutUint32(pkt[4:], uint32(testSource)+1)
		if _, err := k.s.Seal(pkt, 64, 1); err != nil {
			t.Fatal(err)
		}
		k.refuse(t, pkt, ErrAuth, "source without a key")
		other, err := identity.GenerateEC(23, rand.NewChaCha8([32]byte{2}))
		if err != nil {
			t.Fatal(err)
		}
		s, err := NewSealer(k.keys, other, other.Public().SignatureLen())
		if err != nil {
			t.Fatal(err)
		}
		k.refuse(t, sealedPacket(t, s, 64, 1), ErrAuth, "signature of another key")
	}
}

// TestPadding makes every last block there can be after decryption and signs it
// as a member of the group would: only PKCS #7 opens.
func TestPadding(t *testing.T) {
	for _, c := range cipherNames {
		if ciphers[c.cipher].mode != modeCBC {
			continue
		}
		s, o := pair(t, testKeys(c.cipher, 4), true)
		size := ciphers[c.cipher].iv
		seal := func(body []byte) []byte {
			pkt := append(clearPacket(s, 0, 1)[:s.Lead()], body...)
			s.head(pkt, 9)
			PutIV(s.iv[:s.ivLen], s.salt[:4], testSource, 9)
			m := s.mode.(*cbc)
			m.enc.SetIV(s.iv[:s.ivLen])
			m.enc.CryptBlocks(pkt[s.Lead():], pkt[s.Lead():])
			if err := s.sign(pkt); err != nil {
				t.Fatal(err)
			}
			return pkt
		}
		for pad := range 256 {
			body := append(message(size), bytes.Repeat([]byte{byte(pad)}, size)...)
			msg, _, err := o.Open(seal(body))
			if good := pad >= 1 && pad <= size; good != (err == nil) || good && !bytes.Equal(msg, body[:2*size-pad]) {
				t.Errorf("%s: padding of %d: %d bytes, %v", c.name, pad, len(msg), err)
			}
			for i := 1; i < pad && pad <= size; i++ {
				bad := bytes.Clone(body)
				bad[2*size-1-i] ^= 0x10
				if _, _, err := o.Open(seal(bad)); err != ErrAuth {
					t.Errorf("%s: padding of %d with byte %d from the end changed: %v, want %v", c.name, pad, i, err, ErrAuth)
				}
			}
		}
	}
}

func TestSizes(t *testing.T) {
	for _, k := range kits(t) {
		for n := range 70 {
			pkt := sealedPacket(t, k.s, n, uint64(n+1))
			x, err := wire.ParseEncrypted(pkt[wire.HeaderLen:])
			switch {
			case err != nil:
				t.Errorf("%s, %d bytes: %v, want what package wire can read", k.name, n, err)
			case len(x.Signature) != k.s.Lead()-headLen || len(x.Payload) != n+k.s.Trailer(n) || x.Counter != uint64(n+1):
				t.Errorf("%s, %d bytes: signature %d, payload %d, counter %d", k.name, n, len(x.Signature), len(x.Payload), x.Counter)
			}
			mustOpen(t, k.o, pkt, n, uint64(n+1))
		}
	}
}

// badSigner fails, or signs with too many bytes.
type badSigner struct{ err error }

func (s badSigner) AppendSignature(b []byte, _ crypto.Hash, _ []byte) ([]byte, error) {
	return append(b, make([]byte, 65)...), s.err
}

func TestSignerFails(t *testing.T) {
	k := testKeys(wire.CipherAES256CBC, 0)
	k.SigType = wire.SigKeyExch
	broken := errors.New("broken")
	for _, signer := range []badSigner{{broken}, {nil}} {
		s, err := NewSealer(k, signer, 64)
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Seal(clearPacket(s, 10, 1), 10, 1)
		if !errors.Is(err, ErrSign) || signer.err != nil && !errors.Is(err, broken) {
			t.Errorf("signer that says %v: %v, want ErrSign", signer.err, err)
		}
		if _, err := s.SealBatch(bytes.Repeat(clearPacket(s, 10, 1), 2), 2, 10, 10, 1); !errors.Is(err, ErrSign) {
			t.Errorf("batch of a signer that says %v: %v, want ErrSign", signer.err, err)
		}
	}
}

func TestKeysRefused(t *testing.T) {
	for _, v := range []struct {
		name   string
		change func(*Keys)
	}{
		{"no cipher", func(k *Keys) { k.Cipher = wire.CipherNone }},
		{"unknown cipher", func(k *Keys) { k.Cipher = 9 }},
		{"key too short", func(k *Keys) { k.Key = k.Key[1:] }},
		{"key of another cipher", func(k *Keys) { k.Cipher = wire.Cipher3DES }},
		{"salt too short", func(k *Keys) { k.Salt = k.Salt[1:] }},
		{"salt of version 5 with CBC", func(k *Keys) { k.Salt = make([]byte, 12) }},
		{"no signature", func(k *Keys) { k.SigType = wire.SigNone }},
		{"authenticated cipher that is none", func(k *Keys) { k.SigType = wire.SigAuthEnc }},
		{"unknown signature", func(k *Keys) { k.SigType = 4 }},
		{"HMAC with GCM", func(k *Keys) { k.Cipher = wire.CipherAES128GCM }},
		{"MD5", func(k *Keys) { k.Hash = 1 }},
		{"no hash", func(k *Keys) { k.Hash = wire.HashNone }},
		{"unknown hash", func(k *Keys) { k.Hash = 6 }},
		{"HMAC key of another hash", func(k *Keys) { k.Hash = wire.HashSHA1 }},
		{"signatures without a key", func(k *Keys) { k.SigType = wire.SigKeyExch }},
	} {
		k := testKeys(wire.CipherAES128CBC, 0)
		v.change(&k)
		if _, err := NewSealer(k, nil, 0); !errors.Is(err, ErrKeys) {
			t.Errorf("%s: NewSealer says %v, want ErrKeys", v.name, err)
		}
		if _, err := NewOpener(k, nil); !errors.Is(err, ErrKeys) {
			t.Errorf("%s: NewOpener says %v, want ErrKeys", v.name, err)
		}
	}
	k := testKeys(wire.CipherAES128CBC, 0)
	if _, err := NewSealer(k, badSigner{}, 64); !errors.Is(err, ErrKeys) {
		t.Errorf("HMAC with a Signer: %v, want ErrKeys", err)
	}
	if _, err := NewOpener(k, func(wire.UID) Verifier { return nil }); !errors.Is(err, ErrKeys) {
		t.Errorf("HMAC with keys of peers: %v, want ErrKeys", err)
	}
	k.SigType = wire.SigKeyExch
	for _, n := range []int{0, MaxSigLen + 1} {
		if _, err := NewSealer(k, badSigner{}, n); !errors.Is(err, ErrKeys) {
			t.Errorf("signatures of %d bytes: %v, want ErrKeys", n, err)
		}
	}
}

// TestCallerBugs panics rather than to damage memory or wrap a length.
func TestCallerBugs(t *testing.T) {
	s, _ := pair(t, testKeys(wire.CipherAES128CCM, 0), true)
	for _, v := range []struct {
		name string
		call func()
	}{
		{"buffer without room for the tag", func() { s.Seal(make([]byte, 28+100+15), 100, 1) }},
		{"message too long for its field", func() { s.Seal(make([]byte, 70000), 0xffff-15, 1) }},
		{"train longer than its buffer", func() { s.SealBatch(make([]byte, 3*144-1), 3, 100, 100, 1) }},
		{"negative length", func() { s.Seal(make([]byte, 100), -1, 1) }},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", v.name)
				}
			}()
			v.call()
		}()
	}
}

func TestWipe(t *testing.T) {
	for _, k := range kits(t) {
		for range 2 { // twice does no harm
			k.s.Wipe()
			k.o.Wipe()
		}
		for _, salt := range [][12]byte{k.s.salt, k.o.salt} {
			if salt != [12]byte{} {
				t.Errorf("%s: salt is still there", k.name)
			}
		}
		if c := k.s.ccm; c != nil && (c.keys != roundKeys{} || c.state != state{} || c.work != [8]block{} || c.mask != [4]block{}) {
			t.Errorf("%s: round keys or key stream are still there", k.name)
		}
		k.keys.Wipe()
		all := string(k.keys.Key) + string(k.keys.Salt) + string(k.keys.HMACKey)
		if strings.Trim(all, "\x00") != "" {
			t.Errorf("%s: keys are still there", k.name)
		}
	}
}
