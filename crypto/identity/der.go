package identity

import (
	"bytes"
	encasn1 "encoding/asn1"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
)

// Object identifiers of kinds of keys.
var (
	oidRSA        = encasn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}
	oidEC         = encasn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1}
	oidPrimeField = encasn1.ObjectIdentifier{1, 2, 840, 10045, 1, 1}
)

// oids holds the object identifiers of all curves of the protocol.
var oids = [curveMax + 1]encasn1.ObjectIdentifier{
	1:    {1, 3, 132, 0, 1},
	2:    {1, 3, 132, 0, 2},
	3:    {1, 3, 132, 0, 15},
	4:    {1, 3, 132, 0, 24},
	5:    {1, 3, 132, 0, 25},
	6:    {1, 3, 132, 0, 26},
	7:    {1, 3, 132, 0, 27},
	8:    {1, 3, 132, 0, 3},
	9:    {1, 3, 132, 0, 16},
	10:   {1, 3, 132, 0, 17},
	11:   {1, 3, 132, 0, 36},
	12:   {1, 3, 132, 0, 37},
	13:   {1, 3, 132, 0, 38},
	14:   {1, 3, 132, 0, 39},
	15:   {1, 3, 132, 0, 9},
	16:   {1, 3, 132, 0, 8},
	17:   {1, 3, 132, 0, 30},
	18:   {1, 3, 132, 0, 31},
	19:   {1, 2, 840, 10045, 3, 1, 1},
	20:   {1, 3, 132, 0, 32},
	P224: {1, 3, 132, 0, 33},
	K256: {1, 3, 132, 0, 10},
	P256: {1, 2, 840, 10045, 3, 1, 7},
	P384: {1, 3, 132, 0, 34},
	P521: {1, 3, 132, 0, 35},
}

// Context-specific fields of an ECPrivateKey.
var (
	tagParams = asn1.Tag(0).ContextSpecific().Constructed()
	tagPublic = asn1.Tag(1).ContextSpecific().Constructed()
)

// parsePKCS1 reads an RSAPrivateKey (RFC 8017, A.1.2) of two primes. It ignores the CRT
// values.
func parsePKCS1(der []byte) (*PrivateKey, error) {
	seq, ok := readSequence(der)
	var version int
	var n, e, d, p, q, rest big.Int
	defer func() { wipeNumbers(&rest) }()
	if !ok || !seq.ReadASN1Integer(&version) || version != 0 ||
		!seq.ReadASN1Integer(&n) || !seq.ReadASN1Integer(&e) || !seq.ReadASN1Integer(&d) ||
		!seq.ReadASN1Integer(&p) || !seq.ReadASN1Integer(&q) ||
		!seq.ReadASN1Integer(&rest) || !seq.ReadASN1Integer(&rest) || !seq.ReadASN1Integer(&rest) || !seq.Empty() {
		return nil, ErrKeyForm
	}
	k, err := newRSAPrivate(&n, &e, &d, &p, &q)
	if err != nil {
		return nil, err
	}
	return fromRSA(k), nil
}

func (k *rsaPrivate) appendPKCS1(b *cryptobyte.Builder) {
	dp := new(big.Int).Mod(k.d, new(big.Int).Sub(k.p, one))
	dq := new(big.Int).Mod(k.d, new(big.Int).Sub(k.q, one))
	defer wipeNumbers(dp, dq)
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(0)
		for _, n := range []*big.Int{k.n, k.e, k.d, k.p, k.q, dp, dq, k.qInv} {
			b.AddASN1BigInt(n)
		}
	})
}

// parseSEC1 reads an ECPrivateKey (RFC 5915). The key names its curve, or PKCS #8 gives
// it from outside; if both do, they must agree.
func parseSEC1(der []byte, outside Curve) (*PrivateKey, error) {
	seq, ok := readSequence(der)
	var version int
	var scalar, params, public cryptobyte.String
	var hasParams, hasPublic bool
	if !ok || !seq.ReadASN1Integer(&version) || version != 1 ||
		!seq.ReadASN1(&scalar, asn1.OCTET_STRING) ||
		!seq.ReadOptionalASN1(&params, &hasParams, tagParams) ||
		!seq.ReadOptionalASN1(&public, &hasPublic, tagPublic) || !seq.Empty() {
		return nil, ErrKeyForm
	}
	c := outside
	if hasParams {
		inside, err := readCurve(params)
		if err != nil {
			return nil, err
		}
		if c != 0 && c != inside {
			return nil, ErrKeyForm
		}
		c = inside
	}
	if c == 0 {
		return nil, ErrKeyForm
	}
	k, err := NewEC(c, scalar)
	if err != nil {
		return nil, ErrKeyForm
	}
	if hasPublic && !k.public.matches(public) {
		k.Wipe()
		return nil, ErrKeyForm
	}
	return k, nil
}

// matches reports whether a BIT STRING holds the public key, as a full or a compressed
// point.
func (k *PublicKey) matches(bits cryptobyte.String) bool {
	var sec []byte
	if !bits.ReadASN1BitStringAsBytes(&sec) || !bits.Empty() || len(sec) == 0 {
		return false
	}
	n := k.curve.CoordLen()
	xy := k.blob[4 : 4+2*n]
	switch sec[0] {
	case 4:
		return bytes.Equal(sec[1:], xy)
	case 2, 3:
		return bytes.Equal(sec[1:], xy[:n]) && sec[0]&1 == xy[2*n-1]&1
	}
	return false
}

