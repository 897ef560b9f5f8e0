//go:build !purego

package aead

import "github.com/klauspost/cpuid/v2"

var (
	// haveAES says whether our assembly can run; the standard library asks for
	// no more either.
	haveAES = cpuid.CPU.Supports(cpuid.AESARM)
	// haveGCM says whether the standard library's GCM runs on instructions.
	haveGCM = haveAES && cpuid.CPU.Supports(cpuid.PMULL)
)
