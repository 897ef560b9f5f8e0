package handshake

import (
	"crypto"
	"crypto/sha1"
	"encoding/binary"
	"io"
	"math/rand/v2"

	"uftp/crypto/identity"
)

// checkNonce verifies the signature of HB_REQ or PROXY_KEY.
func checkNonce(key *identity.PublicKey, nonce uint32, signature []byte) error {
	digest := sha1.Sum(binary.BigEndian.AppendUint32(nil, nonce))
	return key.Verify(crypto.SHA1, digest[:], signature)
}

// random is a repeatable source.
func random(seed byte) io.Reader { return rand.NewChaCha8([32]byte{seed}) }
