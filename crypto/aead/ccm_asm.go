//go:build (amd64 || arm64) && !purego

package aead

// Assembly with the AES instructions. Callers check haveAES first; keys and rounds
// come from roundKeys.expand.

// substitute applies the S-box to the four bytes of w, in constant time.
func substitute(w uint32) uint32

// encryptEight encrypts all of work.
//
//go:noescape
func encryptEight(keys *roundKeys, rounds int, work *[2 * lanesMax]block)

// sealOne encrypts 16*blocks bytes at p, the data of lane 0, blocks >= 1, and updates s
// to the state after them. openOne decrypts.
//
//go:noescape
func sealOne(keys *roundKeys, rounds int, s *state, p *byte, blocks int)

//go:noescape
func openOne(keys *roundKeys, rounds int, s *state, p *byte, blocks int)

// sealFour does the same with 2 <= k <= 4 lanes. The pointers of the others point to
// one block each, which the assembly overwrites.
//
//go:noescape
func sealFour(keys *roundKeys, rounds int, s *state, p0, p1, p2, p3 *byte, k, blocks int)

//go:noescape
func openFour(keys *roundKeys, rounds int, s *state, p0, p1, p2, p3 *byte, k, blocks int)
