package aead

import (
	"crypto/cipher"
	"crypto/subtle"
)

// gcm is AES-GCM of the standard library.
type gcm struct{ aead cipher.AEAD }

func (g *gcm) trailer(int) int { return tagLen }

func (g *gcm) seal(iv, head, body []byte, n int) {
	g.aead.Seal(body[:0], iv, body[:n], head)
}

func (g *gcm) open(iv, head, body []byte) (int, bool) {
	p, err := g.aead.Open(body[:0], iv, body, head)
	return len(p), err == nil
}

func (g *gcm) wipe() { g.aead = nil }

// resettable is a CBC mode of the standard library, which can start with another
// vector without a new allocation.
type resettable interface {
	cipher.BlockMode
	SetIV([]byte)
}

// cbc is a block cipher in CBC with PKCS #7 padding. It authenticates nothing.
type cbc struct {
	enc, dec resettable
	size     int // of a block, bytes
}

func newCBC(b cipher.Block) *cbc {
	n := b.BlockSize()
	iv := make([]byte, n)
	return &cbc{
		enc:  cipher.NewCBCEncrypter(b, iv).(resettable),
		dec:  cipher.NewCBCDecrypter(b, iv).(resettable),
		size: n,
	}
}

func (c *cbc) trailer(n int) int { return c.size - n%c.size }

func (c *cbc) seal(iv, _, body []byte, n int) {
	pad := c.trailer(n)
	body = body[:n+pad]
	for i := n; i < len(body); i++ {
		body[i] = byte(pad)
	}
	c.enc.SetIV(iv)
	c.enc.CryptBlocks(body, body)
}

// open expects whole blocks, one at least.
func (c *cbc) open(iv, _, body []byte) (int, bool) {
	c.dec.SetIV(iv)
	c.dec.CryptBlocks(body, body)
	pad := int(body[len(body)-1])
	good := subtle.ConstantTimeLessOrEq(1, pad) & subtle.ConstantTimeLessOrEq(pad, c.size)
	last := body[len(body)-c.size:]
	for i, b := range last {
		outside := subtle.ConstantTimeLessOrEq(pad, c.size-1-i)
		good &= outside | subtle.ConstantTimeByteEq(b, byte(pad))
	}
	if good != 1 {
		clear(body)
		return 0, false
	}
	return len(body) - pad, true
}

func (c *cbc) wipe() { c.enc, c.dec = nil, nil }
