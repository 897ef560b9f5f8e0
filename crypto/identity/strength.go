package identity

import "crypto"

// Strength grades roughly how hard something is to break. Warnings and the least that a
// receiver accepts (--min-security) use the levels.
type Strength uint8

const (
	None   Strength = iota // in clear
	Legacy                 // broken in practice, or a determined attacker can break it
	Medium                 // no known break, but weaker than new designs
	Strong                 // 128 bits or close to it
)

// String returns the name on command lines.
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

// Strength grades the key. The reason is a short clause for a warning, empty if the key
// is strong.
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

// Strength grades a curve on offer, as [PublicKey.Strength] does a key.
func (c Curve) Strength() (s Strength, reason string) {
	if c.CoordLen() < 32 {
		return Medium, "curves below 256 bits are no longer recommended"
	}
	return Strong, ""
}

// SignatureStrength grades signatures with hash h. Whoever finds two inputs with one
// digest can move a signature from one to the other, and for SHA-1 that was done.
func SignatureStrength(h crypto.Hash) (s Strength, reason string) {
	if h == crypto.SHA1 {
		return Legacy, "signatures with SHA-1 can be forged"
	}
	return Strong, ""
}
