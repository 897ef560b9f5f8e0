// Package aead seals and opens the ENCRYPTED datagrams of a session
// (docs/protocol.md, "Sealed layout"). It has every cipher and signature type of
// version 4. Version 5 uses GCM and CCM with another nonce, which [PutIV] also makes.
//
//	        Keys, from package handshake
//	          │                    │
//	          ▼                    ▼
//	plaintext ─ Sealer ─► datagram ─ Opener ─► plaintext, counter ─► Window
//	            ▲                                                    (replays)
//	         Counter
//
// # Contract
//
// A [Sealer] seals in place: the caller puts the plaintext where it must be in the
// datagram. An [Opener] opens in place. Each belongs to one goroutine and shares nothing
// with others, so any number of workers can seal and open the datagrams of one session.
// One goroutine takes the counters in order ([Counter]), the workers seal side by side,
// and one goroutine sends in order. On the other side one [Window] for each source finds
// replays, again in order.
//
// After construction nothing allocates, except signatures of type KEYEX: their
// arithmetic belongs to the Signer and the Verifier.
//
// A datagram that is not authentic changes no state and leaves no plaintext in the
// buffer. HMAC and KEYEX are checked before decryption. Tags, HMACs and padding are
// compared in constant time. One error stands for all of that, and nobody answers it.
//
// # CCM
//
// The standard library has no CCM. Ours works on four datagrams of a batch at once
// (see lanesMax), which is why [Sealer.SealBatch] and [Opener.OpenBatch] exist. The
// assembly needs amd64 or arm64 with AES instructions. Elsewhere, and under the build
// tag purego, the standard library encrypts one block per call. One core of a 2.6 GHz
// Zen 5 seals 4 GB/s of aes128-ccm and 3 GB/s of aes256-ccm in trains of 64 KB, 1.2 and
// 0.85 GB/s datagram by datagram, and 0.35 GB/s without assembly. GCM reaches 3 to 5 GB/s.
//
// # Limits
//
//   - The vectors of CBC are counters, so they can be predicted. The protocol wants
//     that. The cipher key and the salt are not bound to the HMAC key.
//   - DES and 3DES have blocks of 64 bits, which repeat after some gigabytes. They
//     reach 80 and 35 MB/s.
//   - All members of a version 4 group share one key. A tag or an HMAC proves that a
//     member sealed the datagram, but not which one. Only KEYEX proves that; it costs a
//     public-key operation per datagram.
//   - Wipe cannot clear round keys inside the standard library (all ciphers but CCM in
//     assembly) or the states of HMAC. It clears the rest and drops the references.
//   - Without AES instructions (see [Accelerated]) the standard library uses tables,
//     which takes time that depends on the key.
package aead
