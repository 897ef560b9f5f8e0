package aead

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"uftp/crypto/identity"
	"uftp/pcap"
	"uftp/pcap/frames"
	"uftp/wire"
)

const (
	captureDir = "../../pcap/testdata/v4"
	keyDir     = "../identity/testdata/keys"
)

// hexBytes is a byte string written as hex in JSON.
type hexBytes []byte

func (h *hexBytes) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

// knownSession is a session of derived.json.
type knownSession struct {
	Case    string
	Group   hexBytes    `json:"group_id"`
	Inst    uint8       `json:"instance"`
	Cipher  wire.Cipher `json:"keytype"`
	Hash    wire.Hash   `json:"hashtype"`
	Sig     string
	HMACKey hexBytes `json:"group_hmac_key"`
	Key     hexBytes `json:"group_key"`
	Salt    hexBytes `json:"group_salt"`
	Packets []struct {
		PCAP      string
		Frame     int
		Counter   uint64 `json:"iv_counter"`
		IV        hexBytes
		Signature hexBytes
		Sealed    hexBytes `json:"ciphertext"`
		Plain     hexBytes `json:"plaintext"`
	}
}

func (s *knownSession) keys(t *testing.T) Keys {
	k := Keys{Cipher: s.Cipher, Hash: s.Hash, Key: s.Key, Salt: s.Salt, HMACKey: s.HMACKey}
	switch s.Sig {
	case "hmac":
		k.SigType = wire.SigHMAC
	case "keyex":
		k.SigType = wire.SigKeyExch
	case "authenc":
		k.SigType = wire.SigAuthEnc
	default:
		t.Fatalf("%s: signature type %q", s.Case, s.Sig)
	}
	return k
}

func loadJSON(t *testing.T, name string, into any) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, into); err != nil {
		t.Fatal(err)
	}
}

func knownSessions(t *testing.T) []*knownSession {
	t.Helper()
	var file struct{ Sessions []*knownSession }
	loadJSON(t, filepath.Join(captureDir, "derived.json"), &file)
	if len(file.Sessions) == 0 {
		t.Fatal("derived.json: no sessions")
	}
	return file.Sessions
}

// privateKeys are the long-term keys of the captures by blob.
func privateKeys(t *testing.T) map[string]*identity.PrivateKey {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(keyDir, "*.pem"))
	if err != nil || len(names) == 0 {
		t.Fatalf("no keys in %s: %v", keyDir, err)
	}
	keys := map[string]*identity.PrivateKey{}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		k, err := identity.ParsePEM(text)
		if err != nil {
			continue // one of the binary curves
		}
		keys[string(k.Public().AppendBlob(nil))] = k
	}
	return keys
}

func captured(t *testing.T, path string) []pcap.Datagram {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := frames.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var list []pcap.Datagram
	for {
		d, err := r.Next()
		if err == io.EOF {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, d)
	}
}

