package handshake

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"crypto/subtle"
	"hash"
)

// PRF fills out from secret, label and seed (docs/protocol.md, "PRF"). SHA-1 sessions
// combine MD5 over the first half of the secret and SHA-1 over the second, by protocol.
// It is not the function of TLS, which chains A: this one chains the output.
func (s Suite) PRF(out, secret []byte, label string, seed []byte) {
	full := make([]byte, 0, len(label)+len(seed))
	full = append(append(full, label...), seed...)
	clear(out)
	if h := s.HashFunc(); h.Size() != sha1.Size {
		expand(h.New, out, secret, full)
		return
	}
	half := (len(secret) + 1) / 2
	expand(md5.New, out, secret[:half], full)
	expand(sha1.New, out, secret[len(secret)-half:], full)
}

// expand XORs P(hash, secret, seed, len(out)) into out.
func expand(hash func() hash.Hash, out, secret, seed []byte) {
	mac := hmac.New(hash, secret)
	mac.Write(seed)
	link := mac.Sum(nil)
	for len(out) > 0 {
		mac.Reset()
		mac.Write(link)
		mac.Write(seed)
		link = mac.Sum(link[:0])
		n := subtle.XORBytes(out, out, link)
		out = out[n:]
	}
	clear(link)
}
