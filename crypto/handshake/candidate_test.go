package handshake

import (
	"testing"

	"uftp/wire"
)

// A client decrypts every entry, changed ones too, and takes the keys of the one it settles on.
func TestCandidates(t *testing.T) {
	s := loadDerived(t).Sessions[0]
	v := s.Clients[0]
	suite := s.suite(t)
	k := &Client{suite: suite, keys: suite.ClientKeys(v.Master, s.Random, v.Random), transcript: []byte("V")}
	copy(k.serverRand[:], s.Random)
	src, ctr := uidOf(v.KeyInfo.Source), v.KeyInfo.Counter
	good, err := k.TryKeyInfo(src, ctr, v.KeyInfo.Ciphertext)
	if err != nil {
		t.Fatal(err)
	}
	bad, err := k.TryKeyInfo(src, ctr+1, v.KeyInfo.Ciphertext)
	if err != nil || bad.Equal(good) || bad.Ack() == good.Ack() {
		t.Fatalf("another counter gives other keys, and no error: %v", err)
	}
	again, err := k.TryKeyInfo(src, ctr, v.KeyInfo.Ciphertext)
	if err != nil || !again.Equal(good) || again.Ack() != good.Ack() {
		t.Fatalf("the same entry gives the same keys: %v", err)
	}
	if k.Group() != nil {
		t.Fatal("nothing is settled")
	}
	ack := good.Ack()
	k.Settle(good)
	same(t, s.Case, "group master", k.groupMaster[:], s.GroupMaster)
	sameKeys(t, s.Case, *k.Group(), s.GroupBlock, s.GroupHMAC, s.GroupKey, s.GroupSalt)
	if got, err := k.Ack(); err != nil || got != ack {
		t.Fatalf("settled: %v", err)
	}
	if _, err := k.TryKeyInfo(src, ctr, v.KeyInfo.Ciphertext); err != ErrOver {
		t.Errorf("after that nothing is tried: %v", err)
	}
	bad.Wipe()
	if bad.groupMaster != [MasterLen]byte{} || bad.verify != [wire.VerifyLen]byte{} {
		t.Error("a wiped candidate keeps secrets")
	}
}
