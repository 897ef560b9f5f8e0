// Package handshake holds the key agreement of UFTP version 4: how a sender and its
// receivers get from long-term keys to the keys that protect a session
// (docs/protocol.md, "Handshake" to "Verify data").
//
// A [Server] is the side that announces a session: a sender, or a client proxy towards
// its own clients. A sender has one, with one [Peer] for each host that registers. A
// [Client] is the side that registers: one for each session of a receiver.
//
//	Server                                 Client
//	NewServer
//	EncInfo, SignAnnounce   -- ANNOUNCE --> NewClient
//	Register                <-- REGISTER -- AppendRegisterKeyInfo
//	ClientKey               <- CLIENT_KEY - ClientKey
//	AppendKeyInfoItem       --- KEYINFO --> TryKeyInfo, Settle
//	CheckAck                <- KEYINFO_ACK- Candidate.Ack
//	Group                                   Group
//
// # Contract
//
// The package does no I/O, knows no time, and starts and locks nothing. A Server and a
// Client belong to one goroutine each.
//
// TryKeyInfo returns the keys that a KEYINFO gives and may be called for every KEYINFO;
// Settle takes the ones that have opened a packet. OpenKeyInfo does both, for a caller
// who knows that a KEYINFO is genuine. Both sides give a [KeyBlock] and a [Suite] to
// package aead, which seals and opens packets with them. Below the two sides stand
// functions without state ([Suite.PRF] and the methods around it), which also open
// captures offline.
//
// All randomness comes from the io.Reader of the configuration, so that equal bytes give
// equal sessions in a simulation. Only the blinding of small RSA keys uses the system's
// source; it does not change results.
//
// ANNOUNCE, REGISTER and CLIENT_KEY cost public-key operations before anybody has proved
// anything. [AnnounceCostUs], [Server.RegisterCostUs] and [Server.ClientKeyCostUs]
// estimate the cost, so that a machine can limit it. A repeated message costs next to
// nothing.
//
// # Limits
//
//   - The protocol demands MD5 and SHA-1 in the PRF of SHA-1 sessions, and SHA-1 for the
//     premaster of an ECDH exchange. Collisions do no harm there. [Suite.Strength]
//     grades signatures with SHA-1.
//   - KEYINFO is not authenticated. Whoever can send to the private address can disturb
//     a handshake, but learns no key.
//   - With the RSA exchange only the KEYINFO proves that the sender holds its key, and
//     nothing proves the rest of ANNOUNCE. Whoever gets the key later can open recorded
//     sessions. A Client signs nothing that names the Server, so a Server to which it
//     shows its key can impersonate it towards another one. ClientConfig.GuardRSA
//     prevents both.
//   - RSA keys below 768 bits encrypt premasters with PKCS #1 v1.5. The Server answers
//     the first [badPremastersMax] that do not decrypt with an error, later ones with a
//     random premaster. That stops an attack that needs to know which ones decrypt.
//   - Secrets inside hash and cipher states of the standard library cannot be wiped.
package handshake
