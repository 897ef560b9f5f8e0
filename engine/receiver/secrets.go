package receiver

import (
	"bytes"
	"encoding/binary"

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

	keys    []keySet     // what KEYINFOs gave, the newest last; one once settled
	settled bool         // a packet of the sender has proved which one is right
	counter aead.Counter // of our own packets
	replay  aead.Window  // counters of the sender

	uses int // the session and the packets in the queue
}

// keySetsMax is how many KEYINFOs that contradict each other are remembered: the
// sender's and some that a stranger has changed or made up.
const keySetsMax = 4

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

// current returns the keys that our packets are sealed with.
func (c *secrets) current() *keySet { return &c.keys[len(c.keys)-1] }

// take makes a candidate the current keys. Our counters begin at the Unix time in
// nanoseconds: after a restart of this program within a session the sender gives us
// the same key again, and no counter may come twice under a key.
func (c *secrets) take(now clock.Time, from *handshake.Candidate) error {
	for i := range c.keys {
		if c.keys[i].from.Equal(from) {
			from.Wipe()
			c.keys[i], c.keys[len(c.keys)-1] = c.keys[len(c.keys)-1], c.keys[i]
			return nil
		}
	}
	suite, group := c.client.Suite(), from.Group()
	k := aead.Keys{
		Cipher: suite.Cipher, SigType: suite.SigType, Hash: suite.Hash,
		Key: group.Key, Salt: group.Salt, HMACKey: group.HMACKey,
	}
	var peer func(wire.UID) aead.Verifier
	var signer aead.Signer
	sigLen := 0
	if suite.SigType == wire.SigKeyExch {
		// Only packets of the session's sender get as far as this.
		server, own := c.client.ServerKey(), c.client.Key()
		peer = func(wire.UID) aead.Verifier { return server }
		signer, sigLen = own, own.Public().SignatureLen()
	}
	opener, err := aead.NewOpener(k, peer)
	if err != nil {
		return err
	}
	sealer, err := aead.NewSealer(k, signer, sigLen)
	if err != nil {
		return err
	}
	if len(c.keys) == 0 {
		c.counter = aead.NewCounter(uint64(now))
	}
	if len(c.keys) == keySetsMax {
		c.keys[0].wipe()
		c.keys = append(c.keys[:0], c.keys[1:]...)
	}
	c.keys = append(c.keys, keySet{from, from.Ack(), opener, sealer})
	return nil
}

// open opens an ENCRYPTED datagram in place. The first one that opens settles
// which keys are right.
func (c *secrets) open(pkt []byte) (msg []byte, ctr uint64, err error) {
	if c.settled {
		return c.keys[0].opener.Open(pkt)
	}
	for i := range c.keys {
		// On a copy: what does not open is gone.
		if _, _, err := c.keys[i].opener.Open(bytes.Clone(pkt)); err == nil {
			c.settle(i)
			return c.keys[0].opener.Open(pkt)
		}
	}
	return nil, 0, aead.ErrAuth
}

// settle keeps one set of keys and wipes the others.
func (c *secrets) settle(right int) {
	for i := range c.keys {
		if i != right {
			c.keys[i].wipe()
		}
	}
	k := c.keys[right]
	clear(c.keys)
	c.keys = append(c.keys[:0], k)
	c.client.Settle(k.from)
	c.settled = true
}

// refuse returns why an ENCRYPTED datagram need not be opened. It changes nothing.
func (c *secrets) refuse(pkt []byte) machine.Drop {
	switch {
	case !c.keyed():
		return machine.DropPhase
	case len(pkt) < wire.HeaderLen+wire.EncryptedLen:
		return machine.DropSealed
	case !c.replay.Check(counterOf(pkt)):
		return machine.DropReplay
	}
	return machine.DropNone
}

// counterOf reads the counter of an ENCRYPTED datagram that is long enough.
func counterOf(pkt []byte) uint64 { return binary.BigEndian.Uint64(pkt[wire.HeaderLen:]) }

// lead is how many bytes of a packet stand before its message.
func (c *secrets) lead() int { return c.current().sealer.Lead() }

// seal completes b, a packet whose message stands behind lead bytes, in place. It
// fails, for good, when there are no counters left or the own key cannot sign.
func (c *secrets) seal(b []byte) ([]byte, bool) {
	sealer := c.current().sealer
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
	if c.uses--; c.uses > 0 {
		return
	}
	for i := range c.keys {
		c.keys[i].wipe()
	}
	c.client.Wipe()
}
