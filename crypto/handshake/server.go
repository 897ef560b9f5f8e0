package handshake

import (
	"bytes"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"

	"uftp/crypto/identity"
	"uftp/wire"
)

// Errors of the server side. The machine drops the message, counts it and does not change
// the state of the host.
var (
	ErrPremaster     = errors.New("handshake: premaster or ECDH key of REGISTER is not usable")
	ErrOtherRandom   = errors.New("handshake: host has registered with another random number")
	ErrNotRegistered = errors.New("handshake: host has not registered")
	ErrOtherKey      = errors.New("handshake: host has shown another key")
	ErrKeyKind       = errors.New("handshake: client key is not of the kind that packets are signed with")
	ErrClientPrint   = errors.New("handshake: client key has another fingerprint")
	ErrClientKey     = errors.New("handshake: client key or its signature is not usable")
	ErrVerify        = errors.New("handshake: verify data of KEYINFO_ACK is wrong")
)

// ErrConfig reports a configuration that cannot work; NewServer wraps it with the reason.
var ErrConfig = errors.New("handshake: cannot set up")

// badPremastersMax is how many PKCS #1 v1.5 premasters that do not decrypt are answered
// with an error. The attack that uses such answers needs tens of thousands.
const badPremastersMax = 1000

// ServerConfig is what a server is made from.
type ServerConfig struct {
	Suite      Suite
	ClientAuth bool // always on with wire.SigKeyExch
	Session    Session
	Key        *identity.PrivateKey // long-term; of the kind the exchange needs
	Curve      identity.Curve       // of the ECDH key, if the exchange has one
	RSABitsMax int                  // 0 = identity.RSABitsMaxStock, the most for stock peers
	Rand       io.Reader

	// A proxy sets these; NewServer makes what is nil.
	Random      *[wire.RandomLen]byte // of the sender
	GroupMaster *[MasterLen]byte      // of the sender
	ECDH        *identity.PrivateKey  // replaces Curve
}

// Server is the announcing side of one session. One goroutine at a time may use it.
type Server struct {
	suite       Suite
	auth        bool
	session     Session
	key         *identity.PrivateKey
	ecdh        *identity.PrivateKey // nil with the RSA exchange
	ecdhMade    bool                 // NewServer made it, so Wipe wipes it
	random      [wire.RandomLen]byte
	groupMaster [MasterLen]byte
	group       KeyBlock
	rand        io.Reader

	badPremasters int // counts to badPremastersMax
}

// Peer holds the server's state of one host. The zero value is a host that has not
// registered. It holds secrets: see Wipe.
type Peer struct {
	registered bool
	random     [wire.RandomLen]byte
	transcript []byte // V, holds the premaster
	keys       KeyBlock
	key        *identity.PublicKey // of CLIENT_KEY, nil if none came
	verify     [wire.VerifyLen]byte
	verified   bool // verify is computed
}

// NewServer checks a configuration and makes the missing keys and random numbers. Its
// errors wrap [ErrConfig], or are those of the source of randomness.
func NewServer(c ServerConfig) (*Server, error) {
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	s := &Server{
		suite:   c.Suite,
		auth:    c.ClientAuth || c.Suite.SigType == wire.SigKeyExch,
		session: c.Session,
		key:     c.Key,
		rand:    c.Rand,
	}
	if err := fill(c.Rand, s.random[:], c.Random); err != nil {
		return nil, err
	}
	s.groupMaster[0] = groupMasterVersion
	if c.GroupMaster != nil {
		s.groupMaster = *c.GroupMaster
	} else if _, err := io.ReadFull(c.Rand, s.groupMaster[1:]); err != nil {
		return nil, err
	}
	if c.Suite.ECDH() {
		s.ecdh = c.ECDH
		if s.ecdh == nil {
			var err error
			if s.ecdh, err = identity.GenerateEC(c.Curve, c.Rand); err != nil {
				return nil, err
			}
			s.ecdhMade = true
		}
	}
	if n := encInfoFixed + s.keyLens(); announceFixed-wire.HeaderLen+32+n > headerMax {
		return nil, fmt.Errorf("%w: keys and signature of %d bytes do not fit into ANNOUNCE", ErrConfig, n)
	}
	s.group = c.Suite.GroupKeys(s.groupMaster[:], s.random[:])
	return s, nil
}

// fill sets b to given, or to random bytes if that is nil.
func fill(rand io.Reader, b []byte, given *[wire.RandomLen]byte) error {
	if given != nil {
		copy(b, given[:])
		return nil
	}
	_, err := io.ReadFull(rand, b)
	return err
}

