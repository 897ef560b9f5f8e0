package main

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"uftp/crypto/aead"
	"uftp/crypto/handshake"
	"uftp/crypto/identity"
	"uftp/engine/dialect"
	"uftp/tools/internal/session"
	"uftp/wire"
)

// agent answers our sender in the place of a captured receiver of an encrypted session.
// It takes part in the handshake, with the captured numbers if they are known, and seals
// the captured answers with the keys that our sender gives it.
type agent struct {
	client  *handshake.Client
	sealer  *aead.Sealer
	counter aead.Counter
}

func (x *role) proofOf(u wire.UID) *proof {
	if x.proofs[u] == nil {
		x.proofs[u] = new(proof)
	}
	return x.proofs[u]
}

// agreed reads a message of the captured sender that belongs to the handshake.
func (x *role) agreed(m *session.Message) {
	if !x.s.Encrypted {
		return
	}
	switch m.Head.Func {
	case wire.FuncAnnounce:
		a, err := wire.ParseAnnounce(m.Head.Version, m.Msg)
		if err != nil || !a.HasEnc {
			return
		}
		if x.offer == nil {
			x.offer = newOffer(x.s, &a)
		}
		x.want.offer(offerText(m.Payload, &a.Enc, x.ring.speaksFor(x.offer)))
	case wire.FuncKeyInfo:
		k, err := wire.ParseKeyInfo(m.Head.Version, m.Msg)
		if err != nil || x.offer == nil {
			return
		}
		if !x.offer.hasMaster {
			x.offer.master, x.offer.hasMaster = m.Session.GroupMaster()
		}
		for i := range k.Len() {
			u, entry := k.At(i)
			x.proofOf(u).prove(x.offer, &x.ring, m.Head.Src, k.Counter, entry)
			x.want.key(u, "")
		}
	}
}

// offerText returns the part of ENC_INFO that must be equal: every field if the keys are
// the captured ones, else their kinds.
func offerText(pkt []byte, e *wire.EncInfo, exact bool) string {
	text := fmt.Sprintf("suite=%v client_auth=%v", handshake.SuiteOf(e), e.Flags&wire.EncClientAuth != 0)
	show := keyText
	if exact {
		show = func(blob []byte) string { return fmt.Sprintf("%x", blob) }
	}
	text += fmt.Sprintf(" random=%x public_key=%s", e.Random, show(e.PublicKey))
	if len(e.ECDH) > 0 {
		state := "right"
		if k, err := identity.ParsePublicKey(e.PublicKey); err != nil || handshake.CheckAnnounce(pkt, k) != nil {
			state = "wrong"
		}
		text += fmt.Sprintf(" ecdh_key=%s signature=%d bytes, %s", show(e.ECDH), len(e.Signature), state)
	}
	return text
}

// secure gives our sender the keys for an encrypted session: those of the captured sender
// as far as they are known, and others of the same kind in the place of the rest.
func (x *role) secure() error {
	if !x.s.Encrypted || x.offer == nil {
		return nil
	}
	server, err := x.offer.newServer(&x.ring)
	if err != nil {
		return err
	}
	if x.cfg.Dialect, err = dialect.NewServer(wire.Version4, server); err != nil {
		return err
	}
	var peer func(wire.UID) aead.Verifier
	if x.s.Suite.SigType == wire.SigKeyExch {
		peer = func(wire.UID) aead.Verifier { return server.Key().Public() }
	}
	x.opener, err = aead.NewOpener(groupKeys(x.s.Suite, server.Group()), peer)
	return err
}

// heardByAgents passes a message of our sender's handshake to the agents.
func (x *role) heardByAgents(h wire.Header, msg, pkt []byte) {
	if !x.cfg.Dialect.Encrypted() {
		return
	}
	switch h.Func {
	case wire.FuncAnnounce:
		a, err := wire.ParseAnnounce(h.Version, msg)
		if err != nil || !a.HasEnc {
			return
		}
		x.got.offer(offerText(pkt, &a.Enc, x.ring.speaksFor(x.offer)))
		for u, p := range x.proofs {
			if x.agents[u] == nil && p.random != nil {
				x.agents[u] = x.newAgent(p, pkt)
			}
		}
	case wire.FuncKeyInfo:
		k, err := wire.ParseKeyInfo(h.Version, msg)
		if err != nil {
			return
		}
		for i := range k.Len() {
			u, entry := k.At(i)
			wrong := ""
			if err := x.agents[u].keys(x, h.Src, k.Counter, entry); err != nil {
				wrong = fmt.Sprintf(" (%v)", err)
			}
			x.got.key(u, wrong)
			if ack, ok := x.acks[u]; ok {
				x.reply(ack, 0)
			}
		}
	}
}

