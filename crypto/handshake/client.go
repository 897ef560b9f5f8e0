package handshake

import (
	"bytes"
	"errors"
	"io"

	"uftp/crypto/identity"
	"uftp/wire"
)

// Errors of the client side: verify data were requested before the group keys are there,
// a message of the handshake after its secrets are wiped, or ClientConfig.Allow forbids
// the work.
var (
	ErrNotKeyed = errors.New("handshake: no group keys yet")
	ErrOver     = errors.New("handshake: over, its secrets are forgotten")
	ErrBusy     = errors.New("handshake: no time for an ANNOUNCE")
)

// ClientConfig is what a client is made from.
type ClientConfig struct {
	Keys        []*identity.PrivateKey // own keys in order of preference, may be empty
	Fingerprint *identity.Fingerprint  // the server's key must have it; nil = any key
	MinStrength identity.Strength      // the least that is accepted
	RSABitsMax  int                    // of a key to show; 0 = identity.RSABitsMaxStock, the most for stock peers
	Rand        io.Reader

	// GuardRSA refuses two things that the RSA exchange cannot protect. One is to show
	// an own key when Fingerprint is nil: the sender could use it to impersonate this host
	// towards another sender. The other is sync and preview mode, which anybody on the
	// network path can switch on.
	GuardRSA bool

	// NewClient calls Allow before the first public-key operation, after all cheap
	// checks, with an estimate of AnnounceCostUs. If Allow returns false, NewClient
	// fails with ErrBusy. nil = always true.
	Allow func(costUs int) bool
}

// Client is the registering side of one session. One goroutine at a time may use it.
type Client struct {
	suite      Suite
	auth       bool
	server     *identity.PublicKey  // long-term key of ANNOUNCE
	curve      identity.Curve       // of the ECDH key of ANNOUNCE; 0 with the RSA exchange
	own        *identity.PrivateKey // shown in CLIENT_KEY; nil if not asked for
	ecdh       *identity.PrivateKey // nil with the RSA exchange
	random     [wire.RandomLen]byte
	serverRand [wire.RandomLen]byte
	premaster  []byte
	transcript []byte // V
	signature  []byte // of V, made once
	keys       KeyBlock
	rand       io.Reader

	over        bool // the secrets above are wiped
	keyed       bool // the fields below are set
	groupMaster [MasterLen]byte
	group       KeyBlock
	verify      [wire.VerifyLen]byte
}

// NewClient opens a session from pkt, the whole datagram of its first ANNOUNCE.
// It makes the checks of docs/protocol.md, "ENC_INFO checks", in that order; a [Refusal]
// is the text of the ABORT to answer with. Other errors are [ErrClear], [ErrBusy], those
// of the wire package, and those of the source of randomness.
//
// It needs an own key only if the sender asks for client authentication. Then it takes
// one that is like the server's, if there is one, else the first that the sender can use.
func NewClient(pkt []byte, c ClientConfig) (*Client, error) {
	o, err := parseOffer(pkt)
	if err != nil {
		return nil, err
	}
	k := &Client{
		suite: SuiteOf(&o.enc),
		rand:  c.Rand,
		auth:  o.enc.Flags&wire.EncClientAuth != 0 || o.enc.SigType == wire.SigKeyExch,
	}
	if err := k.suite.Check(); err != nil {
		return nil, err
	}
	if c.GuardRSA && !k.suite.ECDH() {
		switch {
		case k.auth && c.Fingerprint == nil:
			return nil, ErrUnlisted
		case o.flags&(wire.AnnounceSync|wire.AnnouncePreview) != 0:
			return nil, ErrUnproved
		}
	}
	copy(k.serverRand[:], o.enc.Random)
	if err := k.takeServerKey(&o, &c); err != nil {
		return nil, err
	}
	if c.Allow != nil && !c.Allow(AnnounceCostUs(&o.enc)) {
		return nil, ErrBusy
	}
	ecdh, err := k.takeExchangeKey(&o)
	if err != nil {
		return nil, err
	}
	if k.suite.ECDH() && k.server.Verify(k.suite.HashFunc(), o.digest(k.suite.HashFunc()), o.enc.Signature) != nil {
		return nil, ErrSignature
	}
	if err := k.agree(&o, ecdh); err != nil {
		return nil, err
	}
	return k, nil
}

