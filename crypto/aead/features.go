package aead

import (
	"strings"

	"github.com/klauspost/cpuid/v2"

	"uftp/wire"
)

// Accelerated reports whether a cipher runs on instructions made for it. Others are 10
// to 100 times slower, and AES without instructions uses tables, whose use of the cache
// can reveal the key to other programs on the machine. DES is never accelerated. On
// processors other than amd64 and arm64 the answer is no, although the standard library
// may use such instructions there.
func Accelerated(cipher wire.Cipher) bool {
	switch {
	case KeyLen(cipher) == 0 || cipher == 0:
		return false
	case ciphers[cipher].mode == modeGCM:
		return haveGCM
	}
	return haveAES && ciphers[cipher].iv != 8
}

// Features lists the instructions of the processor that help ciphers, separated by
// spaces, for people to read; "none" if there are none.
func Features() string {
	var list []string
	for _, f := range []struct {
		name string
		ids  []cpuid.FeatureID // of amd64 and arm64
	}{
		{"aes", []cpuid.FeatureID{cpuid.AESNI, cpuid.AESARM}},
		{"clmul", []cpuid.FeatureID{cpuid.CLMUL, cpuid.PMULL}},
		{"vaes", []cpuid.FeatureID{cpuid.VAES}},
		{"vpclmulqdq", []cpuid.FeatureID{cpuid.VPCLMULQDQ}},
		{"sha1", []cpuid.FeatureID{cpuid.SHA, cpuid.SHA1}},
		{"sha2", []cpuid.FeatureID{cpuid.SHA, cpuid.SHA2}},
		{"sha512", []cpuid.FeatureID{cpuid.SHA512}},
	} {
		for _, id := range f.ids {
			if cpuid.CPU.Has(id) {
				list = append(list, f.name)
				break
			}
		}
	}
	if list == nil {
		return "none"
	}
	return strings.Join(list, " ")
}
