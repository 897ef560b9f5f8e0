// Package identity holds the long-term and the exchange keys of a host: RSA and
// elliptic curve keys, their form on the wire (blobs), their fingerprints, their
// PEM form, and what is done with them: sign, verify, encrypt and decrypt a
// premaster, agree on a shared secret.
//
// A [PublicKey] comes from a peer ([ParsePublicKey]) or from its [PrivateKey];
// a PrivateKey from a key file ([ParsePEM]) or from a generator ([Generate],
// [GenerateEC]). Both never change after they were made, save by Wipe, and may
// be used by any number of goroutines.
//
// The package works on bytes: opening, writing and never overwriting a key file
// is up to the callers, for whom it keeps the texts of the stock programs and
// the rule about permissions ([ModeWarning]).
//
// # What is on offer
//
// RSA from 512 to 4096 bits, the curves secp224r1, secp256k1, prime256v1,
// secp384r1 and secp521r1. The binary (sect*) curves and the prime curves of up
// to 192 bits, which the stock programs know too, are refused by name, each with
// its reason ([Curve.Check]). Signatures are RSASSA-PKCS1-v1_5, or ECDSA in a
// fixed block (v4-crypto.md section 3) with the nonce of RFC 6979, so that equal
// input gives equal output.
//
// # Limits
//
//   - SHA-1 is forced by the protocol in fingerprints, in OAEP and, when peers
//     ask for it, in signatures. How weak that makes a key or a session is
//     told by [Strength], not decided here.
//   - The standard library refuses RSA below 1024 bits. Such keys are worked
//     with math/big, which is not constant in time: base and exponents are
//     blinded by fresh random numbers and every result is checked. A 512-bit
//     modulus can be factored by anyone who cares; this is for
//     interoperation, not for secrecy.
//   - PKCS #1 v1.5 encryption, which the protocol asks for below 768 bits,
//     tells a patient attacker who can see it succeed or fail what was
//     encrypted. The form is checked without branches on secrets, but
//     success and failure have to differ; the caller limits how often.
//   - Encryption with a public key uses math/big for every size: the
//     standard library would ignore the source of randomness that makes
//     simulations repeatable. Its input is padded with fresh random bytes
//     each time, so its timing says nothing that adds up.
//   - secp256k1 comes from a library whose scalar multiplication is not
//     constant in time.
//   - Keys inside the standard library cannot be wiped; Wipe clears what this
//     package holds and lets go of the rest.
package identity
