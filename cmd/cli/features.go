package cli

import (
	"errors"
	"slices"
	"strings"

	"uftp/crypto/identity"
)

// The words of the options for encryption.
var (
	Ciphers    = []string{"none", "des", "3des", "aes128-cbc", "aes256-cbc", "aes128-gcm", "aes256-gcm", "aes128-ccm", "aes256-ccm"}
	Hashes     = []string{"sha1", "sha256", "sha384", "sha512"}
	Signatures = []string{"hmac", "keyex"}
	Exchanges  = []string{"rsa", "ecdh_rsa", "ecdh_ecdsa"}
)

// OneOf returns a Set for one word of a list.
func OneOf(p *string, words []string, text string) func(string) error {
	return func(v string) error {
		if !slices.Contains(words, v) {
			return &Error{Text: text, Allowed: strings.Join(words, ", ")}
		}
		*p = v
		return nil
	}
}

// Exchange returns a Set for -e: an exchange, with a curve behind a colon if it uses one. Text
// behind "rsa:" is ignored.
func Exchange(p *string) func(string) error {
	return func(v string) error {
		name, curve, hasCurve := strings.Cut(v, ":")
		if !slices.Contains(Exchanges, name) {
			return &Error{Text: "Invalid keyextype", Allowed: "rsa, ecdh_rsa[:curve], ecdh_ecdsa[:curve]"}
		}
		if hasCurve && name != "rsa" {
			_, err := identity.CurveByName(curve)
			var bad *identity.CurveError
			if errors.As(err, &bad) {
				return &Error{Text: "Invalid curve", Allowed: curveNames(bad)}
			}
		}
		*p = v
		return nil
	}
}

// CongestionControl returns a Set for -C: none, or tfmcc with rates. It sets *tfmcc.
func CongestionControl(tfmcc *bool) func(string) error {
	return func(v string) error {
		const forms = "none, tfmcc, tfmcc:min=RATE:init=RATE:max=RATE with any of the three, tfmcc:RATE"
		parts := strings.Split(v, ":")
		switch {
		case parts[0] == "none":
			*tfmcc = false
			return nil
		case parts[0] != "tfmcc":
			return &Error{Text: "Invalid congestion control type", Allowed: forms}
		}
		if _, err := rates(parts[1:], forms, "min", "init", "max"); err != nil {
			return err
		}
		*tfmcc = true
		return nil
	}
}

// RateAuto has the values of -R auto, bytes/s; 0 = not given.
type RateAuto struct {
	On         bool
	Init, Most int64
}

// ParseRateAuto reads auto, auto:init=RATE:max=RATE with one or both of them, or auto:RATE for max
// alone. ok is false for a value that does not begin with auto.
func ParseRateAuto(v string) (r RateAuto, ok bool, err error) {
	const forms = "auto, auto:init=RATE:max=RATE with any of the two, auto:RATE"
	parts := strings.Split(v, ":")
	if parts[0] != "auto" {
		return r, false, nil
	}
	given, err := rates(parts[1:], forms, "init", "max")
	return RateAuto{On: true, Init: given["init"], Most: given["max"]}, true, err
}

// rates reads fields KEY=RATE, or RATE for max, bytes/s. The rate of a key must not be above that
// of a later key.
func rates(fields []string, forms string, keys ...string) (map[string]int64, error) {
	given := map[string]int64{}
	for _, field := range fields {
		key, value, named := strings.Cut(field, "=")
		if !named {
			key, value = "max", field
		}
		if !slices.Contains(keys, key) {
			return nil, &Error{Text: "Invalid rate type", Allowed: forms}
		}
		n, ok := ParseRate(value)
		if !ok {
			text := "Invalid rate"
			if !named {
				text = "Invalid max rate"
			}
			return nil, &Error{Text: text, Allowed: AllowedRates}
		}
		given[key] = n
	}
	for i, lo := range keys {
		for _, hi := range keys[i+1:] {
			if given[lo] > 0 && given[hi] > 0 && given[lo] > given[hi] {
				return nil, &Error{Text: "Invalid rate", Allowed: strings.Join(keys, " ≤ ")}
			}
		}
	}
	return given, nil
}

// Unsupported returns the error for a feature of the protocol that this version of the commands
// does not have.
func Unsupported(option, value, what string) error {
	if value != "" {
		option += " " + value
	}
	return &Error{Text: option + ": " + what + " not supported by this version yet"}
}
