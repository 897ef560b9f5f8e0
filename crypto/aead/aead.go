package aead

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"fmt"

	"uftp/wire"
)

// Errors of Open. The caller drops and counts the datagram and answers nothing. One
// value stands for everything that only the holder of a key can find out.
var (
	ErrMalformed = errors.New("aead: lengths of the sealed datagram contradict each other")
	ErrAuth      = errors.New("aead: datagram is not authentic")
)

// Errors of the other functions.
var (
	ErrKeys      = errors.New("aead: cipher, signature type, hash or key length do not go together")
	ErrSign      = errors.New("aead: signing failed")
	ErrExhausted = errors.New("aead: counters of this key are used up")
)

// Fixed lengths of a sealed datagram, bytes.
const (
	headLen = wire.HeaderLen + wire.EncryptedLen // everything before the signature
	tagLen  = 16
	maxSum  = 64 // SHA-512
)

// MaxSigLen is the longest signature of type SigKeyExch, bytes.
const MaxSigLen = 512

// Offsets in a sealed datagram, bytes.
const (
	counterAt    = wire.HeaderLen
	sigLenAt     = counterAt + 8
	payloadLenAt = sigLenAt + 2
)

const _ = uint(headLen - (payloadLenAt + 2))
const _ = uint(maxSum - sha512.Size)

// Keys holds what a Sealer or an Opener is made from. The caller may wipe the slices
// once all Sealers and Openers of the session exist.
type Keys struct {
	Cipher  wire.Cipher // wire.CipherDES … wire.CipherAES256CCM
	SigType wire.Sig    // wire.SigAuthEnc with GCM and CCM, else wire.SigHMAC or wire.SigKeyExch
	Hash    wire.Hash   // wire.HashSHA1 …, of SigHMAC and SigKeyExch
	Key     []byte      // KeyLen(Cipher) bytes
	Salt    []byte      // 4 bytes in version 4, 12 in version 5, which has GCM and CCM only
	HMACKey []byte      // SigHMAC: as long as the hash
}

// Wipe clears the keys.
func (k *Keys) Wipe() {
	clear(k.Key)
	clear(k.Salt)
	clear(k.HMACKey)
}

type modeKind uint8

const (
	modeCBC modeKind = iota + 1
	modeGCM
	modeCCM
)

// ciphers is the table of docs/protocol.md, "Algorithms"; lengths in bytes.
var ciphers = [...]struct {
	key, iv int
	mode    modeKind
	block   func(key []byte) (cipher.Block, error)
}{
	wire.CipherDES:       {8, 8, modeCBC, des.NewCipher},
	wire.Cipher3DES:      {24, 8, modeCBC, des.NewTripleDESCipher},
	wire.CipherAES128CBC: {16, 16, modeCBC, aes.NewCipher},
	wire.CipherAES256CBC: {32, 16, modeCBC, aes.NewCipher},
	wire.CipherAES128GCM: {16, 12, modeGCM, aes.NewCipher},
	wire.CipherAES256GCM: {32, 12, modeGCM, aes.NewCipher},
	wire.CipherAES128CCM: {16, 12, modeCCM, aes.NewCipher},
	wire.CipherAES256CCM: {32, 12, modeCCM, aes.NewCipher},
}

// KeyLen returns the key length of a cipher in bytes, 0 if there is no such cipher.
func KeyLen(cipher wire.Cipher) int {
	if int(cipher) >= len(ciphers) {
		return 0
	}
	return ciphers[cipher].key
}

// Authenticates reports whether a cipher is one with authentication, GCM or CCM.
func Authenticates(cipher wire.Cipher) bool {
	return KeyLen(cipher) > 0 && ciphers[cipher].mode != modeCBC
}

// hashes maps the numbers of ENC_INFO to those of the standard library.
var hashes = [...]crypto.Hash{
	wire.HashSHA1:   crypto.SHA1,
	wire.HashSHA256: crypto.SHA256,
	wire.HashSHA384: crypto.SHA384,
	wire.HashSHA512: crypto.SHA512,
}

// HashFunc returns the hash of a number of ENC_INFO, 0 if there is no such hash.
func HashFunc(hash wire.Hash) crypto.Hash {
	if int(hash) >= len(hashes) {
		return 0
	}
	return hashes[hash]
}

// check reports the first part of k that does not fit the others.
func (k *Keys) check() error {
	if KeyLen(k.Cipher) == 0 {
		return fmt.Errorf("%w: no cipher %d", ErrKeys, k.Cipher)
	}
	row := &ciphers[k.Cipher]
	if len(k.Key) != row.key {
		return fmt.Errorf("%w: key of %d bytes, want %d", ErrKeys, len(k.Key), row.key)
	}
	if len(k.Salt) != 4 && (len(k.Salt) != 12 || row.iv != 12) {
		return fmt.Errorf("%w: salt of %d bytes", ErrKeys, len(k.Salt))
	}
	if (k.SigType == wire.SigAuthEnc) != Authenticates(k.Cipher) {
		return fmt.Errorf("%w: signature type %d with cipher %d", ErrKeys, k.SigType, k.Cipher)
	}
	switch k.SigType {
	case wire.SigAuthEnc:
		return nil
	case wire.SigHMAC, wire.SigKeyExch:
	default:
		return fmt.Errorf("%w: no signature type %d", ErrKeys, k.SigType)
	}
	if HashFunc(k.Hash) == 0 {
		return fmt.Errorf("%w: no hash %d", ErrKeys, k.Hash)
	}
	if k.SigType == wire.SigHMAC && len(k.HMACKey) != hashes[k.Hash].Size() {
		return fmt.Errorf("%w: HMAC key of %d bytes", ErrKeys, len(k.HMACKey))
	}
	return nil
}

// PutIV writes the initialisation vector of a datagram from src with a counter.
// len(iv) is that of the cipher: 8, 12 or 16 bytes. A salt of 4 bytes belongs to
// version 4 (docs/protocol.md, "Key schedule"), a salt of 12 bytes to version 5, which
// does not use src. Both give a base per source; the counter is XORed into its last 8
// bytes.
func PutIV(iv, salt []byte, src wire.UID, counter uint64) {
	clear(iv[copy(iv, salt):])
	if len(salt) == 4 {
		at := 4
		if len(iv) == 12 {
			at = 0
		}
		word := iv[at : at+4]
		binary.BigEndian.PutUint32(word, binary.BigEndian.Uint32(word)^uint32(src))
	}
	tail := iv[len(iv)-8:]
	binary.BigEndian.PutUint64(tail, binary.BigEndian.Uint64(tail)^counter)
}

// mode is a cipher in its mode of operation. Everything happens in place.
type mode interface {
	// trailer is how many bytes sealing adds behind n bytes.
	trailer(n int) int
	// seal makes body[:n+trailer(n)] ciphertext of the plaintext body[:n]. It also
	// authenticates head if the mode can.
	seal(iv, head, body []byte, n int)
	// open reverses seal and returns how many bytes of body are plaintext. After a
	// failure body holds no plaintext.
	open(iv, head, body []byte) (n int, ok bool)
	wipe()
}

// newMode expects checked keys. Tests set hardware to false to run CCM without the
// assembly.
func newMode(k *Keys, hardware bool) (mode, error) {
	row := &ciphers[k.Cipher]
	if row.mode == modeCCM {
		return newCCM(k.Key, hardware)
	}
	b, err := row.block(k.Key)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrKeys, err)
	}
	if row.mode == modeCBC {
		return newCBC(b), nil
	}
	g, err := cipher.NewGCM(b)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrKeys, err)
	}
	return &gcm{aead: g}, nil
}
