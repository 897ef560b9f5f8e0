package receiver

import (
	"crypto"
	"net/netip"
	"time"

	"uftp/crypto/handshake"
	"uftp/crypto/identity"
	"uftp/engine/clock"
	"uftp/wire"
)

// sendersOwn reports whether a message that came sealed can be one of a sender.
// All have the same keys, and sender and receiver of one host the same UID, so a
// packet of ours that somebody sends back opens too. ABORT goes both ways: echo
// tells which one it is.
func sendersOwn(msg []byte, echo bool) bool {
	if len(msg) < wire.MinDatagram-wire.HeaderLen {
		return false
	}
	switch wire.Func(msg[0]) {
	case wire.FuncRegConf, wire.FuncFileInfo, wire.FuncFileSeg, wire.FuncDone, wire.FuncDoneConf, wire.FuncCongCtrl:
		return true
	case wire.FuncAbort:
		return !echo
	}
	return false
}

// echo reports whether a packet that came may be one of ours: receivers have no
// round trip time to tell, and senders always have.
func (r *Receiver) echo(h wire.Header) bool { return h.Src == r.cfg.UID && h.GRTT == 0 }

// wellFormed reports whether a message that passed sendersOwn is as a sender makes
// it. Of messages that wrong keys make up, about one in 100,000 is.
func wellFormed(msg []byte) bool {
	header := 4 * int(msg[1])
	hosts := (len(msg)-header)%4 == 0
	switch wire.Func(msg[0]) {
	case wire.FuncFileInfo:
		x, err := wire.ParseFileInfo(wire.Version4, msg)
		return err == nil && hosts && len(x.Name) > 0
	case wire.FuncFileSeg:
		return header == wire.FileSegLen && len(msg) > header
	case wire.FuncDone:
		return header == 8 && hosts && len(msg) >= header
	case wire.FuncRegConf, wire.FuncDoneConf:
		return header == 4 && hosts
	case wire.FuncCongCtrl:
		return header == 16 && hosts && len(msg) >= header
	case wire.FuncAbort:
		return header == len(msg) && header == 8+wire.AbortTextLen
	}
	return false
}

// verifier verifies the sender's signatures, once a packet whatever the number of
// keys it is tried with, and limits the time that goes into those that come to
// nothing: anybody can make us verify rubbish. What is good costs no budget.
type verifier struct {
	key  *identity.PublicKey
	cost time.Duration // of one verification

	done bool // the packet under way was verified, with this outcome
	err  error

	near budget // of failures
	far  budget // of those from other addresses than the session's, which count twice
}

const (
	nearFailShare = 5 // one part in so many of the time, for all sessions together
	farFailShare  = 20
)

func newVerifier(now clock.Time, client *handshake.Client) *verifier {
	c := &verifier{key: client.ServerKey(), cost: time.Duration(client.VerifyCostUs()) * time.Microsecond}
	c.near.start(now)
	c.far.start(now)
	return c
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

// may reports whether there is time for one more packet that may come to nothing.
func (c *verifier) may(now clock.Time, near bool, sessions int) bool {
	c.near.refill(now, nearFailShare*sessions)
	c.far.refill(now, farFailShare*sessions)
	return c.near.left > 0 && (near || c.far.left > 0)
}

// failed books the packet that begin began.
func (c *verifier) failed(near bool) {
	if !c.done {
		return
	}
	c.near.left -= c.cost
	if !near {
		c.far.left -= c.cost
	}
}

// mayOpen reports whether there is time to open a packet of a session.
func (r *Receiver) mayOpen(now clock.Time, from netip.AddrPort, s *session) bool {
	return s.sec.signed == nil || s.sec.signed.may(now, s.sentFrom(from), r.sessions)
}
