package dialect

import (
	"uftp/crypto/aead"
	"uftp/crypto/handshake"
	"uftp/engine/seal"
	"uftp/wire"
)

// Server is the dialect of the side that announces a session. It serves one session and one
// machine. A nil Server speaks version 4 in clear.
type Server struct {
	version   wire.Version
	handshake *handshake.Server // nil in clear
	enc       wire.EncInfo

	keys    aead.Keys
	signed  *verifier // of the clients' signatures; nil unless packets are signed
	counter aead.Counter
	sealer  *aead.Sealer // of control packets
	opener  *aead.Opener
}

// firstCounter is the first one of a server. A receiver on the sender's host has the same UID unless
// the user gives it another one, and would use the same nonces under the same key. Receivers begin
// at 1 or, in this project, at the Unix time in nanoseconds, which stays below until the year 2262.
const firstCounter = 1 << 63

// NewServer returns the server of the session of h, in version v; a nil h is a session in clear. It
// fails with an error of package aead.
func NewServer(v wire.Version, h *handshake.Server) (*Server, error) {
	x := &Server{version: v, handshake: h}
	if h == nil {
		return x, nil
	}
	x.enc = h.EncInfo()
	x.keys = packetKeys(h.Suite(), h.Group())
	x.counter = aead.NewCounter(firstCounter)
	var peer func(wire.UID) aead.Verifier
	if x.keys.SigType == wire.SigKeyExch {
		x.signed = new(verifier)
		peer = func(wire.UID) aead.Verifier {
			if x.signed.key == nil {
				return nil
			}
			return x.signed
		}
	}
	var err error
	if x.sealer, err = x.newSealer(); err != nil {
		return nil, err
	}
	x.opener, err = aead.NewOpener(x.keys, peer)
	return x, err
}

// packetKeys turns the keys of a version 4 group into the form of package aead.
func packetKeys(s handshake.Suite, group *handshake.KeyBlock) aead.Keys {
	k := aead.Keys{Cipher: s.Cipher, SigType: s.SigType, Hash: s.Hash, Key: group.Key, Salt: group.Salt}
	if s.SigType == wire.SigHMAC {
		k.HMACKey = group.HMACKey
	}
	return k
}

// Version returns the version of every packet of the session.
func (x *Server) Version() wire.Version {
	if x == nil {
		return wire.Version4
	}
	return x.version
}

// Encrypted reports whether the session has keys.
func (x *Server) Encrypted() bool { return x != nil && x.handshake != nil }

// Handshake returns the side of the handshake, nil in clear.
func (x *Server) Handshake() *handshake.Server { return x.handshake }

// Wipe clears the secrets of the session; nothing can be sent or heard any more. The long-term key
// stays.
func (x *Server) Wipe() {
	if !x.Encrypted() {
		return
	}
	x.sealer.Wipe()
	x.opener.Wipe()
	x.handshake.Wipe()
	x.keys.Wipe()
}

// FillAnnounce puts the offer of keys into an ANNOUNCE, with room for the signature.
func (x *Server) FillAnnounce(m *wire.Announce) {
	if x.Encrypted() {
		m.Enc, m.HasEnc = x.enc, true
	}
}

// Seals reports whether message f travels inside ENCRYPTED. For ABORT it is true, though hosts without
// keys need that in clear.
func (x *Server) Seals(f wire.Func) bool {
	switch f {
	case wire.FuncAnnounce, wire.FuncRegConf, wire.FuncKeyInfo:
		return false
	}
	return x.Encrypted()
}

// Begin begins a packet in the empty buffer b: the header and, when the packet is going to be
// sealed, the room that the seal needs before the message.
func (x *Server) Begin(b []byte, h wire.Header, sealed bool) []byte {
	b = h.Append(b)
	if sealed {
		b = b[:x.sealer.Lead()]
	}
	return b
}

