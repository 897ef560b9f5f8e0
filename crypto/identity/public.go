package identity

import (
	"bytes"
	"crypto"
	"encoding/binary"
	"errors"
	"strconv"
)

// Kind is the type byte of a key blob.
type Kind uint8

// Kinds of keys.
const (
	RSA Kind = 1
	EC  Kind = 2
)

func (k Kind) String() string {
	switch k {
	case RSA:
		return "RSA"
	case EC:
		return "EC"
	}
	return "kind " + itoa(int(k))
}

// Sizes of RSA keys, bits.
const (
	RSABitsMin      = 512
	RSABitsMax      = 4096
	RSABitsMaxStock = 2048 // a larger blob overruns a buffer of the stock programs
)

const _ = uint(RSABitsMax - RSABitsMaxStock)

// BlobLenMax is the length of the largest key blob, bytes.
const BlobLenMax = 8 + RSABitsMax/8

// Errors about a key, a signature or an encrypted premaster of a peer.
var (
	ErrBlob      = errors.New("identity: key blob is malformed")
	ErrRSA       = errors.New("identity: RSA modulus or exponent out of range")
	ErrPoint     = errors.New("identity: point is not on its curve")
	ErrKind      = errors.New("identity: key is of another kind or curve")
	ErrSignature = errors.New("identity: signature verification failed")
	ErrDigest    = errors.New("identity: digest is too big for the RSA key, or not of the hash")
	ErrDecrypt   = errors.New("identity: decryption failed")
	ErrWiped     = errors.New("identity: key was wiped")
)

// PublicKey is a checked public key. It does not change, and several goroutines may use
// it at once.
type PublicKey struct {
	blob  []byte
	kind  Kind
	curve Curve      // EC only
	rsa   *rsaPublic // RSA only
	ec    ecPublic   // EC only
}

// ecPublic is a point in one of the implementations of curves.
type ecPublic interface {
	// verify checks a signature whose numbers are coord bytes at most each.
	verify(digest, r, s []byte) bool
}

// ParsePublicKey reads a key blob (docs/protocol.md, "Key blobs") and checks everything
// that can be checked: lengths, the range of an RSA key, that a point is on its curve,
// that padding is zero. So a key has one blob and one fingerprint. It keeps no reference
// to blob. It fails with [ErrBlob], [ErrRSA], [ErrPoint] or a [*CurveError].
func ParsePublicKey(blob []byte) (*PublicKey, error) {
	if len(blob) < 4 || len(blob) > BlobLenMax {
		return nil, ErrBlob
	}
	switch Kind(blob[0]) {
	case RSA:
		return parseRSA(blob)
	case EC:
		return parseEC(blob)
	}
	return nil, ErrBlob
}

func parseRSA(blob []byte) (*PublicKey, error) {
	if len(blob) < 8 {
		return nil, ErrBlob
	}
	n := blob[8:]
	if blob[1] != 0 || int(binary.BigEndian.Uint16(blob[2:])) != len(n) || len(n) == 0 || n[0] == 0 {
		return nil, ErrBlob
	}
	k, err := newRSAPublic(n, binary.BigEndian.Uint32(blob[4:]))
	if err != nil {
		return nil, err
	}
	return &PublicKey{blob: bytes.Clone(blob), kind: RSA, rsa: k}, nil
}

func parseEC(blob []byte) (*PublicKey, error) {
	c := Curve(blob[1])
	if err := c.Check(); err != nil {
		return nil, err
	}
	n := 2 * c.CoordLen()
	if int(binary.BigEndian.Uint16(blob[2:])) != n || len(blob) != c.blockLen() {
		return nil, ErrBlob
	}
	for _, b := range blob[4+n:] {
		if b != 0 {
			return nil, ErrBlob
		}
	}
	ec, err := newECPublic(c, blob[4:4+n])
	if err != nil {
		return nil, err
	}
	return &PublicKey{blob: bytes.Clone(blob), kind: EC, curve: c, ec: ec}, nil
}