func (k *PrivateKey) appendSEC1(b *cryptobyte.Builder) {
	c := k.public.curve
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(1)
		b.AddASN1OctetString(k.scalar)
		b.AddASN1(tagParams, func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(oids[c]) })
		b.AddASN1(tagPublic, func(b *cryptobyte.Builder) {
			b.AddASN1BitString(append([]byte{4}, k.public.blob[4:4+2*c.CoordLen()]...))
		})
	})
}

// parsePKCS8 reads a PrivateKeyInfo (RFC 5208, and RFC 5958, whose attributes and public
// key at the end it ignores).
func parsePKCS8(der []byte) (*PrivateKey, error) {
	seq, ok := readSequence(der)
	var version int
	var algorithm, inner cryptobyte.String
	var oid encasn1.ObjectIdentifier
	if !ok || !seq.ReadASN1Integer(&version) || version < 0 || version > 1 ||
		!seq.ReadASN1(&algorithm, asn1.SEQUENCE) || !algorithm.ReadASN1ObjectIdentifier(&oid) ||
		!seq.ReadASN1(&inner, asn1.OCTET_STRING) {
		return nil, ErrKeyForm
	}
	switch {
	case oid.Equal(oidRSA):
		return parsePKCS1(inner)
	case oid.Equal(oidEC):
		c, err := readCurve(algorithm)
		if err != nil {
			return nil, err
		}
		return parseSEC1(inner, c)
	}
	return nil, ErrKeyType
}

// readCurve reads ECParameters: the name of a curve, or all its numbers.
func readCurve(params cryptobyte.String) (Curve, error) {
	if params.PeekASN1Tag(asn1.SEQUENCE) {
		return explicitCurve(params)
	}
	var oid encasn1.ObjectIdentifier
	if !params.ReadASN1ObjectIdentifier(&oid) || !params.Empty() {
		return 0, ErrKeyForm
	}
	for c := Curve(1); c <= curveMax; c++ {
		if oid.Equal(oids[c]) {
			return c, c.Check()
		}
	}
	return 0, &CurveError{Name: oid.String(), Reason: "not a curve of the protocol"}
}

// explicitCurve recognises a curve on offer by its numbers. All of them must be right,
// also the generator: another one would make another group.
func explicitCurve(params cryptobyte.String) (Curve, error) {
	seq, ok := readSequence(params)
	var version int
	var field, coefficients, a, b, g cryptobyte.String
	var fieldType encasn1.ObjectIdentifier
	var p, n big.Int
	if !ok || !seq.ReadASN1Integer(&version) || version < 1 ||
		!seq.ReadASN1(&field, asn1.SEQUENCE) || !field.ReadASN1ObjectIdentifier(&fieldType) ||
		!seq.ReadASN1(&coefficients, asn1.SEQUENCE) ||
		!coefficients.ReadASN1(&a, asn1.OCTET_STRING) || !coefficients.ReadASN1(&b, asn1.OCTET_STRING) ||
		!seq.ReadASN1(&g, asn1.OCTET_STRING) || !seq.ReadASN1Integer(&n) || len(g) == 0 {
		return 0, ErrKeyForm
	}
	if !fieldType.Equal(oidPrimeField) || !field.ReadASN1Integer(&p) {
		return 0, &CurveError{Name: "with explicit parameters", Reason: whyBinary}
	}
	for _, c := range []Curve{P224, K256, P256, P384, P521} {
		w := numbersOf(c)
		if w.p.Cmp(&p) == 0 && w.n.Cmp(&n) == 0 &&
			w.a.Cmp(new(big.Int).SetBytes(a)) == 0 && w.b.Cmp(new(big.Int).SetBytes(b)) == 0 && w.isGenerator(c, g) {
			return c, nil
		}
	}
	return 0, &CurveError{Name: "with explicit parameters", Reason: "not a curve of the protocol"}
}

// numbers are what a prime curve y² = x³ + ax + b mod p with a generator of
// order n consists of.
type numbers struct{ p, a, b, n, gx, gy *big.Int }

func numbersOf(c Curve) numbers {
	if c == K256 {
		k := secp256k1.Params()
		return numbers{k.P, new(big.Int), big.NewInt(7), k.N, k.Gx, k.Gy}
	}
	k := nistCurve(c).Params()
	return numbers{k.P, new(big.Int).Sub(k.P, big.NewInt(3)), k.B, k.N, k.Gx, k.Gy}
}

// isGenerator reports whether sec is the generator, whole or compressed.
func (w numbers) isGenerator(c Curve, sec []byte) bool {
	n := c.CoordLen()
	xy := make([]byte, 2*n)
	w.gx.FillBytes(xy[:n])
	w.gy.FillBytes(xy[n:])
	return bytes.Equal(sec, append([]byte{4}, xy...)) ||
		bytes.Equal(sec, append([]byte{2 | xy[2*n-1]&1}, xy[:n]...))
}
