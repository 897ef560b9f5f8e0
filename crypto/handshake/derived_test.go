package handshake

import (
	"bytes"
	"crypto/sha1"
	"encoding/binary"
	"testing"

	"uftp/crypto/aead"
	"uftp/crypto/identity"
	"uftp/wire"
)

func TestPRFValues(t *testing.T) {
	for _, v := range loadDerived(t).Generic.PRF {
		h, ok := HashByName(v.Hash)
		if !ok {
			t.Fatalf("no hash %q", v.Hash)
		}
		out := make([]byte, len(v.Output))
		Suite{Cipher: wire.CipherDES, Hash: h}.PRF(out, v.Secret, v.Label, v.Seed)
		if !bytes.Equal(out, v.Output) {
			t.Errorf("%s %q, %d bytes: %x, want %x", v.Hash, v.Label, len(out), out, v.Output)
		}
	}
}

func same(t *testing.T, where, what string, got, want []byte) {
	t.Helper()
	if !bytes.Equal(got, want) {
		t.Errorf("%s: %s is\n%x, want\n%x", where, what, got, want)
	}
}

func sameKeys(t *testing.T, where string, k KeyBlock, block, hmacKey, key, salt []byte) {
	t.Helper()
	same(t, where, "key block", join(join(k.HMACKey, k.Key), k.Salt), block)
	same(t, where, "HMAC key", k.HMACKey, hmacKey)
	same(t, where, "cipher key", k.Key, key)
	same(t, where, "salt", k.Salt, salt)
}

// Every secret of every captured session follows from the one before.
func TestSessionsOffline(t *testing.T) {
	packets := 0
	for _, s := range loadDerived(t).Sessions {
		suite := s.suite(t)
		group := suite.GroupKeys(s.GroupMaster, s.Random)
		sameKeys(t, s.Case, group, s.GroupBlock, s.GroupHMAC, s.GroupKey, s.GroupSalt)
		verify := map[wire.UID][]byte{}
		for _, c := range s.Clients {
			where := s.Case + " " + uidOf(c.UID).String()
			master := suite.Master(c.Premaster, s.Random, c.Random)
			same(t, where, "master", master[:], c.Master)
			keys := suite.ClientKeys(c.Master, s.Random, c.Random)
			sameKeys(t, where, keys, c.KeyBlock, c.HMACKey, c.Key, c.Salt)

			src, ctr := uidOf(c.KeyInfo.Source), c.KeyInfo.Counter
			same(t, where, "IV of KEYINFO", ivOf(&keys, len(c.KeyInfo.IV), src, ctr), c.KeyInfo.IV)
			gm := [MasterLen]byte(s.GroupMaster)
			same(t, where, "entry", suite.AppendGroupMaster(nil, &keys, src, ctr, &gm), c.KeyInfo.Ciphertext)
			opened, err := suite.OpenGroupMaster(&keys, src, ctr, c.KeyInfo.Ciphertext)
			if err != nil {
				t.Errorf("%s: %v", where, err)
			}
			same(t, where, "opened group master", opened[:], s.GroupMaster)

			v := s.session(t).Transcript(s.Random, c.Random, c.Premaster)
			got := suite.VerifyData(v, c.ClientKeyRaw, s.GroupMaster)
			same(t, where, "verify data", got[:], c.Verify)
			verify[uidOf(c.UID)] = got[:]

			if c.SharedX == nil || s.binary() {
				continue
			}
			sum := sha1.Sum(c.SharedX)
			same(t, where, "premaster", sum[:], c.Premaster)
		}
		for _, p := range s.Packets {
			packets++
			same(t, s.Case, "IV of "+p.Message, ivOf(&group, len(p.IV), uidOf(p.Source), p.Counter), p.IV)
			if p.Message == "KEYINFO_ACK" && verify[uidOf(p.Source)] != nil {
				ack, err := wire.ParseKeyInfoAck(wire.Version4, p.Plaintext)
				if err != nil {
					t.Fatal(err)
				}
				same(t, s.Case, "KEYINFO_ACK", ack.Verify, verify[uidOf(p.Source)])
			}
		}
	}
	if packets != 667 {
		t.Errorf("%d packets, want 667", packets)
	}
}

