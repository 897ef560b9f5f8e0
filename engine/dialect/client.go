package dialect

import (
	"bytes"
	"slices"

	"uftp/crypto/aead"
	"uftp/crypto/handshake"
	"uftp/engine/clock"
	"uftp/engine/machine"
	"uftp/wire"
)

// Client is the dialect of the side that registers. It may outlive the session until the
// last packet that needs it has left: see Hold.
type Client struct {
	version   wire.Version
	handshake *handshake.Client // nil in clear
	bad       bool              // an entry of KEYINFO did not open

	keys    []*KeySet    // from KEYINFOs: the first, then the others as last heard; one once proved
	current *KeySet      // seals our packets; nil before there are keys
	proved  bool         // a packet of the sender has opened with current
	signed  *verifier    // of the sender's signatures; nil unless packets are signed
	counter aead.Counter // of our own packets
	replay  aead.Window  // counters of the sender

	uses int // by the session and by packets that wait
}

// KeySet is what one KEYINFO gave.
type KeySet struct {
	from   *handshake.Candidate
	verify [wire.VerifyLen]byte
	opener *aead.Opener
	sealer *aead.Sealer
}

// keySetsMax is how many KEYINFOs that contradict each other are remembered: the sender's and some
// that a stranger has changed or made up. The first stays, since mostly it comes from the sender;
// of the others newer ones push out older ones, for the sender repeats its own until we answer.
const keySetsMax = 8

// NewClient returns the client of a session that speaks version v, in clear if h is nil. It is in
// use once.
func NewClient(v wire.Version, h *handshake.Client) *Client {
	return &Client{version: v, handshake: h, uses: 1}
}

// Version returns the version of every packet of the session.
func (c *Client) Version() wire.Version { return c.version }

// Encrypted reports whether the session has or will have keys.
func (c *Client) Encrypted() bool { return c.handshake != nil }

// Handshake returns the side of the handshake, nil in clear.
func (c *Client) Handshake() *handshake.Client { return c.handshake }

// Keyed reports whether there are keys: from then on nothing but the registration leaves in clear.
func (c *Client) Keyed() bool { return len(c.keys) > 0 }

// Proved reports whether the sender has proved which keys are right. In clear there is nothing to
// prove.
func (c *Client) Proved() bool { return !c.Encrypted() || c.proved }

// BadKeyInfo reports whether an entry of KEYINFO for us did not open.
func (c *Client) BadKeyInfo() bool { return c.bad }

// FillRegister puts the client's part of the handshake into a REGISTER. It reports false if the
// registration is over.
func (c *Client) FillRegister(m *wire.Register) bool {
	if !c.Encrypted() {
		return true
	}
	var err error
	if m.KeyInfo, err = c.handshake.AppendRegisterKeyInfo(nil); err != nil {
		return false
	}
	random := c.handshake.Random()
	m.Random = random[:]
	return true
}

// ShowsKey reports whether CLIENT_KEY follows each REGISTER.
func (c *Client) ShowsKey() bool { return c.Encrypted() && c.handshake.ClientAuth() }

// TakeKeyInfo takes a datagram with KEYINFO and returns the keys in it for host uid. They seal our
// packets until another KEYINFO brings others, or a packet has proved which are right. If there are
// none, it returns why the KEYINFO does not count.
func (c *Client) TakeKeyInfo(now clock.Time, uid wire.UID, pkt []byte) (*KeySet, machine.Drop) {
	h, msg, err := wire.ParseHeader(pkt)
	if err != nil {
		return nil, machine.DropMalformed
	}
	x, err := wire.ParseKeyInfo(c.version, msg)
	if err != nil {
		return nil, machine.DropMalformed
	}
	entry := entryOf(&x, uid)
	switch {
	case entry == nil:
		return nil, machine.DropNotForUs
	case c.proved:
		return c.current, machine.DropNone
	}
	candidate, err := c.handshake.TryKeyInfo(h.Src, x.Counter, entry)
	if err == nil {
		err = c.addKeys(now, candidate)
	}
	if err != nil {
		c.bad = true
		return nil, machine.DropSealed
	}
	return c.current, machine.DropNone
}

