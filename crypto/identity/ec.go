package identity

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"io"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	k1ecdsa "github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
)

// ecPrivate is a scalar in one of the implementations of curves.
type ecPrivate interface {
	// public returns both coordinates of the point.
	public() []byte
	// sign returns r and s without leading zeros.
	sign(digest []byte, h crypto.Hash) (r, s []byte, err error)
	// shared returns the X coordinate, padded to its full length, of the product with
	// the point xy. The caller has checked that xy is on the curve.
	shared(xy []byte) ([]byte, error)
	// wipe clears what this package holds.
	wipe()
}

// nistCurve returns the standard library's form of a curve, nil for secp256k1.
func nistCurve(c Curve) elliptic.Curve {
	switch c {
	case P224:
		return elliptic.P224()
	case P256:
		return elliptic.P256()
	case P384:
		return elliptic.P384()
	case P521:
		return elliptic.P521()
	}
	return nil
}

// newECPublic checks that xy, two coordinates, is a point of the curve and not infinity.
// All curves on offer have cofactor 1, so such a point has full order.
func newECPublic(c Curve, xy []byte) (ecPublic, error) {
	sec := append([]byte{4}, xy...)
	if c == K256 {
		p, err := secp256k1.ParsePubKey(sec)
		if err != nil {
			return nil, ErrPoint
		}
		return k1Public{p}, nil
	}
	p, err := ecdsa.ParseUncompressedPublicKey(nistCurve(c), sec)
	if err != nil {
		return nil, ErrPoint
	}
	return nistPublic{p}, nil
}

// newECPrivate takes a scalar of as many bytes as a coordinate. A scalar outside
// 1 .. order-1 is [ErrBlob].
func newECPrivate(c Curve, scalar []byte) (ecPrivate, error) {
	if c == K256 {
		var n secp256k1.ModNScalar
		if n.SetByteSlice(scalar) || n.IsZero() {
			return nil, ErrBlob
		}
		return k1Private{secp256k1.NewPrivateKey(&n)}, nil
	}
	k, err := ecdsa.ParseRawPrivateKey(nistCurve(c), scalar)
	if err != nil {
		return nil, ErrBlob
	}
	if c == P224 {
		return nistPrivate{sig: k}, nil
	}
	dh, err := k.ECDH()
	if err != nil {
		return nil, ErrBlob
	}
	return nistPrivate{sig: k, dh: dh}, nil
}

// drawScalar reads random numbers until one is a scalar of the curve, so the result is
// uniform in 1 .. order-1. With an honest source a second try is unlikely.
func drawScalar(c Curve, rand io.Reader) ([]byte, ecPrivate, error) {
	scalar := make([]byte, c.CoordLen())
	for {
		if _, err := io.ReadFull(rand, scalar); err != nil {
			return nil, nil, err
		}
		if c == P521 {
			scalar[0] &= 1
		}
		if k, err := newECPrivate(c, scalar); err == nil {
			return scalar, k, nil
		}
	}
}

type nistPublic struct{ k *ecdsa.PublicKey }

func (p nistPublic) verify(digest, r, s []byte) bool {
	var der [2*(coordMax+3) + 3]byte
	return ecdsa.VerifyASN1(p.k, digest, appendDER(der[:0], r, s))
}

type nistPrivate struct {
	sig *ecdsa.PrivateKey
	dh  *ecdh.PrivateKey // the same number; nil for P-224
}

func (p nistPrivate) public() []byte {
	sec, err := p.sig.PublicKey.Bytes()
	if err != nil {
		panic("identity: " + err.Error()) // the key was checked when it was made
	}
	return sec[1:]
}

func (p nistPrivate) sign(digest []byte, h crypto.Hash) (r, s []byte, err error) {
	der, err := p.sig.Sign(nil, digest, h)
	if err != nil {
		return nil, nil, err
	}
	in := cryptobyte.String(der)
	if !in.ReadASN1(&in, asn1.SEQUENCE) || !in.ReadASN1Integer(&r) || !in.ReadASN1Integer(&s) {
		return nil, nil, ErrSignature
	}
	return r, s, nil
}

func (p nistPrivate) shared(xy []byte) ([]byte, error) {
	if p.dh == nil {
		return p.sharedP224(xy)
	}
	peer, err := p.dh.Curve().NewPublicKey(append([]byte{4}, xy...))
	if err != nil {
		return nil, ErrPoint
	}
	return p.dh.ECDH(peer)
}

// sharedP224 serves the one curve that crypto/ecdh leaves out. Package elliptic runs the
// same constant-time code behind its deprecated functions.
func (p nistPrivate) sharedP224(xy []byte) ([]byte, error) {
	d, err := p.sig.Bytes()
	if err != nil {
		return nil, err
	}
	defer clear(d)
	n := len(xy) / 2
	//lint:ignore SA1019 there is no other way to ECDH on P-224
	x, _ := elliptic.P224().ScalarMult(new(big.Int).SetBytes(xy[:n]), new(big.Int).SetBytes(xy[n:]), d)
	return x.FillBytes(make([]byte, n)), nil
}

func (p nistPrivate) wipe() {
	//lint:ignore SA1019 there is no other access to the number, and the key is not used again
	wipeNumbers(p.sig.D)
}

type k1Public struct{ k *secp256k1.PublicKey }

func (p k1Public) verify(digest, r, s []byte) bool {
	var nr, ns secp256k1.ModNScalar
	// Out of range must not be reduced into range.
	if setScalar(&nr, r) || setScalar(&ns, s) || nr.IsZero() || ns.IsZero() {
		return false
	}
	return k1ecdsa.NewSignature(&nr, &ns).Verify(k1Digest(digest), p.k)
}

// setScalar sets n to a number of at most 32 bytes and reports overflow.
func setScalar(n *secp256k1.ModNScalar, b []byte) bool {
	var wide [32]byte
	copy(wide[32-len(b):], b)
	return n.SetBytes(&wide) != 0
}

// k1Digest cuts a digest to the length of the order or pads it in front, which keeps its
// value: the library needs 32 bytes.
func k1Digest(digest []byte) []byte {
	if len(digest) >= 32 {
		return digest[:32]
	}
	wide := make([]byte, 32)
	copy(wide[32-len(digest):], digest)
	return wide
}

type k1Private struct{ k *secp256k1.PrivateKey }

func (p k1Private) public() []byte { return p.k.PubKey().SerializeUncompressed()[1:] }

func (p k1Private) sign(digest []byte, _ crypto.Hash) (r, s []byte, err error) {
	sig := k1ecdsa.Sign(p.k, k1Digest(digest))
	nr, ns := sig.R(), sig.S()
	br, bs := nr.Bytes(), ns.Bytes()
	return trim(br[:]), trim(bs[:]), nil
}

func (p k1Private) shared(xy []byte) ([]byte, error) {
	peer, err := secp256k1.ParsePubKey(append([]byte{4}, xy...))
	if err != nil {
		return nil, ErrPoint
	}
	return secp256k1.GenerateSharedSecret(p.k, peer), nil
}

func (p k1Private) wipe() { p.k.Zero() }
