package receiver

import (
	"uftp/crypto/handshake"
	"uftp/crypto/identity"
	"uftp/wire"
)

// Kinds of keys that are made when a sender asks who we are and none is
// configured. A sender takes any kind of key, unless packets are signed with it;
// so there is never more than one of each. It knows neither, so all they prove is
// that it is the same receiver all the time.
var (
	madeEC  = identity.Spec{Kind: identity.EC, Curve: identity.P256}
	madeRSA = identity.Spec{Kind: identity.RSA, Bits: identity.RSABitsMaxStock}
)

// madeKeys is which of them are there or under way.
type madeKeys struct{ ec, rsa, rsaAsked bool }

// makeKey makes the key that the offer needs. An RSA key takes tenths of a second:
// the host makes it, and the sender has to ask again.
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
