// Package aead seals and opens the ENCRYPTED datagrams of a session
// (v4-crypto.md section 5): every cipher and signature type of version 4, and
// version 5, whose datagrams are GCM and CCM with another way to the nonce.
//
// A [Sealer] finds the plaintext where it has to be in the datagram and seals in
// place; an [Opener] opens in place. Both are made of [Keys], which come from
// package handshake, belong to one goroutine each and share nothing, so that any
// number of workers can seal and open one session: counters are taken one after
// the other ([Counter]), trains sealed side by side, datagrams sent in order.
// [Window] finds replays afterwards, in order again.
//
// Nothing allocates after the making, save signatures of type KEYEX, whose
// arithmetic belongs to the Signer and the Verifier.
//
// # CCM
//
// The standard library has no CCM. Ours does a datagram at a time as fast as its
// chain allows, with the key stream in the gaps, and four of a batch side by side
// (see lanesMax); hence [Sealer.SealBatch] and [Opener.OpenBatch]. The assembly is
// for amd64 and arm64 with AES instructions. Elsewhere, and under the build tag
// purego, the block cipher of the standard library does it, one block per call.
// One core of a 2.6 GHz Zen 5 seals 4 GB/s with aes128-ccm and 3 GB/s with
// aes256-ccm in trains of 64 KB; a lone datagram gets 1.2 and 0.85 GB/s, the
// latency of the chain, and without assembly it is 0.35 GB/s. GCM does 3 to 5 GB/s
// either way. Wider vectors (VAES) would gain more, but a network is slower.
//
// # Failure
//
// A datagram that is not authentic leaves no trace: no state changes and no
// plaintext is left in the buffer. HMAC and KEYEX are checked before anything is
// decrypted; tags, HMACs and padding are compared in constant time. There is one
// error for all of it, and nothing is ever answered.
//
// # Limits
//
//   - CBC with HMAC or KEYEX has predictable vectors (they are counters), as the
//     protocol has it. The cipher key and the salt are not bound to the HMAC key.
//   - DES and 3DES have blocks of 64 bits, which repeat after some gigabytes, and
//     are slow: 80 and 35 MB/s.
//   - All members of a version 4 group share one key. A tag or an HMAC proves
//     that a member sealed the datagram, not which one. Only KEYEX does that, at
//     the price of a public-key operation for each datagram, wanted or not.
//   - Round keys inside the standard library (all ciphers but CCM in assembly)
//     and the states of HMAC cannot be wiped; Wipe clears what is held here and
//     lets go of the rest.
//   - Without AES instructions (see [Accelerated]) the standard library works
//     with tables, which is not constant in time.
package aead
