package identity

import (
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// Text is a line that the stock programs print and scripts may search for.
type Text string

func (t Text) Error() string { return string(t) }

// Lines about key files, as the stock programs print them.
const (
	ErrOpenKey = Text("failed to open key file") // followed by a colon and the reason
	ErrReadKey = Text("Failed to read key")
	ErrExists  = Text("Private key file already exists, won't overwrite")
)

// Why a file is not a key. ParsePEM wraps them together with [ErrReadKey].
var (
	ErrNoPEM      = errors.New("no PEM block with a private key in it")
	ErrPassphrase = errors.New("the key is encrypted with a pass phrase, which is not supported")
	ErrPublicOnly = errors.New("only a public key in it")
	ErrKeyType    = errors.New("neither an RSA nor an EC key")
	ErrKeyForm    = errors.New("the key is damaged")
)

// PEMLenMax is the longest key file that ParsePEM accepts, bytes.
const PEMLenMax = 64 << 10

// FileMode is the mode of new key files.
const FileMode fs.FileMode = 0o600

// ModeWarning returns a line for the user if others than its owner can read or write a
// private key file of this mode, else "". The stock programs and openssl make such files
// unless the umask prevents it.
func ModeWarning(name string, mode fs.FileMode) string {
	if !mode.IsRegular() || mode.Perm()&0o077 == 0 {
		return ""
	}
	return fmt.Sprintf("Warning: private key file %s is open to others than its owner (mode %04o), chmod 600 helps", name, mode.Perm())
}

// PEM block types.
const (
	typePKCS1     = "RSA PRIVATE KEY"
	typeSEC1      = "EC PRIVATE KEY"
	typePKCS8     = "PRIVATE KEY"
	typeEncrypted = "ENCRYPTED PRIVATE KEY"
	typePublic    = "PUBLIC KEY"
	typePublicRSA = "RSA PUBLIC KEY"
)

// ParsePEM reads the first private key in the text of a key file: PKCS #1, SEC1 or
// PKCS #8, unencrypted. It ignores other text and other blocks around the key. Errors
// wrap [ErrReadKey] and one of the reasons above, [ErrRSA] or a [*CurveError].
func ParsePEM(text []byte) (*PrivateKey, error) {
	k, err := parsePEM(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrReadKey, err)
	}
	return k, nil
}

func parsePEM(text []byte) (*PrivateKey, error) {
	if len(text) > PEMLenMax {
		return nil, ErrNoPEM
	}
	none := ErrNoPEM
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			return nil, none
		}
		text = rest
		if block.Type == typeEncrypted || block.Headers["DEK-Info"] != "" {
			return nil, ErrPassphrase
		}
		defer clear(block.Bytes)
		switch block.Type {
		case typePKCS1:
			return parsePKCS1(block.Bytes)
		case typeSEC1:
			return parseSEC1(block.Bytes, 0)
		case typePKCS8:
			return parsePKCS8(block.Bytes)
		case typePublic, typePublicRSA:
			none = ErrPublicOnly
		}
	}
}

// MarshalPEM returns the text of a key file as the stock programs write it: RSA
// as PKCS #1, EC as SEC1 with a named curve. It fails with [ErrWiped]. The
// caller writes it with [FileMode] and never over another file.
func (k *PrivateKey) MarshalPEM() ([]byte, error) {
	var b cryptobyte.Builder
	label := typeSEC1
	switch {
	case k.rsa != nil:
		label = typePKCS1
		k.rsa.appendPKCS1(&b)
	case k.ec != nil:
		k.appendSEC1(&b)
	default:
		return nil, ErrWiped
	}
	der, err := b.Bytes()
	if err != nil {
		return nil, err
	}
	defer clear(der)
	return pem.EncodeToMemory(&pem.Block{Type: label, Bytes: der}), nil
}

// readSequence returns the content of the one SEQUENCE that der consists of.
func readSequence(der []byte) (cryptobyte.String, bool) {
	in := cryptobyte.String(der)
	var seq cryptobyte.String
	ok := in.ReadASN1(&seq, asn1.SEQUENCE) && in.Empty()
	return seq, ok
}
