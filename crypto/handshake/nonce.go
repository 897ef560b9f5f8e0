package handshake

import (
	"crypto"
	"encoding/binary"

	"uftp/crypto/identity"
)

// AppendNonceSignature appends the signature of HB_REQ and PROXY_KEY: SHA-1, by
// protocol, over the 4 bytes of the nonce alone (v4-crypto.md section 6).
func AppendNonceSignature(b []byte, key *identity.PrivateKey, nonce uint32) ([]byte, error) {
	return key.AppendSignature(b, crypto.SHA1, nonceDigest(nonce))
}

// CheckNonce verifies the signature of HB_REQ or PROXY_KEY.
func CheckNonce(key *identity.PublicKey, nonce uint32, signature []byte) error {
	return key.Verify(crypto.SHA1, nonceDigest(nonce), signature)
}

func nonceDigest(nonce uint32) []byte {
	d := crypto.SHA1.New()
	d.Write(binary.BigEndian.AppendUint32(nil, nonce))
	return d.Sum(nil)
}
