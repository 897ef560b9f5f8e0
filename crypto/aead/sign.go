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

// Signer is a private key that signs datagrams (SigKeyExch). It must bear use by
// several goroutines. Every signature is as long as NewSealer was told.
type Signer interface {
	AppendSignature(b []byte, h crypto.Hash, digest []byte) ([]byte, error)
}

// Verifier is the public key of a source of signed datagrams. It must bear use by
// several goroutines.
type Verifier interface {
	SignatureLen() int // bytes, of every signature
	Verify(h crypto.Hash, digest, sig []byte) error
}

// noSignature stands in for the signature in what is signed.
var noSignature [maxSigLen]byte

// digester computes what a signature of type HMAC or KEYEX is made of: a keyed or
// a plain hash over the datagram with the signature zeroed.
type digester struct {
	id  crypto.Hash
	h   hash.Hash
	sum [maxSum]byte
}

// newDigester expects keys that were checked. It returns nil for SigAuthEnc.
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

// digest is good until the next call.
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
	d.h.Reset()
	d.h = nil
}
