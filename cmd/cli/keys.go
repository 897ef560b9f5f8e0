package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"uftp/crypto/identity"
)

// KeyOptions collects -k and -K of the daemons: key files and new keys. A file and a new key at the
// same place of both lists belong together: the key is stored there.
type KeyOptions struct {
	Files []string
	New   []identity.Spec
}

// AddFiles is a Set for -k FILE[,FILE...].
func (k *KeyOptions) AddFiles(v string) error {
	k.Files = append(k.Files, SplitList(v)...)
	return nil
}

// AddNew is a Set for -K: a list of rsa:BITS and ec:CURVE.
func (k *KeyOptions) AddNew(v string) error {
	for _, text := range SplitList(v) {
		s, err := identity.ParseSpec(text)
		var curve *identity.CurveError
		switch {
		case errors.As(err, &curve):
			return &Error{Text: "Invalid EC curve: " + curve.Name, Allowed: curveNames(curve)}
		case err == identity.ErrSpecBits:
			return &Error{Text: "Invalid RSA key size: " + text[len("rsa:"):], Allowed: rsaSizes(identity.RSABitsMaxStock)}
		case err != nil:
			return &Error{Text: "Invalid keyinfo entry: " + text, Allowed: "rsa:bits or ec:curve"}
		}
		if err := checkWords(s); err != nil {
			return err
		}
		k.New = append(k.New, s)
	}
	return nil
}

// Check returns an error if the two lists have different lengths.
func (k *KeyOptions) Check() error {
	if len(k.Files) > 0 && len(k.New) > 0 && len(k.Files) != len(k.New) {
		return Fail("Must list same number of items for -k and -K: %d and %d", len(k.Files), len(k.New))
	}
	return nil
}

