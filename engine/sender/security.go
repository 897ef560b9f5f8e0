package sender

import (
	"uftp/crypto/aead"
	"uftp/crypto/handshake"
	"uftp/engine/seal"
	"uftp/wire"
)

// Security is what protects an encrypted session: the sender's side of the key
// agreement and the keys of the packets. It serves one session and one machine,
// which calls it from its goroutine; only NewPacker is for others, before the
// session starts.
//
// It owns the counters, so that no two packets of the session have the same one
// (docs/protocol.md, "Counters"): KEYINFO, control packets and data count together, in the
// order in which they leave. Counting begins at 2^63. A receiver on the sender's host has the
// same UID by default, and would use the same nonces under the same key; but receivers begin
// at 1 or, in this project, at the Unix time in nanoseconds, which is less until the year 2262.
type Security struct {
	server  *handshake.Server
	keys    aead.Keys
	sigLen  int // of SigKeyExch
	counter aead.Counter
	sealer  *aead.Sealer // of control packets
	opener  *aead.Opener // made by hear, nil before
	enc     wire.EncInfo
}

const firstCounter = 1 << 63

// NewSecurity makes the Security of the one session that server is for. It fails
// with an error of package aead.
func NewSecurity(server *handshake.Server) (*Security, error) {
	suite, group := server.Suite(), server.Group()
	x := &Security{
		server: server,
		keys: aead.Keys{
			Cipher: suite.Cipher, SigType: suite.SigType, Hash: suite.Hash,
			Key: group.Key, Salt: group.Salt, HMACKey: group.HMACKey,
		},
		counter: aead.NewCounter(firstCounter),
		enc:     server.EncInfo(),
	}
	if suite.SigType != wire.SigHMAC {
		x.keys.HMACKey = nil
	}
	if suite.SigType == wire.SigKeyExch {
		x.sigLen = server.Key().Public().SignatureLen()
	}
	var err error
	x.sealer, err = x.newSealer()
	return x, err
}

// hear makes the opener. keyOf returns the key that verifies the packets of a client, nil if
// none is known; it is called only where each packet bears its sender's signature.
func (x *Security) hear(keyOf func(wire.UID) aead.Verifier) {
	if x.sigLen == 0 {
		keyOf = nil
	}
	var err error
	if x.opener, err = aead.NewOpener(x.keys, keyOf); err != nil {
		panic(err) // the sealer was made with the same keys
	}
}

// NewPacker makes a Packer for the trains of a session with blocks of so many bytes. Each
// goroutine that packs needs its own. Of a nil Security it packs in clear.
func (x *Security) NewPacker(blockSize int) (*seal.Packer, error) {
	if x == nil {
		return seal.NewPacker(nil, blockSize, false), nil
	}
	s, err := x.newSealer()
	if err != nil {
		return nil, err
	}
	return seal.NewPacker(s, blockSize, false), nil
}

func (x *Security) newSealer() (*aead.Sealer, error) {
	if x.sigLen > 0 {
		return aead.NewSealer(x.keys, x.server.Key(), x.sigLen)
	}
	return aead.NewSealer(x.keys, nil, 0)
}

// Signs reports whether each packet bears a signature by the sender's key, which takes a
// thousand times as long as sealing it. A nil Security does not sign.
func (x *Security) Signs() bool { return x != nil && x.sigLen > 0 }

// Overhead is the part of Config.Overhead that encryption adds, bytes. That of a nil Security
// is 0.
func (x *Security) Overhead() int { return x.packetOverhead() - (*Security)(nil).packetOverhead() }

// packetOverhead is the Overhead of the session's Packers.
func (x *Security) packetOverhead() int {
	var s *aead.Sealer
	if x != nil {
		s = x.sealer
	}
	return seal.NewPacker(s, 0, false).Overhead()
}

// BlockSizeMax is the largest block size whose datagrams receivers can read.
func (x *Security) BlockSizeMax() int { return seal.BlockSizeMax(x.sealer, false) }

// Wipe clears the secrets of the session; nothing can be sealed or opened any more. The
// long-term key stays.
func (x *Security) Wipe() {
	if x == nil {
		return
	}
	x.sealer.Wipe()
	if x.opener != nil {
		x.opener.Wipe()
	}
	x.server.Wipe()
	x.keys.Wipe()
}

// nextCounters takes n counters and returns the first.
func (x *Security) nextCounters(n int) uint64 {
	first, err := x.counter.Take(n)
	if err != nil {
		panic(err) // 2^63 datagrams take centuries
	}
	return first
}

// seal seals a control packet of which b holds everything but the seal, Lead
// bytes and the message, and returns the datagram.
func (x *Security) seal(b []byte) []byte {
	total, err := x.sealer.Seal(b[:cap(b)], len(b)-x.sealer.Lead(), x.nextCounters(1))
	if err != nil {
		panic(err) // signing does not depend on what is signed: the key itself is broken
	}
	return b[:total]
}

// sign puts the signature into a whole ANNOUNCE, if the exchange has one.
func (x *Security) sign(pkt []byte) {
	if err := x.server.SignAnnounce(pkt); err != nil {
		panic(err) // see seal
	}
}

// sealed reports whether messages fn of the sender travel inside ENCRYPTED in this session.
func (s *Sender) sealed(fn wire.Func) bool {
	switch fn {
	case wire.FuncAnnounce, wire.FuncRegConf, wire.FuncKeyInfo:
		return false
	}
	return s.sec != nil
}
