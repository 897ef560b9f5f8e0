package receiver

import (
	"errors"
	"net/netip"
	"time"

	"uftp/crypto/handshake"
	"uftp/crypto/identity"
	"uftp/engine/clock"
	"uftp/wire"
)

// errNoKeyYet says that the key to show to a sender is being made.
var errNoKeyYet = errors.New("receiver: the key is being made")

// errHandshake stands for errors that have no words of the protocol.
const errHandshake = handshake.Refusal("The handshake failed")

// agree takes the offer of an ANNOUNCE. An error is the reason to refuse it, in
// the words of the ABORT, errNoKeyYet, or handshake.ErrBusy: what is refused for
// nothing costs nothing, the rest has a budget.
func (r *Receiver) agree(now clock.Time, pkt []byte, h wire.Header, a *wire.Announce, from netip.Addr) (*secrets, error) {
	cfg := handshake.ClientConfig{Keys: r.own, MinStrength: r.cfg.MinSecurity, GuardRSA: r.cfg.GuardRSA, Rand: r.cfg.Rand}
	cfg.Allow = func(us int) bool { return r.budget.take(now, time.Duration(us)*time.Microsecond) }
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
		return nil, errHandshake // what went wrong here is not for strangers
	case err != nil:
		return nil, err
	}
	return &secrets{client: client, uses: 1}, nil
}

// fingerprint returns which key a sender must have whose key is seen, nil if any
// will do: one that is listed goes before that. One that is in no line of the list gets a fingerprint that is nobody's:
// so it is refused at the place of the checks where stock refuses it.
func (r *Receiver) fingerprint(uid wire.UID, from netip.Addr, seen identity.Fingerprint) *identity.Fingerprint {
	want, open := new(identity.Fingerprint), false
	for _, s := range r.cfg.Servers {
		switch {
		case s.UID != uid || !s.at(from):
		case s.Fingerprint == nil:
			open = true
		case *s.Fingerprint == seen:
			return s.Fingerprint
		default:
			want = s.Fingerprint
		}
	}
	if open {
		return nil
	}
	return want
}

// encrypted reports whether an encrypted session of the group is under way: a
// session in clear cannot be its restart.
func (r *Receiver) encrypted(group uint32) bool {
	for i := range r.slots {
		if s := &r.slots[i]; s.phase != Free && s.sec != nil && s.info.Group == group {
			return true
		}
	}
	return false
}

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

// KeyMade answers a KeyWanted; key is nil if it could not be made, and may be
// asked for again.
func (r *Receiver) KeyMade(key *identity.PrivateKey) {
	r.made.rsaAsked = false
	switch {
	case key == nil:
		return
	case r.stopped: // there is nobody to show it to
		key.Wipe()
		return
	}
	r.made.rsa = true
	r.own = append(r.own, key)
	r.emit(HaveKey{key.Public()})
}

// Wipe clears the keys that were made here and the secrets of sessions that never
// came to their end. Keys of the Config stay the caller's. Afterwards the Receiver
// must not be used.
func (r *Receiver) Wipe() {
	for _, key := range r.own[len(r.cfg.Keys):] {
		key.Wipe()
	}
	for i := range r.slots {
		if sec := r.slots[i].sec; sec != nil {
			sec.wipe()
		}
	}
	for i := range r.queue[r.head:] {
		if sec := r.queue[r.head+i].sec; sec != nil {
			sec.wipe()
		}
	}
}

// budget limits the time that goes into public-key operations before anybody has
// proved anything: a part of one core in the long run, so that a flood of ANNOUNCEs
// or of bad signatures does not stop the sessions that are under way.
type budget struct {
	left time.Duration
	last clock.Time // when left was last brought up to date
}

const (
	budgetMax     = 100 * time.Millisecond
	announceShare = 4 // one part in so many of the time
)

func (b *budget) start(now clock.Time) { *b = budget{left: budgetMax, last: now} }

// refill adds one part in share of the time that has gone.
func (b *budget) refill(now clock.Time, share int) {
	if gone := now.Sub(b.last); gone > 0 {
		b.left = min(b.left+gone/time.Duration(share), budgetMax)
		b.last = now
	}
}

// take takes d and reports whether there is as much left.
func (b *budget) take(now clock.Time, d time.Duration) bool {
	b.refill(now, announceShare)
	if b.left < d {
		return false
	}
	b.left -= d
	return true
}
