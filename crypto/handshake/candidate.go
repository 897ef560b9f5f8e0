package handshake

import (
	"crypto/subtle"

	"uftp/wire"
)

// Candidate holds the keys of the session that a KEYINFO gives. Nothing in KEYINFO proves
// who made it: a modified one usually decrypts too, to keys that open nothing. The first
// packet that a candidate opens proves it.
type Candidate struct {
	groupMaster [MasterLen]byte
	group       KeyBlock
	verify      [wire.VerifyLen]byte
}

// TryKeyInfo decrypts the client's entry of a KEYINFO with counter ctr from src. It does
// not change the client, so it may be called for several of them. It fails with
// [ErrGroupMaster], and with [ErrOver] after Settle.
func (k *Client) TryKeyInfo(src wire.UID, ctr uint64, entry []byte) (*Candidate, error) {
	if k.over {
		return nil, ErrOver
	}
	master, err := k.suite.OpenGroupMaster(&k.keys, src, ctr, entry)
	if err != nil {
		return nil, err
	}
	var blob []byte
	if k.auth {
		blob = k.own.Public().AppendBlob(nil)
	}
	c := &Candidate{groupMaster: master}
	clear(master[:])
	c.group = k.suite.GroupKeys(c.groupMaster[:], k.serverRand[:])
	c.verify = k.suite.VerifyData(k.transcript, blob, c.groupMaster[:])
	return c, nil
}

// Settle makes the keys of a candidate those of the session and wipes the secrets of the
// handshake. The candidate must not be used any more.
func (k *Client) Settle(c *Candidate) {
	k.groupMaster, k.group, k.verify = c.groupMaster, c.group, c.verify
	clear(c.groupMaster[:])
	c.group = KeyBlock{}
	k.keyed = true
	k.forget()
}

// Group returns the keys of the session's packets; they remain valid after Settle.
func (c *Candidate) Group() *KeyBlock { return &c.group }

// Ack returns the verify data for KEYINFO_ACK.
func (c *Candidate) Ack() [wire.VerifyLen]byte { return c.verify }

// Equal reports whether both are the same keys.
func (c *Candidate) Equal(o *Candidate) bool {
	return subtle.ConstantTimeCompare(c.groupMaster[:], o.groupMaster[:]) == 1
}

// Wipe clears the secrets of a candidate that was not settled.
func (c *Candidate) Wipe() {
	clear(c.groupMaster[:])
	clear(c.verify[:])
	c.group.Wipe()
}
