package identity

import (
	"bytes"
	"crypto"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"

	"pgregory.net/rapid"
)

// A blob that is accepted is kept as it is and describes a usable key.
func FuzzPublicKey(f *testing.F) {
	for _, k := range everyKey(f) {
		f.Add(k.Public().AppendBlob(nil))
	}
	f.Add(rsaBlob(bytes.Repeat([]byte{0xd5}, 512), 3))
	for c := range curveMax + 2 {
		f.Add(ecBlob(min(Curve(c), curveMax), make([]byte, 2*Curve(c).CoordLen())))
	}
	peer := map[Curve]*PrivateKey{}
	for _, c := range allCurves {
		k, err := GenerateEC(c, random(3))
		if err != nil {
			f.Fatal(err)
		}
		peer[c] = k
	}
	digest := digestOf(crypto.SHA1, "x")
	f.Fuzz(func(t *testing.T, blob []byte) {
		k, err := ParsePublicKey(blob)
		if err != nil {
			if k != nil {
				t.Error("a key and an error")
			}
			return
		}
		if !bytes.Equal(k.AppendBlob(nil), blob) || k.Fingerprint() != BlobFingerprint(blob) {
			t.Error("accepted and changed")
		}
		if k.Verify(crypto.SHA1, digest, make([]byte, k.SignatureLen())) == nil {
			t.Error("zeros are a good signature")
		}
		if k.Kind() == RSA {
			if ct, err := k.EncryptPremaster(random(1), make([]byte, 48)); err != nil || len(ct) != k.SignatureLen() {
				t.Errorf("premaster: %d bytes, %v", len(ct), err)
			}
			return
		}
		if x, err := peer[k.Curve()].Shared(k); err != nil || len(x) != k.Curve().CoordLen() {
			t.Errorf("shared: %d bytes, %v", len(x), err)
		}
	})
}

// No signature but the right one verifies.
func FuzzSignature(f *testing.F) {
	var keys []*PrivateKey
	for _, k := range everyKey(f) {
		if k.Public().Bits() < 1024 || k.Public().Kind() == EC {
			keys = append(keys, k)
		}
	}
	digest := digestOf(crypto.SHA256, "signed")
	for i, k := range keys {
		sig, err := k.AppendSignature(nil, crypto.SHA256, digest)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(byte(i), sig)
		f.Add(byte(i), make([]byte, len(sig)))
	}
	f.Fuzz(func(t *testing.T, which byte, sig []byte) {
		k := keys[int(which)%len(keys)]
		if k.Public().Verify(crypto.SHA256, digest, sig) != nil {
			return
		}
		want, err := k.AppendSignature(nil, crypto.SHA256, digest)
		if err != nil {
			t.Fatal(err)
		}
		// An ECDSA signature has twins: s negated, leading zeros.
		if k.Public().Kind() == RSA && !bytes.Equal(sig, want) {
			t.Errorf("%v: a second signature: %x", k.Public(), sig)
		}
	})
}

// What is read from a key file is written as the same key.
func FuzzPEM(f *testing.F) {
	files, err := filepath.Glob("testdata/keys/*.pem")
	if err != nil {
		f.Fatal(err)
	}
	more, err := filepath.Glob("testdata/keys/formats/*")
	if err != nil || len(files)+len(more) < 40 {
		f.Fatalf("%d files: %v", len(files)+len(more), err)
	}
	for _, name := range append(files, more...) {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		k, err := ParsePEM(text)
		if err != nil {
			return
		}
		out, err := k.MarshalPEM()
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParsePEM(out)
		if err != nil || !again.Public().Equal(k.Public()) {
			t.Errorf("written and read again: %v", err)
		}
	})
}