// entryOf returns the entry for uid, nil if there is none.
func entryOf(x *wire.KeyInfo, uid wire.UID) []byte {
	for i := range x.Len() {
		if u, entry := x.At(i); u == uid {
			return entry
		}
	}
	return nil
}

// addKeys makes a candidate the current keys. Our counters begin at the Unix time in nanoseconds:
// after a restart of this program within a session the sender gives us the same key again, and no
// counter may come twice under a key.
func (c *Client) addKeys(now clock.Time, from *handshake.Candidate) error {
	for i, known := range c.keys {
		if known.from.Equal(from) {
			from.Wipe()
			if i > 0 {
				c.keys = append(slices.Delete(c.keys, i, i+1), known)
			}
			c.current = known
			return nil
		}
	}
	k := packetKeys(c.handshake.Suite(), from.Group())
	var peer func(wire.UID) aead.Verifier
	var signer aead.Signer
	sigLen := 0
	if k.SigType == wire.SigKeyExch {
		if c.signed == nil {
			c.signed = new(verifier)
		}
		check, own := c.signed, c.handshake.Key()
		peer = func(wire.UID) aead.Verifier { return check }
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
		c.keys[1].wipe()
		c.keys = slices.Delete(c.keys, 1, 2)
	}
	c.current = &KeySet{from, from.Ack(), opener, sealer}
	c.keys = append(c.keys, c.current)
	return nil
}

// Verify returns the verify data of KEYINFO_ACK.
func (k *KeySet) Verify() []byte { return k.verify[:] }

func (k *KeySet) wipe() {
	k.from.Wipe()
	k.opener.Wipe()
	k.sealer.Wipe()
}

// Begin begins a packet in the empty buffer b: the header, and the room that a seal needs before
// the message. keys seal it; nil means the current ones.
func (c *Client) Begin(b []byte, h wire.Header, keys *KeySet) []byte {
	b = h.Append(b)
	if k := c.sealing(h.Func, keys); k != nil {
		b = b[:k.sealer.Lead()]
	}
	return b
}

// Finish completes a packet with message f that Begin has begun. It fails, and will fail again, if
// the keys were given up, if there are no counters left, or if our key cannot sign.
func (c *Client) Finish(b []byte, f wire.Func, keys *KeySet) ([]byte, bool) {
	k := c.sealing(f, keys)
	if k == nil {
		return b, true
	}
	if !slices.Contains(c.keys, k) {
		return nil, false
	}
	n := len(b) - k.sealer.Lead()
	ctr, err := c.counter.Take(1)
	if err != nil {
		return nil, false
	}
	size, err := k.sealer.Seal(b[:k.sealer.Size(n)], n, ctr)
	if err != nil {
		return nil, false
	}
	return b[:size], true
}

// sealing returns the keys that seal message f, nil if it leaves in clear. REGISTER and CLIENT_KEY
// belong to the time before the keys.
func (c *Client) sealing(f wire.Func, keys *KeySet) *KeySet {
	switch {
	case !c.Keyed() || f == wire.FuncRegister || f == wire.FuncClientKey:
		return nil
	case keys != nil:
		return keys
	}
	return c.current
}

// TakesClear returns why message f does not count if it came in clear in an encrypted session. Those
// that count are not authentic: the machine must check where they come from.
func (c *Client) TakesClear(f wire.Func) machine.Drop {
	switch f {
	case wire.FuncAnnounce, wire.FuncKeyInfo:
		return machine.DropNone
	case wire.FuncAbort:
		if !c.Keyed() {
			return machine.DropNone
		}
	case wire.FuncRegConf:
		return machine.DropPhase // for receivers behind a proxy
	}
	return machine.DropClear
}

