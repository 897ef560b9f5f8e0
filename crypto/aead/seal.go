package aead

import (
	"encoding/binary"
	"fmt"

	"uftp/wire"
)

// Sealer makes ENCRYPTED datagrams of one key. It belongs to one goroutine. Several
// Sealers of the same keys may work at the same time if no two of them get the same
// counter for the same source.
//
// The datagram lies in the buffer like this:
//
//	0        16                28       Lead()      Lead()+n   Size(n)
//	| common | counter, lengths | signature | plaintext | trailer |
//	| header |         written by Seal      |  n bytes  | by Seal |
type Sealer struct {
	mode   mode
	ccm    *ccm // mode, if that is CCM: it seals four datagrams at once
	dig    *digester
	signer Signer
	salt   [12]byte
	saltN  int
	sigLen int
	ivLen  int
	iv     [16]byte
}

// NewSealer makes a Sealer. signer signs datagrams of type SigKeyExch with
// signatures of sigLen bytes, at most MaxSigLen; for the other types both are nil and
// 0. It fails with ErrKeys, wrapped.
func NewSealer(k Keys, signer Signer, sigLen int) (*Sealer, error) {
	return newSealer(k, signer, sigLen, true)
}

func newSealer(k Keys, signer Signer, sigLen int, hardware bool) (*Sealer, error) {
	if err := k.check(); err != nil {
		return nil, err
	}
	if (k.SigType == wire.SigKeyExch) != (signer != nil) || (signer != nil) != (sigLen > 0) || sigLen > MaxSigLen {
		return nil, fmt.Errorf("%w: signatures of %d bytes with signature type %d", ErrKeys, sigLen, k.SigType)
	}
	m, err := newMode(&k, hardware)
	if err != nil {
		return nil, err
	}
	s := &Sealer{mode: m, dig: newDigester(&k), signer: signer, sigLen: sigLen, ivLen: ciphers[k.Cipher].iv}
	s.ccm, _ = m.(*ccm)
	s.saltN = copy(s.salt[:], k.Salt)
	if k.SigType == wire.SigHMAC {
		s.sigLen = s.dig.id.Size()
	}
	return s, nil
}

// Lead is how many bytes stand before the plaintext: the common header included.
func (s *Sealer) Lead() int { return headLen + s.sigLen }

// Trailer is how many bytes follow n bytes of plaintext: a tag or padding.
func (s *Sealer) Trailer(n int) int { return s.mode.trailer(n) }

// Size is the length of the datagram that n bytes of plaintext become.
func (s *Sealer) Size(n int) int { return s.Lead() + n + s.mode.trailer(n) }

// Seal seals the n bytes of plaintext that stand at pkt[Lead():] behind a common
// header, in place, and returns the length of the datagram, Size(n). It sets the
// function byte of the common header and reads the source UID from it; the caller has
// set the rest. A counter must never come twice for a key and a source: see Counter.
// len(pkt) must be at least Size(n). A shorter one is a bug of the caller and panics, as
// does a message that is too long for the length field.
//
// If the Signer fails, Seal fails with ErrSign, wrapped; the plaintext is gone then.
func (s *Sealer) Seal(pkt []byte, n int, counter uint64) (total int, err error) {
	pkt = pkt[:s.Size(n)]
	s.head(pkt, counter)
	PutIV(s.iv[:s.ivLen], s.salt[:s.saltN], source(pkt), counter)
	s.mode.seal(s.iv[:s.ivLen], pkt[:headLen], pkt[s.Lead():], n)
	return len(pkt), s.sign(pkt)
}

// SealBatch seals a train: count datagrams one behind the other, datagram i at
// train[i*Size(n):] with n bytes of plaintext and counter+i; the last one has
// last bytes, at most n. The result is that of count calls of Seal, but CCM seals four
// at once, which is several times as fast. It returns the length of the train.
func (s *Sealer) SealBatch(train []byte, count, n, last int, counter uint64) (total int, err error) {
	if count < 1 {
		return 0, nil
	}
	stride := s.Size(n)
	i := 0
	if s.ccm != nil {
		for i+1 < count {
			// The last one joins only if it is as long as the others.
			k := min(lanesMax, count-i)
			if i+k == count && last != n {
				k--
			}
			for j := range k {
				pkt := train[(i+j)*stride:][:stride]
				s.head(pkt, counter+uint64(i+j))
				l := &s.ccm.lane[j]
				l.head, l.body = pkt[:headLen], pkt[headLen:]
				PutIV(l.iv[:], s.salt[:s.saltN], source(pkt), counter+uint64(i+j))
			}
			s.ccm.sealLanes(k, n)
			i += k
		}
	}
	for ; i < count; i++ {
		size := n
		if i == count-1 {
			size = last
		}
		if _, err := s.Seal(train[i*stride:], size, counter+uint64(i)); err != nil {
			return 0, err
		}
	}
	return (count-1)*stride + s.Size(last), nil
}

// head completes everything that is neither signature nor ciphertext.
func (s *Sealer) head(pkt []byte, counter uint64) {
	payload := len(pkt) - s.Lead()
	if payload > 0xffff {
		panic("aead: message too long for the payload length field")
	}
	pkt[1] = byte(wire.FuncEncrypted)
	binary.BigEndian.PutUint64(pkt[counterAt:], counter)
	binary.BigEndian.PutUint16(pkt[sigLenAt:], uint16(s.sigLen))
	binary.BigEndian.PutUint16(pkt[payloadLenAt:], uint16(payload))
}

// sign fills the signature field of a datagram that is otherwise complete.
func (s *Sealer) sign(pkt []byte) error {
	if s.dig == nil {
		return nil
	}
	digest := s.dig.digest(pkt, s.sigLen)
	if s.signer == nil {
		copy(pkt[headLen:], digest)
		return nil
	}
	sig, err := s.signer.AppendSignature(pkt[headLen:headLen:s.Lead()], s.dig.id, digest)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSign, err)
	}
	if len(sig) != s.sigLen {
		return fmt.Errorf("%w: signature of %d bytes, want %d", ErrSign, len(sig), s.sigLen)
	}
	return nil
}

// Wipe clears the keys as far as this package holds them. The Sealer must not be used
// afterwards, but may be wiped again.
func (s *Sealer) Wipe() {
	s.mode.wipe()
	if s.dig != nil {
		s.dig.wipe()
	}
	clear(s.salt[:])
	clear(s.iv[:])
	s.signer = nil
}

// source is the UID in the common header.
func source(pkt []byte) wire.UID { return wire.UID(binary.BigEndian.Uint32(pkt[4:])) }
