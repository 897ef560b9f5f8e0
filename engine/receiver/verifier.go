package receiver

import (
	"crypto"
	"net/netip"

	"uftp/crypto/handshake"
	"uftp/crypto/identity"
	"uftp/engine/cc"
	"uftp/engine/clock"
)

// verifier verifies the sender's signatures, once a packet whatever the number of
// keys it is tried with, and limits the time that goes into those that come to
// nothing: anybody can make us verify rubbish. What is good costs no budget.
type verifier struct {
	key  *identity.PublicKey
	cost int // of one verification, µs

	done bool // the packet under way was verified, with this outcome
	err  error

	failures    cc.Bucket
	farFailures cc.Bucket // those from other addresses than the session's, which count twice
}

func newVerifier(client *handshake.Client) *verifier {
	return &verifier{key: client.ServerKey(), cost: client.VerifyCostUs()}
}

// begin begins a packet.
func (c *verifier) begin() { c.done = false }

// SignatureLen is for package aead.
func (c *verifier) SignatureLen() int { return c.key.SignatureLen() }

// Verify is for package aead. Until begin is called it is about one packet.
func (c *verifier) Verify(h crypto.Hash, digest, sig []byte) error {
	if !c.done {
		c.err = c.key.Verify(h, digest, sig)
		c.done = true
	}
	return c.err
}

// allows reports whether there is time for one more packet that may come to nothing. The
// sessions share it.
func (c *verifier) allows(now clock.Time, near bool, sessions int) bool {
	setWork(&c.failures, max(1, failWork/int64(sessions)))
	setWork(&c.farFailures, max(1, farFailWork/int64(sessions)))
	return c.failures.Next(now) <= now && (near || c.farFailures.Next(now) <= now)
}

// bookFailure books the packet that begin began.
func (c *verifier) bookFailure(now clock.Time, near bool) {
	if !c.done {
		return
	}
	c.failures.Take(now, c.cost)
	if !near {
		c.farFailures.Take(now, c.cost)
	}
}

// mayOpen reports whether there is time to open a packet of a session.
func (s *session) mayOpen(now clock.Time, from netip.AddrPort) bool {
	return s.sec.signed == nil || s.sec.signed.allows(now, s.sentFrom(from), s.r.sessions)
}