// takeServerKey checks the long-term key of ANNOUNCE and finds the own key for it.
func (k *Client) takeServerKey(o *offer, c *ClientConfig) error {
	if c.Fingerprint != nil && identity.BlobFingerprint(o.enc.PublicKey) != *c.Fingerprint {
		return ErrFingerprint
	}
	key, err := identity.ParsePublicKey(o.enc.PublicKey)
	if err != nil || key.Kind() != k.suite.KeyKind() {
		return ErrServerKey
	}
	if k.suite.ECDH() && len(o.enc.ECDH) >= 2 {
		// A blob that is no key is refused later, with a reason of its own.
		k.curve = identity.Curve(o.enc.ECDH[1])
	}
	if level, _ := k.suite.Strength(key, k.curve, k.auth); level < c.MinStrength {
		return ErrStrength
	}
	k.server = key
	if k.auth {
		if k.own = k.chooseKey(c); k.own == nil {
			return ErrNoClientKey
		}
	}
	return nil
}

// chooseKey returns the own key to show: the first that is like the server's, else the
// first that the sender can use, nil if there is none.
func (k *Client) chooseKey(c *ClientConfig) *identity.PrivateKey {
	bitsMax := c.RSABitsMax
	if bitsMax == 0 {
		bitsMax = identity.RSABitsMaxStock
	}
	var second *identity.PrivateKey
	for _, own := range c.Keys {
		p := own.Public()
		switch {
		case !p.CanSign(k.suite.HashFunc()),
			p.Kind() == identity.RSA && p.Bits() > bitsMax,
			p.BlobLen()%4 != 0,
			clientKeyFixed+p.BlobLen()+p.SignatureLen() > headerMax,
			k.suite.SigType == wire.SigKeyExch && p.Kind() != k.suite.KeyKind():
			continue
		case p.Alike(k.server):
			return own
		case second == nil:
			second = own
		}
	}
	return second
}

// takeExchangeKey returns the ECDH key of ANNOUNCE, nil with the RSA exchange.
func (k *Client) takeExchangeKey(o *offer) (*identity.PublicKey, error) {
	if !k.suite.ECDH() {
		return nil, nil
	}
	key, err := identity.ParsePublicKey(o.enc.ECDH)
	if err != nil || key.Kind() != identity.EC {
		return nil, ErrECDHKey
	}
	return key, nil
}

// agree draws the client's random number and its part of the premaster, and derives the
// same secrets as the server.
func (k *Client) agree(o *offer, ecdh *identity.PublicKey) error {
	if _, err := io.ReadFull(k.rand, k.random[:]); err != nil {
		return err
	}
	var err error
	if ecdh == nil {
		k.premaster = make([]byte, PremasterRSALen)
		_, err = io.ReadFull(k.rand, k.premaster)
	} else if k.ecdh, err = identity.GenerateEC(ecdh.Curve(), k.rand); err == nil {
		k.premaster, err = ecdhPremaster(k.ecdh, ecdh)
	}
	if err != nil {
		return err
	}
	k.transcript = o.session.Transcript(k.serverRand[:], k.random[:], k.premaster)
	master := k.suite.Master(k.premaster, k.serverRand[:], k.random[:])
	k.keys = k.suite.ClientKeys(master[:], k.serverRand[:], k.random[:])
	clear(master[:])
	return nil
}

// Random returns the client random for REGISTER.
func (k *Client) Random() [wire.RandomLen]byte { return k.random }

