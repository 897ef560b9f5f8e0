package handshake

import (
	"crypto"
	_ "crypto/sha1" // the hashes of crypto.Hash
	_ "crypto/sha256"
	_ "crypto/sha512"

	"uftp/crypto/aead"
	"uftp/crypto/identity"
	"uftp/wire"
)

// Refusal is a reason to refuse a session. It is the text of the ABORT that answers
// (docs/protocol.md, "ENC_INFO checks").
type Refusal string

func (r Refusal) Error() string { return string(r) }

// Reasons to refuse a session. The stock programs do not know ErrStrength, ErrUnlisted and
// ErrUnproved.
const (
	ErrCipher      = Refusal("Keytype invalid or not supported here")
	ErrHash        = Refusal("Hashtype invalid or not supported here")
	ErrSigType     = Refusal("Invalid sigtype specified")
	ErrKeyExch     = Refusal("Invalid keyextype specified")
	ErrFingerprint = Refusal("Failed to verify server key fingerprint")
	ErrServerKey   = Refusal("Failed to load server public key")
	ErrStrength    = Refusal("Security of the session is below the minimum accepted here")
	ErrNoClientKey = Refusal("No client key compatible with server key")
	ErrECDHKey     = Refusal("Failed to load server public ECDH key")
	ErrSignature   = Refusal("Signature verification failed")
	ErrUnlisted    = Refusal("RSA exchange: no key is shown to a sender without a listed fingerprint")
	ErrUnproved    = Refusal("RSA exchange: sync and preview mode are not proved by the sender")
	ErrGroupMaster = Refusal("Decrypt failed for group master")
)

// Suite is the choice of algorithms of a session, in numbers of ENC_INFO.
type Suite struct {
	Cipher  wire.Cipher  // wire.CipherDES ...
	Hash    wire.Hash    // wire.HashSHA1 ...
	SigType wire.Sig     // wire.SigHMAC, SigKeyExch, SigAuthEnc
	KeyExch wire.KeyExch // wire.KeyExchRSA ...
}

// SuiteOf returns the suite that an ENC_INFO asks for.
func SuiteOf(e *wire.EncInfo) Suite {
	return Suite{Cipher: e.Cipher, Hash: e.Hash, SigType: e.SigType, KeyExch: e.KeyExch}
}

// ciphers has names and grades by number; package aead has the rest.
var ciphers = [...]struct {
	name        string
	strength    identity.Strength
	whyNoStrong string
}{
	wire.CipherDES:       {"des", identity.Legacy, "DES keys can be searched"},
	wire.Cipher3DES:      {"3des", identity.Medium, "blocks of 64 bits repeat after some gigabytes"},
	wire.CipherAES128CBC: {"aes128-cbc", identity.Strong, ""},
	wire.CipherAES256CBC: {"aes256-cbc", identity.Strong, ""},
	wire.CipherAES128GCM: {"aes128-gcm", identity.Strong, ""},
	wire.CipherAES256GCM: {"aes256-gcm", identity.Strong, ""},
	wire.CipherAES128CCM: {"aes128-ccm", identity.Strong, ""},
	wire.CipherAES256CCM: {"aes256-ccm", identity.Strong, ""},
}

// hashes has names by number.
var hashes = [...]string{wire.HashSHA1: "sha1", wire.HashSHA256: "sha256", wire.HashSHA384: "sha384", wire.HashSHA512: "sha512"}

// sigTypes and keyExchs have names by number. Command lines do not name authenticated
// encryption: it comes with the cipher.
var (
	sigTypes = [...]string{wire.SigHMAC: "hmac", wire.SigKeyExch: "keyex", wire.SigAuthEnc: "authenc"}
	keyExchs = [...]string{wire.KeyExchRSA: "rsa", wire.KeyExchECDHRSA: "ecdh_rsa", wire.KeyExchECDHECDSA: "ecdh_ecdsa"}
)

// CipherByName returns the number of a cipher by its name on command lines.
func CipherByName(name string) (wire.Cipher, bool) {
	for i := range ciphers {
		if name != "" && ciphers[i].name == name {
			return wire.Cipher(i), true
		}
	}
	return 0, false
}

// HashByName returns the number of a hash by its name on command lines.
func HashByName(name string) (wire.Hash, bool) { return indexOf[wire.Hash](hashes[:], name) }

// SigTypeByName returns the number of a signature type: hmac, keyex or authenc.
func SigTypeByName(name string) (wire.Sig, bool) { return indexOf[wire.Sig](sigTypes[:], name) }

