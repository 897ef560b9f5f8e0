package handshake

import (
	"crypto"
	"crypto/sha1"
	"encoding/binary"

	"uftp/crypto/identity"
)

// AppendNonceSignature appends the signature of HB_REQ and PROXY_KEY: SHA-1, by
// protocol, over the 4 bytes of the nonce alone (docs/protocol.md, "Signatures").
func AppendNonceSignature(b []byte, key *identity.PrivateKey, nonce uint32) ([]byte, error) {
	digest := sha1.Sum(binary.BigEndian.AppendUint32(nil, nonce))
	return key.AppendSignature(b, crypto.SHA1, digest[:])
}
