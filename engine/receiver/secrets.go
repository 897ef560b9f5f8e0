package receiver

import (
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

	// From KEYINFO on.
	opener  *aead.Opener // nil before
	sealer  *aead.Sealer
	counter aead.Counter // of our own packets
	replay  aead.Window  // counters of the sender
	begun   bool         // something was opened: the sequence window has begun

	uses int // the session and the packets in the queue
}

// keyed reports whether the group keys are there: from then on nothing of ours
// leaves in clear.
func (c *secrets) keyed() bool { return c != nil && c.opener != nil }

// take makes what opens and seals the session's packets. Our counters begin at the
// Unix time in nanoseconds: after a restart of this program within a session the
// sender gives us the same key again, and no counter may come twice under a key.
func (c *secrets) take(now clock.Time) error {
	suite, group := c.client.Suite(), c.client.Group()
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
	if c.sealer, err = aead.NewSealer(k, signer, sigLen); err != nil {
		return err
	}
	c.counter = aead.NewCounter(uint64(now))
	c.opener = opener
	return nil
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
func (c *secrets) lead() int { return c.sealer.Lead() }

// seal completes b, a packet whose message stands behind lead bytes, in place. It
// fails, for good, when there are no counters left or the own key cannot sign.
func (c *secrets) seal(b []byte) ([]byte, bool) {
	n := len(b) - c.lead()
	ctr, err := c.counter.Take(1)
	if err != nil {
		return nil, false
	}
	size, err := c.sealer.Seal(b[:c.sealer.Size(n)], n, ctr)
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
	c.client.Wipe()
	if c.opener != nil {
		c.opener.Wipe()
		c.sealer.Wipe()
	}
}
