package identity

import "strings"

// Curve is the number of an elliptic curve on the wire (docs/protocol.md, "Key blobs").
type Curve uint8

// The curves on offer.
const (
	P224 Curve = 21 // secp224r1
	K256 Curve = 22 // secp256k1
	P256 Curve = 23 // prime256v1, the default everywhere
	P384 Curve = 24 // secp384r1
	P521 Curve = 25 // secp521r1
)

// curveMax is the highest curve number.
const curveMax = 25

// coordMax is the longest coordinate of a curve on offer, bytes.
const coordMax = 66

// Why a known curve is not on offer.
const (
	whyBinary = "curves over binary fields are obsolete and have no trustworthy implementation"
	whySmall  = "curves of 192 bits and less are too weak"
	whyNoLib  = "no program generates it and no library offers it"
)

// curves holds names and coordinate lengths in bytes by number. String returns the
// first name.
var curves = [curveMax + 1]struct {
	name, alias string
	coord       int
	why         string // why it is not on offer, or ""
}{
	1:    {"sect163k1", "", 21, whyBinary},
	2:    {"sect163r1", "", 21, whyBinary},
	3:    {"sect163r2", "", 21, whyBinary},
	4:    {"sect193r1", "", 25, whyBinary},
	5:    {"sect193r2", "", 25, whyBinary},
	6:    {"sect233k1", "", 30, whyBinary},
	7:    {"sect233r1", "", 30, whyBinary},
	8:    {"sect239k1", "", 30, whyBinary},
	9:    {"sect283k1", "", 36, whyBinary},
	10:   {"sect283r1", "", 36, whyBinary},
	11:   {"sect409k1", "", 52, whyBinary},
	12:   {"sect409r1", "", 52, whyBinary},
	13:   {"sect571k1", "", 72, whyBinary},
	14:   {"sect571r1", "", 72, whyBinary},
	15:   {"secp160k1", "", 20, whySmall},
	16:   {"secp160r1", "", 20, whySmall},
	17:   {"secp160r2", "", 20, whySmall},
	18:   {"secp192k1", "", 24, whySmall},
	19:   {"prime192v1", "secp192r1", 24, whySmall},
	20:   {"secp224k1", "", 28, whyNoLib},
	P224: {"secp224r1", "", 28, ""},
	K256: {"secp256k1", "", 32, ""},
	P256: {"prime256v1", "secp256r1", 32, ""},
	P384: {"secp384r1", "", 48, ""},
	P521: {"secp521r1", "", 66, ""},
}

// CurveError reports a curve that is not on offer, and why.
type CurveError struct {
	Curve  Curve // 0 if the name is unknown
	Name   string
	Reason string
}

func (e *CurveError) Error() string { return "curve " + e.Name + " refused: " + e.Reason }

// CurveByName returns the curve of a name in a command line or a key file. It fails
// with a [*CurveError] for a name that is unknown or not on offer.
func CurveByName(name string) (Curve, error) {
	for c := Curve(1); c <= curveMax; c++ {
		if name == curves[c].name || name == curves[c].alias && name != "" {
			return c, c.Check()
		}
	}
	return 0, &CurveError{Name: name, Reason: "no such curve"}
}

// Check returns nil if the curve is on offer, else a [*CurveError].
func (c Curve) Check() error {
	switch {
	case c == 0 || c > curveMax:
		return &CurveError{Name: c.String(), Reason: "no such curve"}
	case curves[c].why != "":
		return &CurveError{Curve: c, Name: c.String(), Reason: curves[c].why}
	}
	return nil
}

// String returns the name that the stock programs print.
func (c Curve) String() string {
	if c == 0 || c > curveMax {
		return "number " + itoa(int(c))
	}
	return curves[c].name
}

// CoordLen returns the bytes of one coordinate, 0 for unknown curves.
func (c Curve) CoordLen() int {
	if c > curveMax {
		return 0
	}
	return curves[c].coord
}

// blockLen returns the bytes of a key blob, which are also those of a signature block:
// a head of 4, two numbers, padding.
func (c Curve) blockLen() int { return words(4 + 2*c.CoordLen()) }

// CurveNames returns the names on offer, separated by blanks, for usage texts.
func CurveNames() string {
	var all []string
	for c := Curve(1); c <= curveMax; c++ {
		if c.Check() == nil {
			all = append(all, c.String())
		}
	}
	return strings.Join(all, " ")
}

// words rounds n bytes up to whole words of the wire.
func words(n int) int { return (n + 3) &^ 3 }
