package receiver

import (
	"errors"
	"testing"
	"testing/iotest"

	"uftp/crypto/handshake"
	"uftp/wire"
)

// TestGuardedKeys: with Config.GuardRSA a receiver shows its key in an RSA exchange only
// to a sender whose fingerprint is listed, whatever else the list says about it, and makes
// no key for others.
func TestGuardedKeys(t *testing.T) {
	listed := rsaKeys()[0].Public().Fingerprint()
	otherOne := rsaKeys()[1].Public().Fingerprint()
	at, elsewhere := senderAddr.Addr(), addrOf("10.88.0.9:1").Addr()
	for _, c := range []struct {
		name    string
		servers []Server
		shown   bool // with the guard
		without bool // without
	}{
		{"no list", nil, false, true},
		{"no fingerprint", []Server{{UID: them, Addr: at}}, false, true},
		{"its fingerprint", []Server{{UID: them, Addr: at, Fingerprint: &listed}}, true, true},
		{"another one", []Server{{UID: them, Addr: at, Fingerprint: &otherOne}}, false, false},
		{"another one, then its own", []Server{{UID: them, Addr: at, Fingerprint: &otherOne}, {UID: them, Addr: at, Fingerprint: &listed}}, true, true},
		{"its own, then none", []Server{{UID: them, Addr: at, Fingerprint: &listed}, {UID: them, Addr: at}}, true, true},
		{"none, then its own", []Server{{UID: them, Addr: at}, {UID: them, Addr: at, Fingerprint: &listed}}, true, true},
		{"another one, then none", []Server{{UID: them, Addr: at, Fingerprint: &otherOne}, {UID: them, Addr: at}}, false, true},
		{"its own at another address", []Server{{UID: them, Addr: elsewhere, Fingerprint: &listed}, {UID: them, Addr: at}}, false, true},
		{"its own with another UID", []Server{{UID: other, Addr: at, Fingerprint: &listed}, {UID: them, Addr: at}}, false, true},
	} {
		for _, guard := range []bool{true, false} {
			for _, made := range []bool{true, false} {
				w := newSecureWorld(t, rsa, true, func(cfg *Config) {
					cfg.GuardRSA, cfg.Servers = guard, c.servers
					if made {
						cfg.Keys, cfg.MakeKeys = nil, true
					}
				})
				ssm := func(a *wire.Announce) { a.Private = addrOf("232.5.5.9:1").Addr() }
				w.far.cfg.Session.Private = addrOf("232.5.5.9:1").Addr()
				w.far.start(t)
				w.announceSealed(ssm)
				want := c.without
				if guard {
					want = c.shown
				}
				if got := w.session() != nil; got != want {
					t.Errorf("%s, guard %v, keys to be made %v: taken %v, want %v", c.name, guard, made, got, want)
				}
				if !want && len(w.r.own) > len(w.r.cfg.Keys) {
					t.Errorf("%s, guard %v: a key is made for nobody", c.name, guard)
				}
			}
		}
	}
}

// TestGuardedModes: with Config.GuardRSA neither sync nor preview is taken from an ANNOUNCE
// that nobody has signed, and the sender hears why. An ANNOUNCE that is signed is trusted.
func TestGuardedModes(t *testing.T) {
	for _, s := range []handshake.Suite{rsa, gcm} {
		for _, guard := range []bool{true, false} {
			for _, flags := range []uint8{0, wire.AnnounceSync, wire.AnnouncePreview, wire.AnnounceSync | wire.AnnouncePreview} {
				print := keysFor(s)[0].Public().Fingerprint()
				w := newSecureWorld(t, s, true, func(cfg *Config) {
					cfg.GuardRSA = guard
					cfg.Servers = []Server{{UID: them, Addr: senderAddr.Addr(), Fingerprint: &print}}
				})
				w.far.cfg.Session.Private = addrOf("232.5.5.9:1").Addr()
				w.far.start(t)
				w.announceSealed(func(a *wire.Announce) { a.Private, a.Flags = addrOf("232.5.5.9:1").Addr(), flags })
				want := !guard || flags == 0 || s.KeyExch != wire.KeyExchRSA
				if got := w.session() != nil; got != want {
					t.Errorf("%v, guard %v, flags %#x: taken %v, want %v", s, guard, flags, got, want)
				}
				if !want {
					w.wantAbort(string(handshake.ErrUnproved), "the sender hears why")
				}
			}
		}
	}
}

// TestInnerErrorsAreNotForStrangers: a sender gets reasons in the words of the protocol,
// and no error of this host.
func TestInnerErrorsAreNotForStrangers(t *testing.T) {
	w := newSecureWorld(t, gcm, false, func(c *Config) {
		c.Rand = iotest.ErrReader(errors.New("open /dev/urandom: too many open files"))
	})
	w.announceSealed()
	w.wantAbort("The handshake failed", "the source of randomness is broken")
	w.wantPhase(Free)
}
