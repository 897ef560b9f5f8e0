package aead

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"fmt"
)

// lanesMax is how many datagrams CCM works on at once. Each needs two blocks at a
// time, one of the chain and one of the key stream. Eight blocks under way hide the
// latency of an AES round (3 or 4 cycles, 1 or 2 started per cycle) on every processor
// that has the instruction, and they fit the 16 registers of amd64.
const lanesMax = 4

// The assembly has exactly four lanes, and start puts the head into two blocks behind
// its length.
const (
	_ = uint(lanesMax - 4)
	_ = uint(4 - lanesMax)
	_ = uint(2*16 - 2 - headLen)
	_ = uint(headLen - 14)
)

type block [16]byte

func (b *block) xor(c *block) {
	lo := binary.NativeEndian.Uint64(b[0:]) ^ binary.NativeEndian.Uint64(c[0:])
	hi := binary.NativeEndian.Uint64(b[8:]) ^ binary.NativeEndian.Uint64(c[8:])
	binary.NativeEndian.PutUint64(b[0:], lo)
	binary.NativeEndian.PutUint64(b[8:], hi)
}

// lane is one of the datagrams that are sealed or opened at once.
type lane struct {
	iv   [12]byte
	head []byte // headLen bytes
	body []byte // plaintext or ciphertext, and the tag
}

// state is the state of up to lanesMax datagrams between two blocks. The assembly
// depends on its layout.
type state struct {
	mac     [lanesMax]block // the chain
	key     [lanesMax]block // key stream for the next block
	counter [lanesMax]block // counter block number 0
	idle    [lanesMax]block // data of lanes without a datagram
	next    uint64          // number of the counter block after that of key
}

// ccm is AES-CCM (NIST SP 800-38C, RFC 3610) with a tag of 16 bytes, a nonce of
// 12 and headLen bytes of associated data (M = 16, L = 3).
//
// The chain of one datagram is a sequence of AES blocks, each of which needs the one
// before. So one datagram alone leaves the AES unit idle most of the time, and the key
// stream and three more datagrams cost no extra time.
type ccm struct {
	lane   [lanesMax]lane
	state  state
	work   [2 * lanesMax]block
	mask   [lanesMax]block // key stream of block 0, which hides the tag
	rounds int             // 10 or 14; 0: soft encrypts
	keys   roundKeys
	soft   cipher.Block
}

func newCCM(key []byte, hardware bool) (*ccm, error) {
	c := &ccm{}
	if hardware && haveAES {
		c.rounds = c.keys.expand(key)
		return c, nil
	}
	b, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrKeys, err)
	}
	c.soft = b
	return c, nil
}

func (c *ccm) trailer(int) int { return tagLen }

func (c *ccm) seal(iv, head, body []byte, n int) {
	l := &c.lane[0]
	copy(l.iv[:], iv)
	l.head, l.body = head, body
	c.sealLanes(1, n)
}

func (c *ccm) open(iv, head, body []byte) (int, bool) {
	l := &c.lane[0]
	copy(l.iv[:], iv)
	l.head, l.body = head, body
	good := c.openLanes(1)
	return len(body) - tagLen, good[0]
}

// sealLanes seals the datagrams of the first k lanes, n bytes of plaintext each.
func (c *ccm) sealLanes(k, n int) {
	c.start(k, n)
	c.crypt(k, n/16, false)
	c.finish(k, n, false)
	for j := range k {
		copy(c.lane[j].body[n:n+tagLen], c.work[j][:])
	}
}

// openLanes opens the datagrams of the first k lanes, whose bodies have one length,
// and reports which were authentic. It clears the others.
func (c *ccm) openLanes(k int) (good [lanesMax]bool) {
	n := len(c.lane[0].body) - tagLen
	c.start(k, n)
	c.crypt(k, n/16, true)
	c.finish(k, n, true)
	for j := range k {
		body := c.lane[j].body
		good[j] = equal(c.work[j][:], body[n:])
		if !good[j] {
			clear(body)
		}
	}
	return good
}

