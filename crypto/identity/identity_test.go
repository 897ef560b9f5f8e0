package identity

import (
	"bytes"
	"crypto"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"math/big"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// random is a repeatable source.
func random(seed byte) io.Reader { return rand.NewChaCha8([32]byte{seed}) }

var allCurves = []Curve{P224, K256, P256, P384, P521}

// small are RSA keys of every size with a path of its own; they are made once.
var small = sync.OnceValue(func() []*PrivateKey {
	var all []*PrivateKey
	for _, bits := range []int{512, 544, 736, 768, 777, 1016, 1024, 1056, 2048} {
		k, err := GenerateRSA(bits)
		if err != nil {
			panic(err)
		}
		all = append(all, k)
	}
	return all
})

func everyKey(t testing.TB) []*PrivateKey {
	t.Helper()
	all := append([]*PrivateKey(nil), small()...)
	for _, c := range allCurves {
		k, err := GenerateEC(c, random(byte(c)))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, k)
	}
	return all
}

func TestGeneratedSizes(t *testing.T) {
	for i, bits := range []int{512, 544, 736, 768, 777, 1016, 1024, 1056, 2048} {
		p := small()[i].Public()
		if p.Bits() != bits || p.BlobLen() != 8+(bits+7)/8 || p.Kind() != RSA {
			t.Errorf("asked for %d bits, got %d in a blob of %d bytes", bits, p.Bits(), p.BlobLen())
		}
		want := "RSA, " + strconv.Itoa((bits+7)/8*8) + " bits, fingerprint: "
		if !strings.HasPrefix(p.String(), want) {
			t.Errorf("described as %q, want %q: sizes are rounded up to bytes", p, want)
		}
	}
	for _, bits := range []int{0, -1, 511, 4097} {
		if _, err := GenerateRSA(bits); err != ErrRSA {
			t.Errorf("%d bits: %v, want ErrRSA", bits, err)
		}
	}
}

// The public half verifies and encrypts for the private half, for every key and hash,
// after a conversion to blob and PEM and back.
func TestRoundTrips(t *testing.T) {
	for _, k := range everyKey(t) {
		text, err := k.MarshalPEM()
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParsePEM(text)
		if err != nil || !again.Public().Equal(k.Public()) {
			t.Fatalf("%v: PEM gives another key (%v)", k.Public(), err)
		}
		pub, err := ParsePublicKey(k.Public().AppendBlob(nil))
		if err != nil || !pub.Equal(k.Public()) || pub.Fingerprint() != k.Public().Fingerprint() {
			t.Fatalf("%v: blob gives another key (%v)", k.Public(), err)
		}
		for _, h := range hashes {
			digest := digestOf(h, "uftp")
			sig, err := again.AppendSignature([]byte("x"), h, digest)
			if !pub.CanSign(h) {
				if err != ErrDigest || len(sig) != 1 {
					t.Errorf("%v: %v: %v, want ErrDigest: there is no room", pub, h, err)
				}
				if pub.Verify(h, digest, make([]byte, pub.SignatureLen())) != ErrDigest {
					t.Errorf("%v: %v: a signature that cannot be is verified", pub, h)
				}
				continue
			}
			if err != nil || len(sig) != 1+pub.SignatureLen() || sig[0] != 'x' {
				t.Fatalf("%v: %v: %d bytes, %v", pub, h, len(sig), err)
			}
			checkSignature(t, pub, h, digest, sig[1:])
			twice, err := k.AppendSignature(nil, h, digest)
			if err != nil || !bytes.Equal(twice, sig[1:]) {
				t.Errorf("%v: %v: equal input gives another signature", pub, h)
			}
		}
		if pub.Kind() == RSA {
			checkPremaster(t, k, pub)
		}
	}
}

// checkSignature expects sig to be good and everything near it not.
func checkSignature(t *testing.T, pub *PublicKey, h crypto.Hash, digest, sig []byte) {
	t.Helper()
	if err := pub.Verify(h, digest, sig); err != nil {
		t.Errorf("%v: %v: a good signature is refused: %v", pub, h, err)
	}
	for _, i := range []int{0, 1, len(sig) / 2, len(sig) - 1} {
		bad := bytes.Clone(sig)
		bad[i] ^= 1
		if pub.Verify(h, digest, bad) == nil {
			t.Errorf("%v: %v: byte %d changed and still good", pub, h, i)
		}
	}
	if pub.Verify(h, digestOf(h, "other"), sig) != ErrSignature {
		t.Errorf("%v: %v: good for another text", pub, h)
	}
	if pub.Verify(h, digest[1:], sig) != ErrDigest {
		t.Errorf("%v: %v: a digest that is cut short is verified", pub, h)
	}
	for n := range len(sig) {
		if pub.Verify(h, digest, sig[:n]) == nil {
			t.Errorf("%v: %v: good after %d bytes", pub, h, n)
		}
	}
	if pub.Verify(h, digest, append(bytes.Clone(sig), 0, 0, 0, 0)) == nil {
		t.Errorf("%v: %v: good with something behind it", pub, h)
	}
}

