package main

import (
	"bytes"
	"crypto/sha1"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"

	"uftp/crypto/handshake"
	"uftp/crypto/identity"
	"uftp/wire"
)

// proof is how a captured host came to the keys of a session. It is whole when the known
// private material leads to the captured KEYINFO: then a machine with the same random
// numbers must send the same bytes.
type proof struct {
	random    []byte
	keyInfo   []byte
	clientKey []byte // blob of CLIENT_KEY, nil if there was none

	whole      bool
	premaster  []byte
	secret     []byte // what the random number generator gave after the client random
	transcript []byte
}

// heard reads a message of the host.
func (p *proof) heard(msg []byte) {
	switch wire.Func(msg[0]) {
	case wire.FuncRegister:
		if r, err := wire.ParseRegister(wire.Version4, msg); err == nil && p.random == nil {
			p.random, p.keyInfo = bytes.Clone(r.Random), bytes.Clone(r.KeyInfo)
		}
	case wire.FuncClientKey:
		if k, err := wire.ParseClientKey(msg); err == nil && p.clientKey == nil {
			p.clientKey = bytes.Clone(k.PublicKey)
		}
	}
}

// premasterOf opens the premaster in a REGISTER; secret is what the host drew.
func premasterOf(o *offer, keys *keyRing, keyInfo []byte) (premaster, secret []byte, ok bool) {
	if len(o.enc.ECDH) == 0 {
		for _, k := range keys.known {
			var b [handshake.PremasterRSALen]byte
			if k.DecryptPremaster(keyInfo, b[:]) == nil {
				return b[:], b[:], true
			}
		}
		return nil, nil, false
	}
	own := keys.find(keyInfo)
	peer, err := identity.ParsePublicKey(o.enc.ECDH)
	if own == nil || err != nil {
		return nil, nil, false
	}
	x, err := own.Shared(peer)
	if err != nil {
		return nil, nil, false
	}
	if secret, err = scalarOf(own); err != nil {
		return nil, nil, false
	}
	sum := sha1.Sum(x) // docs/protocol.md, "Handshake"
	return sum[:], secret, true
}

// prove tries the known keys on an entry of KEYINFO for the host.
func (p *proof) prove(o *offer, keys *keyRing, src wire.UID, counter uint64, entry []byte) {
	if p.whole || p.random == nil || p.clientKey != nil && keys.find(p.clientKey) == nil {
		return
	}
	premaster, secret, ok := premasterOf(o, keys, p.keyInfo)
	suite := handshake.SuiteOf(&o.enc)
	if !ok || suite.Check() != nil || len(p.random) != wire.RandomLen {
		return
	}
	master := suite.Master(premaster, o.enc.Random, p.random)
	block := suite.ClientKeys(master[:], o.enc.Random, p.random)
	got, err := suite.OpenGroupMaster(&block, src, counter, entry)
	if err != nil || !o.hasMaster || got != o.master {
		return
	}
	p.whole, p.premaster, p.secret = true, premaster, secret
	p.transcript = handshake.Session{Group: o.id.Group, Private: o.private}.Transcript(o.enc.Random, p.random, premaster)
}

// script is a source of randomness that begins with given bytes.
type script struct {
	next []byte
	rest io.Reader
}

func (s *script) Read(b []byte) (int, error) {
	if len(s.next) > 0 {
		n := copy(b, s.next)
		s.next = s.next[n:]
		return n, nil
	}
	return s.rest.Read(b)
}

// errSignature says that CLIENT_KEY is not signed by its key.
var errSignature = errors.New("signature wrong")

// handshakeText returns the part of a message of the handshake that must be equal: with a
// whole proof every field, or its content where the bytes differ each time; without one
// kinds and lengths. wrong is the error that the other side has found in it.
func handshakeText(msg []byte, o *offer, p *proof, keys *keyRing, wrong error) string {
	f := wire.Func(msg[0])
	text := ""
	switch f {
	case wire.FuncRegister:
		r, err := wire.ParseRegister(wire.Version4, msg)
		if err != nil {
			return fmt.Sprintf("%v: %v", f, err)
		}
		text = fmt.Sprintf("random=%d bytes key_info=%s", len(r.Random), exchangeText(o, r.KeyInfo))
		if p.whole {
			text = fmt.Sprintf("random=%x key_info=%x", r.Random, r.KeyInfo)
			if len(o.enc.ECDH) == 0 { // encrypted differently each time
				premaster, _, _ := premasterOf(o, keys, r.KeyInfo)
				text = fmt.Sprintf("random=%x premaster=%x", r.Random, premaster)
			}
		}
	case wire.FuncClientKey:
		k, err := wire.ParseClientKey(msg)
		if err != nil {
			return fmt.Sprintf("%v: %v", f, err)
		}
		text = fmt.Sprintf("public_key=%s signature=%d bytes", keyText(k.PublicKey), len(k.Signature))
		if p.whole {
			text = fmt.Sprintf("public_key=%x signature=%d bytes", k.PublicKey, len(k.Signature))
			wrong = checkSignature(o, p, &k)
		}
	case wire.FuncKeyInfoAck:
		k, err := wire.ParseKeyInfoAck(wire.Version4, msg)
		if err != nil {
			return fmt.Sprintf("%v: %v", f, err)
		}
		text = fmt.Sprintf("verify=%d bytes", len(k.Verify))
		if p.whole {
			text = "verify=" + hex.EncodeToString(k.Verify)
		}
	}
	if wrong != nil {
		text += fmt.Sprintf(" (%v)", wrong)
	}
	return fmt.Sprintf("%v %s", f, text)
}

// checkSignature verifies the signature in CLIENT_KEY. It cannot be compared: ECDSA makes
// another one each time.
func checkSignature(o *offer, p *proof, k *wire.ClientKey) error {
	key, err := identity.ParsePublicKey(k.PublicKey)
	if err != nil {
		return err
	}
	h := handshake.SuiteOf(&o.enc).HashFunc()
	sum := h.New()
	sum.Write(p.transcript)
	if key.Verify(h, sum.Sum(nil), k.Signature) != nil {
		return errSignature
	}
	return nil
}

// exchangeText names the kind of key information.
func exchangeText(o *offer, info []byte) string {
	if len(o.enc.ECDH) == 0 {
		return fmt.Sprintf("premaster in %d bytes", len(info))
	}
	return keyText(info)
}

// keyText names the kind and size of a public key.
func keyText(blob []byte) string {
	k, err := identity.ParsePublicKey(blob)
	if err != nil {
		return fmt.Sprintf("%d bytes, %v", len(blob), err)
	}
	if k.Kind() == identity.RSA {
		return fmt.Sprintf("RSA of %d bits", k.Bits())
	}
	return fmt.Sprintf("EC on %v", k.Curve())
}

// scalarOf returns the secret number of an EC key, as long as a coordinate.
func scalarOf(k *identity.PrivateKey) ([]byte, error) {
	text, err := k.MarshalPEM()
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	var der struct {
		Version int
		Key     []byte
		Curve   asn1.RawValue
		Public  asn1.RawValue
	}
	if _, err := asn1.Unmarshal(block.Bytes, &der); err != nil {
		return nil, err
	}
	return der.Key, nil
}