// start runs the chain over B_0 and the head, so that the plaintext comes next.
func (c *ccm) start(k, n int) {
	s := &c.state
	for j := range k {
		l := &c.lane[j]

		// B_0 holds the flags (associated data, M = 16, L = 3), the nonce, the length.
		b := &c.work[j]
		b[0] = 1<<6 | (tagLen-2)/2<<3 | (3 - 1)
		copy(b[1:], l.iv[:])
		b[13], b[14], b[15] = byte(n>>16), byte(n>>8), byte(n)

		a := &s.counter[j]
		*a = block{3 - 1}
		copy(a[1:], l.iv[:])
		c.work[lanesMax+j] = *a
	}
	c.encrypt(k)
	for j := range k {
		c.mask[j] = c.work[lanesMax+j]
		a := block{0, headLen}
		copy(a[2:], c.lane[j].head)
		c.work[j].xor(&a)
		a = s.counter[j]
		a[15] = 1
		c.work[lanesMax+j] = a
	}
	c.encrypt(k)
	for j := range k {
		s.key[j] = c.work[lanesMax+j]
		var a block
		copy(a[:], c.lane[j].head[14:])
		c.work[j].xor(&a)
	}
	c.encrypt(k)
	copy(s.mac[:], c.work[:lanesMax])
	s.next = 2
}

// crypt encrypts or decrypts so many whole blocks of each of the first k lanes.
func (c *ccm) crypt(k, blocks int, opening bool) {
	switch {
	case blocks == 0:
	case c.rounds == 0:
		for j := range k {
			c.cryptSoft(j, blocks, opening)
		}
		c.state.next += uint64(blocks)
	case k == 1:
		p := &c.lane[0].body[0]
		if opening {
			openOne(&c.keys, c.rounds, &c.state, p, blocks)
		} else {
			sealOne(&c.keys, c.rounds, &c.state, p, blocks)
		}
	default:
		var p [lanesMax]*byte
		for j := range p {
			if j < k {
				p[j] = &c.lane[j].body[0]
			} else {
				p[j] = &c.state.idle[j][0]
			}
		}
		if opening {
			openFour(&c.keys, c.rounds, &c.state, p[0], p[1], p[2], p[3], k, blocks)
		} else {
			sealFour(&c.keys, c.rounds, &c.state, p[0], p[1], p[2], p[3], k, blocks)
		}
	}
}

// cryptSoft is crypt for lane j without the assembly.
func (c *ccm) cryptSoft(j, blocks int, opening bool) {
	s := &c.state
	mac, key, a := &s.mac[j], &s.key[j], &s.counter[j]
	body := c.lane[j].body
	for i := range blocks {
		p := (*block)(body[16*i:])
		if !opening {
			mac.xor(p)
		}
		p.xor(key)
		if opening {
			mac.xor(p)
		}
		c.soft.Encrypt(mac[:], mac[:])
		next := s.next + uint64(i)
		*key = *a
		key[13], key[14], key[15] = byte(next>>16), byte(next>>8), byte(next)
		c.soft.Encrypt(key[:], key[:])
	}
}

// finish handles the bytes after the last whole block and leaves the tags in work.
func (c *ccm) finish(k, n int, opening bool) {
	s := &c.state
	if r := n % 16; r > 0 {
		for j := range k {
			p := c.lane[j].body[n-r : n]
			var plain block
			if !opening {
				copy(plain[:], p)
			}
			for i := range p {
				p[i] ^= s.key[j][i]
			}
			if opening {
				copy(plain[:], p)
			}
			c.work[j] = s.mac[j]
			c.work[j].xor(&plain)
		}
		c.encrypt(k)
	} else {
		copy(c.work[:], s.mac[:])
	}
	for j := range k {
		c.work[j].xor(&c.mask[j])
	}
}

// encrypt encrypts the blocks of work that belong to the first k lanes.
func (c *ccm) encrypt(k int) {
	if c.rounds > 0 {
		encryptEight(&c.keys, c.rounds, &c.work)
		return
	}
	for j := range k {
		c.soft.Encrypt(c.work[j][:], c.work[j][:])
		c.soft.Encrypt(c.work[lanesMax+j][:], c.work[lanesMax+j][:])
	}
}

func (c *ccm) wipe() { *c = ccm{} }

// roundKeys are those of AES, 11 or 15 of them in the order of encryption.
type roundKeys [15 * 16]byte

// expand is the key expansion of FIPS 197 5.2; it returns the number of rounds.
func (w *roundKeys) expand(key []byte) int {
	words := len(key) / 4
	rounds := words + 6
	copy(w[:], key)
	rcon := uint32(1) << 24
	last := binary.BigEndian.Uint32(key[len(key)-4:])
	for i := words; i < 4*(rounds+1); i++ {
		switch {
		case i%words == 0:
			last = substitute(last<<8|last>>24) ^ rcon
			rcon = rcon<<1 ^ rcon>>31*0x1b<<24
		case words == 8 && i%words == 4:
			last = substitute(last)
		}
		last ^= binary.BigEndian.Uint32(w[4*(i-words):])
		binary.BigEndian.PutUint32(w[4*i:], last)
	}
	return rounds
}