// AppendRegisterKeyInfo appends the key information of REGISTER: the own ECDH key blob,
// or the premaster, freshly encrypted at each call. After Settle it fails with [ErrOver].
func (k *Client) AppendRegisterKeyInfo(b []byte) ([]byte, error) {
	if k.over {
		return b, ErrOver
	}
	if k.ecdh != nil {
		return k.ecdh.Public().AppendBlob(b), nil
	}
	ct, err := k.server.EncryptPremaster(k.rand, k.premaster)
	if err != nil {
		return b, err
	}
	return append(b, ct...), nil
}

// ClientAuth reports whether CLIENT_KEY has to follow each REGISTER.
func (k *Client) ClientAuth() bool { return k.auth }

// ClientKey returns the CLIENT_KEY message, the same at each call. It may be called only
// if ClientAuth is true. The first call signs. After Settle it fails with [ErrOver].
func (k *Client) ClientKey() (m wire.ClientKey, err error) {
	if k.over {
		return m, ErrOver
	}
	if k.signature == nil {
		k.signature, err = k.own.AppendSignature(nil, k.suite.HashFunc(), k.suite.digest(k.transcript))
		if err != nil {
			return m, err
		}
	}
	return wire.ClientKey{PublicKey: k.own.Public().AppendBlob(nil), Signature: bytes.Clone(k.signature)}, nil
}

// OpenKeyInfo decrypts the client's entry of a KEYINFO with counter ctr from src and
// derives the keys of the session. It fails with [ErrGroupMaster]. If the keys are there
// already it does nothing, so that a later KEYINFO cannot change them.
func (k *Client) OpenKeyInfo(src wire.UID, ctr uint64, entry []byte) error {
	if k.keyed {
		return nil
	}
	c, err := k.TryKeyInfo(src, ctr, entry)
	if err != nil {
		return err
	}
	k.Settle(c)
	return nil
}

// forget wipes the secrets that are not needed after the group keys are there. REGISTER
// and CLIENT_KEY cannot be repeated after that.
func (k *Client) forget() {
	k.over = true
	clear(k.premaster)
	clear(k.transcript)
	k.keys.Wipe()
	if k.ecdh != nil {
		k.ecdh.Wipe()
	}
}

// Ack returns the verify data for KEYINFO_ACK. Before Settle it fails with [ErrNotKeyed].
func (k *Client) Ack() ([wire.VerifyLen]byte, error) {
	if !k.keyed {
		return [wire.VerifyLen]byte{}, ErrNotKeyed
	}
	return k.verify, nil
}

// Suite returns the algorithms of the session.
func (k *Client) Suite() Suite { return k.suite }

// Group returns the keys of the session's packets, nil before Settle. The client keeps
// them and wipes them in Wipe.
func (k *Client) Group() *KeyBlock {
	if !k.keyed {
		return nil
	}
	return &k.group
}

// GroupMaster returns the secret from which all keys of the session come, for a key log
// and for a proxy that passes it on; zeros before Settle.
func (k *Client) GroupMaster() [MasterLen]byte { return k.groupMaster }

// ServerRandom returns the server random of ANNOUNCE.
func (k *Client) ServerRandom() [wire.RandomLen]byte { return k.serverRand }

// ServerKey returns the long-term key of ANNOUNCE, which verifies the sender's
// packets with wire.SigKeyExch.
func (k *Client) ServerKey() *identity.PublicKey { return k.server }

// Key returns the own key that CLIENT_KEY shows and that signs packets with
// wire.SigKeyExch; nil without client authentication.
func (k *Client) Key() *identity.PrivateKey { return k.own }

// Strength grades the session and lists its weak parts.
func (k *Client) Strength() (identity.Strength, []Weakness) {
	return k.suite.Strength(k.server, k.curve, k.auth)
}

// Wipe clears the secrets of the session, but not the long-term keys. The client must not
// be used afterwards.
func (k *Client) Wipe() {
	k.forget()
	clear(k.groupMaster[:])
	clear(k.verify[:])
	k.group.Wipe()
	k.keyed = false
}
