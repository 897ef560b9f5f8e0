package handshake

import (
	"encoding/binary"

	"uftp/crypto/identity"
	"uftp/wire"
)

// Times of one operation in µs, measured on one core of 2.5 GHz and rounded up. Only
// their proportions matter, for dividing time between peers.
const (
	costHashUs  = 15 // PRF and symmetric work of one message
	costRSAPub  = 35 // verify or encrypt, 2048 bits
	costRSAPriv = 900
)

// curveCostUs returns the time of ECDH (with parsing the peer's point) and of a
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

// rsaPrivUs returns the time of a decryption. Below the limit of the standard library it
// grows less with the size.
func rsaPrivUs(bits int) int {
	if bits < 1024 {
		return 100 + bits/4
	}
	return max(300, costRSAPriv*(bits/64)*(bits/64)*(bits/64)/(32*32*32))
}

// RegisterCostUs estimates the cost of one call of Register with a new REGISTER, in
// microseconds.
func (s *Server) RegisterCostUs() int {
	if !s.suite.ECDH() {
		return costHashUs + rsaPrivUs(s.key.Public().Bits())
	}
	ecdh, _ := curveCostUs(s.ecdh.Public().Curve())
	return costHashUs + ecdh
}

// ClientKeyCostUs estimates the cost of one call of ClientKey with a key blob, in
// microseconds. It reads only the head of the blob.
func (s *Server) ClientKeyCostUs(blob []byte) int { return costHashUs + verifyCostUs(blob) }

// AnnounceCostUs estimates the cost of NewClient for an ENC_INFO, in microseconds. It
// reads only sizes and heads of the blobs.
func AnnounceCostUs(e *wire.EncInfo) int {
	if e.KeyExch == wire.KeyExchRSA {
		return costHashUs + verifyCostUs(e.PublicKey)
	}
	return costHashUs + verifyCostUs(e.PublicKey) + exchangeCostUs(e.ECDH)
}

// VerifyCostUs estimates the cost of verifying a signature of the server, in
// microseconds.
func (k *Client) VerifyCostUs() int { return verifyCostUs(k.server.AppendBlob(nil)) }

// exchangeCostUs estimates making a key and the shared secret with the key of a blob.
func exchangeCostUs(blob []byte) int {
	if len(blob) < 4 || identity.Kind(blob[0]) != identity.EC {
		return 0
	}
	ecdh, _ := curveCostUs(identity.Curve(blob[1]))
	return 2 * ecdh
}

// verifyCostUs estimates one verification, or encryption, with the key of a blob.
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
