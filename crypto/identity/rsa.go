package identity

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/subtle"
	"io"
	"math/big"
)

// stdRSABits is the smallest size that the standard library accepts. From there on it
// does private operations and verification.
const stdRSABits = 1024

// OAEPBits is the smallest size that encrypts a premaster with OAEP (docs/protocol.md,
// "Handshake"). Smaller keys have no room for it and use PKCS #1 v1.5.
const OAEPBits = 768

const _ = uint(stdRSABits - OAEPBits) // decrypt uses the library for OAEP only

// exponent is the public exponent of the keys made here.
const exponent = 65537

// prefixes are the DigestInfo structures of RFC 8017, section 9.2, up to the digest.
var prefixes = [...]struct {
	hash   crypto.Hash
	prefix []byte
}{
	{crypto.SHA1, []byte{0x30, 0x21, 0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00, 0x04, 0x14}},
	{crypto.SHA256, []byte{0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20}},
	{crypto.SHA384, []byte{0x30, 0x41, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02, 0x05, 0x00, 0x04, 0x30}},
	{crypto.SHA512, []byte{0x30, 0x51, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03, 0x05, 0x00, 0x04, 0x40}},
}

// digestInfo returns the bytes in front of a digest of h in a signature. ok is false for
// hashes that the protocol does not sign with.
func digestInfo(h crypto.Hash) (prefix []byte, ok bool) {
	for i := range prefixes {
		if prefixes[i].hash == h {
			return prefixes[i].prefix, true
		}
	}
	return nil, false
}

type rsaPublic struct {
	n   *big.Int
	e   *big.Int
	std *rsa.PublicKey // from stdRSABits on
}

// newRSAPublic takes a modulus without leading zeros.
func newRSAPublic(n []byte, e uint32) (*rsaPublic, error) {
	k := &rsaPublic{n: new(big.Int).SetBytes(n), e: new(big.Int).SetUint64(uint64(e))}
	bits := k.n.BitLen()
	// The standard library takes exponents up to 2^31-1; nobody uses more than 65537.
	if bits < RSABitsMin || bits > RSABitsMax || k.n.Bit(0) == 0 || e < 3 || e&1 == 0 || e > 1<<31-1 {
		return nil, ErrRSA
	}
	if bits >= stdRSABits {
		k.std = &rsa.PublicKey{N: k.n, E: int(e)}
	}
	return k, nil
}

// size returns the bytes of the modulus, a signature, a ciphertext.
func (k *rsaPublic) size() int { return (k.n.BitLen() + 7) / 8 }

// power returns in^e mod n with leading zeros. Callers use it for public values and
// freshly padded plaintext only, since it is not constant in time.
func (k *rsaPublic) power(in []byte) ([]byte, bool) {
	x := new(big.Int).SetBytes(in)
	if len(in) != k.size() || x.Cmp(k.n) >= 0 {
		return nil, false
	}
	return x.Exp(x, k.e, k.n).FillBytes(make([]byte, k.size())), true
}

func (k *rsaPublic) verify(h crypto.Hash, digest, sig []byte) error {
	if k.std != nil {
		if rsa.VerifyPKCS1v15(k.std, h, digest, sig) != nil {
			return ErrSignature
		}
		return nil
	}
	// Build and compare the whole padded form, so that there is nothing to parse.
	em, ok := k.power(sig)
	if !ok || subtle.ConstantTimeCompare(em, padSignature(k.size(), h, digest)) != 1 {
		return ErrSignature
	}
	return nil
}

// padSignature returns 00 01 FF … FF 00 DigestInfo digest, size bytes.
func padSignature(size int, h crypto.Hash, digest []byte) []byte {
	prefix, _ := digestInfo(h)
	em := make([]byte, size)
	t := size - len(prefix) - len(digest)
	em[1] = 1
	for i := 2; i < t-1; i++ {
		em[i] = 0xff
	}
	copy(em[t:], prefix)
	copy(em[t+len(prefix):], digest)
	return em
}

// encrypt encrypts msg with the padding of the key's size.
func (k *rsaPublic) encrypt(random io.Reader, msg []byte) ([]byte, error) {
	pad := padOAEP
	if k.n.BitLen() < OAEPBits {
		pad = padV15
	}
	em, err := pad(random, k.size(), msg)
	if err != nil {
		return nil, err
	}
	defer clear(em)
	ct, ok := k.power(em)
	if !ok {
		return nil, ErrRSA
	}
	return ct, nil
}

type rsaPrivate struct {
	*rsaPublic
	d, p, q *big.Int
	qInv    *big.Int        // q^-1 mod p
	std     *rsa.PrivateKey // from stdRSABits on
}

var one = big.NewInt(1)

// newRSAPrivate checks that the numbers belong together. It does not check whether p and
// q are prime: the key file is the user's own.
func newRSAPrivate(n, e, d, p, q *big.Int) (*rsaPrivate, error) {
	if n.Sign() <= 0 || e.Sign() <= 0 || e.BitLen() > 31 || n.BitLen() > RSABitsMax {
		return nil, ErrRSA
	}
	pub, err := newRSAPublic(n.Bytes(), uint32(e.Uint64()))
	if err != nil {
		return nil, err
	}
	k := &rsaPrivate{rsaPublic: pub, d: d, p: p, q: q}
	if p.Cmp(one) <= 0 || q.Cmp(one) <= 0 || d.Cmp(one) <= 0 || d.Cmp(n) >= 0 || new(big.Int).Mul(p, q).Cmp(n) != 0 {
		return nil, ErrRSA
	}
	for _, prime := range []*big.Int{p, q} {
		ed := new(big.Int).Mul(pub.e, d)
		if ed.Mod(ed, new(big.Int).Sub(prime, one)).Cmp(one) != 0 {
			return nil, ErrRSA
		}
	}
	if k.qInv = new(big.Int).ModInverse(q, p); k.qInv == nil {
		return nil, ErrRSA
	}
	if pub.std != nil {
		k.std = &rsa.PrivateKey{PublicKey: *pub.std, D: d, Primes: []*big.Int{p, q}}
		k.std.Precompute()
		if k.std.Validate() != nil {
			return nil, ErrRSA
		}
	}
	return k, nil
}