// Refuse returns why an ENCRYPTED datagram need not be opened. It changes nothing.
func (c *Client) Refuse(pkt []byte) machine.Drop {
	if !c.Keyed() {
		return machine.DropPhase
	}
	counter, ok := wire.Counter(pkt)
	switch {
	case !ok:
		return machine.DropSealed
	case !c.replay.Check(counter):
		return machine.DropReplay
	}
	return machine.DropNone
}

// Open opens an ENCRYPTED datagram in place. The first one that opens proves which keys are right,
// if only the sender can have sealed it; echo says that it may be one of ours. A signature does not
// prove the keys, nor does a good padding, which one in 256 sets of wrong keys produces. So with
// signatures the message must also make sense, under one set only.
func (c *Client) Open(pkt []byte, echo bool) (msg []byte, err error) {
	if c.signed != nil {
		c.signed.begin(c.handshake.ServerKey())
	}
	if !c.proved {
		if err := c.prove(pkt, echo); err != nil {
			return nil, err
		}
	}
	msg, _, err = c.current.opener.Open(pkt)
	return msg, err
}

// prove finds the keys that open pkt, which stays as it is.
func (c *Client) prove(pkt []byte, echo bool) error {
	var right *KeySet
	for _, k := range c.keys {
		msg, _, err := k.opener.Open(bytes.Clone(pkt))
		switch {
		case err != nil || !bySender(msg, echo):
			continue
		case c.signed != nil && !wellFormed(msg):
			continue
		case right != nil:
			return aead.ErrAuth // the next packet will show
		}
		if right = k; c.signed == nil {
			break // whatever the others give
		}
	}
	if right == nil {
		return aead.ErrAuth
	}
	for _, k := range c.keys {
		if k != right {
			k.wipe()
		}
	}
	clear(c.keys)
	c.keys = append(c.keys[:0], right)
	c.current = right
	c.handshake.Settle(right.from)
	c.proved = true
	return nil
}

// Take returns why the message of an opened datagram does not count: senders do not send it, or it
// came before. Take remembers the counter of one that counts.
func (c *Client) Take(pkt, msg []byte, echo bool) machine.Drop {
	if !bySender(msg, echo) { // its counter is not one of the sender's
		return machine.DropFunction
	}
	if counter, ok := wire.Counter(pkt); !ok || !c.replay.Mark(counter) {
		return machine.DropReplay
	}
	return machine.DropNone
}

// Signed reports whether each packet bears a signature, which is verified when it is opened.
func (c *Client) Signed() bool { return c.signed != nil }

// FailureCostUs returns what it cost to verify the datagram that was opened last, µs; 0 if none was
// verified.
func (c *Client) FailureCostUs() int {
	if c.signed == nil || !c.signed.done {
		return 0
	}
	return c.handshake.VerifyCostUs()
}

// NewOpener returns an opener of the sender's packets for another goroutine. Keys must be proved,
// and packets not signed: the machine limits the time for verifying signatures.
func (c *Client) NewOpener() (*aead.Opener, error) {
	return aead.NewOpener(packetKeys(c.handshake.Suite(), c.handshake.Group()), nil)
}

// Opener returns the opener of the sender's packets, once the keys are proved, and the window of
// their counters. Both stay the client's.
func (c *Client) Opener() (*aead.Opener, *aead.Window) { return c.current.opener, &c.replay }

// Hold keeps the secrets for one more use.
func (c *Client) Hold() { c.uses++ }

// Release gives back one use; after the last one the secrets are wiped.
func (c *Client) Release() {
	if c.uses--; c.uses == 0 {
		c.Wipe()
	}
}

// Wipe clears the secrets, even if they are in use.
func (c *Client) Wipe() {
	for _, k := range c.keys {
		k.wipe()
	}
	c.keys, c.current, c.proved = nil, nil, false
	if c.Encrypted() {
		c.handshake.Wipe()
	}
}