func (c *ServerConfig) check() error {
	if err := c.Suite.Check(); err != nil {
		return err
	}
	key := c.Key.Public()
	bitsMax := c.RSABitsMax
	if bitsMax == 0 {
		bitsMax = identity.RSABitsMaxStock
	}
	signs := c.Suite.ECDH() || c.Suite.SigType == wire.SigKeyExch
	switch {
	case !c.Session.Private.IsValid():
		return errors.New("the private address is missing")
	case key.Kind() != c.Suite.KeyKind():
		return fmt.Errorf("the key exchange needs an %v key, this is an %v key", c.Suite.KeyKind(), key.Kind())
	case key.Kind() == identity.RSA && key.Bits() > bitsMax:
		return fmt.Errorf("an RSA key of %d bits is too large for the receivers, %d is the limit", key.Bits(), bitsMax)
	case key.BlobLen()%4 != 0 || key.SignatureLen()%4 != 0:
		return fmt.Errorf("an RSA key of %d bits does not fit into whole words, use a multiple of 32", key.Bits())
	case signs && !key.CanSign(c.Suite.HashFunc()):
		return fmt.Errorf("an RSA key of %d bits is too small for signatures with %v", key.Bits(), c.Suite.HashFunc())
	case !c.Suite.ECDH():
		return nil
	case c.ECDH != nil:
		if c.ECDH.Public().Kind() != identity.EC {
			return errors.New("the exchange key is not an EC key")
		}
		return nil
	}
	return c.Curve.Check()
}

// keyLens returns the bytes of the variable parts of ENC_INFO.
func (s *Server) keyLens() int {
	n := s.key.Public().BlobLen()
	if s.ecdh != nil {
		n += s.ecdh.Public().BlobLen() + s.key.Public().SignatureLen()
	}
	return n
}

// EncInfo returns the extension for ANNOUNCE, with zeros instead of the signature, which
// SignAnnounce fills in. The slices belong to the caller.
func (s *Server) EncInfo() wire.EncInfo {
	e := wire.EncInfo{
		KeyExch:   s.suite.KeyExch,
		SigType:   s.suite.SigType,
		Cipher:    s.suite.Cipher,
		Hash:      s.suite.Hash,
		Random:    bytes.Clone(s.random[:]),
		PublicKey: s.key.Public().AppendBlob(nil),
	}
	if s.auth {
		e.Flags |= wire.EncClientAuth
	}
	if s.ecdh != nil {
		e.ECDH = s.ecdh.Public().AppendBlob(nil)
		e.Signature = make([]byte, s.key.Public().SignatureLen())
	}
	return e
}

// SignAnnounce writes the signature into pkt, a whole ANNOUNCE datagram that is final,
// also in its sequence number and time. With the RSA exchange there is no signature and
// it does nothing.
func (s *Server) SignAnnounce(pkt []byte) error {
	if s.ecdh == nil {
		return nil
	}
	o, err := parseOffer(pkt)
	if err != nil {
		return err
	}
	sig := pkt[o.signature : o.signature+len(o.enc.Signature)]
	if len(sig) != s.key.Public().SignatureLen() {
		return wire.ErrExtension
	}
	_, err = s.key.AppendSignature(sig[:0], s.suite.HashFunc(), o.digest(s.suite.HashFunc()))
	return err
}

// Register takes the random number and the key information of a REGISTER. For a repeated
// REGISTER, which has the same random number, it returns nil at no cost. Any other call
// costs RegisterCostUs; if it fails with [ErrPremaster] it does not change p. A host with
// another random number was started again, or is another host: Register returns
// [ErrOtherRandom] and the machine decides. To accept it, wipe p and call again.
func (s *Server) Register(p *Peer, random, keyInfo []byte) error {
	if len(random) != wire.RandomLen {
		return ErrPremaster
	}
	if p.registered {
		if !bytes.Equal(p.random[:], random) {
			return ErrOtherRandom
		}
		return nil
	}
	premaster, err := s.premaster(keyInfo)
	if err != nil {
		return err
	}
	defer clear(premaster)
	master := s.suite.Master(premaster, s.random[:], random)
	defer clear(master[:])
	*p = Peer{
		registered: true,
		random:     [wire.RandomLen]byte(random),
		transcript: s.session.Transcript(s.random[:], random, premaster),
		keys:       s.suite.ClientKeys(master[:], s.random[:], random),
	}
	return nil
}

// premaster decrypts or computes the premaster of a REGISTER.
func (s *Server) premaster(keyInfo []byte) ([]byte, error) {
	if s.ecdh != nil {
		peer, err := identity.ParsePublicKey(keyInfo)
		if err != nil {
			return nil, ErrPremaster
		}
		premaster, err := ecdhPremaster(s.ecdh, peer)
		if err != nil {
			return nil, ErrPremaster
		}
		return premaster, nil
	}
	if len(keyInfo) != s.key.Public().SignatureLen() {
		return nil, ErrPremaster
	}
	// Always draw the stand-in, so that the time does not depend on its use.
	var standIn [PremasterRSALen]byte
	if _, err := io.ReadFull(s.rand, standIn[:]); err != nil {
		return nil, err
	}
	premaster := make([]byte, PremasterRSALen)
	switch err := s.key.DecryptPremaster(keyInfo, premaster); {
	case err == nil:
		return premaster, nil
	case s.badPremasters < badPremastersMax || !s.paddingOracle():
		s.badPremasters++
		return nil, ErrPremaster
	}
	return standIn[:], nil
}