func checkPremaster(t *testing.T, k *PrivateKey, pub *PublicKey) {
	t.Helper()
	premaster := digestOf(crypto.SHA384, "premaster")
	ct, err := pub.EncryptPremaster(random(1), premaster)
	if err != nil || len(ct) != pub.SignatureLen() {
		t.Fatalf("%v: %d bytes of ciphertext, %v", pub, len(ct), err)
	}
	same, err := pub.EncryptPremaster(random(1), premaster)
	if err != nil || !bytes.Equal(same, ct) {
		t.Errorf("%v: equal randomness gives another ciphertext", pub)
	}
	other, err := pub.EncryptPremaster(random(2), premaster)
	if err != nil || bytes.Equal(other, ct) {
		t.Errorf("%v: the ciphertext is the same again", pub)
	}
	var got [48]byte
	if err := k.DecryptPremaster(ct, got[:]); err != nil || !bytes.Equal(got[:], premaster) {
		t.Errorf("%v: opened %x, %v", pub, got, err)
	}
	// Another length than expected, and garbage, fail and leave nothing in the buffer.
	if err := k.DecryptPremaster(ct, make([]byte, 47)); err != ErrDecrypt {
		t.Errorf("%v: opened 47 bytes of 48: %v", pub, err)
	}
	for i := range len(ct) {
		bad := bytes.Clone(ct)
		bad[i] ^= 0x10
		if err := k.DecryptPremaster(bad, got[:]); err != ErrDecrypt || got != [48]byte{} {
			t.Fatalf("%v: garbage opened to %x, %v", pub, got, err)
		}
		if i > 8 {
			break
		}
	}
	for _, bad := range [][]byte{nil, ct[1:], append(bytes.Clone(ct), 0), bytes.Repeat([]byte{0xff}, len(ct)), make([]byte, len(ct))} {
		if err := k.DecryptPremaster(bad, got[:]); err != ErrDecrypt {
			t.Errorf("%v: %d bytes of garbage: %v, want ErrDecrypt", pub, len(bad), err)
		}
	}
	if _, err := pub.EncryptPremaster(strings.NewReader("short"), premaster); err == nil {
		t.Errorf("%v: encrypted without randomness", pub)
	}
	if _, err := pub.EncryptPremaster(random(1), make([]byte, pub.SignatureLen())); err != ErrRSA {
		t.Errorf("%v: encrypted more than there is room for", pub)
	}
}

// Both sides arrive at the same X, of full length even when it starts with zeros.
func TestShared(t *testing.T) {
	for _, c := range allCurves {
		src := random(byte(c))
		zeros := 0
		for i := range 3000 {
			a, err := GenerateEC(c, src)
			if err != nil {
				t.Fatal(err)
			}
			b, err := GenerateEC(c, src)
			if err != nil {
				t.Fatal(err)
			}
			x, err := a.Shared(b.Public())
			if err != nil || len(x) != c.CoordLen() {
				t.Fatalf("%v: %d bytes, %v", c, len(x), err)
			}
			y, err := b.Shared(a.Public())
			if err != nil || !bytes.Equal(x, y) {
				t.Fatalf("%v: %x and %x, %v", c, x, y, err)
			}
			if x[0] == 0 {
				zeros++
			}
			if zeros > 0 && i > 8 {
				break
			}
		}
		if zeros == 0 {
			t.Errorf("%v: no shared X began with a zero byte, so nothing was shown", c)
		}
		a, _ := GenerateEC(c, src)
		for _, k := range everyKey(t) {
			if k.Public().Curve() == c {
				continue
			}
			if _, err := a.Shared(k.Public()); err != ErrKind {
				t.Errorf("%v with %v: %v, want ErrKind", c, k.Public(), err)
			}
		}
	}
}

