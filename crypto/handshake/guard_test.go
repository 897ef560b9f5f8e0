package handshake

import (
	"fmt"
	"strings"
	"testing"

	"uftp/crypto/identity"
	"uftp/wire"
)

// TestGuardRSA: with GuardRSA and the RSA exchange a client signs nothing for a server
// without a listed fingerprint, which could impersonate it, and takes no sync or preview
// mode, which nobody has signed. Exchanges whose ANNOUNCE is signed are not affected.
func TestGuardRSA(t *testing.T) {
	rsa, ec := keyFile(t, "rsa1024-server.pem"), keyFile(t, "ec-prime256v1-server.pem")
	for _, exch := range []struct {
		s   Suite
		key *identity.PrivateKey
	}{
		{Suite{wire.CipherAES256GCM, wire.HashSHA256, wire.SigAuthEnc, wire.KeyExchRSA}, rsa},
		{Suite{wire.CipherAES128CBC, wire.HashSHA256, wire.SigHMAC, wire.KeyExchRSA}, rsa},
		{Suite{wire.CipherAES128CBC, wire.HashSHA256, wire.SigKeyExch, wire.KeyExchRSA}, rsa},
		{Suite{wire.CipherAES256GCM, wire.HashSHA256, wire.SigAuthEnc, wire.KeyExchECDHRSA}, rsa},
		{Suite{wire.CipherAES128CBC, wire.HashSHA256, wire.SigKeyExch, wire.KeyExchECDHECDSA}, ec},
	} {
		for _, auth := range []bool{false, true} {
			for _, pinned := range []bool{false, true} {
				for _, flags := range []uint8{0, wire.AnnounceSync, wire.AnnounceSync | wire.AnnouncePreview, wire.AnnouncePreview} {
					for _, guard := range []bool{false, true} {
						name := fmt.Sprintf("%v auth %v pinned %v flags %#x guard %v", exch.s, auth, pinned, flags, guard)
						shows := auth || exch.s.SigType == wire.SigKeyExch
						var want error
						if guard && !exch.s.ECDH() {
							switch {
							case shows && !pinned:
								want = ErrUnlisted
							case flags != 0:
								want = ErrUnproved
							}
						}
						l := newLab(t, exch.s, auth, exch.key, identity.P256)
						h := wire.Header{Version: wire.Version4, Func: wire.FuncAnnounce, Src: senderUID, Group: session.Group}
						a := wire.Announce{Flags: flags, Robust: 20, BlockSize: 1300, Private: session.Private, Enc: l.EncInfo(), HasEnc: true}
						pkt := a.Append(wire.Version4, h.Append(nil))
						if err := l.SignAnnounce(pkt); err != nil {
							t.Fatal(err)
						}
						cfg := ClientConfig{Rand: random(3), GuardRSA: guard, Keys: []*identity.PrivateKey{exch.key}}
						if pinned {
							print := exch.key.Public().Fingerprint()
							cfg.Fingerprint = &print
						}
						if _, err := NewClient(pkt, cfg); err != want {
							t.Errorf("%s: %v, want %v", name, err, want)
						}
					}
				}
			}
		}
	}
}

// TestRSAExchangeWarns: the RSA exchange draws its warnings whatever the strength of keys
// and ciphers; the one about relaying only if receivers show keys.
func TestRSAExchangeWarns(t *testing.T) {
	key := keyFile(t, "rsa1024-server.pem").Public()
	for _, c := range []struct {
		exch          wire.KeyExch
		sig           wire.Sig
		auth          bool
		proves, relay bool
	}{
		{wire.KeyExchRSA, wire.SigAuthEnc, false, true, false},
		{wire.KeyExchRSA, wire.SigAuthEnc, true, true, true},
		{wire.KeyExchRSA, wire.SigKeyExch, false, true, true},
		{wire.KeyExchECDHRSA, wire.SigAuthEnc, true, false, false},
		{wire.KeyExchECDHRSA, wire.SigKeyExch, false, false, false},
	} {
		s := Suite{wire.CipherAES256GCM, wire.HashSHA256, c.sig, c.exch}
		if c.sig == wire.SigKeyExch {
			s.Cipher = wire.CipherAES256CBC
		}
		_, weak := s.Strength(key, identity.P256, c.auth)
		proves, relay := false, false
		for _, w := range weak {
			if w.Warn() {
				proves = proves || w.Reason == "the RSA exchange does not prove what the sender announced"
				relay = relay || strings.Contains(w.Reason, "can be relayed")
			}
		}
		if proves != c.proves || relay != c.relay {
			t.Errorf("%v, keys are shown %v: warns of what is announced %v, of a relay %v; want %v, %v", s, c.auth, proves, relay, c.proves, c.relay)
		}
	}
}
