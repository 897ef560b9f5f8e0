package identity

import (
	"crypto/rand"
	"errors"
	"strconv"
	"strings"
)

// Errors about the description of a key to be made. Commands have their own texts for
// each.
var (
	ErrSpec     = errors.New("identity: neither rsa:BITS nor ec:CURVE")
	ErrSpecBits = errors.New("identity: RSA size is not a number in range")
)

// Spec describes a key to be made: rsa:BITS or ec:CURVE on command lines.
type Spec struct {
	Kind  Kind
	Bits  int   // RSA
	Curve Curve // EC
}

// ParseSpec reads rsa:BITS or ec:CURVE. BITS must be RSABitsMin to RSABitsMaxStock, so
// that every peer can use a new key. It fails with [ErrSpec], [ErrSpecBits] or a
// [*CurveError].
func ParseSpec(text string) (Spec, error) {
	kind, rest, ok := strings.Cut(text, ":")
	switch {
	case !ok:
		return Spec{}, ErrSpec
	case kind == "rsa":
		bits, err := strconv.Atoi(rest)
		if err != nil || bits < RSABitsMin || bits > RSABitsMaxStock {
			return Spec{}, ErrSpecBits
		}
		return Spec{Kind: RSA, Bits: bits}, nil
	case kind == "ec":
		c, err := CurveByName(rest)
		if err != nil {
			return Spec{}, err
		}
		return Spec{Kind: EC, Curve: c}, nil
	}
	return Spec{}, ErrSpec
}

// String returns the form that ParseSpec reads.
func (s Spec) String() string {
	if s.Kind == RSA {
		return "rsa:" + itoa(s.Bits)
	}
	return "ec:" + s.Curve.String()
}

// Generate makes the described key with randomness of the system.
func Generate(s Spec) (*PrivateKey, error) {
	if s.Kind == RSA {
		return GenerateRSA(s.Bits)
	}
	return GenerateEC(s.Curve, rand.Reader)
}