func TestScalars(t *testing.T) {
	for _, c := range allCurves {
		order := numbersOf(c).n.FillBytes(make([]byte, c.CoordLen()))
		for _, bad := range [][]byte{nil, {0}, order, bytes.Repeat([]byte{0xff}, c.CoordLen()), append([]byte{1}, order...)} {
			if _, err := NewEC(c, bad); err != ErrBlob {
				t.Errorf("%v: scalar %x: %v, want ErrBlob", c, bad, err)
			}
		}
		order[len(order)-1]--
		k, err := NewEC(c, append([]byte{0, 0}, order...))
		if err != nil {
			t.Errorf("%v: order - 1 is a scalar: %v", c, err)
			continue
		}
		one, _ := NewEC(c, []byte{1})
		if !bytes.Equal(k.Public().blob[4:4+c.CoordLen()], one.Public().blob[4:4+c.CoordLen()]) {
			t.Errorf("%v: order - 1 and 1 have the same X", c)
		}
		if _, err := GenerateEC(c, strings.NewReader("short")); err == nil {
			t.Errorf("%v: made a key without randomness", c)
		}
	}
}

// Blobs that are cut, too long or changed in what must be constant are refused;
// so are points off the curve and RSA numbers out of range.
func TestBadBlobs(t *testing.T) {
	for _, k := range everyKey(t) {
		blob := k.Public().AppendBlob(nil)
		for n := range len(blob) {
			if _, err := ParsePublicKey(blob[:n]); err == nil {
				t.Errorf("%v: good after %d bytes", k.Public(), n)
			}
		}
		if _, err := ParsePublicKey(append(bytes.Clone(blob), 0)); err != ErrBlob {
			t.Errorf("%v: good with a byte behind it: %v", k.Public(), err)
		}
		bend := func(want error, change func(b []byte)) {
			t.Helper()
			bad := bytes.Clone(blob)
			change(bad)
			if _, err := ParsePublicKey(bad); err != want {
				t.Errorf("%v: %v, want %v", k.Public(), err, want)
			}
		}
		bend(ErrBlob, func(b []byte) { b[0] = 0 })
		bend(ErrBlob, func(b []byte) { b[0] = 3 })
		bend(ErrBlob, func(b []byte) { b[3] ^= 1 })
		if k.Public().Kind() == RSA {
			bend(ErrBlob, func(b []byte) { b[1] = 1 })
			bend(ErrBlob, func(b []byte) { b[8] = 0 })
			bend(ErrRSA, func(b []byte) { b[len(b)-1] &^= 1 })
			for _, e := range []uint32{0, 1, 2, 65536, 1 << 31, 1<<31 + 1, 1<<32 - 1} {
				bend(ErrRSA, func(b []byte) { binary.BigEndian.PutUint32(b[4:], e) })
			}
			continue
		}
		bend(ErrPoint, func(b []byte) { b[4+2*k.Public().Curve().CoordLen()-1] ^= 1 })
		bend(ErrPoint, func(b []byte) { clear(b[4:]) })
		bend(ErrPoint, func(b []byte) {
			for i := range b[4:] {
				b[4+i] = 0xff
			}
		})
	}
	short := rsaBlob(bytes.Repeat([]byte{0x55}, 63), exponent)
	if _, err := ParsePublicKey(short); err != ErrRSA {
		t.Errorf("504-bit modulus: %v, want ErrRSA", err)
	}
	if _, err := ParsePublicKey(rsaBlob(bytes.Repeat([]byte{0x55}, 513), exponent)); err != ErrBlob {
		t.Errorf("modulus above 4096 bits: %v, want ErrBlob", err)
	}
	if k, err := ParsePublicKey(rsaBlob(bytes.Repeat([]byte{0xd5}, 512), 3)); err != nil || k.Bits() != 4096 {
		t.Errorf("4096-bit modulus: %v", err)
	}
}

