package engine

import (
	"testing"

	"uftp/wire"
)

func TestDefaultWorkers(t *testing.T) {
	cores := [...]int{1, 2, 3, 4, 6, 8, 64}
	for _, c := range []struct {
		why         string
		cipher      wire.Cipher
		accelerated bool
		want        [len(cores)]int
	}{
		{"in clear there is nothing to do", wire.CipherNone, false, [...]int{0, 0, 0, 0, 0, 0, 0}},
		{"GCM in hardware needs one, if a processor is free", wire.CipherAES256GCM, true, [...]int{0, 0, 0, 1, 1, 1, 1}},
		{"and so does CCM", wire.CipherAES128CCM, true, [...]int{0, 0, 0, 1, 1, 1, 1}},
		{"GCM in software costs", wire.CipherAES256GCM, false, [...]int{0, 2, 2, 3, 5, 7, 8}},
		{"CBC with its MAC costs", wire.CipherAES256CBC, true, [...]int{0, 2, 2, 3, 5, 7, 8}},
		{"3DES costs most", wire.Cipher3DES, false, [...]int{0, 2, 2, 3, 5, 7, 8}},
		{"who knows not what will come keeps some ready", AnyCipher, true, [...]int{0, 0, 0, 2, 4, 4, 4}},
		{"without AES instructions all will cost", AnyCipher, false, [...]int{0, 2, 2, 3, 5, 7, 8}},
	} {
		for i, n := range cores {
			if got := DefaultWorkers(n, c.cipher, c.accelerated); got != c.want[i] {
				t.Errorf("%d cores: %d workers, want %d: %s", n, got, c.want[i], c.why)
			}
		}
	}
}
