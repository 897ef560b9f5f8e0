package engine

import (
	"uftp/crypto/aead"
	"uftp/wire"
)

// AnyCipher is no cipher: it stands for those that a receiver may meet, before it has
// met one.
const AnyCipher uint8 = 0xff

// Most workers that are started unasked.
const (
	workersMax    = 8 // for a cipher that costs
	workersMaxAny = 4 // of which a receiver has no use most of the time
)

// DefaultWorkers returns how many goroutines should seal or open packets besides
// those that send, receive and write, which two processors are busy with. cores is how
// many processors there are (runtime.GOMAXPROCS); cipher is one of package wire or
// AnyCipher; accelerated says whether the machine has instructions for it (see
// aead.Accelerated; AES-GCM stands for AnyCipher).
//
// GCM and CCM in hardware do 3 to 5 GB/s a core: one worker is more than a network
// brings, and on a small machine it only takes turns with the others. The rest costs
// four times as much and more, so there even two processors do better when both can
// work on it. A worker that has nothing to do costs next to nothing.
func DefaultWorkers(cores int, cipher uint8, accelerated bool) int {
	costly := !accelerated || cipher != AnyCipher && !aead.Authenticates(cipher)
	switch {
	case cipher == wire.CipherNone || cores < 2:
		return 0
	case costly:
		return max(2, min(cores-1, workersMax))
	case cores < 4:
		return 0
	case cipher == AnyCipher:
		return min(cores-2, workersMaxAny)
	}
	return 1
}