// KeyExchByName returns the number of a key exchange: rsa, ecdh_rsa or ecdh_ecdsa.
func KeyExchByName(name string) (wire.KeyExch, bool) { return indexOf[wire.KeyExch](keyExchs[:], name) }

func indexOf[N ~uint8](names []string, name string) (N, bool) {
	for i, n := range names {
		if name != "" && n == name {
			return N(i), true
		}
	}
	return 0, false
}

// Check returns the first reason why the suite cannot be used, in the order and the words
// of the stock receiver. Unlike stock it also refuses MD5, and other signature types with
// GCM and CCM, which no program sends.
func (s Suite) Check() error {
	switch {
	case aead.KeyLen(s.Cipher) == 0:
		return ErrCipher
	case aead.HashFunc(s.Hash) == 0:
		return ErrHash
	case s.SigType == 0 || int(s.SigType) >= len(sigTypes) || (s.SigType == wire.SigAuthEnc) != s.AEAD():
		return ErrSigType
	case s.KeyExch == 0 || int(s.KeyExch) >= len(keyExchs):
		return ErrKeyExch
	}
	return nil
}

// The following methods need a suite that passed Check.

// KeyLen returns the bytes of a cipher key.
func (s Suite) KeyLen() int { return aead.KeyLen(s.Cipher) }

// AEAD reports whether the cipher authenticates by itself.
func (s Suite) AEAD() bool { return aead.Authenticates(s.Cipher) }

// HashFunc returns the session hash H.
func (s Suite) HashFunc() crypto.Hash { return aead.HashFunc(s.Hash) }

// HashLen returns the bytes of a digest, an HMAC and an HMAC key.
func (s Suite) HashLen() int { return s.HashFunc().Size() }

// ECDH reports whether the key exchange is one of the two with ECDH.
func (s Suite) ECDH() bool { return s.KeyExch != wire.KeyExchRSA }

// KeyKind returns the kind of the sender's long-term key in this key exchange.
func (s Suite) KeyKind() identity.Kind {
	if s.KeyExch == wire.KeyExchECDHECDSA {
		return identity.EC
	}
	return identity.RSA
}

// String names the suite for logs: cipher, hash, signature, key exchange.
func (s Suite) String() string {
	if err := s.Check(); err != nil {
		return err.Error()
	}
	return ciphers[s.Cipher].name + " " + hashes[s.Hash] + " " + sigTypes[s.SigType] + " " + keyExchs[s.KeyExch]
}

// Weakness is a part of a session that is not strong, with a clause that gives the reason.
type Weakness struct {
	Strength identity.Strength
	Reason   string
	Active   bool // whoever can send packets can use it, without breaking anything
}

// Warn reports whether programs must warn the user of it.
func (w Weakness) Warn() bool { return w.Active || w.Strength <= identity.Legacy }

// Weaknesses of the RSA exchange (docs/protocol.md, "Handshake", "Verify data"): the
// sender signs nothing, and a receiver signs nothing that names the sender's key.
const (
	weakAnnounce = "the RSA exchange does not prove what the sender announced"
	weakRelay    = "the RSA exchange can be relayed: a sender to which a receiver shows its key can pass for that receiver"
)

// Strength grades a session under the long-term key server; the weakest part counts.
// exchange is the curve of the ECDH key; the RSA exchange ignores it. auth is true if
// receivers sign. weak lists every part that is not strong, in a fixed order.
func (s Suite) Strength(server *identity.PublicKey, exchange identity.Curve, auth bool) (level identity.Strength, weak []Weakness) {
	level = identity.Strong
	part := func(l identity.Strength, reason string) {
		if l < identity.Strong {
			weak = append(weak, Weakness{Strength: l, Reason: reason})
			level = min(level, l)
		}
	}
	part(ciphers[s.Cipher].strength, ciphers[s.Cipher].whyNoStrong)
	switch {
	case s.ECDH() || auth || s.SigType == wire.SigKeyExch:
		part(identity.SignatureStrength(s.HashFunc()))
	case s.HashFunc() == crypto.SHA1:
		part(identity.Medium, "keys are derived with MD5 and SHA-1")
	}
	if s.ECDH() {
		l, _ := exchange.Strength()
		part(l, "the key exchange uses "+exchange.String()+", a curve below 256 bits")
	} else {
		part(identity.Medium, "the RSA key exchange has no forward secrecy")
		weak = append(weak, Weakness{identity.Medium, weakAnnounce, true})
		if auth || s.SigType == wire.SigKeyExch {
			weak = append(weak, Weakness{identity.Medium, weakRelay, true})
		}
	}
	part(server.Strength())
	return level, weak
}
