package seal

import (
	"uftp/crypto/aead"
	"uftp/engine/machine"
	"uftp/wire"
)

// Packer packs the trains of one session into datagrams. It belongs to one goroutine, as its
// sealer does.
type Packer struct {
	sealer *aead.Sealer // nil: packets leave in clear
	cc     bool         // each packet has TFMCC_DATA_INFO
	block  int          // bytes of data in a full datagram
	head   int          // bytes of the message header
	lead   int          // bytes before the data
	stride int          // bytes of a full datagram
}

// NewPacker returns the Packer of a session with blocks of so many bytes. sealer seals the
// datagrams and is wiped by Wipe; nil: the session is in clear. With cc each datagram has a
// TFMCC_DATA_INFO.
func NewPacker(sealer *aead.Sealer, blockSize int, cc bool) *Packer {
	p := &Packer{sealer: sealer, cc: cc, block: blockSize, head: wire.DataHeaderLen(cc)}
	p.lead = wire.HeaderLen + p.head
	p.stride = p.lead + p.block
	if sealer != nil {
		p.lead = sealer.Lead() + p.head
		p.stride = sealer.Size(p.head + p.block)
	}
	return p
}

// Lead is how many bytes of a datagram stand before its data.
func (p *Packer) Lead() int { return p.lead }

// Stride is the length of a datagram with a whole block, and the distance between the
// datagrams of a train.
func (p *Packer) Stride() int { return p.stride }

// trailerBytes is what the rate counts for the tag or padding of a sealed datagram, as stock
// does.
const trailerBytes = 16

// Overhead is how many bytes of a datagram the rate counts besides its block
// (docs/protocol.md, "Rate").
func (p *Packer) Overhead() int {
	if p.sealer == nil {
		return p.lead
	}
	return p.lead + trailerBytes
}

// BlockSizeMax is the largest block size with which datagrams made with this sealer fit into
// what receivers can read.
func BlockSizeMax(sealer *aead.Sealer, cc bool) int {
	n := wire.MaxBlockSize
	for NewPacker(sealer, n, cc).stride > wire.MaxDatagram {
		n--
	}
	return n
}

// Put writes the headers of datagram i of a train whose datagrams lie in buf, and returns the
// place of its data.
func (p *Packer) Put(buf []byte, t *machine.Train, i int) (data []byte) {
	pkt := buf[i*p.stride:]
	h := t.Head
	h.Seq += uint16(i)
	h.Put(pkt)
	var cc *wire.TFMCCData
	if p.cc {
		cc = &t.CC[i]
	}
	wire.PutDataHeader(pkt[p.lead-p.head:], h.Func, t.FileID, t.Place(i), cc)
	return pkt[p.lead:][:t.Len(i)]
}

// Seal completes a train whose headers and data lie in buf: it seals the datagrams where they
// lie, unless the session is in clear. It returns the length of the train. It fails with
// aead.ErrSign, wrapped, if the sealer's key cannot sign.
func (p *Packer) Seal(buf []byte, t *machine.Train) (n int, err error) {
	last := t.Len(t.N - 1)
	if p.sealer == nil {
		return (t.N-1)*p.stride + p.lead + last, nil
	}
	return p.sealer.SealBatch(buf, t.N, p.head+p.block, p.head+last, t.Counter)
}

// Wipe wipes the keys of the sealer, if there is one.
func (p *Packer) Wipe() {
	if p.sealer != nil {
		p.sealer.Wipe()
	}
}
