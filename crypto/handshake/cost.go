package handshake

import (
	"encoding/binary"

	"uftp/crypto/identity"
	"uftp/wire"
)

// Times of one operation in µs, measured on one core of 2.5 GHz and rounded up.
// They need only be right in proportion, for sharing time out.
const (
	costHashUs  = 15 // PRF and symmetric work of one message
	costRSAPub  = 35 // verify or encrypt, 2048 bits
	costRSAPriv = 900
)

// curveCostUs tells the time of ECDH (with reading the peer's point) and of a
// verification on a curve.
func curveCostUs(c identity.Curve) (ecdh, verify int) {
	switch c {
	case identity.P224:
		return 130, 180
	case identity.K256:
		return 105, 120
	case identity.P256:
		return 45, 60
	case identity.P384:
		return 380, 550
	case identity.P521:
		return 1000, 2000
	}
	return 0, 0 // refused before anything is computed
}

// rsaPrivUs tells the time of a decryption. Below the limit of the standard
// library it does not grow with the size as much as above.
func rsaPrivUs(bits int) int {
	if bits < 1024 {
		return 100 + bits/4
	}
	return max(300, costRSAPriv*(bits/64)*(bits/64)*(bits/64)/(32*32*32))
}

// RegisterCostUs estimates what one call of Register with something new costs
// the server, in microseconds.
func (s *Server) RegisterCostUs() int {
	if !s.suite.ECDH() {
		return costHashUs + rsaPrivUs(s.key.Public().Bits())
	}
	ecdh, _ := curveCostUs(s.ecdh.Public().Curve())
	return costHashUs + ecdh
}

// ClientKeyCostUs estimates what one call of ClientKey with the key blob, of which
// only the head is looked at, costs the server, in microseconds.
func (s *Server) ClientKeyCostUs(blob []byte) int { return costHashUs + verifyCostUs(blob) }

// AnnounceCostUs estimates what NewClient costs for an ENC_INFO, of which only
// sizes and heads are looked at, in microseconds.
func AnnounceCostUs(e *wire.EncInfo) int {
	if e.KeyExch == wire.KeyExchRSA {
		return costHashUs + verifyCostUs(e.PublicKey)
	}
	return costHashUs + verifyCostUs(e.PublicKey) + exchangeCostUs(e.ECDH)
}

// VerifyCostUs estimates what verifying a signature of the server costs, in
// microseconds.
func (k *Client) VerifyCostUs() int { return verifyCostUs(k.server.AppendBlob(nil)) }

// exchangeCostUs is for making a key and the shared secret with that of a blob.
func exchangeCostUs(blob []byte) int {
	if len(blob) < 4 || identity.Kind(blob[0]) != identity.EC {
		return 0
	}
	ecdh, _ := curveCostUs(identity.Curve(blob[1]))
	return 2 * ecdh
}

// verifyCostUs is for one verification, or encryption, with the key of a blob.
func verifyCostUs(blob []byte) int {
	switch {
	case len(blob) < 8:
		return 0
	case identity.Kind(blob[0]) == identity.RSA:
		// A large exponent costs up to twice as much.
		n := len(blob)/64 + 1
		cost := costRSAPub * n * n / (5 * 5)
		if binary.BigEndian.Uint32(blob[4:]) > 65537 {
			cost *= 2
		}
		return cost + costHashUs
	}
	_, verify := curveCostUs(identity.Curve(blob[1]))
	return verify
}
