package identity

import (
	"crypto"
	"io"
)

// PrivateKey is a long-term key or an exchange key. Several goroutines may use it at
// once, but not Wipe.
type PrivateKey struct {
	public *PublicKey
	rsa    *rsaPrivate // RSA only
	ec     ecPrivate   // EC only
	scalar []byte      // EC only: as many bytes as a coordinate
}

func fromRSA(k *rsaPrivate) *PrivateKey {
	blob := rsaBlob(k.n.Bytes(), uint32(k.e.Uint64()))
	return &PrivateKey{public: &PublicKey{blob: blob, kind: RSA, rsa: k.rsaPublic}, rsa: k}
}

func fromEC(c Curve, scalar []byte, k ecPrivate) (*PrivateKey, error) {
	pub, err := ParsePublicKey(ecBlob(c, k.public()))
	if err != nil {
		return nil, err
	}
	return &PrivateKey{public: pub, ec: k, scalar: scalar}, nil
}

// GenerateRSA makes an RSA key of 512 to 4096 bits with exponent 65537 from randomness of
// the system. From about 2048 bits on it takes seconds. ENC_INFO cannot hold the blob of a
// key whose size is not a multiple of 32 bits.
func GenerateRSA(bits int) (*PrivateKey, error) {
	k, err := generateRSA(bits)
	if err != nil {
		return nil, err
	}
	return fromRSA(k), nil
}

// GenerateEC makes a key on a curve from the random bytes of rand. Equal bytes give equal
// keys. The key may be a long-term key or one for ECDH.
func GenerateEC(c Curve, rand io.Reader) (*PrivateKey, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	scalar, k, err := drawScalar(c, rand)
	if err != nil {
		return nil, err
	}
	return fromEC(c, scalar, k)
}

// NewEC makes a key from a big-endian scalar that is at most as long as a coordinate. It
// fails with [ErrBlob] if the scalar is not in 1 .. order-1.
func NewEC(c Curve, scalar []byte) (*PrivateKey, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	scalar = trim(scalar)
	if len(scalar) > c.CoordLen() {
		return nil, ErrBlob
	}
	wide := make([]byte, c.CoordLen())
	copy(wide[len(wide)-len(scalar):], scalar)
	k, err := newECPrivate(c, wide)
	if err != nil {
		return nil, err
	}
	return fromEC(c, wide, k)
}

// Public returns the public half. It remains valid after Wipe.
func (k *PrivateKey) Public() *PublicKey { return k.public }

// AppendSignature signs digest, which is of hash h, and appends the signature in the form
// of the wire, SignatureLen bytes. Equal input gives equal output. It fails with
// [ErrDigest] if an RSA key is too small for the hash; [PublicKey.CanSign] reports that
// beforehand.
func (k *PrivateKey) AppendSignature(b []byte, h crypto.Hash, digest []byte) ([]byte, error) {
	if !k.public.CanSign(h) || len(digest) != h.Size() {
		return b, ErrDigest
	}
	switch {
	case k.rsa != nil:
		sig, err := k.rsa.sign(h, digest)
		return append(b, sig...), err
	case k.ec != nil:
		r, s, err := k.ec.sign(digest, h)
		if err != nil {
			return b, err
		}
		return appendBlock(b, k.public.curve, r, s), nil
	}
	return b, ErrWiped
}

// EncryptPremaster encrypts msg, 1 to 48 bytes, for the holder of an RSA key:
// with OAEP from [OAEPBits] on, else with PKCS #1 v1.5 (docs/protocol.md, "Handshake").
// The result has SignatureLen bytes and differs each time. It fails with [ErrKind] for an
// EC key and with the error of rand.
func (k *PublicKey) EncryptPremaster(rand io.Reader, msg []byte) ([]byte, error) {
	if k.kind != RSA {
		return nil, ErrKind
	}
	return k.rsa.encrypt(rand, msg)
}

// DecryptPremaster decrypts a message of exactly len(into) bytes that EncryptPremaster
// has encrypted, and writes it to into; after a failure into holds zeros. Whatever is
// wrong with the ciphertext, the error is [ErrDecrypt]. The other errors are [ErrKind] and
// [ErrWiped].
//
// No request of a stranger costs more time, and below 768 bits each answer helps an
// attacker, so callers limit how often they call it.
func (k *PrivateKey) DecryptPremaster(ct, into []byte) error {
	switch {
	case k.public.kind != RSA:
		return ErrKind
	case k.rsa == nil:
		return ErrWiped
	}
	return k.rsa.decrypt(ct, into)
}

// Shared returns the X coordinate of the point that both sides of an ECDH exchange
// compute, with leading zeros to CoordLen bytes. It fails with [ErrKind] unless both keys
// are on the same curve.
func (k *PrivateKey) Shared(peer *PublicKey) ([]byte, error) {
	if k.public.kind != EC || peer.kind != EC || peer.curve != k.public.curve {
		return nil, ErrKind
	}
	if k.ec == nil {
		return nil, ErrWiped
	}
	return k.ec.shared(peer.blob[4 : 4+2*peer.curve.CoordLen()])
}

// Wipe clears the secret numbers as far as this package holds them. The key must not be
// used afterwards, and no other goroutine may use it meanwhile.
func (k *PrivateKey) Wipe() {
	if k.rsa != nil {
		k.rsa.wipe()
	}
	if k.ec != nil {
		k.ec.wipe()
	}
	clear(k.scalar)
	k.rsa, k.ec, k.scalar = nil, nil, nil
}
