//go:build !purego

#include "textflag.h"

// Layout of state, bytes.
#define MAC     0
#define KEY     64
#define COUNTER 128
#define NEXT    256

// Registers of everything below:
//
//	R0   state              V0–V3    chains of the lanes
//	R1   rounds - 10        V4–V7    counter blocks, then key stream
//	R2   blocks left        V8–V11   counter blocks number 0
//	R3   number of the      V12      data
//	     next counter       V13      that number in S[3], zeros
//	     block              V16–V28  round keys 0 to 12
//	R4–R7  data             V29, V30 the last two round keys

// AESE adds the round key first, so that the last one is left over for VEOR.
#define ROUND(key, v) \
	AESE  key.B16, v.B16 \
	AESMC v.B16, v.B16

#define ROUND8(key) \
	ROUND(key, V0) \
	ROUND(key, V1) \
	ROUND(key, V2) \
	ROUND(key, V3) \
	ROUND(key, V4) \
	ROUND(key, V5) \
	ROUND(key, V6) \
	ROUND(key, V7)

#define LAST(v) \
	AESE V29.B16, v.B16 \
	VEOR V30.B16, v.B16, v.B16

#define ROUNDS8(last) \
	ROUND8(V16) \
	ROUND8(V17) \
	ROUND8(V18) \
	ROUND8(V19) \
	ROUND8(V20) \
	ROUND8(V21) \
	ROUND8(V22) \
	ROUND8(V23) \
	ROUND8(V24) \
	CBZ R1, last \
	ROUND8(V25) \
	ROUND8(V26) \
	ROUND8(V27) \
	ROUND8(V28) \
last:           \
	LAST(V0) \
	LAST(V1) \
	LAST(V2) \
	LAST(V3) \
	LAST(V4) \
	LAST(V5) \
	LAST(V6) \
	LAST(V7)

#define ROUND2(key) \
	ROUND(key, V0) \
	ROUND(key, V4)

#define ROUNDS2(last) \
	ROUND2(V16) \
	ROUND2(V17) \
	ROUND2(V18) \
	ROUND2(V19) \
	ROUND2(V20) \
	ROUND2(V21) \
	ROUND2(V22) \
	ROUND2(V23) \
	ROUND2(V24) \
	CBZ R1, last \
	ROUND2(V25) \
	ROUND2(V26) \
	ROUND2(V27) \
	ROUND2(V28) \
last:           \
	LAST(V0) \
	LAST(V4)

// KEYS loads the round keys from R8, with the number of rounds in R1.
#define KEYS(short) \
	SUB    $10, R1, R1                                      \
	VLD1.P 64(R8), [V16.B16, V17.B16, V18.B16, V19.B16]     \
	VLD1.P 64(R8), [V20.B16, V21.B16, V22.B16, V23.B16]     \
	VLD1.P 16(R8), [V24.B16]                                \
	CBZ    R1, short                                        \
	VLD1.P 64(R8), [V25.B16, V26.B16, V27.B16, V28.B16]     \
short:                                                      \
	VLD1   (R8), [V29.B16, V30.B16]

// NUMBER puts the number of the next counter block into V13.
#define NUMBER \
	REVW R3, R8        \
	ADD  $1, R3, R3    \
	VMOV R8, V13.S[3]

// The plaintext goes into the chain: on sealing before, on opening after the key
// stream.
#define SEAL(p, chain, key) \
	VLD1 (p), [V12.B16]                  \
	VEOR V12.B16, key.B16, key.B16       \
	VST1 [key.B16], (p)                  \
	VEOR V12.B16, chain.B16, chain.B16

#define OPEN(p, chain, key) \
	VLD1 (p), [V12.B16]                  \
	VEOR V12.B16, key.B16, key.B16       \
	VST1 [key.B16], (p)                  \
	VEOR key.B16, chain.B16, chain.B16

#define ONE(way) \
	MOVD keys+0(FP), R8            \
	MOVD rounds+8(FP), R1          \
	MOVD s+16(FP), R0              \
	MOVD p+24(FP), R4              \
	MOVD blocks+32(FP), R2         \
	KEYS(short)                    \
	ADD  $KEY, R0, R9              \
	ADD  $COUNTER, R0, R10         \
	VLD1 (R0), [V0.B16]            \
	VLD1 (R9), [V4.B16]            \
	VLD1 (R10), [V8.B16]           \
	MOVD NEXT(R0), R3              \
	VEOR V13.B16, V13.B16, V13.B16 \
