package aead

import (
	"crypto"
	"crypto/hmac"
	"crypto/subtle"
	"hash"

	// The hashes of ENC_INFO.
	_ "crypto/sha1"
	_ "crypto/sha256"
	_ "crypto/sha512"

	"uftp/wire"
)

// Signer is a private key that signs datagrams (SigKeyExch). Several goroutines may use
// it at once. Every signature has the length that NewSealer was given.
type Signer interface {
	AppendSignature(b []byte, h crypto.Hash, digest []byte) ([]byte, error)
}

// Verifier is the public key of a source of signed datagrams. Several goroutines may
// use it at once.
type Verifier interface {
	SignatureLen() int // bytes, of every signature
	Verify(h crypto.Hash, digest, sig []byte) error
}

// noSignature replaces the signature in the bytes that are signed.
var noSignature [MaxSigLen]byte

// digester computes what a signature of type HMAC or KEYEX is made from: a keyed or a
// plain hash over the datagram with the signature zeroed.
type digester struct {
	id  crypto.Hash
	h   hash.Hash
	sum [maxSum]byte
}

// newDigester expects checked keys. It returns nil for SigAuthEnc.
func newDigester(k *Keys) *digester {
	if k.SigType == wire.SigAuthEnc {
		return nil
	}
	d := &digester{id: hashes[k.Hash]}
	if k.SigType == wire.SigHMAC {
		d.h = hmac.New(d.id.New, k.HMACKey)
	} else {
		d.h = d.id.New()
	}
	return d
}

// digest returns the hash of pkt. It is valid until the next call.
func (d *digester) digest(pkt []byte, sigLen int) []byte {
	d.h.Reset()
	d.h.Write(pkt[:headLen])
	d.h.Write(noSignature[:sigLen])
	d.h.Write(pkt[headLen+sigLen:])
	return d.h.Sum(d.sum[:0])
}

// equal compares in constant time.
func equal(a, b []byte) bool { return subtle.ConstantTimeCompare(a, b) == 1 }

func (d *digester) wipe() {
	clear(d.sum[:])
	if d.h != nil {
		d.h.Reset()
		d.h = nil
	}
}
