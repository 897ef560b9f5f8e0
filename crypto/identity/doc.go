// Package identity holds the keys of a host: RSA and elliptic curve keys, long-term or
// for one exchange. It has their form on the wire (blobs), their fingerprints, their PEM
// form and their operations: sign, verify, encrypt and decrypt a premaster, agree on a
// shared secret (docs/protocol.md, "Key blobs", "Fingerprints", "Signatures").
//
//	blob of a peer ── ParsePublicKey ──► PublicKey ──► Verify, EncryptPremaster
//	                                         ▲
//	                                         │ Public
//	key file ── ParsePEM ──────────────► PrivateKey ─► AppendSignature, DecryptPremaster,
//	Generate, GenerateEC ──────────────►               Shared
//
// # Contract
//
// A key does not change after it was made, except by Wipe, and any number of goroutines
// may use it. ParsePublicKey checks everything that can be checked, so a key has one
// blob and one fingerprint.
//
// The package works on bytes. Callers open and write key files and never overwrite one;
// this package has the texts of the stock programs for them and the rule about
// permissions ([ModeWarning]).
//
// RSA keys have 512 to 4096 bits. The curves are secp224r1, secp256k1, prime256v1,
// secp384r1 and secp521r1. The binary (sect*) curves and the prime curves of up to 192
// bits, which the stock programs know too, are refused by name with a reason
// ([Curve.Check]). Signatures are RSASSA-PKCS1-v1_5, or ECDSA in a fixed block with the
// nonce of RFC 6979, so equal input gives equal output.
//
// # Limits
//
//   - The protocol demands SHA-1 in fingerprints, in OAEP and, when peers ask for it,
//     in signatures. [Strength] grades keys and hashes; callers decide what to accept.
//   - The standard library refuses RSA below 1024 bits. Package math/big handles such
//     keys, which is not constant in time, so base and exponents are blinded by fresh
//     random numbers and every result is checked. A determined attacker can factor a
//     512-bit modulus: these keys serve interoperation, not secrecy.
//   - Below 768 bits the protocol demands PKCS #1 v1.5 encryption. An attacker who sees
//     many decryptions succeed or fail can find out the plaintext. The check has no
//     branches on secrets, but success and failure must differ; the caller limits how
//     often it answers.
//   - Encryption with a public key uses math/big for every size, because the standard
//     library would ignore the random source that makes simulations repeatable. Its
//     input has fresh random padding each time, so its timing reveals nothing that adds
//     up.
//   - secp256k1 comes from a library whose scalar multiplication is not constant in time.
//   - Keys inside the standard library cannot be wiped. Wipe clears what this package
//     holds and drops the references.
package identity