// generateRSA makes a key with primes from the system's random source: the standard
// library takes no other, and no simulation needs a repeatable RSA key.
func generateRSA(bits int) (*rsaPrivate, error) {
	if bits < RSABitsMin || bits > RSABitsMax {
		return nil, ErrRSA
	}
	if bits >= stdRSABits {
		k, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			return nil, err
		}
		wipeNumbers(k.Precomputed.Dp, k.Precomputed.Dq, k.Precomputed.Qinv)
		return newRSAPrivate(k.N, big.NewInt(int64(k.E)), k.D, k.Primes[0], k.Primes[1])
	}
	e := big.NewInt(exponent)
	for {
		p, err := rand.Prime(rand.Reader, (bits+1)/2)
		if err != nil {
			return nil, err
		}
		q, err := rand.Prime(rand.Reader, bits/2)
		if err != nil {
			return nil, err
		}
		n := new(big.Int).Mul(p, q)
		phi := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
		d := new(big.Int).ModInverse(e, phi)
		if d == nil || n.BitLen() != bits || p.Cmp(q) == 0 {
			continue
		}
		return newRSAPrivate(n, e, d, p, q)
	}
}

func (k *rsaPrivate) sign(h crypto.Hash, digest []byte) ([]byte, error) {
	if k.std != nil {
		return rsa.SignPKCS1v15(nil, k.std, h, digest)
	}
	return k.root(padSignature(k.size(), h, digest))
}

// decrypt decrypts a message of len(into) bytes. Only its success reveals something about
// the padding, not the time that it takes.
func (k *rsaPrivate) decrypt(ct, into []byte) error {
	clear(into)
	if len(ct) != k.size() {
		return ErrDecrypt
	}
	if k.std != nil {
		msg, err := rsa.DecryptOAEP(sha1.New(), nil, k.std, ct, nil)
		defer clear(msg)
		if err != nil || len(msg) != len(into) {
			return ErrDecrypt
		}
		copy(into, msg)
		return nil
	}
	em, err := k.root(ct)
	if err != nil {
		return ErrDecrypt
	}
	defer clear(em)
	unpad := unpadOAEP
	if k.n.BitLen() < OAEPBits {
		unpad = unpadV15
	}
	if unpad(em, into) != 1 {
		return ErrDecrypt
	}
	return nil
}

// blindBits is the length of the random multiple that hides an exponent.
const blindBits = 64

// root returns in^d mod n with leading zeros, for keys that the standard library
// refuses. Package math/big is not constant in time. So root multiplies the base by r^e
// for a fresh random r and divides the result by r, and adds a random multiple of the
// group order to the exponents of both halves. It raises the result to e again, since a
// faulty result would reveal the factors.
func (k *rsaPrivate) root(in []byte) ([]byte, error) {
	c := new(big.Int).SetBytes(in)
	if c.Cmp(k.n) >= 0 {
		return nil, ErrRSA
	}
	var r, rInv *big.Int
	for rInv == nil {
		var err error
		if r, err = rand.Int(rand.Reader, k.n); err != nil {
			return nil, err
		}
		rInv = new(big.Int).ModInverse(r, k.n)
	}
	blind := r.Exp(r, k.e, k.n)
	blind.Mul(blind, c).Mod(blind, k.n)

	mp, err := blindExp(blind, k.d, k.p)
	if err != nil {
		return nil, err
	}
	mq, err := blindExp(blind, k.d, k.q)
	if err != nil {
		return nil, err
	}
	// m = mq + q·(qInv·(mp - mq) mod p)
	m := mp.Sub(mp, mq)
	m.Mul(m, k.qInv).Mod(m, k.p)
	m.Mul(m, k.q).Add(m, mq)
	m.Mul(m, rInv).Mod(m, k.n)
	if new(big.Int).Exp(m, k.e, k.n).Cmp(c) != 0 {
		return nil, ErrRSA
	}
	return m.FillBytes(make([]byte, k.size())), nil
}

// blindExp returns base^d mod prime by the exponent d mod (prime-1) plus a
// random multiple of prime-1.
func blindExp(base, d, prime *big.Int) (*big.Int, error) {
	order := new(big.Int).Sub(prime, one)
	k, err := rand.Int(rand.Reader, new(big.Int).Lsh(one, blindBits))
	if err != nil {
		return nil, err
	}
	x := new(big.Int).Mod(d, order)
	x.Add(x, k.Mul(k, order))
	return k.Exp(new(big.Int).Mod(base, prime), x, prime), nil
}

// wipe clears what this package holds. The standard library has copies of its own.
func (k *rsaPrivate) wipe() {
	wipeNumbers(k.d, k.p, k.q, k.qInv)
	if k.std != nil {
		wipeNumbers(k.std.Precomputed.Dp, k.std.Precomputed.Dq, k.std.Precomputed.Qinv)
	}
	k.std = nil
}

func wipeNumbers(list ...*big.Int) {
	for _, n := range list {
		if n != nil {
			clear(n.Bits())
		}
	}
}