// paddingOracle reports whether failures to decrypt a premaster help an attacker. With
// OAEP they do not.
func (s *Server) paddingOracle() bool { return s.key.Public().Bits() < identity.OAEPBits }

// ClientKey takes the key and the signature of a CLIENT_KEY. For a repeated one it returns
// nil at next to no cost. If want is not nil, the key must have that fingerprint. With
// wire.SigKeyExch it must be of the kind of the server's key. Errors are
// [ErrNotRegistered], [ErrOtherKey], [ErrClientPrint], [ErrClientKey] and [ErrKeyKind];
// they do not change p.
func (s *Server) ClientKey(p *Peer, m wire.ClientKey, want *identity.Fingerprint) error {
	if !p.registered {
		return ErrNotRegistered
	}
	if want != nil && identity.BlobFingerprint(m.PublicKey) != *want {
		return ErrClientPrint
	}
	if p.key != nil {
		if !bytes.Equal(p.key.AppendBlob(nil), m.PublicKey) {
			return ErrOtherKey
		}
		return nil
	}
	key, err := identity.ParsePublicKey(m.PublicKey)
	if err != nil {
		return ErrClientKey
	}
	if s.suite.SigType == wire.SigKeyExch && key.Kind() != s.suite.KeyKind() {
		return ErrKeyKind
	}
	if key.Verify(s.suite.HashFunc(), s.suite.digest(p.transcript), m.Signature) != nil {
		return ErrClientKey
	}
	p.key = key
	p.verified = false
	return nil
}

// Ready reports whether KEYINFO may list the host: it has registered, and shown its key if
// that is required.
func (s *Server) Ready(p *Peer) bool { return p.registered && (p.key != nil || !s.auth) }

// AppendKeyInfoItem appends the entry of KEYINFO for host uid, which must be Ready. src is
// the source UID and ctr the counter of that KEYINFO.
func (s *Server) AppendKeyInfoItem(b []byte, p *Peer, uid, src wire.UID, ctr uint64) []byte {
	if !s.Ready(p) {
		panic("handshake: KEYINFO for a host that is not ready")
	}
	var entry [EntryLen]byte
	return wire.AppendKeyInfoItem(b, uid, s.suite.AppendGroupMaster(entry[:0], &p.keys, src, ctr, &s.groupMaster))
}

// CheckAck compares the verify data of a KEYINFO_ACK. It fails with [ErrVerify],
// and with [ErrNotRegistered] for a host that is not Ready.
func (s *Server) CheckAck(p *Peer, verify []byte) error {
	if !s.Ready(p) {
		return ErrNotRegistered
	}
	if !p.verified {
		var blob []byte
		if p.key != nil {
			blob = p.key.AppendBlob(nil)
		}
		p.verify = s.suite.VerifyData(p.transcript, blob, s.groupMaster[:])
		p.verified = true
	}
	if subtle.ConstantTimeCompare(p.verify[:], verify) != 1 {
		return ErrVerify
	}
	return nil
}

// Suite returns the algorithms of the session.
func (s *Server) Suite() Suite { return s.suite }

// ClientAuth reports whether receivers must show and use a key.
func (s *Server) ClientAuth() bool { return s.auth }

// Group returns the keys of the session's packets. The server keeps them and wipes them in
// Wipe.
func (s *Server) Group() *KeyBlock { return &s.group }

// GroupMaster returns the secret from which all keys of the session come, for a key log.
func (s *Server) GroupMaster() [MasterLen]byte { return s.groupMaster }

// Random returns the server random.
func (s *Server) Random() [wire.RandomLen]byte { return s.random }

// Key returns the long-term key, which signs packets with wire.SigKeyExch.
func (s *Server) Key() *identity.PrivateKey { return s.key }

// Wipe clears the secrets of the session, but not the keys of the configuration. The
// server must not be used afterwards.
func (s *Server) Wipe() {
	clear(s.groupMaster[:])
	s.group.Wipe()
	if s.ecdhMade {
		s.ecdh.Wipe()
	}
}

// Registered reports whether a REGISTER was taken.
func (p *Peer) Registered() bool { return p.registered }

// Key returns the key that the host has shown, nil if none. It verifies the host's packets
// with wire.SigKeyExch.
func (p *Peer) Key() *identity.PublicKey { return p.key }

// Forget clears what only the handshake needs. Key stays, for the host's packets.
func (p *Peer) Forget() {
	key := p.key
	p.Wipe()
	p.key = key
}

// Wipe clears the secrets and makes p a host that has not registered.
func (p *Peer) Wipe() {
	clear(p.transcript)
	p.keys.Wipe()
	*p = Peer{}
}

// digest returns the digest of data with the session hash.
func (s Suite) digest(data []byte) []byte {
	h := s.HashFunc().New()
	h.Write(data)
	return h.Sum(nil)
}
