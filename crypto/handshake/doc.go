// Package handshake holds the key agreement of UFTP version 4 (v4-crypto.md): how
// a sender and its receivers come from long-term keys to the keys that protect a
// session. It does no I/O, knows no time, starts nothing and locks nothing.
//
// A [Server] is the side that announces a session: a sender, or a client proxy
// towards its own clients. There is one per sender process, and one [Peer] per
// host that registers. A [Client] is the side that registers: one per session of
// a receiver, or of a proxy towards the sender.
//
//	Server                                 Client
//	NewServer
//	EncInfo, SignAnnounce   -- ANNOUNCE --> NewClient
//	Register                <-- REGISTER -- AppendRegisterKeyInfo
//	ClientKey               <- CLIENT_KEY - ClientKey
//	AppendKeyInfoItem       --- KEYINFO --> TryKeyInfo, Settle
//	CheckAck                <- KEYINFO_ACK- Ack
//	Group                                   Group
//
// TryKeyInfo says what the keys would be, as often as a KEYINFO comes; Settle takes
// those that a packet has opened with. OpenKeyInfo is both at once, for one who
// knows where the KEYINFO came from.
//
// Both ends hand a [KeyBlock] and a [Suite] to package aead, which seals and opens
// packets with them. Version 5 derives its keys in another way but ends in the same three things, so
// nothing behind this package needs to know the version.
//
// Below the two sides stand pure functions: [Suite.PRF], [Suite.Master],
// [Suite.ClientKeys], [Suite.GroupKeys], [Suite.AppendGroupMaster],
// [Suite.OpenGroupMaster], [Session.Transcript], [Suite.VerifyData]. They also open
// captures offline.
//
// # Randomness
//
// Everything random comes from the io.Reader that a configuration names, which is
// crypto/rand.Reader but in simulations, where equal bytes give equal sessions.
// The blinding of small RSA keys uses the system's source; it changes no result.
//
// # Cost
//
// REGISTER, CLIENT_KEY and ANNOUNCE are answered with public-key operations
// before anybody has proved anything. [Server.RegisterCostUs],
// [Server.ClientKeyCostUs] and [AnnounceCostUs] estimate them so that a machine
// can limit how much of its time strangers get. Repeated messages of a host that
// were dealt with cost next to nothing.
//
// # Limits
//
//   - The PRF for SHA-1 sessions uses MD5 and SHA-1, and the premaster of an ECDH
//     exchange is always a SHA-1 digest, by protocol. Both are used where
//     collisions do not matter; signatures with SHA-1 are graded by
//     [Suite.Strength].
//   - KEYINFO is not authenticated by the protocol, so who can send to the
//     private address can spoil a handshake, but learns no key by it.
//   - With the RSA exchange nothing proves who sent ANNOUNCE before the
//     KEYINFO that only the holder of the key can make, and whoever gets the
//     key later can open recorded sessions. What else ANNOUNCE says is proved
//     never, and a Client signs nothing that names the Server: one to which it
//     shows its key can pass for it at another Server. ClientConfig.GuardRSA
//     keeps a Client from both.
//   - Premasters below 768 bits of RSA come in PKCS #1 v1.5. The Server answers
//     the first [badPremastersMax] that do not open with an error and later
//     ones with a random premaster, which ends an attack that needs to know
//     what opens.
//   - Secrets inside hash and cipher states of the standard library cannot be
//     wiped.
package handshake