loop:                              \
	way(R4, V0, V4)                \
	ADD  $16, R4, R4               \
	NUMBER                         \
	VEOR V13.B16, V8.B16, V4.B16   \
	ROUNDS2(last)                  \
	SUB  $1, R2, R2                \
	CBNZ R2, loop                  \
	VST1 [V0.B16], (R0)            \
	VST1 [V4.B16], (R9)            \
	MOVD R3, NEXT(R0)              \
	RET

// R4–R7 point to the data of the lanes; $16, R11, R12 and R13 is how far each goes
// per block, 0 for a lane without a datagram.
#define FOUR(way) \
	MOVD keys+0(FP), R8            \
	MOVD rounds+8(FP), R1          \
	MOVD s+16(FP), R0              \
	MOVD p0+24(FP), R4             \
	MOVD p1+32(FP), R5             \
	MOVD p2+40(FP), R6             \
	MOVD p3+48(FP), R7             \
	MOVD k+56(FP), R14             \
	MOVD blocks+64(FP), R2         \
	MOVD $16, R11                  \
	MOVD $0, R12                   \
	MOVD $0, R13                   \
	CMP  $3, R14                   \
	BLT  ready                     \
	MOVD $16, R12                  \
	BEQ  ready                     \
	MOVD $16, R13                  \
ready:                             \
	KEYS(short)                    \
	ADD  $KEY, R0, R9              \
	ADD  $COUNTER, R0, R10         \
	VLD1 (R0), [V0.B16, V1.B16, V2.B16, V3.B16]    \
	VLD1 (R9), [V4.B16, V5.B16, V6.B16, V7.B16]    \
	VLD1 (R10), [V8.B16, V9.B16, V10.B16, V11.B16] \
	MOVD NEXT(R0), R3              \
	VEOR V13.B16, V13.B16, V13.B16 \
loop:                              \
	way(R4, V0, V4)                \
	way(R5, V1, V5)                \
	way(R6, V2, V6)                \
	way(R7, V3, V7)                \
	ADD  $16, R4, R4               \
	ADD  R11, R5, R5               \
	ADD  R12, R6, R6               \
	ADD  R13, R7, R7               \
	NUMBER                         \
	VEOR V13.B16, V8.B16, V4.B16   \
	VEOR V13.B16, V9.B16, V5.B16   \
	VEOR V13.B16, V10.B16, V6.B16  \
	VEOR V13.B16, V11.B16, V7.B16  \
	ROUNDS8(last)                  \
	SUB  $1, R2, R2                \
	CBNZ R2, loop                  \
	VST1 [V0.B16, V1.B16, V2.B16, V3.B16], (R0) \
	VST1 [V4.B16, V5.B16, V6.B16, V7.B16], (R9) \
	MOVD R3, NEXT(R0)              \
	RET

// func substitute(w uint32) uint32
// With four equal columns ShiftRows changes nothing, so that AESE with key 0 is
// the S-box alone.
TEXT ·substitute(SB), NOSPLIT, $0-12
	MOVWU w+0(FP), R0
	VDUP  R0, V0.S4
	VEOR  V1.B16, V1.B16, V1.B16
	AESE  V1.B16, V0.B16
	VMOV  V0.S[0], R0
	MOVW  R0, ret+8(FP)
	RET

// func encryptEight(keys *roundKeys, rounds int, work *[8]block)
TEXT ·encryptEight(SB), NOSPLIT, $0-24
	MOVD keys+0(FP), R8
	MOVD rounds+8(FP), R1
	MOVD work+16(FP), R0
	KEYS(short)
	ADD  $64, R0, R9
	VLD1 (R0), [V0.B16, V1.B16, V2.B16, V3.B16]
	VLD1 (R9), [V4.B16, V5.B16, V6.B16, V7.B16]
	ROUNDS8(last)
	VST1 [V0.B16, V1.B16, V2.B16, V3.B16], (R0)
	VST1 [V4.B16, V5.B16, V6.B16, V7.B16], (R9)
	RET

// func sealOne(keys *roundKeys, rounds int, s *state, p *byte, blocks int)
TEXT ·sealOne(SB), NOSPLIT, $0-40
	ONE(SEAL)

// func openOne(keys *roundKeys, rounds int, s *state, p *byte, blocks int)
TEXT ·openOne(SB), NOSPLIT, $0-40
	ONE(OPEN)

// func sealFour(keys *roundKeys, rounds int, s *state, p0, p1, p2, p3 *byte, k, blocks int)
TEXT ·sealFour(SB), NOSPLIT, $0-72
	FOUR(SEAL)

// func openFour(keys *roundKeys, rounds int, s *state, p0, p1, p2, p3 *byte, k, blocks int)
TEXT ·openFour(SB), NOSPLIT, $0-72
	FOUR(OPEN)
