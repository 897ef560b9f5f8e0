//go:build !purego

package aead

import "github.com/klauspost/cpuid/v2"

var (
	// haveAES reports whether the assembly can run. The standard library needs the
	// same features.
	haveAES = cpuid.CPU.Supports(cpuid.AESARM)
	// haveGCM reports whether the standard library's GCM runs on instructions.
	haveGCM = haveAES && cpuid.CPU.Supports(cpuid.PMULL)
)