// Every curve number is either usable or refused with its name and a reason.
func TestCurveNames(t *testing.T) {
	for n := range 256 {
		c := Curve(n)
		err := c.Check()
		var ce *CurveError
		if err != nil && (!errors.As(err, &ce) || ce.Reason == "" || ce.Name == "") {
			t.Errorf("curve %d: %v, want a name and a reason", n, err)
		}
		if n == 0 || n > curveMax {
			if err == nil || c.CoordLen() != 0 {
				t.Errorf("curve %d is offered", n)
			}
			continue
		}
		if got, err2 := CurveByName(c.String()); got != c || (err2 == nil) != (err == nil) {
			t.Errorf("%v by name is %v, %v", c, got, err2)
		}
	}
	for alias, want := range map[string]Curve{"secp256r1": P256, "secp192r1": 19} {
		if got, _ := CurveByName(alias); got != want {
			t.Errorf("%s is %v, want %v", alias, got, want)
		}
	}
	for _, bad := range []string{"", "P-256", "PRIME256V1", "prime256v1 "} {
		if c, err := CurveByName(bad); err == nil || c != 0 {
			t.Errorf("%q is a curve", bad)
		}
	}
	if got, want := CurveNames(), "secp224r1 secp256k1 prime256v1 secp384r1 secp521r1"; got != want {
		t.Errorf("on offer: %s, want %s", got, want)
	}
}

func TestFingerprintText(t *testing.T) {
	f := load(t, "ec-prime256v1-client1.pem").Public().Fingerprint()
	const want = "4D:8A:6A:C5:5A:A4:F7:5E:D8:D5:18:CF:20:23:5B:F5:D7:41:30:D6"
	if f.String() != want {
		t.Errorf("fingerprint %v, want %s", f, want)
	}
	for _, good := range []string{want, strings.ToLower(want)} {
		if got, err := ParseFingerprint(good); err != nil || got != f {
			t.Errorf("%q: %v, %v", good, got, err)
		}
	}
	single, err := ParseFingerprint(strings.TrimSuffix(strings.Repeat("a:", 20), ":"))
	if err != nil || single[0] != 10 || single[19] != 10 {
		t.Errorf("single digits: %v, %v", single, err)
	}
	for _, bad := range []string{
		"", ":", want[:len(want)-3], want + ":00", want + ":", "zz", strings.Repeat("::", 10),
		strings.ReplaceAll(want, ":", ""), "4D8:" + want[3:], " " + want, strings.ReplaceAll(want, ":", "-"),
	} {
		if _, err := ParseFingerprint(bad); err != ErrFingerprint {
			t.Errorf("%q: %v, want ErrFingerprint", bad, err)
		}
	}
}

func TestSpecs(t *testing.T) {
	for _, good := range []string{"rsa:512", "rsa:777", "rsa:2048", "ec:secp224r1", "ec:prime256v1"} {
		s, err := ParseSpec(good)
		if err != nil || s.String() != good {
			t.Errorf("%q: %v, %v", good, s, err)
		}
	}
	if s, err := ParseSpec("ec:secp256r1"); err != nil || s.Curve != P256 {
		t.Errorf("the alias of prime256v1: %v, %v", s, err)
	}
	for bad, want := range map[string]error{
		"": ErrSpec, "dsa:1024": ErrSpec, "ed25519": ErrSpec, "rsa": ErrSpec, "ec": ErrSpec,
		"rsa:": ErrSpecBits, "rsa:511": ErrSpecBits, "rsa:2049": ErrSpecBits, "rsa:1024x": ErrSpecBits,
	} {
		if _, err := ParseSpec(bad); err != want {
			t.Errorf("%q: %v, want %v", bad, err, want)
		}
	}
	for _, bad := range []string{"ec:", "ec:sect163k1", "ec:secp160r1", "ec:foo"} {
		var ce *CurveError
		if _, err := ParseSpec(bad); !errors.As(err, &ce) {
			t.Errorf("%q: %v, want a CurveError", bad, err)
		}
	}
	k, err := Generate(Spec{Kind: EC, Curve: P384})
	if err != nil || k.Public().Curve() != P384 {
		t.Errorf("generated %v, %v", k, err)
	}
	k, err = Generate(Spec{Kind: RSA, Bits: 512})
	if err != nil || k.Public().Bits() != 512 {
		t.Errorf("generated %v, %v", k, err)
	}
}

func TestModeWarning(t *testing.T) {
	if w := ModeWarning("k", 0o600); w != "" {
		t.Errorf("0600: %q, want nothing", w)
	}
	if w := ModeWarning("k", 0o400); w != "" {
		t.Errorf("0400: %q, want nothing", w)
	}
	for _, m := range []uint32{0o640, 0o604, 0o644, 0o620, 0o666} {
		if w := ModeWarning("k.pem", fs.FileMode(m)); !strings.Contains(w, "k.pem") || !strings.Contains(w, strconv.FormatUint(uint64(m), 8)) {
			t.Errorf("%o: %q, want a warning with name and mode", m, w)
		}
	}
}

