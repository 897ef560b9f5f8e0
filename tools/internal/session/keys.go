package session

import (
	"io"

	"uftp/crypto/handshake"
	"uftp/crypto/identity"
	"uftp/crypto/keylog"
	"uftp/wire"
)

// Keys opens sealed sessions. The zero Keys opens none.
type Keys struct {
	Private []*identity.PrivateKey // for the RSA exchange
	logged  map[ID][]secret
}

// secret is the material from which the keys of one session are derived.
type secret struct {
	suite        handshake.Suite
	serverRandom [wire.RandomLen]byte
	groupMaster  [handshake.MasterLen]byte
}

// ReadLog adds the entries of a key log in the form of docs/keylog.md. Lines of
// other kinds are skipped. Damaged lines are reported by [keylog.ErrLine], wrapped; all
// others count.
func (k *Keys) ReadLog(r io.Reader) error {
	entries, err := keylog.Read(r)
	if k.logged == nil {
		k.logged = map[ID][]secret{}
	}
	for _, e := range entries {
		id := ID{Group: e.Group, Instance: e.Instance}
		k.logged[id] = append(k.logged[id], secret{suite: e.Suite, serverRandom: e.ServerRandom, groupMaster: e.GroupMaster})
	}
	return err
}
