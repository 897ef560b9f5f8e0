package aead

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"testing"

	"uftp/wire"
)

var cipherNames = []struct {
	name   string
	cipher wire.Cipher
}{
	{"des", wire.CipherDES},
	{"3des", wire.Cipher3DES},
	{"aes128-cbc", wire.CipherAES128CBC},
	{"aes256-cbc", wire.CipherAES256CBC},
	{"aes128-gcm", wire.CipherAES128GCM},
	{"aes256-gcm", wire.CipherAES256GCM},
	{"aes128-ccm", wire.CipherAES128CCM},
	{"aes256-ccm", wire.CipherAES256CCM},
}

// stream is n bytes that depend on a name and nothing else.
func stream(name string, n int) []byte {
	var b []byte
	for i := 0; len(b) < n; i++ {
		sum := sha256.Sum256(fmt.Appendf(nil, "%s %d", name, i))
		b = append(b, sum[:]...)
	}
	return b[:n:n]
}

// testKeys are keys for a cipher: HMAC with SHA-256 if it needs a signature.
func testKeys(cipher wire.Cipher, seed int) Keys {
	k := Keys{
		Cipher: cipher, SigType: wire.SigAuthEnc,
		Key:  stream(fmt.Sprint("key ", seed), KeyLen(cipher)),
		Salt: stream(fmt.Sprint("salt ", seed), 4),
	}
	if ciphers[cipher].mode == modeCBC {
		k.SigType, k.Hash, k.HMACKey = wire.SigHMAC, wire.HashSHA256, stream("hmac", 32)
	}
	return k
}

// pair makes a Sealer and an Opener of keys without KEYEX signatures.
func pair(tb testing.TB, k Keys, hardware bool) (*Sealer, *Opener) {
	tb.Helper()
	s, err := newSealer(k, nil, 0, hardware)
	if err != nil {
		tb.Fatal(err)
	}
	o, err := newOpener(k, nil, hardware)
	if err != nil {
		tb.Fatal(err)
	}
	return s, o
}

const testSource wire.UID = 0x0a500001

// message is a plaintext of n bytes.
func message(n int) []byte { return stream("message", n) }

// clearPacket is a datagram ready to be sealed: header, message(n), room.
func clearPacket(s *Sealer, n int, seq uint16) []byte {
	h := wire.Header{
		Version: wire.Version4, Func: wire.FuncFileSeg, Seq: seq, Src: testSource,
		Group: 0x11223344, GRTT: 7, GroupSize: 9,
	}
	pkt := append(h.Append(nil), make([]byte, s.Lead()-wire.HeaderLen)...)
	pkt = append(pkt, message(n)...)
	return append(pkt, make([]byte, s.Trailer(n))...)
}

// sealedPacket is message(n) sealed.
func sealedPacket(tb testing.TB, s *Sealer, n int, counter uint64) []byte {
	tb.Helper()
	pkt := clearPacket(s, n, uint16(counter))
	total, err := s.Seal(pkt, n, counter)
	if err != nil || total != len(pkt) {
		tb.Fatalf("Seal of %d bytes: %d, %v; want the %d bytes of Size", n, total, err, len(pkt))
	}
	return pkt
}

// mustOpen checks that pkt opens as message(n) with counter.
func mustOpen(tb testing.TB, o *Opener, pkt []byte, n int, counter uint64) {
	tb.Helper()
	msg, got, err := o.Open(bytes.Clone(pkt))
	if err != nil || got != counter || !bytes.Equal(msg, message(n)) {
		tb.Fatalf("Open: %d bytes, counter %d, %v; want the %d bytes sealed with counter %d", len(msg), got, err, n, counter)
	}
}