// LongestPacket is how long a packet may become so that receivers can read it, bytes.
func (x *Server) LongestPacket(sealed bool) int {
	if sealed {
		return wire.MaxDatagram - x.sealer.Trailer(0) // which is the most
	}
	return wire.MaxDatagram
}

// Finish completes a packet that Begin has begun: it signs ANNOUNCE, if the key exchange wants
// that, and seals what has to be sealed, with the next counter.
func (x *Server) Finish(b []byte, sealed bool) []byte {
	n, err := len(b), error(nil)
	switch {
	case sealed:
		n, err = x.sealer.Seal(b[:cap(b)], len(b)-x.sealer.Lead(), x.Counters(1))
	case x.Encrypted() && wire.Func(b[1]) == wire.FuncAnnounce:
		err = x.handshake.SignAnnounce(b)
	}
	if err != nil {
		panic(err) // signing does not depend on what is signed: the key itself is broken
	}
	return b[:n]
}

// Counters takes n counters for packets that are sealed elsewhere and returns the first, 0 in clear.
func (x *Server) Counters(n int) uint64 {
	if !x.Encrypted() {
		return 0
	}
	first, err := x.counter.Take(n)
	if err != nil {
		panic(err) // 2^63 datagrams take centuries
	}
	return first
}

// NewPacker makes a Packer for the trains of the session, with blocks of so many bytes. Each
// goroutine that packs needs its own.
func (x *Server) NewPacker(blockSize int) (*seal.Packer, error) {
	if !x.Encrypted() {
		return seal.NewPacker(nil, blockSize, false), nil
	}
	s, err := x.newSealer()
	if err != nil {
		return nil, err
	}
	return seal.NewPacker(s, blockSize, false), nil
}

func (x *Server) newSealer() (*aead.Sealer, error) {
	if x.signed != nil {
		return aead.NewSealer(x.keys, x.handshake.Key(), x.handshake.Key().Public().SignatureLen())
	}
	return aead.NewSealer(x.keys, nil, 0)
}

// sealerOf returns the sealer of control packets, nil in clear.
func (x *Server) sealerOf() *aead.Sealer {
	if !x.Encrypted() {
		return nil
	}
	return x.sealer
}

// Overhead is the number of bytes around the block of a data packet that the rate counts, without
// the headers of UDP and IP.
func (x *Server) Overhead() int { return seal.NewPacker(x.sealerOf(), 0, false).Overhead() }

// BlockSizeMax is the largest block size whose data packets receivers can read.
func (x *Server) BlockSizeMax() int { return seal.BlockSizeMax(x.sealerOf(), false) }

// Signed reports whether each packet is signed with the key of its sender, which takes a thousand
// times as long as sealing it.
func (x *Server) Signed() bool { return x != nil && x.signed != nil }

// TakesClear reports whether message f of a client counts if it came in clear. In an encrypted session
// only the messages before the keys count, and an ABORT of a client that has none.
func (x *Server) TakesClear(f wire.Func, keyed bool) bool {
	switch f {
	case wire.FuncRegister, wire.FuncClientKey:
		return true
	case wire.FuncAbort:
		return !keyed || !x.Encrypted()
	}
	return !x.Encrypted()
}

// Open opens an ENCRYPTED datagram in place. p is the host that the packet claims to be from; its
// key verifies the signature, if packets are signed.
func (x *Server) Open(pkt []byte, p *handshake.Peer) (msg []byte, counter uint64, err error) {
	if x.signed != nil {
		x.signed.begin(p.Key())
	}
	return x.opener.Open(pkt)
}

// FailureCostUs returns what it cost to verify the datagram that Open took last, µs; 0 if none was
// verified.
func (x *Server) FailureCostUs() int {
	if x.signed == nil || !x.signed.done {
		return 0
	}
	return x.handshake.ClientKeyCostUs(x.signed.key.AppendBlob(nil))
}

// Ours reports whether a counter may be one of ours. A packet with such a counter and our UID is one
// that somebody has sent back.
func (x *Server) Ours(counter uint64) bool { return counter >= firstCounter }
