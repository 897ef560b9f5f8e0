package main

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"

	"uftp/crypto/aead"
	"uftp/crypto/handshake"
	"uftp/crypto/identity"
	"uftp/tools/internal/session"
	"uftp/wire"
)

// substituteBitsMax is the size of the largest RSA key that we make in the place of an
// unknown one.
const substituteBitsMax = 4096

// keyRing finds private keys by their public halves, and makes keys of the same kind in
// the place of unknown ones.
type keyRing struct {
	known []*identity.PrivateKey
	made  map[identity.Spec]*identity.PrivateKey
}

// find returns the private key of a blob, nil if it is not known.
func (k *keyRing) find(blob []byte) *identity.PrivateKey {
	for _, p := range k.known {
		if bytes.Equal(p.Public().AppendBlob(nil), blob) {
			return p
		}
	}
	return nil
}

// like returns the private key of a blob, or one of the same kind and size.
func (k *keyRing) like(blob []byte) (*identity.PrivateKey, error) {
	if p := k.find(blob); p != nil {
		return p, nil
	}
	p, err := identity.ParsePublicKey(blob)
	if err != nil {
		return nil, err
	}
	spec := identity.Spec{Kind: p.Kind(), Curve: p.Curve(), Bits: p.Bits()}
	if spec.Kind == identity.EC {
		spec.Bits = 0
	} else if spec.Bits > substituteBitsMax {
		return nil, errNoServer
	}
	if k.made == nil {
		k.made = map[identity.Spec]*identity.PrivateKey{}
	}
	if k.made[spec] == nil {
		if k.made[spec], err = identity.Generate(spec); err != nil {
			return nil, err
		}
	}
	return k.made[spec], nil
}

// offer is what is known of an encrypted session by its ANNOUNCE and the private keys.
type offer struct {
	id        session.ID
	sender    wire.UID
	from      netip.Addr // of the sender
	private   netip.Addr
	enc       wire.EncInfo
	master    [handshake.MasterLen]byte
	hasMaster bool
}

func newOffer(s *session.Session, a *wire.Announce) *offer {
	o := &offer{id: s.ID, sender: s.Sender, from: s.From.Addr(), private: a.Private, enc: a.Enc}
	for _, b := range []*[]byte{&o.enc.Random, &o.enc.PublicKey, &o.enc.ECDH, &o.enc.Signature} {
		*b = bytes.Clone(*b)
	}
	return o
}

// speaksFor reports whether the private keys of the sender are known, so that we can sign
// an ANNOUNCE of our own.
func (k *keyRing) speaksFor(o *offer) bool {
	return k.find(o.enc.PublicKey) != nil && (len(o.enc.ECDH) == 0 || k.find(o.enc.ECDH) != nil)
}

// errNoServer says that the sender's keys are of a kind that we cannot replace.
var errNoServer = errors.New("keys of the sender cannot be replaced")

// newServer makes the sender's side of the handshake. Random number and group master are
// the captured ones; so are the keys that are known, and the others are new ones of the
// same kind. Without a group master no sealed message can be played.
func (o *offer) newServer(keys *keyRing) (*handshake.Server, error) {
	if len(o.enc.Random) != wire.RandomLen {
		return nil, errNoServer
	}
	key, err := keys.like(o.enc.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoServer, err)
	}
	c := handshake.ServerConfig{
		Suite: handshake.SuiteOf(&o.enc), ClientAuth: o.enc.Flags&wire.EncClientAuth != 0,
		Session: handshake.Session{Group: o.id.Group, Private: o.private},
		Key:     key, RSABitsMax: substituteBitsMax, Rand: rand.Reader,
		Random: (*[wire.RandomLen]byte)(o.enc.Random),
	}
	if o.hasMaster {
		c.GroupMaster = &o.master
	}
	if c.Suite.ECDH() {
		if c.ECDH, err = keys.like(o.enc.ECDH); err != nil {
			return nil, fmt.Errorf("%w: %w", errNoServer, err)
		}
	}
	server, err := handshake.NewServer(c)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoServer, err)
	}
	return server, nil
}

// groupKeys returns the keys of a session in the form of package aead.
func groupKeys(s handshake.Suite, group *handshake.KeyBlock) aead.Keys {
	k := aead.Keys{Cipher: s.Cipher, SigType: s.SigType, Hash: s.Hash, Key: group.Key, Salt: group.Salt}
	if s.SigType == wire.SigHMAC {
		k.HMACKey = group.HMACKey
	}
	return k
}

// seal makes the datagram of a message, nil if it cannot be sealed.
func seal(s *aead.Sealer, h wire.Header, msg []byte, counter uint64) []byte {
	pkt := make([]byte, s.Size(len(msg)))
	h.Append(pkt[:0])
	copy(pkt[s.Lead():], msg)
	n, err := s.Seal(pkt, len(msg), counter)
	if err != nil {
		return nil
	}
	return pkt[:n]
}
