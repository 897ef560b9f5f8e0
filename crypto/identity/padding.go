package identity

import (
	"crypto/sha1"
	"crypto/subtle"
	"io"
)

// oaepLabel is the SHA-1 digest of the empty label.
var oaepLabel = sha1.Sum(nil)

// padOAEP returns the encoding of RFC 8017, section 7.1.1, with SHA-1, MGF1 with
// SHA-1 and the empty label: 00, masked seed, masked (label hash, zeros, 01, msg).
func padOAEP(random io.Reader, size int, msg []byte) ([]byte, error) {
	if len(msg) > size-2*sha1.Size-2 {
		return nil, ErrRSA
	}
	em := make([]byte, size)
	seed, db := em[1:1+sha1.Size], em[1+sha1.Size:]
	if _, err := io.ReadFull(random, seed); err != nil {
		return nil, err
	}
	copy(db, oaepLabel[:])
	db[len(db)-len(msg)-1] = 1
	copy(db[len(db)-len(msg):], msg)
	mask(db, seed)
	mask(seed, db)
	return em, nil
}

// unpadOAEP reverses padOAEP in em, which it changes. It returns 1 if the message has
// len(into) bytes, else 0. It reads every byte in any case.
func unpadOAEP(em, into []byte) int {
	seed, db := em[1:1+sha1.Size], em[1+sha1.Size:]
	rest := len(db) - sha1.Size - 1 - len(into)
	if rest < 0 {
		return 0
	}
	mask(seed, db)
	mask(db, seed)
	good := subtle.ConstantTimeByteEq(em[0], 0)
	good &= subtle.ConstantTimeCompare(db[:sha1.Size], oaepLabel[:])
	// The length is known, and with it the place of the 01.
	good &= allEqual(db[sha1.Size:sha1.Size+rest], 0)
	good &= subtle.ConstantTimeByteEq(db[sha1.Size+rest], 1)
	subtle.ConstantTimeCopy(good, into, db[len(db)-len(into):])
	return good
}

// mask XORs MGF1 with SHA-1 of seed into out.
func mask(out, seed []byte) {
	h := sha1.New()
	var sum [sha1.Size]byte
	for i := 0; len(out) > 0; i++ {
		h.Reset()
		h.Write(seed)
		h.Write([]byte{byte(i >> 24), byte(i >> 16), byte(i >> 8), byte(i)})
		n := subtle.XORBytes(out, out, h.Sum(sum[:0]))
		out = out[n:]
	}
}

// padV15 returns 00 02, random bytes other than zero, 00, msg (RFC 8017, 7.2.1).
func padV15(random io.Reader, size int, msg []byte) ([]byte, error) {
	if len(msg) > size-11 {
		return nil, ErrRSA
	}
	em := make([]byte, size)
	em[1] = 2
	fill := em[2 : size-len(msg)-1]
	for i := 0; i < len(fill); {
		if _, err := io.ReadFull(random, fill[i:i+1]); err != nil {
			return nil, err
		}
		if fill[i] != 0 {
			i++
		}
	}
	copy(em[size-len(msg):], msg)
	return em, nil
}

// unpadV15 reverses padV15 in em. It returns 1 if the message has len(into) bytes, else
// 0. It reads every byte in any case.
func unpadV15(em, into []byte) int {
	at := len(em) - len(into) // first byte of the message
	if at < 11 {
		return 0
	}
	good := subtle.ConstantTimeByteEq(em[0], 0) & subtle.ConstantTimeByteEq(em[1], 2)
	for _, b := range em[2 : at-1] {
		good &= 1 ^ subtle.ConstantTimeByteEq(b, 0)
	}
	good &= subtle.ConstantTimeByteEq(em[at-1], 0)
	subtle.ConstantTimeCopy(good, into, em[at:])
	return good
}

// allEqual returns 1 if every byte of p is b.
func allEqual(p []byte, b byte) int {
	good := 1
	for _, x := range p {
		good &= subtle.ConstantTimeByteEq(x, b)
	}
	return good
}