// Load reads or creates the keys, in their order. warn takes lines for the user. Errors have exit
// code 3.
func (k *KeyOptions) Load(warn func(line string)) ([]*identity.PrivateKey, error) {
	var keys []*identity.PrivateKey
	for i := range max(len(k.Files), len(k.New)) {
		var file string
		var spec *identity.Spec
		if i < len(k.Files) {
			file = k.Files[i]
		}
		if i < len(k.New) {
			spec = &k.New[i]
		}
		key, err := LoadKey(file, spec, warn)
		if err != nil {
			for _, k := range keys {
				k.Wipe()
			}
			return nil, err
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// SenderKey reads -K of the sender: bits for the exchanges with an RSA key, a
// curve for ecdh_ecdsa. More than bitsMax bits are refused.
func SenderKey(kind identity.Kind, value string, bitsMax int) (identity.Spec, error) {
	if kind == identity.EC {
		c, err := identity.CurveByName(value)
		var curve *identity.CurveError
		if errors.As(err, &curve) {
			return identity.Spec{}, &Error{Text: "Invalid curve: -K " + value, Allowed: curveNames(curve)}
		}
		return identity.Spec{Kind: kind, Curve: c}, err
	}
	n, ok := Number(value, 10)
	s := identity.Spec{Kind: kind, Bits: int(n)}
	if !ok || s.Bits < identity.RSABitsMin || s.Bits > bitsMax {
		return s, &Error{Text: "Invalid new key length: -K " + value, Allowed: rsaSizes(bitsMax)}
	}
	return s, checkWords(s)
}

func rsaSizes(bitsMax int) string { return fmt.Sprintf("%d to %d bits", identity.RSABitsMin, bitsMax) }

// curveNames lists the curves, and says why a curve of the stock programs is not among them.
func curveNames(e *identity.CurveError) string {
	names := identity.CurveNames()
	if e.Curve != 0 {
		names += "; " + e.Error()
	}
	return names
}

// checkWords refuses keys that no message can carry.
func checkWords(s identity.Spec) error {
	if s.Kind == identity.RSA && s.Bits%32 != 0 {
		return &Error{Text: fmt.Sprintf("Invalid RSA key size: %d", s.Bits), Allowed: "a multiple of 32 bits"}
	}
	return nil
}

// LoadKey reads the key in file. With spec it creates a key and stores it in file, if a file is
// given. Errors have exit code 3.
func LoadKey(file string, spec *identity.Spec, warn func(line string)) (key *identity.PrivateKey, err error) {
	switch {
	case spec == nil:
		key, err = ReadKeyFile(file, warn)
	case file == "":
		key, err = identity.Generate(*spec)
	default:
		key, err = MakeKeyFile(file, *spec)
	}
	if err != nil {
		text := "Failed to read/generate private key: " + err.Error()
		if file != "" {
			text += " (-k " + file + ")"
		}
		return nil, &Error{Code: ExitKey, Text: text}
	}
	return key, nil
}

// MakeKeyFile creates a key and writes it to a file that must not exist. It creates the key first:
// if the program is ended during that, there is no empty file.
func MakeKeyFile(name string, spec identity.Spec) (*identity.PrivateKey, error) {
	if _, err := os.Lstat(name); err == nil {
		return nil, identity.ErrExists // saves the time for a large key; storeKey checks again with O_EXCL
	}
	key, err := identity.Generate(spec)
	if err != nil {
		return nil, err
	}
	if err := storeKey(name, key); err != nil {
		key.Wipe()
		return nil, err
	}
	return key, nil
}

// storeKey creates a file with a key. On an error it leaves no file.
func storeKey(name string, key *identity.PrivateKey) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, identity.FileMode)
	switch {
	case errors.Is(err, fs.ErrExist):
		return identity.ErrExists
	case err != nil:
		return keyFileError(err)
	}
	if err := errors.Join(writeKey(f, key), f.Close()); err != nil {
		os.Remove(name)
		return err
	}
	return nil
}

func writeKey(f *os.File, key *identity.PrivateKey) error {
	text, err := key.MarshalPEM()
	if err != nil {
		return err
	}
	defer clear(text)
	if _, err := f.Write(text); err != nil {
		return err
	}
	return f.Sync()
}

// ReadKeyFile reads a key file, and warns if other users can read it.
func ReadKeyFile(name string, warn func(line string)) (*identity.PrivateKey, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, keyFileError(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, identity.ErrReadKey
	}
	text, err := readSecret(f, info)
	defer clear(text)
	if err != nil {
		return nil, identity.ErrReadKey
	}
	key, err := identity.ParsePEM(text)
	if err != nil {
		return nil, err
	}
	if w := identity.ModeWarning(name, info.Mode()); w != "" {
		warn(Clean(w))
	}
	return key, nil
}

// readSecret reads a file into one buffer, which the caller clears; a buffer that grows would leave
// copies in memory. It reads at most PEMLenMax+1 bytes, so that the caller notices a longer file.
func readSecret(r io.Reader, info fs.FileInfo) ([]byte, error) {
	size := int64(identity.PEMLenMax + 1) // a pipe does not know its length
	if info.Mode().IsRegular() {
		size = min(size, info.Size())
	}
	text := make([]byte, size)
	n, err := io.ReadFull(r, text)
	if err == io.ErrUnexpectedEOF || err == io.EOF {
		err = nil
	}
	return text[:n], err
}

// keyFileError puts the text of the stock programs before the reason.
func keyFileError(err error) error {
	return fmt.Errorf("%w: %s", identity.ErrOpenKey, ErrText(err))
}

// KeyLine returns the log line about a key in use.
func KeyLine(key *identity.PublicKey) string {
	if key.Kind() == identity.RSA {
		return fmt.Sprintf("Loaded %d bit RSA key with fingerprint %s", key.Bits(), key.Fingerprint())
	}
	return fmt.Sprintf("Loaded ECDSA key with curve %s and fingerprint %s", key.Curve(), key.Fingerprint())
}
