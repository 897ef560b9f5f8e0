package dialect

import (
	"crypto"

	"uftp/crypto/identity"
	"uftp/wire"
)

// bySender reports whether a sealed message can be from a sender. All members have the same keys, and
// sender and receiver of one host have the same UID. So a packet of ours that somebody sends back
// opens, too. ABORT goes both ways: echo says that the packet may be one of ours.
func bySender(msg []byte, echo bool) bool {
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

// wellFormed reports whether a message that passed bySender has the form that senders give it. Wrong
// keys produce such a message about once in 100,000 packets.
func wellFormed(msg []byte) bool {
	header := 4 * int(msg[1])
	hosts := (len(msg)-header)%4 == 0
	switch wire.Func(msg[0]) {
	case wire.FuncFileInfo:
		x, err := wire.ParseFileInfo(wire.Version4, msg)
		return err == nil && hosts && len(x.Name) > 0
	case wire.FuncFileSeg:
		x, err := wire.ParseFileSeg(msg)
		return err == nil && header == wire.DataHeaderLen(x.HasCC) && len(msg) > header
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

// verifier verifies signatures, once a packet however often the packet is opened.
type verifier struct {
	key  *identity.PublicKey
	done bool // the packet was verified, with this outcome
	err  error
}

// begin begins a packet that was signed with key.
func (v *verifier) begin(key *identity.PublicKey) { v.key, v.done = key, false }

// SignatureLen is for package aead.
func (v *verifier) SignatureLen() int { return v.key.SignatureLen() }

// Verify is for package aead. It keeps its outcome until the next begin.
func (v *verifier) Verify(h crypto.Hash, digest, sig []byte) error {
	if !v.done {
		v.err = v.key.Verify(h, digest, sig)
		v.done = true
	}
	return v.err
}
