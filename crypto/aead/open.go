package aead

import (
	"fmt"

	"uftp/wire"
)

// Opener opens the ENCRYPTED datagrams of one key. It belongs to one goroutine;
// several Openers of the same keys may work at the same time.
type Opener struct {
	mode  mode
	ccm   *ccm // as in Sealer
	dig   *digester
	peer  func(wire.UID) Verifier // SigKeyExch only
	salt  [12]byte
	saltN int
	ivLen int
	iv    [16]byte
}

// Opened is the result for one datagram of a batch.
type Opened struct {
	Msg     []byte // the message from its function byte on, within the datagram; nil if Err is set
	Counter uint64 // 0 if Err is set
	Err     error
}

// NewOpener makes an Opener. For datagrams of type SigKeyExch, Open calls peer, which
// returns the key of a source, or a nil interface (not a nil pointer in one) if it has
// none. For the other types peer is nil. NewOpener fails with ErrKeys, wrapped.
func NewOpener(k Keys, peer func(src wire.UID) Verifier) (*Opener, error) {
	return newOpener(k, peer, true)
}

func newOpener(k Keys, peer func(wire.UID) Verifier, hardware bool) (*Opener, error) {
	if err := k.check(); err != nil {
		return nil, err
	}
	if (k.SigType == wire.SigKeyExch) != (peer != nil) {
		return nil, fmt.Errorf("%w: keys of peers with signature type %d", ErrKeys, k.SigType)
	}
	m, err := newMode(&k, hardware)
	if err != nil {
		return nil, err
	}
	o := &Opener{mode: m, dig: newDigester(&k), peer: peer, ivLen: ciphers[k.Cipher].iv}
	o.ccm, _ = m.(*ccm)
	o.saltN = copy(o.salt[:], k.Salt)
	return o, nil
}

// Open opens an ENCRYPTED datagram in place and returns the message in it, from its
// function byte on, and its counter. The caller checks version byte and group before,
// and afterwards whether the counter is new (see Window).
//
// It fails with ErrMalformed when lengths do not fit each other or the cipher, and with
// ErrAuth. A failure does not change the Opener. pkt then holds no plaintext, and its
// ciphertext may be gone.
func (o *Opener) Open(pkt []byte) (msg []byte, counter uint64, err error) {
	x, err := o.split(pkt)
	if err != nil {
		return nil, 0, err
	}
	if o.dig != nil && !o.verify(pkt, x.Signature) {
		return nil, 0, ErrAuth
	}
	PutIV(o.iv[:o.ivLen], o.salt[:o.saltN], source(pkt), x.Counter)
	n, ok := o.mode.open(o.iv[:o.ivLen], pkt[:headLen], x.Payload)
	if !ok {
		return nil, 0, ErrAuth
	}
	return x.Payload[:n:n], x.Counter, nil
}

// OpenBatch opens any number of datagrams and writes the result of pkts[i] to out[i].
// The results are those of as many calls of Open, but CCM opens up to four neighbours
// of equal length at once. len(out) must be at least len(pkts).
func (o *Opener) OpenBatch(pkts [][]byte, out []Opened) {
	out = out[:len(pkts)]
	if o.ccm == nil {
		for i, pkt := range pkts {
			r := &out[i]
			r.Msg, r.Counter, r.Err = o.Open(pkt)
		}
		return
	}
	waiting := 0            // lanes filled
	var index [lanesMax]int // the datagram in each lane
	for i, pkt := range pkts {
		x, err := o.split(pkt)
		out[i] = Opened{Counter: x.Counter, Err: err}
		if err != nil {
			continue
		}
		if waiting > 0 && len(o.ccm.lane[0].body) != len(x.Payload) {
			o.flush(waiting, &index, out)
			waiting = 0
		}
		l := &o.ccm.lane[waiting]
		l.head, l.body = pkt[:headLen], x.Payload
		PutIV(l.iv[:], o.salt[:o.saltN], source(pkt), x.Counter)
		index[waiting] = i
		waiting++
		if waiting == lanesMax {
			o.flush(waiting, &index, out)
			waiting = 0
		}
	}
	if waiting > 0 {
		o.flush(waiting, &index, out)
	}
}

// flush opens the datagrams that wait in the lanes.
func (o *Opener) flush(k int, index *[lanesMax]int, out []Opened) {
	n := len(o.ccm.lane[0].body) - tagLen
	good := o.ccm.openLanes(k)
	for j := range k {
		r := &out[index[j]]
		if good[j] {
			r.Msg = o.ccm.lane[j].body[:n:n]
		} else {
			*r = Opened{Err: ErrAuth}
		}
	}
}

// split takes a datagram apart and checks all of its lengths, except that of a
// signature of type KEYEX.
func (o *Opener) split(pkt []byte) (x wire.Encrypted, err error) {
	if len(pkt) < headLen || pkt[1] != byte(wire.FuncEncrypted) {
		return x, ErrMalformed
	}
	x, err = wire.ParseEncrypted(pkt[wire.HeaderLen:])
	if err != nil {
		return wire.Encrypted{}, ErrMalformed
	}
	sigLen := 0
	switch {
	case o.peer != nil:
		sigLen = len(x.Signature)
	case o.dig != nil:
		sigLen = o.dig.id.Size()
	}
	// The payload of an empty message is one tag or one block of padding.
	least := o.mode.trailer(0)
	if len(x.Signature) != sigLen || len(x.Payload) < least || o.dig != nil && len(x.Payload)%least != 0 {
		return wire.Encrypted{}, ErrMalformed
	}
	return x, nil
}

// verify checks a signature of type HMAC or KEYEX.
func (o *Opener) verify(pkt, sig []byte) bool {
	if o.peer == nil {
		return equal(o.dig.digest(pkt, len(sig)), sig)
	}
	key := o.peer(source(pkt))
	if key == nil || key.SignatureLen() != len(sig) || len(sig) > MaxSigLen {
		return false
	}
	return key.Verify(o.dig.id, o.dig.digest(pkt, len(sig)), sig) == nil
}

// Wipe clears the keys as far as this package holds them. The Opener must not be used
// afterwards, but may be wiped again.
func (o *Opener) Wipe() {
	o.mode.wipe()
	if o.dig != nil {
		o.dig.wipe()
	}
	clear(o.salt[:])
	clear(o.iv[:])
	o.peer = nil
}
