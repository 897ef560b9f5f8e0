package session

import (
	"crypto"
	"errors"
	"slices"

	"uftp/crypto/aead"
	"uftp/crypto/handshake"
	"uftp/crypto/identity"
	"uftp/wire"
)

// Why a sealed message stays closed.
var (
	ErrNoKeys  = errors.New("sealed, no keys for this session")
	ErrNotOpen = errors.New("sealed, not authentic with the keys given")
)

// opener opens messages with one set of keys.
type opener struct {
	*aead.Opener
	of secret
}

// vault opens the sealed messages of a session.
type vault struct {
	private []*identity.PrivateKey

	suite     handshake.Suite
	random    []byte // of the server
	clients   map[wire.UID]handshake.KeyBlock
	peers     map[wire.UID][]*identity.PublicKey
	openers   []opener
	sigLen    int  // of the message being opened
	unchecked bool // its signature was not checked
}

func (v *vault) addPeer(src wire.UID, blob []byte) {
	if v.peers == nil {
		v.peers = map[wire.UID][]*identity.PublicKey{}
	}
	list := v.peers[src]
	if len(list) >= keysPerPeer || len(list) == 0 && len(v.peers) >= peersMax {
		return
	}
	k, err := identity.ParsePublicKey(blob)
	if err != nil || slices.ContainsFunc(list, k.Equal) {
		return
	}
	v.peers[src] = append(list, k)
}

func (v *vault) announced(src wire.UID, e *wire.EncInfo) {
	if v.random == nil {
		v.suite, v.random = handshake.SuiteOf(e), slices.Clone(e.Random)
	}
	if v.suite.SigType == wire.SigKeyExch {
		v.addPeer(src, e.PublicKey)
	}
}

// add derives the keys of the session from a group master.
func (v *vault) add(s secret) {
	if slices.ContainsFunc(v.openers, func(o opener) bool { return o.of == s }) {
		return
	}
	keys := s.suite.GroupKeys(s.groupMaster[:], s.serverRandom[:])
	var peer func(wire.UID) aead.Verifier
	if s.suite.SigType == wire.SigKeyExch {
		peer = func(u wire.UID) aead.Verifier { return &anyOf{v, v.peers[u]} }
	}
	o, err := aead.NewOpener(aead.Keys{
		Cipher: s.suite.Cipher, SigType: s.suite.SigType, Hash: s.suite.Hash,
		Key: keys.Key, Salt: keys.Salt, HMACKey: keys.HMACKey,
	}, peer)
	if err == nil {
		v.openers = append(v.openers, opener{o, s})
	}
}

// anyOf verifies with any of the keys that a host has shown in the capture; behind proxies
// there may be two. A host without a usable key is not checked.
type anyOf struct {
	v    *vault
	keys []*identity.PublicKey
}

func (a *anyOf) SignatureLen() int { return a.v.sigLen }

func (a *anyOf) Verify(h crypto.Hash, digest, sig []byte) error {
	if len(a.keys) == 0 {
		a.v.unchecked = true
		return nil
	}
	err := identity.ErrSignature
	for _, k := range a.keys {
		if k.SignatureLen() == len(sig) {
			if err = k.Verify(h, digest, sig); err == nil {
				return nil
			}
		}
	}
	return err
}

// open opens a sealed datagram and does not change it.
func (v *vault) open(pkt []byte, x *wire.Encrypted) (msg []byte, unchecked bool, err error) {
	if len(v.openers) == 0 {
		return nil, false, ErrNoKeys
	}
	for i, o := range v.openers {
		v.sigLen, v.unchecked = len(x.Signature), false
		msg, _, err := o.Open(slices.Clone(pkt))
		if err == nil && len(msg) > 0 {
			v.openers[0], v.openers[i] = o, v.openers[0]
			return msg, v.unchecked, nil
		}
	}
	return nil, false, ErrNotOpen
}

// register tries the private keys on the premaster of a REGISTER.
func (v *vault) register(src wire.UID, x *wire.Register) {
	if v.random == nil || v.suite.KeyExch != wire.KeyExchRSA || len(v.private) == 0 || len(v.clients) >= peersMax {
		return
	}
	for _, k := range v.private {
		var premaster [handshake.PremasterRSALen]byte
		if k.DecryptPremaster(x.KeyInfo, premaster[:]) != nil {
			continue
		}
		if v.clients == nil {
			v.clients = map[wire.UID]handshake.KeyBlock{}
		}
		master := v.suite.Master(premaster[:], v.random, x.Random)
		v.clients[src] = v.suite.ClientKeys(master[:], v.random, x.Random)
		return
	}
}

// keyInfo opens the group master with the keys of any client it is listed for.
func (v *vault) keyInfo(src wire.UID, x *wire.KeyInfo) {
	for i := range x.Len() {
		uid, entry := x.At(i)
		keys, ok := v.clients[uid]
		if !ok || len(v.openers) >= keysPerPeer {
			continue
		}
		master, err := v.suite.OpenGroupMaster(&keys, src, x.Counter, entry)
		if err != nil {
			continue
		}
		s := secret{suite: v.suite, groupMaster: master}
		copy(s.serverRandom[:], v.random)
		v.add(s)
		return
	}
}
