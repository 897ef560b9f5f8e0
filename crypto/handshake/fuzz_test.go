package handshake

import (
	"bytes"
	"testing"

	"uftp/crypto/identity"
	"uftp/wire"
)

// fuzzSuite is what the fuzz targets run with: quick keys.
func fuzzSuite(x wire.KeyExch) Suite {
	if x == wire.KeyExchRSA {
		return Suite{wire.CipherAES128CBC, wire.HashSHA256, wire.SigHMAC, x}
	}
	return Suite{wire.CipherAES128GCM, wire.HashSHA256, wire.SigAuthEnc, x}
}

// Any ANNOUNCE: a session only if it is whole, and never a crash.
func FuzzAnnounce(f *testing.F) {
	for _, x := range []wire.KeyExch{wire.KeyExchRSA, wire.KeyExchECDHRSA, wire.KeyExchECDHECDSA} {
		f.Add(newLab(f, fuzzSuite(x), true, serverKey(f, fuzzSuite(x)), identity.P256).pkt)
	}
	f.Add(newLab(f, fuzzSuite(wire.KeyExchRSA), false, keyFile(f, "rsa512-server.pem"), 0).pkt)
	f.Add(newLab(f, fuzzSuite(wire.KeyExchECDHECDSA), false, keyFile(f, "ec-prime256v1-server.pem"), identity.K256).pkt)
	own := []*identity.PrivateKey{keyFile(f, "rsa512-client1.pem"), keyFile(f, "ec-prime256v1-client1.pem")}
	f.Fuzz(func(t *testing.T, pkt []byte) {
		before := bytes.Clone(pkt)
		k, err := NewClient(pkt, ClientConfig{Rand: random(1), Keys: own})
		if !bytes.Equal(pkt, before) {
			t.Error("the packet was changed")
		}
		if err != nil {
			if k != nil {
				t.Error("a client and an error")
			}
			return
		}
		if k.Suite().ECDH() && CheckAnnounce(pkt, k.ServerKey()) != nil {
			t.Error("taken without a good signature")
		}
		if info, err := k.AppendRegisterKeyInfo(nil); err != nil || len(info) == 0 {
			t.Errorf("no REGISTER: %v", err)
		}
		if k.ClientAuth() {
			if _, err := k.ClientKey(); err != nil {
				t.Errorf("no CLIENT_KEY: %v", err)
			}
		}
		if err := k.OpenKeyInfo(1, 1, make([]byte, EntryLen)); err == nil && k.Group() == nil {
			t.Error("neither keyed nor refused")
		}
	})
}

// FuzzServer takes any REGISTER and CLIENT_KEY: a host that is let in gets an answer.
func FuzzServer(f *testing.F) {
	labs := []*lab{
		newLab(f, fuzzSuite(wire.KeyExchRSA), true, keyFile(f, "rsa512-server.pem"), 0),
		newLab(f, fuzzSuite(wire.KeyExchRSA), true, keyFile(f, "rsa1024-server.pem"), 0),
		newLab(f, fuzzSuite(wire.KeyExchECDHECDSA), true, keyFile(f, "ec-prime256v1-server.pem"), identity.P256),
		newLab(f, fuzzSuite(wire.KeyExchECDHECDSA), true, keyFile(f, "ec-prime256v1-server.pem"), identity.K256),
	}
	own := []*identity.PrivateKey{keyFile(f, "rsa512-client1.pem"), keyFile(f, "ec-prime256v1-client1.pem")}
	for i, l := range labs {
		k, err := NewClient(l.pkt, ClientConfig{Rand: random(2), Keys: own})
		if err != nil {
			f.Fatal(err)
		}
		info, err := k.AppendRegisterKeyInfo(nil)
		if err != nil {
			f.Fatal(err)
		}
		m, err := k.ClientKey()
		if err != nil {
			f.Fatal(err)
		}
		r := k.Random()
		f.Add(byte(i), r[:], info, m.PublicKey, m.Signature)
	}
	f.Fuzz(func(t *testing.T, which byte, r, info, blob, sig []byte) {
		l := labs[int(which)%len(labs)]
		l.badPremasters = 0
		var p Peer
		err := l.Register(&p, r, info)
		if (err == nil) != p.Registered() {
			t.Errorf("%v, and registered %v", err, p.Registered())
		}
		err = l.ClientKey(&p, wire.ClientKey{PublicKey: blob, Signature: sig}, nil)
		if (err == nil) != l.Ready(&p) {
			t.Errorf("%v, and ready %v", err, l.Ready(&p))
		}
		if l.Ready(&p) {
			if item := l.AppendKeyInfoItem(nil, &p, 1, 2, 3); len(item) != wire.KeyInfoItemLen {
				t.Errorf("entry of %d bytes", len(item))
			}
			if l.CheckAck(&p, make([]byte, wire.VerifyLen)) == nil {
				t.Error("zeros are good verify data")
			}
		}
	})
}

// Any KEYINFO entry gives a group master with its version byte, or nothing.
func FuzzKeyInfo(f *testing.F) {
	secret := make([]byte, MasterLen)
	all := make([]Suite, 0, 200)
	for s := range suites {
		all = append(all, s)
	}
	for i, s := range all {
		if i%12 == 0 {
			keys := s.ClientKeys(secret, secret[:32], secret[:32])
			f.Add(uint8(i), uint32(7), uint64(1), s.AppendGroupMaster(nil, &keys, 7, 1, &[MasterLen]byte{0: groupMasterVersion, 9: 9}))
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, src uint32, ctr uint64, entry []byte) {
		s := all[int(which)%len(all)]
		keys := s.ClientKeys(secret, secret[:32], secret[:32])
		gm, err := s.OpenGroupMaster(&keys, wire.UID(src), ctr, entry)
		if err != nil {
			if gm != [MasterLen]byte{} {
				t.Error("a group master and an error")
			}
			return
		}
		if !bytes.Equal(s.AppendGroupMaster(nil, &keys, wire.UID(src), ctr, &gm), entry) {
			t.Error("sealed again it is another entry")
		}
	})
}
