package handshake

import (
	"crypto"
	"errors"

	"uftp/crypto/identity"
	"uftp/wire"
)

// ErrClear reports an ANNOUNCE of a session in clear.
var ErrClear = errors.New("handshake: ANNOUNCE offers no encryption")

// Fixed parts of messages, bytes (docs/protocol.md, "ANNOUNCE", "ENC_INFO",
// "CLIENT_KEY").
const (
	announceFixed  = wire.HeaderLen + 16 // of the datagram, before the addresses
	encInfoFixed   = 12 + wire.RandomLen
	clientKeyFixed = 8
	headerMax      = 255 * 4 // longest message header
)

// offer is a whole ANNOUNCE with ENC_INFO, taken apart.
type offer struct {
	session   Session
	flags     uint8
	enc       wire.EncInfo
	pkt       []byte
	signature int // its offset in pkt
}

// parseOffer parses a whole UDP payload. Besides [ErrClear] it returns errors of
// wire.ParseHeader and wire.ParseAnnounce.
func parseOffer(pkt []byte) (o offer, err error) {
	h, msg, err := wire.ParseHeader(pkt)
	if err != nil {
		return o, err
	}
	ann, err := wire.ParseAnnounce(h.Version, msg)
	if err != nil {
		return o, err
	}
	if !ann.HasEnc {
		return o, ErrClear
	}
	at := announceFixed + 8
	if ann.Flags&wire.AnnounceIPv6 != 0 {
		at = announceFixed + 32
	}
	at += encInfoFixed + len(ann.Enc.PublicKey) + len(ann.Enc.ECDH)
	return offer{
		session:   Session{Group: h.Group, Private: ann.Private},
		flags:     ann.Flags,
		enc:       ann.Enc,
		pkt:       pkt,
		signature: at,
	}, nil
}

// zeros replaces a signature in the bytes that are signed.
var zeros [headerMax]byte

// digest returns the digest of the whole datagram with the signature zeroed.
func (o *offer) digest(h crypto.Hash) []byte {
	d := h.New()
	d.Write(o.pkt[:o.signature])
	d.Write(zeros[:len(o.enc.Signature)])
	d.Write(o.pkt[o.signature+len(o.enc.Signature):])
	return d.Sum(nil)
}

// CheckAnnounce verifies the signature of a whole ANNOUNCE datagram with the key of its
// sender (docs/protocol.md, "Signatures") and does not change the packet. ANNOUNCE has no
// signature with the RSA exchange, so that is [ErrSignature].
func CheckAnnounce(pkt []byte, key *identity.PublicKey) error {
	o, err := parseOffer(pkt)
	if err != nil {
		return err
	}
	s := SuiteOf(&o.enc)
	if err := s.Check(); err != nil {
		return err
	}
	if !s.ECDH() || key.Verify(s.HashFunc(), o.digest(s.HashFunc()), o.enc.Signature) != nil {
		return ErrSignature
	}
	return nil
}