func TestStrengths(t *testing.T) {
	want := map[string]Strength{"512": Legacy, "1016": Legacy, "1024": Medium, "2048": Strong, "secp224r1": Medium, "prime256v1": Strong, "secp256k1": Strong, "secp521r1": Strong}
	seen := 0
	for _, k := range everyKey(t) {
		name := strconv.Itoa(k.Public().Bits())
		if k.Public().Kind() == EC {
			name = k.Public().Curve().String()
		}
		w, ok := want[name]
		if !ok {
			continue
		}
		seen++
		if s, why := k.Public().Strength(); s != w || (why == "") != (s == Strong) {
			t.Errorf("%s is %v (%s), want %v and a reason unless strong", name, s, why, w)
		}
	}
	if seen != len(want) {
		t.Errorf("%d of %d keys graded", seen, len(want))
	}
	for s := None; s <= Strong; s++ {
		if got, ok := StrengthByName(s.String()); !ok || got != s {
			t.Errorf("%v by name is %v", s, got)
		}
	}
	if _, ok := StrengthByName("level 4"); ok {
		t.Error("a level that does not exist has a name")
	}
	if s, _ := SignatureStrength(crypto.SHA1); s != Legacy {
		t.Error("SHA-1 signatures are not legacy")
	}
}

func TestWipe(t *testing.T) {
	for _, bits := range []int{512, 1024} {
		k, err := GenerateRSA(bits)
		if err != nil {
			t.Fatal(err)
		}
		secrets := []*big.Int{k.rsa.d, k.rsa.p, k.rsa.q, k.rsa.qInv}
		if std := k.rsa.std; std != nil {
			secrets = append(secrets, std.D, std.Primes[0], std.Primes[1], std.Precomputed.Dp, std.Precomputed.Dq, std.Precomputed.Qinv)
		}
		wiped(t, k)
		for i, n := range secrets {
			for _, word := range n.Bits() {
				if word != 0 {
					t.Fatalf("%d bits: secret %d is still there", bits, i)
				}
			}
		}
	}
	for _, c := range allCurves {
		k, err := GenerateEC(c, random(9))
		if err != nil {
			t.Fatal(err)
		}
		scalar, ec := k.scalar, k.ec
		wiped(t, k)
		switch ec := ec.(type) {
		case k1Private:
			if !ec.k.Key.IsZero() {
				t.Errorf("%v: the library's scalar is still there", c)
			}
		case nistPrivate:
			//lint:ignore SA1019 there is no other way to the number
			for _, word := range ec.sig.D.Bits() {
				if word != 0 {
					t.Fatalf("%v: the library's scalar is still there", c)
				}
			}
		}
		if len(trim(scalar)) != 0 {
			t.Errorf("%v: the scalar is still there", c)
		}
	}
}

func wiped(t *testing.T, k *PrivateKey) {
	t.Helper()
	k.Wipe()
	k.Wipe()
	if _, err := k.MarshalPEM(); err != ErrWiped {
		t.Errorf("%v: PEM of a wiped key: %v", k.Public(), err)
	}
	if _, err := k.AppendSignature(nil, crypto.SHA1, make([]byte, 20)); err != ErrWiped {
		t.Errorf("%v: signature of a wiped key: %v", k.Public(), err)
	}
	if k.Public().Kind() == RSA {
		if err := k.DecryptPremaster(make([]byte, 64), make([]byte, 48)); err != ErrWiped {
			t.Errorf("%v: decryption with a wiped key: %v", k.Public(), err)
		}
		return
	}
	if _, err := k.Shared(k.Public()); err != ErrWiped {
		t.Errorf("%v: exchange with a wiped key: %v", k.Public(), err)
	}
	if err := k.DecryptPremaster(nil, nil); err != ErrKind {
		t.Errorf("%v: decryption with an EC key: %v", k.Public(), err)
	}
}

// One key serves all workers at once: run with the race detector.
func TestConcurrentUse(t *testing.T) {
	for _, k := range everyKey(t) {
		h := crypto.SHA1
		digest := digestOf(h, "x")
		want, err := k.AppendSignature(nil, h, digest)
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for range 4 {
			wg.Add(1)
			go func() {
				defer wg.Done()
				got, err := k.AppendSignature(nil, h, digest)
				if err != nil || !bytes.Equal(got, want) || k.Public().Verify(h, digest, got) != nil {
					t.Errorf("%v: another signature from another goroutine (%v)", k.Public(), err)
				}
			}()
		}
		wg.Wait()
	}
}
