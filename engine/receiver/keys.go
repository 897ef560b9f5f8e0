package receiver

import (
	"uftp/crypto/handshake"
	"uftp/crypto/identity"
	"uftp/wire"
)

// The keys that are made when a sender asks for one and none is configured, at most one of each
// kind: a sender takes any kind, unless packets are signed with it. Senders know neither key, so
// it proves only that the receiver is still the same one.
var (
	madeEC  = identity.Spec{Kind: identity.EC, Curve: identity.P256}
	madeRSA = identity.Spec{Kind: identity.RSA, Bits: identity.RSABitsMaxStock}
)

// madeKeys says which of them exist, and whether the host is making one.
type madeKeys struct{ ec, rsa, rsaAsked bool }

// makeKey makes the key that the offer needs. An RSA key takes tenths of a second, so the host
// makes it and the sender must ask again.
func (r *Receiver) makeKey(e *wire.EncInfo) error {
	if e.SigType == wire.SigKeyExch && e.KeyExch != wire.KeyExchECDHECDSA {
		switch {
		case r.made.rsa:
			return handshake.ErrNoClientKey
		case !r.made.rsaAsked:
			r.made.rsaAsked = true
			r.emit(KeyWanted{Spec: madeRSA})
		}
		return errNoKeyYet
	}
	if r.made.ec {
		return handshake.ErrNoClientKey
	}
	key, err := identity.GenerateEC(madeEC.Curve, r.cfg.Rand)
	if err != nil {
		return handshake.ErrNoClientKey
	}
	r.made.ec = true
	r.own = append(r.own, key)
	r.emit(HaveKey{key.Public()})
	return nil
}