// The same for the sessions of an independent program with the stock ones.
func TestLiveSessions(t *testing.T) {
	transcripts := 0
	for i, v := range loadDerived(t).Live {
		suite := Suite{Cipher: v.KeyType, Hash: v.Hash, SigType: v.Sig, KeyExch: v.KeyEx}
		if v.Enc != nil {
			suite = Suite{Cipher: v.Enc.KeyType, Hash: v.Enc.Hash, SigType: v.Enc.Sig, KeyExch: v.Enc.KeyEx}
		}
		where := v.Role + " " + v.Opts + " " + v.Note
		if err := suite.Check(); err != nil {
			t.Fatalf("%d: %v", i, err)
		}
		if suite.ECDH() {
			priv, peer := v.ClientPriv, v.ServerDH
			if v.ServerPriv != nil {
				priv, peer = v.ServerPriv, v.ClientDH
			}
			pub, err := identity.ParsePublicKey(peer)
			if err != nil {
				t.Fatalf("%s: %v", where, err)
			}
			own, err := identity.NewEC(pub.Curve(), priv)
			if err != nil {
				t.Fatalf("%s: %v", where, err)
			}
			if v.ServerPriv == nil {
				same(t, where, "own ECDH blob", own.Public().AppendBlob(nil), v.ClientDH)
			}
			premaster, err := ecdhPremaster(own, pub)
			if err != nil {
				t.Fatalf("%s: %v", where, err)
			}
			same(t, where, "premaster", premaster, v.Premaster)
		}
		master := suite.Master(v.Premaster, v.ServerRandom, v.ClientRandom)
		same(t, where, "master", master[:], v.Master)
		keys := suite.ClientKeys(master[:], v.ServerRandom, v.ClientRandom)
		same(t, where, "key block", join(join(keys.HMACKey, keys.Key), keys.Salt), v.KeyBlock)
		same(t, where, "IV", ivOf(&keys, len(v.IV), 0x0a500001, 1), v.IV)
		gm, err := suite.OpenGroupMaster(&keys, 0x0a500001, 1, v.Ciphertext)
		if err != nil {
			t.Fatalf("%s: %v", where, err)
		}
		same(t, where, "group master", gm[:], v.GroupMaster)
		if v.GroupBlock != nil {
			group := suite.GroupKeys(gm[:], v.ServerRandom)
			same(t, where, "group key block", join(join(group.HMACKey, group.Key), group.Salt), v.GroupBlock)
		}
		// Group and address are at the front of what was hashed.
		if v.Handshake != nil {
			transcripts++
			got := suite.VerifyData(v.Handshake[:len(v.Handshake)-MasterLen], nil, gm[:])
			same(t, where, "verify data", got[:], v.Verify)
		}
		if v.Transcript != nil {
			s := vecSession{Private: v.Transcript[4:8]}
			session := s0(t, &s, binary.BigEndian.Uint32(v.Transcript))
			same(t, where, "V", session.Transcript(v.ServerRandom, v.ClientRandom, v.Premaster), v.Transcript)
		}
	}
	if transcripts != 10 {
		t.Errorf("%d verify data compared, want 10", transcripts)
	}
}

func s0(t *testing.T, s *vecSession, group uint32) Session {
	s.Group = binary.BigEndian.AppendUint32(nil, group)
	return s.session(t)
}

// ivOf is the vector of n bytes of packet ctr from src.
func ivOf(k *KeyBlock, n int, src wire.UID, ctr uint64) []byte {
	iv := make([]byte, n)
	aead.PutIV(iv, k.Salt, src, ctr)
	return iv
}
