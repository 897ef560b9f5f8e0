//go:build !(amd64 || arm64) || purego

package aead

// CCM uses the block cipher of the standard library here. That library has assembly for
// a few more processors (ppc64, s390x), which this package does not detect.
const (
	haveAES = false
	haveGCM = false
)

const unreachable = "aead: no assembly for this processor"

func substitute(uint32) uint32 { panic(unreachable) }

func encryptEight(*roundKeys, int, *[2 * lanesMax]block) { panic(unreachable) }

func sealOne(*roundKeys, int, *state, *byte, int) { panic(unreachable) }

func openOne(*roundKeys, int, *state, *byte, int) { panic(unreachable) }

func sealFour(_ *roundKeys, _ int, _ *state, _, _, _, _ *byte, _, _ int) { panic(unreachable) }

func openFour(_ *roundKeys, _ int, _ *state, _, _, _, _ *byte, _, _ int) { panic(unreachable) }