// TestCaptures opens every ENCRYPTED datagram that stock programs sent in the
// sessions whose keys are known, compares with what an independent program found
// in it, and seals it again to the same bytes. Only the random signatures of
// ECDSA come out differently; those are opened again.
func TestCaptures(t *testing.T) {
	private := privateKeys(t)
	type place struct {
		pcap  string
		frame int
	}
	type found struct {
		counter                uint64
		iv, sig, sealed, plain []byte
	}
	sessions := map[string]*knownSession{} // by group and instance
	expect := map[place]found{}
	for _, s := range knownSessions(t) {
		sessions[string(append(bytes.Clone(s.Group), s.Inst))] = s
		for _, p := range s.Packets {
			expect[place{p.PCAP, p.Frame}] = found{p.Counter, p.IV, p.Signature, p.Sealed, p.Plain}
		}
	}
	if len(expect) == 0 {
		t.Fatal("derived.json: no packets")
	}

	paths, err := filepath.Glob(filepath.Join(captureDir, "*.pcap"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no captures: %v", err)
	}
	perCipher := map[wire.Cipher]int{}
	bySignature := map[string]int{}
	for _, path := range paths {
		name := filepath.Base(path)
		publics := map[wire.UID]*identity.PublicKey{}
		peer := func(src wire.UID) Verifier {
			if k := publics[src]; k != nil {
				return k
			}
			return nil
		}
		openers := map[*knownSession]*Opener{}
		for _, d := range captured(t, path) {
			h, msg, err := wire.ParseHeader(d.Payload)
			if err != nil {
				continue
			}
			learnKey(publics, h, msg)
			if h.Func != wire.FuncEncrypted {
				continue
			}
			s := sessions[string(append(bytes.Clone(d.Payload[8:12]), h.Instance))]
			if s == nil {
				t.Errorf("%s frame %d: encrypted, but the keys are not known", name, d.Frame)
				continue
			}
			k := s.keys(t)
			o := openers[s]
			if o == nil {
				var p func(wire.UID) Verifier
				if k.SigType == wire.SigKeyExch {
					p = peer
				}
				if o, err = NewOpener(k, p); err != nil {
					t.Fatal(s.Case, err)
				}
				openers[s] = o
			}

			pkt := bytes.Clone(d.Payload)
			plain, counter, err := o.Open(pkt)
			if err != nil {
				t.Errorf("%s frame %d: %v, want it to open", name, d.Frame, err)
				continue
			}
			perCipher[s.Cipher]++
			if want, ok := expect[place{name, d.Frame}]; ok {
				delete(expect, place{name, d.Frame})
				iv := make([]byte, ciphers[s.Cipher].iv)
				PutIV(iv, k.Salt, h.Src, counter)
				x, _ := wire.ParseEncrypted(d.Payload[16:])
				if counter != want.counter || !bytes.Equal(plain, want.plain) || !bytes.Equal(iv, want.iv) ||
					!bytes.Equal(x.Signature, want.sig) || !bytes.Equal(x.Payload, want.sealed) {
					t.Errorf("%s frame %d: counter %d, IV %x, %x; want %d, %x, %x",
						name, d.Frame, counter, iv, plain, want.counter, want.iv, want.plain)
				}
			}

			bySignature[reseal(t, private, publics[h.Src], k, o, d.Payload, plain, counter)]++
		}
	}
	if len(expect) > 0 {
		t.Errorf("%d datagrams of derived.json were not met in the captures", len(expect))
	}
	for _, c := range cipherNames {
		if perCipher[c.cipher] == 0 {
			t.Errorf("no datagram of %s, want some of every cipher", c.name)
		}
	}
	for _, kind := range []string{"authenc", "hmac", "rsa", "ecdsa"} {
		if bySignature[kind] == 0 {
			t.Errorf("no datagram with signature %s sealed again, want some", kind)
		}
	}
	t.Log("datagrams per cipher", perCipher, "and signature", bySignature)
}

// learnKey notes the key that a source shows in ANNOUNCE or CLIENT_KEY.
func learnKey(publics map[wire.UID]*identity.PublicKey, h wire.Header, msg []byte) {
	var blob []byte
	switch h.Func {
	case wire.FuncAnnounce:
		if a, err := wire.ParseAnnounce(wire.Version4, msg); err == nil && a.HasEnc {
			blob = a.Enc.PublicKey
		}
	case wire.FuncClientKey:
		if c, err := wire.ParseClientKey(msg); err == nil {
			blob = c.PublicKey
		}
	}
	if k, err := identity.ParsePublicKey(blob); err == nil {
		publics[h.Src] = k
	}
}

// reseal seals plain as the datagram was and compares. It returns the kind of
// signature.
func reseal(t *testing.T, private map[string]*identity.PrivateKey, public *identity.PublicKey,
	k Keys, o *Opener, datagram, plain []byte, counter uint64) string {
	t.Helper()
	kind := map[wire.Sig]string{wire.SigAuthEnc: "authenc", wire.SigHMAC: "hmac"}[k.SigType]
	var signer Signer
	sigLen := 0
	if k.SigType == wire.SigKeyExch {
		kind = strings.ToLower(public.Kind().String())
		if kind == "ec" {
			kind = "ecdsa"
		}
		key := private[string(public.AppendBlob(nil))]
		if key == nil {
			t.Fatalf("no private key for %v", public)
		}
		signer, sigLen = key, public.SignatureLen()
	}
	s, err := NewSealer(k, signer, sigLen)
	if err != nil {
		t.Fatal(err)
	}
	pkt := append(bytes.Clone(datagram[:wire.HeaderLen]), make([]byte, s.Lead()-wire.HeaderLen)...)
	pkt[1] = byte(wire.FuncFileSeg)
	pkt = append(pkt, plain...)
	pkt = append(pkt, make([]byte, s.Trailer(len(plain)))...)
	total, err := s.Seal(pkt, len(plain), counter)
	if err != nil || total != len(datagram) {
		t.Fatalf("Seal: %d bytes, %v; want %d", total, err, len(datagram))
	}
	if kind == "ecdsa" {
		if !bytes.Equal(pkt[:headLen], datagram[:headLen]) || !bytes.Equal(pkt[s.Lead():], datagram[s.Lead():]) {
			t.Errorf("%x, want %x save for the signature", pkt, datagram)
		}
		if got, _, err := o.Open(pkt); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("what we signed does not open: %v", err)
		}
	} else if !bytes.Equal(pkt, datagram) {
		t.Errorf("sealed to %x, want %x", pkt, datagram)
	}
	return kind
}

// TestVersion5 opens and seals datagrams of version 5: the same ciphers with a
// salt of 12 bytes.
func TestVersion5(t *testing.T) {
	var list []struct {
		Cipher                         wire.Cipher
		Message                        string
		Key, Salt, Datagram, Plaintext hexBytes
		Counter                        uint64
	}
	loadJSON(t, "testdata/v5.json", &list)
	perCipher := map[wire.Cipher]int{}
	for _, v := range list {
		perCipher[v.Cipher]++
		for _, hardware := range implementations() {
			s, o := pair(t, Keys{Cipher: v.Cipher, SigType: wire.SigAuthEnc, Key: v.Key, Salt: v.Salt}, hardware)
			msg, counter, err := o.Open(bytes.Clone(v.Datagram))
			if err != nil || counter != v.Counter || !bytes.Equal(msg, v.Plaintext) {
				t.Errorf("cipher %d, %s: %x, counter %d, %v; want %x, %d", v.Cipher, v.Message, msg, counter, err, v.Plaintext, v.Counter)
				continue
			}
			pkt := make([]byte, len(v.Datagram))
			copy(pkt, v.Datagram[:wire.HeaderLen])
			copy(pkt[s.Lead():], v.Plaintext)
			if _, err := s.Seal(pkt, len(v.Plaintext), v.Counter); err != nil || !bytes.Equal(pkt, v.Datagram) {
				t.Errorf("cipher %d, %s: sealed to %x, %v; want %x", v.Cipher, v.Message, pkt, err, v.Datagram)
			}
		}
	}
	for _, cipher := range []wire.Cipher{wire.CipherAES128GCM, wire.CipherAES256GCM, wire.CipherAES128CCM, wire.CipherAES256CCM} {
		if perCipher[cipher] == 0 {
			t.Errorf("no datagram of cipher %d, want some of each", cipher)
		}
	}
}
