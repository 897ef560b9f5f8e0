package handshake

import (
	"crypto"
	"encoding/binary"

	"uftp/crypto/identity"
	"uftp/wire"
)

// ProxyKeys are the keys of PROXY_KEY, checked. A receiver with a response proxy
// uses them in the place of those in ANNOUNCE to agree on its premaster.
type ProxyKeys struct {
	Key  *identity.PublicKey
	ECDH *identity.PublicKey // nil if the proxy has none
}

// CheckProxyKey checks a PROXY_KEY: the fingerprint, if want is not nil, both
// keys, and the signature, which covers the nonce only. So the ECDH key is as good
// as the address it came from: that is for the caller to compare. It fails with
// [ErrProxyKey] or, for an ECDH key that is none, [ErrProxyECDHKey].
func CheckProxyKey(m *wire.ProxyKey, want *identity.Fingerprint) (*ProxyKeys, error) {
	if want != nil && identity.BlobFingerprint(m.PublicKey) != *want {
		return nil, ErrProxyKey
	}
	key, err := identity.ParsePublicKey(m.PublicKey)
	if err != nil || CheckNonce(key, m.Nonce, m.Signature) != nil {
		return nil, ErrProxyKey
	}
	p := &ProxyKeys{Key: key}
	if len(m.ECDH) > 0 {
		if p.ECDH, err = identity.ParsePublicKey(m.ECDH); err != nil || p.ECDH.Kind() != identity.EC {
			return nil, ErrProxyECDHKey
		}
	}
	return p, nil
}

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
