package engine

import (
	"crypto"
	"testing"
	"time"

	"uftp/crypto/aead"
	"uftp/engine/ring"
	"uftp/engine/seal"
	"uftp/wire"
)

// slowSigner takes its time for each signature.
type slowSigner struct{}

func (slowSigner) AppendSignature(b []byte, _ crypto.Hash, _ []byte) ([]byte, error) {
	time.Sleep(fillMost)
	return append(b, make([]byte, 64)...), nil
}

// TestGatherSlow: trains that take long to fill leave when they are ready, not when as
// many have come together as one system call takes.
func TestGatherSlow(t *testing.T) {
	keys := aead.Keys{Cipher: wire.CipherAES128CBC, SigType: wire.SigKeyExch, Hash: wire.HashSHA256, Key: make([]byte, 16), Salt: make([]byte, 4)}
	sealer, err := aead.NewSealer(keys, slowSigner{}, 64)
	if err != nil {
		t.Fatal(err)
	}
	packer := seal.NewPacker(sealer, 512, false)
	for _, planned := range []int{1, 4} {
		out := ring.New(txBatch, func(_ int, s *txSlot) {
			made, _ := sealedSlot(t, packer, 512)
			*s = *made
			s.train.N = 1
		}, 1, 1)
		w := newWall()
		tr := &transmitter{wall: w, filler: &filler{packer: packer}}
		out.Hand(0, 0).Done(planned)
		if k, n := tr.gather(out.Hand(1, 0)); k != 1 || n != 1 {
			t.Errorf("%d slow trains are planned: %d leave, want the first", planned, n)
		}
	}
}