// The ASN.1 inside is fuzzed without its wrapping, which would hide it.
func FuzzDER(f *testing.F) {
	for _, name := range []string{"rsa512-server.pem", "ec-prime256v1-server.pem", "formats/e_p8.pem", "formats/r_p8.pem", "formats/e_expl.pem"} {
		text, err := os.ReadFile(filepath.Join("testdata/keys", name))
		if err != nil {
			f.Fatal(err)
		}
		for {
			block, rest := pem.Decode(text)
			if block == nil {
				break
			}
			f.Add(block.Bytes)
			text = rest
		}
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		for _, parse := range []func([]byte) (*PrivateKey, error){
			parsePKCS1, parsePKCS8, func(b []byte) (*PrivateKey, error) { return parseSEC1(b, 0) },
		} {
			if k, err := parse(der); err == nil {
				if _, err := k.MarshalPEM(); err != nil {
					t.Error(err)
				}
			}
		}
	})
}

// Garbage never opens, and a failure leaves nothing behind.
func FuzzPremaster(f *testing.F) {
	keys := small()[:5]
	for i, k := range keys {
		ct, err := k.Public().EncryptPremaster(random(1), make([]byte, 48))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(byte(i), ct)
	}
	f.Fuzz(func(t *testing.T, which byte, ct []byte) {
		k := keys[int(which)%len(keys)]
		got := bytes.Repeat([]byte{1}, 48)
		if err := k.DecryptPremaster(ct, got); err != nil && len(trim(got)) != 0 {
			t.Errorf("%v, and yet %x", err, got)
		}
	})
}

func FuzzFingerprint(f *testing.F) {
	f.Add("4D:8A:6A:C5:5A:A4:F7:5E:D8:D5:18:CF:20:23:5B:F5:D7:41:30:D6")
	f.Add("0:1:2:3:4:5:6:7:8:9:a:b:c:d:e:f:10:11:12:13")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ParseFingerprint(text)
		if err != nil {
			return
		}
		if again, err := ParseFingerprint(p.String()); err != nil || again != p {
			t.Errorf("%q is %v, and that is %v (%v)", text, p, again, err)
		}
	})
}

// Signature blocks hold any pair of numbers of any length up to a coordinate.
func TestBlockProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := rapid.SampledFrom(allCurves).Draw(t, "curve")
		number := rapid.SliceOfN(rapid.Byte(), 1, c.CoordLen())
		r, s := number.Draw(t, "r"), number.Draw(t, "s")
		block := appendBlock(nil, c, r, s)
		gr, gs, ok := splitBlock(c, block)
		if !ok || !bytes.Equal(gr, r) || !bytes.Equal(gs, s) {
			t.Fatalf("%x %x became %x %x", r, s, gr, gs)
		}
		if pad := len(block) - 4 - len(r) - len(s); pad > 0 {
			block[len(block)-1] = 1
			if _, _, ok := splitBlock(c, block); ok {
				t.Fatal("padding other than zero is accepted")
			}
		}
	})
}

// Fixed-width numbers with leading zeros, as version 5 sends them, verify too.
func TestPaddedSignature(t *testing.T) {
	for _, c := range allCurves {
		k, err := GenerateEC(c, random(5))
		if err != nil {
			t.Fatal(err)
		}
		digest := digestOf(crypto.SHA512, "padded")
		sig, err := k.AppendSignature(nil, crypto.SHA512, digest)
		if err != nil {
			t.Fatal(err)
		}
		r, s, _ := splitBlock(c, sig)
		n := c.CoordLen()
		wide := appendBlock(nil, c, append(make([]byte, n-len(r)), r...), append(make([]byte, n-len(s)), s...))
		if err := k.Public().Verify(crypto.SHA512, digest, wide); err != nil {
			t.Errorf("%v: %v, want it to verify", c, err)
		}
		// A number that was raised by the order is another form of the same and refused.
		order := numbersOf(c).n.Bytes()
		if err := k.Public().Verify(crypto.SHA512, digest, appendBlock(nil, c, order, s)); err != ErrSignature {
			t.Errorf("%v: r = order: %v", c, err)
		}
	}
}
