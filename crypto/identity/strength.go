package identity

import "crypto"

// Strength tells roughly what it takes to break something. The levels serve
// warnings and the least a receiver accepts (--min-security).
type Strength uint8

const (
	None   Strength = iota // in clear
	Legacy                 // known to be broken in practice, or within reach of a determined attacker
	Medium                 // no known break, but below what is used for new things
	Strong                 // 128 bits or close to it
)

// String returns the name used on command lines.
func (s Strength) String() string {
	switch s {
	case None:
		return "none"
	case Legacy:
		return "legacy"
	case Medium:
		return "medium"
	case Strong:
		return "strong"
	}
	return "level " + itoa(int(s))
}

// StrengthByName returns the level of a name.
func StrengthByName(name string) (Strength, bool) {
	for s := None; s <= Strong; s++ {
		if s.String() == name {
			return s, true
		}
	}
	return 0, false
}

// Strength grades the key. The reason is a short clause for a warning, empty when
// the key is strong.
func (k *PublicKey) Strength() (s Strength, reason string) {
	switch bits := k.Bits(); {
	case k.kind == RSA && bits < 1024:
		return Legacy, itoa(bits) + "-bit RSA keys can be factored"
	case k.kind == RSA && bits < 2048:
		return Medium, "RSA keys below 2048 bits are no longer recommended"
	case k.kind == EC:
		return k.curve.Strength()
	}
	return Strong, ""
}

// Strength grades a curve that can be used, as [PublicKey.Strength] does a key.
func (c Curve) Strength() (s Strength, reason string) {
	if c.CoordLen() < 32 {
		return Medium, "curves below 256 bits are no longer recommended"
	}
	return Strong, ""
}

// SignatureStrength grades signatures with hash h: whoever finds two inputs with
// one digest moves a signature from one to the other, which for SHA-1 was done.
func SignatureStrength(h crypto.Hash) (s Strength, reason string) {
	if h == crypto.SHA1 {
		return Legacy, "signatures with SHA-1 can be forged"
	}
	return Strong, ""
}
