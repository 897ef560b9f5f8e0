package receiver

import (
	"bytes"
	"encoding/binary"
	"slices"

	"uftp/crypto/aead"
	"uftp/crypto/handshake"
	"uftp/engine/clock"
	"uftp/engine/machine"
	"uftp/wire"
)

// secrets is the cryptographic side of an encrypted session. It outlives the
// session until the last packet of the queue that needs it has left.
type secrets struct {
	client *handshake.Client
	bad    bool // a KEYINFO entry of ours did not open

	keys    []*keySet    // what KEYINFOs gave: the first, then the others as last heard; one once settled
	current *keySet      // seals our packets; nil before there are keys
	settled bool         // a packet of the sender has proved which one is right
	number  uint64       // of the settled keys among all that this machine ever had, from 1
	signed  *verifier    // of the sender's signatures; nil unless packets are signed
	counter aead.Counter // of our own packets
	replay  aead.Window  // counters of the sender

	uses int // the session and the packets in the queue
}

// keySetsMax is how many KEYINFOs that contradict each other are remembered: the
// sender's and some that a stranger has changed or made up. The first stays, since
// mostly it comes from the sender; of the others newer ones push out older ones,
// for the sender repeats its own until we have answered.
const keySetsMax = 8

// keySet is what one KEYINFO gave.
type keySet struct {
	from   *handshake.Candidate
	verify [wire.VerifyLen]byte
	opener *aead.Opener
	sealer *aead.Sealer
}

func (k *keySet) wipe() {
	k.from.Wipe()
	k.opener.Wipe()
	k.sealer.Wipe()
}

// keyed reports whether the group keys are there: from then on nothing of ours
// leaves in clear.
func (c *secrets) keyed() bool { return c != nil && len(c.keys) > 0 }

// addKeys makes a candidate the current keys and returns them. Our counters begin at the Unix time in
// nanoseconds: after a restart of this program within a session the sender gives us
// the same key again, and no counter may come twice under a key.
func (c *secrets) addKeys(now clock.Time, from *handshake.Candidate) (*keySet, error) {
	for i, known := range c.keys {
		if known.from.Equal(from) {
			from.Wipe()
			if i > 0 {
				c.keys = append(slices.Delete(c.keys, i, i+1), known)
			}
			c.current = known
			return known, nil
		}
	}
	k := aeadKeys(c.client.Suite(), from.Group())
	var peer func(wire.UID) aead.Verifier
	var signer aead.Signer
	sigLen := 0
	if k.SigType == wire.SigKeyExch {
		// Only packets of the session's sender get as far as this.
		if c.signed == nil {
			c.signed = newVerifier(c.client)
		}
		check, own := c.signed, c.client.Key()
		peer = func(wire.UID) aead.Verifier { return check }
		signer, sigLen = own, own.Public().SignatureLen()
	}
	opener, err := aead.NewOpener(k, peer)
	if err != nil {
		return nil, err
	}
	sealer, err := aead.NewSealer(k, signer, sigLen)
	if err != nil {
		return nil, err
	}
	if len(c.keys) == 0 {
		c.counter = aead.NewCounter(uint64(now))
	}
	if len(c.keys) == keySetsMax {
		c.keys[1].wipe()
		c.keys = slices.Delete(c.keys, 1, 2)
	}
	c.current = &keySet{from, from.Ack(), opener, sealer}
	c.keys = append(c.keys, c.current)
	return c.current, nil
}

// aeadKeys puts what seals and opens packets into the form of package aead.
func aeadKeys(s handshake.Suite, group *handshake.KeyBlock) aead.Keys {
	return aead.Keys{
		Cipher: s.Cipher, SigType: s.SigType, Hash: s.Hash,
		Key: group.Key, Salt: group.Salt, HMACKey: group.HMACKey,
	}
}

// open opens an ENCRYPTED datagram in place. The first one that opens settles
// which keys are right, if it can only be the sender's; echo says that it may be
// one of ours. A signature says nothing about the group keys, and one in 256 sets of
// wrong ones makes a good padding: there the message must make sense, too, and not
// under two sets.
func (c *secrets) open(pkt []byte, echo bool) (msg []byte, ctr uint64, err error) {
	if c.signed != nil {
		c.signed.begin()
	}
	if c.settled {
		return c.current.opener.Open(pkt)
	}
	var right *keySet
	for _, k := range c.keys {
		// On a copy: what does not open is gone.
		msg, _, err := k.opener.Open(bytes.Clone(pkt))
		switch {
		case err != nil || !sentBySenders(msg, echo):
			continue
		case c.signed != nil && !wellFormed(msg):
			continue
		case right != nil:
			return nil, 0, aead.ErrAuth // the next packet will tell
		}
		if right = k; c.signed == nil {
			break // proved, whatever the others give
		}
	}
	if right == nil {
		return nil, 0, aead.ErrAuth
	}
	c.settle(right)
	return right.opener.Open(pkt)
}

// settle keeps one set of keys and wipes the others.
func (c *secrets) settle(right *keySet) {
	for _, k := range c.keys {
		if k != right {
			k.wipe()
		}
	}
	clear(c.keys)
	c.keys = append(c.keys[:0], right)
	c.current = right
	c.client.Settle(right.from)
	c.settled = true
}

// refuse returns why an ENCRYPTED datagram need not be opened. It changes nothing.
func (c *secrets) refuse(pkt []byte) machine.Drop {
	switch {
	case !c.keyed():
		return machine.DropPhase
	case !hasCounter(pkt):
		return machine.DropSealed
	case !c.replay.Check(counterOf(pkt)):
		return machine.DropReplay
	}
	return machine.DropNone
}

// hasCounter reports whether an ENCRYPTED datagram is long enough for counterOf.
func hasCounter(pkt []byte) bool { return len(pkt) >= wire.HeaderLen+wire.EncryptedLen }

// counterOf reads the counter of an ENCRYPTED datagram; opening it leaves it there.
func counterOf(pkt []byte) uint64 { return binary.BigEndian.Uint64(pkt[wire.HeaderLen:]) }

// seal completes b, a packet whose message stands behind the lead of k's sealer,
// in place. It fails, for good, when k was given up, when there are no counters
// left, or when the own key cannot sign.
func (c *secrets) seal(k *keySet, b []byte) ([]byte, bool) {
	if !slices.Contains(c.keys, k) {
		return nil, false
	}
	sealer := k.sealer
	n := len(b) - sealer.Lead()
	ctr, err := c.counter.Take(1)
	if err != nil {
		return nil, false
	}
	size, err := sealer.Seal(b[:sealer.Size(n)], n, ctr)
	if err != nil {
		return nil, false
	}
	return b[:size], true
}

// release gives back one use; after the last one the secrets are wiped.
func (c *secrets) release() {
	if c.uses--; c.uses == 0 {
		c.wipe()
	}
}

func (c *secrets) wipe() {
	for _, k := range c.keys {
		k.wipe()
	}
	c.keys, c.current, c.settled = nil, nil, false
	c.client.Wipe()
}