// newAgent returns the agent of a receiver that has got the ANNOUNCE; nil if it cannot
// register.
func (x *role) newAgent(p *proof, pkt []byte) *agent {
	c := handshake.ClientConfig{RSABitsMax: substituteBitsMax, Rand: rand.NewChaCha8([32]byte{1})}
	if p.whole && x.ring.speaksFor(x.offer) {
		c.Rand = &script{next: slices.Concat(p.random, p.secret), rest: c.Rand}
	}
	if p.clientKey != nil {
		if k, err := x.ring.like(p.clientKey); err == nil {
			c.Keys = []*identity.PrivateKey{k}
		}
	}
	client, err := handshake.NewClient(pkt, c)
	if err != nil {
		return nil
	}
	return &agent{client: client, counter: aead.NewCounter(1)}
}

// keys reads an entry of KEYINFO.
func (a *agent) keys(x *role, src wire.UID, counter uint64, entry []byte) error {
	switch {
	case a == nil:
		return handshake.ErrNotRegistered
	case a.sealer != nil:
		return nil
	}
	if err := a.client.OpenKeyInfo(src, counter, entry); err != nil {
		return err
	}
	if x.offer.hasMaster && a.client.GroupMaster() != x.offer.master {
		return handshake.ErrGroupMaster
	}
	suite := a.client.Suite()
	var signer aead.Signer
	sigLen := 0
	if suite.SigType == wire.SigKeyExch {
		signer, sigLen = a.client.Key(), a.client.Key().Public().SignatureLen()
	}
	var err error
	a.sealer, err = aead.NewSealer(groupKeys(suite, a.client.Group()), signer, sigLen)
	return err
}

// say returns the datagram in which this host sends what the captured one sent, nil if it
// cannot.
func (a *agent) say(h wire.Header, msg []byte, sealed bool) []byte {
	switch {
	case a == nil:
		if sealed || inHandshake(h.Func) {
			return nil
		}
		return append(h.Append(nil), msg...)
	case h.Func == wire.FuncRegister:
		m, err := wire.ParseRegister(h.Version, msg)
		if err != nil {
			return nil
		}
		random := a.client.Random()
		m.Random = random[:]
		if m.KeyInfo, err = a.client.AppendRegisterKeyInfo(nil); err != nil {
			return nil // it has the keys: this is a late repetition
		}
		return m.Append(h.Version, h.Append(nil))
	case h.Func == wire.FuncClientKey:
		m, err := a.client.ClientKey()
		if err != nil {
			return nil
		}
		return m.Append(h.Append(nil))
	case h.Func == wire.FuncKeyInfoAck:
		verify, err := a.client.Ack()
		if err != nil {
			return nil
		}
		m := wire.KeyInfoAck{Verify: verify[:]}
		msg = m.Append(h.Version, nil)
	}
	if !sealed {
		return append(h.Append(nil), msg...)
	}
	if a.sealer == nil {
		return nil
	}
	counter, err := a.counter.Take(1)
	if err != nil {
		return nil
	}
	return seal(a.sealer, h, msg, counter)
}

// depth says how the handshakes were compared.
func (x *role) depth() string {
	if !x.cfg.Dialect.Encrypted() {
		return ""
	}
	whole, other := 0, 0
	for _, p := range x.proofs {
		switch {
		case p.random == nil:
		case p.whole && x.ring.speaksFor(x.offer):
			whole++
		default:
			other++
		}
	}
	switch {
	case other == 0:
		return "; handshake with the captured numbers"
	case whole == 0:
		return "; handshake in structure"
	}
	return "; handshakes some with the captured numbers, some in structure"
}