// rsaBlob returns the blob of an RSA key; n has no leading zeros.
func rsaBlob(n []byte, e uint32) []byte {
	b := make([]byte, 0, 8+len(n))
	b = append(b, byte(RSA), 0)
	b = binary.BigEndian.AppendUint16(b, uint16(len(n)))
	b = binary.BigEndian.AppendUint32(b, e)
	return append(b, n...)
}

// ecBlob returns the blob of a point; xy is two coordinates.
func ecBlob(c Curve, xy []byte) []byte {
	b := make([]byte, c.blockLen())
	b[0], b[1] = byte(EC), byte(c)
	binary.BigEndian.PutUint16(b[2:], uint16(len(xy)))
	copy(b[4:], xy)
	return b
}

// Kind returns RSA or EC.
func (k *PublicKey) Kind() Kind { return k.kind }

// Curve returns the curve of an EC key, 0 for RSA.
func (k *PublicKey) Curve() Curve { return k.curve }

// Bits returns the size: of the modulus, or of the coordinates of the curve.
func (k *PublicKey) Bits() int {
	if k.kind == RSA {
		return k.rsa.n.BitLen()
	}
	if k.curve == P521 {
		return 521
	}
	return 8 * k.curve.CoordLen()
}

// BlobLen returns the length of the blob, bytes. It is a multiple of 4 for every
// EC key and for RSA keys of a multiple of 32 bits.
func (k *PublicKey) BlobLen() int { return len(k.blob) }

// AppendBlob appends the blob, as in ENC_INFO, REGISTER, CLIENT_KEY.
func (k *PublicKey) AppendBlob(b []byte) []byte { return append(b, k.blob...) }

// SignatureLen returns the length of every signature of this key, bytes.
func (k *PublicKey) SignatureLen() int {
	if k.kind == RSA {
		return k.rsa.size()
	}
	return k.curve.blockLen()
}

// Equal reports whether both are the same key. A nil key equals none.
func (k *PublicKey) Equal(o *PublicKey) bool {
	return k != nil && o != nil && bytes.Equal(k.blob, o.blob)
}

// Alike reports whether the keys have the same kind and the same curve or modulus length
// in bytes. Stock receivers need a key that is alike the sender's.
func (k *PublicKey) Alike(o *PublicKey) bool {
	return k.kind == o.kind && k.curve == o.curve && len(k.blob) == len(o.blob)
}

// CanSign reports whether signatures with hash h can be made with this key: an
// RSA key of 512 bits has no room for SHA-384 and SHA-512.
func (k *PublicKey) CanSign(h crypto.Hash) bool {
	info, ok := digestInfo(h)
	return ok && (k.kind == EC || len(info)+h.Size()+11 <= k.rsa.size())
}

// Verify checks a signature over digest, which is of hash h. The signature must have
// SignatureLen bytes. It fails with [ErrSignature], or with [ErrDigest] if no signature
// with this hash can exist.
func (k *PublicKey) Verify(h crypto.Hash, digest, sig []byte) error {
	if !k.CanSign(h) || len(digest) != h.Size() {
		return ErrDigest
	}
	if k.kind == RSA {
		return k.rsa.verify(h, digest, sig)
	}
	r, s, ok := splitBlock(k.curve, sig)
	if !ok || !k.ec.verify(digest, r, s) {
		return ErrSignature
	}
	return nil
}

// String describes the key as uftp_keymgt prints it: kind, size, fingerprint. It rounds
// RSA sizes up to bytes, as stock does.
func (k *PublicKey) String() string {
	if k.kind == RSA {
		return "RSA, " + itoa(8*k.rsa.size()) + " bits, fingerprint: " + k.Fingerprint().String()
	}
	return "ECDSA, curve " + k.curve.String() + ", fingerprint: " + k.Fingerprint().String()
}

func itoa(n int) string { return strconv.Itoa(n) }
