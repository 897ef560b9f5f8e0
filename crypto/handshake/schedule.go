package handshake

import (
	"crypto/sha1"
	"encoding/binary"
	"net/netip"

	"uftp/crypto/aead"
	"uftp/crypto/identity"
	"uftp/wire"
)

// Lengths of secrets, bytes (docs/protocol.md, "Handshake", "Key schedule").
const (
	MasterLen        = 48
	PremasterRSALen  = 48
	PremasterECDHLen = sha1.Size
	SaltLen          = 4
)

// A premaster must fit the smallest RSA key of either padding, and package aead must take
// the signatures of the largest one.
const (
	_ = uint(aead.MaxSigLen - identity.RSABitsMax/8)
	_ = uint(identity.OAEPBits/8 - 2*sha1.Size - 2 - PremasterRSALen)
	_ = uint(identity.RSABitsMin/8 - 11 - PremasterRSALen)
)

// groupMasterVersion is the first byte of every group master. It does not travel.
const groupMasterVersion = byte(wire.Version4)

// KeyBlock holds the parts of PRF output: the keys of a group, or those that encrypt the
// group master for one client.
type KeyBlock struct {
	HMACKey []byte // HashLen bytes
	Key     []byte // KeyLen bytes
	Salt    []byte // SaltLen bytes
}

// Master returns the master secret that a client and its server agree on.
func (s Suite) Master(premaster, serverRandom, clientRandom []byte) (master [MasterLen]byte) {
	s.PRF(master[:], premaster, "master secret", join(serverRandom, clientRandom))
	return master
}

// ClientKeys returns the keys that encrypt the group master for a client. Nothing uses
// their HMAC key.
func (s Suite) ClientKeys(master, serverRandom, clientRandom []byte) KeyBlock {
	return s.keyBlock(master, join(serverRandom, clientRandom))
}

// GroupKeys returns the keys of all packets of a session. groupMaster includes its
// version byte.
func (s Suite) GroupKeys(groupMaster, serverRandom []byte) KeyBlock {
	return s.keyBlock(groupMaster, serverRandom)
}

func (s Suite) keyBlock(secret, seed []byte) KeyBlock {
	h, k := s.HashLen(), s.KeyLen()
	b := make([]byte, h+k+SaltLen)
	s.PRF(b, secret, "key expansion", seed)
	return KeyBlock{HMACKey: b[:h:h], Key: b[h : h+k : h+k], Salt: b[h+k:]}
}

// Wipe clears the keys.
func (k *KeyBlock) Wipe() {
	clear(k.HMACKey)
	clear(k.Key)
	clear(k.Salt)
	*k = KeyBlock{}
}

// Session is what the transcript binds a handshake to, besides its keys: the group ID and
// the private address of ANNOUNCE, which is the unspecified address of its family in a
// unicast session. The instance is not part of it.
type Session struct {
	Group   uint32
	Private netip.Addr
}

// Transcript returns V of docs/protocol.md, "Verify data". Client signatures and verify
// data cover it.
func (x Session) Transcript(serverRandom, clientRandom, premaster []byte) []byte {
	v := binary.BigEndian.AppendUint32(nil, x.Group)
	v = append(v, x.Private.AsSlice()...)
	v = append(v, serverRandom...)
	v = append(v, clientRandom...)
	return append(v, premaster...)
}

// VerifyData returns the content of KEYINFO_ACK. clientKey is the blob of CLIENT_KEY, empty
// if the client sent none in this session.
func (s Suite) VerifyData(transcript, clientKey, groupMaster []byte) (verify [wire.VerifyLen]byte) {
	h := s.HashFunc().New()
	h.Write(transcript)
	h.Write(clientKey)
	h.Write(groupMaster)
	s.PRF(verify[:], groupMaster, "client finished", h.Sum(nil))
	return verify
}

// ecdhPremaster returns the premaster of an ECDH exchange: SHA-1, by protocol, of the
// padded X coordinate.
func ecdhPremaster(own *identity.PrivateKey, peer *identity.PublicKey) ([]byte, error) {
	x, err := own.Shared(peer)
	if err != nil {
		return nil, err
	}
	premaster := sha1.Sum(x)
	clear(x)
	return premaster[:], nil
}

func join(a, b []byte) []byte {
	return append(append(make([]byte, 0, len(a)+len(b)), a...), b...)
}
