package main

import (
	"bytes"
	"fmt"

	"uftp/crypto/aead"
	"uftp/crypto/handshake"
	"uftp/tools/internal/session"
	"uftp/wire"
)

// voice plays the captured sender of an encrypted session to a receiver that draws random
// numbers of its own, so KEYINFO must be made for it. Server random and group master are
// the captured ones, so sealed messages stay as they are. Signatures are made by a key of
// the same kind and size, unless the private keys of the sender are known.
type voice struct {
	server *handshake.Server
	anew   bool // ANNOUNCE needs another signature
	opener *aead.Opener
	sealer *aead.Sealer // nil if sealed messages stay as they are
	peers  map[wire.UID]*handshake.Peer
}

// newVoice makes the voice of a session; keys are the known private keys.
func newVoice(o *offer, keys *keyRing) (*voice, error) {
	server, err := o.newServer(keys)
	if err != nil {
		return nil, err
	}
	v := &voice{server: server, anew: !keys.speaksFor(o), peers: map[wire.UID]*handshake.Peer{}}
	suite, key := server.Suite(), server.Key()
	k := groupKeys(suite, server.Group())
	var peer func(wire.UID) aead.Verifier
	if suite.SigType == wire.SigKeyExch {
		peer = func(u wire.UID) aead.Verifier {
			if p := v.peers[u]; p != nil && p.Key() != nil {
				return p.Key()
			}
			return nil
		}
		if keys.find(o.enc.PublicKey) == nil {
			if v.sealer, err = aead.NewSealer(k, key, key.Public().SignatureLen()); err != nil {
				return nil, fmt.Errorf("%w: %w", errNoServer, err)
			}
		}
	}
	if v.opener, err = aead.NewOpener(k, peer); err != nil {
		return nil, fmt.Errorf("%w: %w", errNoServer, err)
	}
	return v, nil
}

// say returns the datagram to send in the place of m, nil if there is none: KEYINFO for
// hosts that have not registered here.
func (v *voice) say(m *session.Message) []byte {
	h := m.Head
	switch {
	case h.Func == wire.FuncAnnounce && v.anew:
		a, err := wire.ParseAnnounce(m.Head.Version, m.Msg)
		if err != nil {
			return nil
		}
		a.Enc = v.server.EncInfo()
		pkt := a.Append(h.Version, h.Append(nil))
		if v.server.SignAnnounce(pkt) != nil {
			return nil
		}
		return pkt
	case h.Func == wire.FuncKeyInfo:
		k, err := wire.ParseKeyInfo(m.Head.Version, m.Msg)
		if err != nil {
			return nil
		}
		own := wire.KeyInfo{Counter: k.Counter}
		for i := range k.Len() {
			u, _ := k.At(i)
			if p := v.peers[u]; p != nil && v.server.Ready(p) {
				own.Items = v.server.AppendKeyInfoItem(own.Items, p, u, h.Src, k.Counter)
			}
		}
		if len(own.Items) == 0 {
			return nil
		}
		return own.Append(h.Version, h.Append(nil))
	case m.Sealed && v.sealer != nil:
		return seal(v.sealer, h, m.Msg, m.Counter)
	}
	return bytes.Clone(m.Payload)
}

// open opens a message that a receiver has sealed.
func (v *voice) open(pkt []byte) ([]byte, error) {
	msg, _, err := v.opener.Open(bytes.Clone(pkt))
	if err == nil && len(msg) == 0 {
		err = wire.ErrShort
	}
	return msg, err
}

// hear reads a receiver's message of the handshake, and fails if it is wrong.
func (v *voice) hear(src wire.UID, msg []byte) error {
	p := v.peers[src]
	if p == nil {
		p = new(handshake.Peer)
		v.peers[src] = p
	}
	switch wire.Func(msg[0]) {
	case wire.FuncRegister:
		r, err := wire.ParseRegister(wire.Version4, msg)
		if err != nil {
			return err
		}
		if err = v.server.Register(p, r.Random, r.KeyInfo); err == handshake.ErrOtherRandom {
			p.Wipe()
			err = v.server.Register(p, r.Random, r.KeyInfo)
		}
		return err
	case wire.FuncClientKey:
		k, err := wire.ParseClientKey(msg)
		if err != nil {
			return err
		}
		return v.server.ClientKey(p, k, nil)
	case wire.FuncKeyInfoAck:
		k, err := wire.ParseKeyInfoAck(wire.Version4, msg)
		if err != nil {
			return err
		}
		return v.server.CheckAck(p, k.Verify)
	}
	return nil
}
