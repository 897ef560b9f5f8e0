package identity

import (
	"crypto"
	"testing"
)

// The cost of each operation by key. The cost of those that strangers can cause decides
// how often they may.
func BenchmarkKeys(b *testing.B) {
	digest := digestOf(crypto.SHA256, "bench")
	for _, k := range everyKey(b) {
		p := k.Public()
		name := p.Kind().String() + itoa(p.Bits())
		if p.Curve() != 0 {
			name = p.Curve().String()
		}
		sig, err := k.AppendSignature(nil, crypto.SHA256, digest)
		if err != nil {
			b.Fatal(err)
		}
		b.Run("sign/"+name, func(b *testing.B) {
			for b.Loop() {
				k.AppendSignature(nil, crypto.SHA256, digest)
			}
		})
		b.Run("verify/"+name, func(b *testing.B) {
			for b.Loop() {
				p.Verify(crypto.SHA256, digest, sig)
			}
		})
		if p.Kind() == RSA {
			ct, err := p.EncryptPremaster(random(1), make([]byte, 48))
			if err != nil {
				b.Fatal(err)
			}
			var out [48]byte
			b.Run("encrypt/"+name, func(b *testing.B) {
				for b.Loop() {
					p.EncryptPremaster(random(1), out[:])
				}
			})
			b.Run("decrypt/"+name, func(b *testing.B) {
				for b.Loop() {
					k.DecryptPremaster(ct, out[:])
				}
			})
			continue
		}
		blob := p.AppendBlob(nil)
		b.Run("parse+shared/"+name, func(b *testing.B) {
			for b.Loop() {
				peer, _ := ParsePublicKey(blob)
				k.Shared(peer)
			}
		})
		b.Run("generate/"+name, func(b *testing.B) {
			src := random(1)
			for b.Loop() {
				GenerateEC(p.Curve(), src)
			}
		})
	}
}
