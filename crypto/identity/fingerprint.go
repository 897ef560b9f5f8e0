package identity

import (
	"crypto/sha1"
	"errors"
)

// FingerprintLen is the length of a fingerprint, bytes.
const FingerprintLen = sha1.Size

// ErrFingerprint says that a text is not a fingerprint.
var ErrFingerprint = errors.New("identity: not a fingerprint: 20 hexadecimal numbers separated by colons are expected")

// Fingerprint names a key: SHA-1, by protocol, of its blob. It is safe as long as nobody
// finds a second key with the fingerprint of a given one. Collisions, which SHA-1 has,
// only give an attacker two keys of its own.
type Fingerprint [FingerprintLen]byte

// Fingerprint returns the fingerprint of the key.
func (k *PublicKey) Fingerprint() Fingerprint { return sha1.Sum(k.blob) }

// BlobFingerprint returns the fingerprint of a blob that was not parsed yet: a receiver
// compares it before it parses the key.
func BlobFingerprint(blob []byte) Fingerprint { return sha1.Sum(blob) }

// String returns 20 upper-case two-digit hex numbers separated by colons.
func (f Fingerprint) String() string {
	const digits = "0123456789ABCDEF"
	b := make([]byte, 0, 3*FingerprintLen)
	for i, x := range f {
		if i > 0 {
			b = append(b, ':')
		}
		b = append(b, digits[x>>4], digits[x&15])
	}
	return string(b)
}

// ParseFingerprint reads the text that String writes, also with lower case or single
// digits. It fails with [ErrFingerprint] for any other text.
func ParseFingerprint(text string) (f Fingerprint, err error) {
	n, digits, value := 0, 0, 0
	for i := 0; i <= len(text); i++ {
		if i == len(text) || text[i] == ':' {
			if digits == 0 || n == FingerprintLen {
				return Fingerprint{}, ErrFingerprint
			}
			f[n] = byte(value)
			n, digits, value = n+1, 0, 0
			continue
		}
		d, ok := hexDigit(text[i])
		if digits++; !ok || digits > 2 {
			return Fingerprint{}, ErrFingerprint
		}
		value = value<<4 | d
	}
	if n != FingerprintLen {
		return Fingerprint{}, ErrFingerprint
	}
	return f, nil
}

func hexDigit(c byte) (int, bool) {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0'), true
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10, true
	}
	return 0, false
}
