package handshake

import (
	"strings"
	"testing"

	"uftp/crypto/identity"
	"uftp/wire"
)

// Handshakes per second of each side: what one REGISTER and CLIENT_KEY cost a
// sender, and what one ANNOUNCE costs a receiver until it is keyed.
func BenchmarkHandshake(b *testing.B) {
	for _, c := range []struct {
		x     wire.KeyExch
		key   string
		curve identity.Curve
	}{
		{wire.KeyExchRSA, "rsa512-server.pem", 0},
		{wire.KeyExchRSA, "rsa1024-server.pem", 0},
		{wire.KeyExchRSA, "rsa2048-server.pem", 0},
		{wire.KeyExchECDHRSA, "rsa2048-server.pem", identity.P256},
		{wire.KeyExchECDHECDSA, "ec-prime256v1-server.pem", identity.P256},
		{wire.KeyExchECDHECDSA, "ec-secp384r1-server.pem", identity.P384},
		{wire.KeyExchECDHECDSA, "ec-secp521r1-server.pem", identity.P521},
	} {
		s := Suite{wire.CipherAES256GCM, wire.HashSHA256, wire.SigAuthEnc, c.x}
		cfg := ClientConfig{Rand: random(2), Keys: []*identity.PrivateKey{keyFile(b, strings.Replace(c.key, "server", "client1", 1))}}
		l := newLab(b, s, true, keyFile(b, c.key), c.curve)
		name := strings.TrimSuffix(keyExchs[c.x]+"/"+c.key, "-server.pem")
		k, err := NewClient(l.pkt, cfg)
		if err != nil {
			b.Fatal(err)
		}
		info, err := k.AppendRegisterKeyInfo(nil)
		if err != nil {
			b.Fatal(err)
		}
		m, err := k.ClientKey()
		if err != nil {
			b.Fatal(err)
		}
		r := k.Random()
		var item []byte
		b.Run("server/"+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				var p Peer
				if l.Register(&p, r[:], info) != nil || l.ClientKey(&p, m, nil) != nil {
					b.Fatal("refused")
				}
				item = l.AppendKeyInfoItem(item[:0], &p, clientUID, senderUID, 1)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "handshakes/s")
		})
		b.Run("client/"+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				k, err := NewClient(l.pkt, cfg)
				if err != nil {
					b.Fatal(err)
				}
				k.AppendRegisterKeyInfo(nil)
				k.ClientKey()
				// Another client's entry takes the same work; the result does not matter.
				k.OpenKeyInfo(senderUID, 1, item[4:])
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "handshakes/s")
		})
	}
	l := newLab(b, fuzzSuite(wire.KeyExchECDHECDSA), false, keyFile(b, "ec-prime256v1-server.pem"), identity.P256)
	b.Run("sign-announce", func(b *testing.B) {
		for b.Loop() {
			if err := l.SignAnnounce(l.pkt); err != nil {
				b.Fatal(err)
			}
		}
	})
}
