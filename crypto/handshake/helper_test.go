package handshake

import (
	"io"
	"math/rand/v2"
)

// random is a repeatable source.
func random(seed byte) io.Reader { return rand.NewChaCha8([32]byte{seed}) }
