package receiver

import (
	"errors"
	"net/netip"

	"uftp/crypto/handshake"
	"uftp/crypto/identity"
	"uftp/engine/clock"
	"uftp/engine/dialect"
	"uftp/wire"
)

// errNoKeyYet says that the host is making the key that we would show to the sender.
var errNoKeyYet = errors.New("receiver: the key is being made")

// errHandshake replaces errors for which the protocol has no text.
const errHandshake = handshake.Refusal("The handshake failed")

// startHandshake takes the offer of encryption in an ANNOUNCE, if there is one. An error is
// errNoKeyYet, handshake.ErrBusy (the budget for public-key work is used up), or the text of
// the ABORT that refuses the offer. A refusal before any public-key work costs no budget.
func (r *Receiver) startHandshake(now clock.Time, pkt []byte, h wire.Header, a *wire.Announce, from netip.Addr) (*dialect.Client, error) {
	if !a.HasEnc {
		return dialect.NewClient(h.Version, nil), nil
	}
	cfg := handshake.ClientConfig{Keys: r.own, MinStrength: r.cfg.MinSecurity, GuardRSA: r.cfg.GuardRSA, Rand: r.cfg.Rand}
	cfg.Allow = func(us int) bool { return r.keyWork.Allow(now, us) }
	if len(r.cfg.Servers) > 0 {
		cfg.Fingerprint = r.fingerprint(h.Src, from, identity.BlobFingerprint(a.Enc.PublicKey))
	}
	client, err := handshake.NewClient(pkt, cfg)
	if err == handshake.ErrNoClientKey && r.cfg.MakeKeys {
		if err := r.makeKey(&a.Enc); err != nil {
			return nil, err
		}
		cfg.Keys = r.own
		client, err = handshake.NewClient(pkt, cfg)
	}
	var said handshake.Refusal
	switch {
	case err != nil && err != handshake.ErrBusy && !errors.As(err, &said):
		return nil, errHandshake // strangers must not hear what went wrong here
	case err != nil:
		return nil, err
	}
	return dialect.NewClient(h.Version, client), nil
}
