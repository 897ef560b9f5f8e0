//go:build !purego

#include "textflag.h"

// Layout of state.
#define MAC(j)     (16*j)(DX)
#define KEY(j)     (64+16*j)(DX)
#define COUNTER(j) (128+16*j)(DX)
#define NEXT       256(DX)

// Registers of everything below:
//
//	AX  round keys          X0–X3  chains of the lanes
//	CX  rounds              X4–X7  counter blocks, then key stream
//	DX  state               X8     round key
//	BX  blocks left         X9     number of the next counter block, in dword 3
//	                        X12    1 in dword 3
//	                        X13    shuffle that makes dword 3 big-endian
//	                        X14    last round key

DATA swap<>+0(SB)/8, $0x8080808080808080
DATA swap<>+8(SB)/8, $0x0c0d0e0f80808080
GLOBL swap<>(SB), RODATA|NOPTR, $16

#define LASTKEY \
	MOVQ  CX, BX        \
	SHLQ  $4, BX        \
	MOVOU (AX)(BX*1), X14

#define ALL(op, key) \
	op key, X0 \
	op key, X1 \
	op key, X2 \
	op key, X3 \
	op key, X4 \
	op key, X5 \
	op key, X6 \
	op key, X7

#define ROUND8(off) \
	MOVOU off(AX), X8 \
	ALL(AESENC, X8)

// Rounds 1 to the last of eight blocks that have met key 0 already.
#define ROUNDS8(last) \
	ROUND8(16)    \
	ROUND8(32)    \
	ROUND8(48)    \
	ROUND8(64)    \
	ROUND8(80)    \
	ROUND8(96)    \
	ROUND8(112)   \
	ROUND8(128)   \
	ROUND8(144)   \
	CMPQ  CX, $10 \
	JEQ   last    \
	ROUND8(160)   \
	ROUND8(176)   \
	ROUND8(192)   \
	ROUND8(208)   \
last:             \
	ALL(AESENCLAST, X14)

#define ROUND2(off) \
	MOVOU  off(AX), X8 \
	AESENC X8, X0      \
	AESENC X8, X4

#define ROUNDS2(last) \
	ROUND2(16)    \
	ROUND2(32)    \
	ROUND2(48)    \
	ROUND2(64)    \
	ROUND2(80)    \
	ROUND2(96)    \
	ROUND2(112)   \
	ROUND2(128)   \
	ROUND2(144)   \
	CMPQ  CX, $10 \
	JEQ   last    \
	ROUND2(160)   \
	ROUND2(176)   \
	ROUND2(192)   \
	ROUND2(208)   \
last:             \
	AESENCLAST X14, X0 \
	AESENCLAST X14, X4

// NUMBERS sets X9, X12 and X13.
#define NUMBERS \
	MOVQ  NEXT, R13   \
	MOVQ  R13, X9     \
	PSLLO $12, X9     \
	MOVL  $1, R13     \
	MOVQ  R13, X12    \
	PSLLO $12, X12    \
	MOVOU swap<>(SB), X13

// NUMBER leaves key 0 in X8 and (number of the next counter block XOR key 0) in X10.
#define NUMBER \
	MOVOU  (AX), X8   \
	MOVO   X9, X10    \
	PADDL  X12, X9    \
	PSHUFB X13, X10   \
	PXOR   X8, X10

#define STORENEXT \
	PSRLO $12, X9 \
	MOVQ  X9, R13 \
	MOVQ  R13, NEXT

// The plaintext goes into the chain: on sealing before, on opening after the key
// stream.
#define SEAL(p, chain, key) \
	MOVOU (p), X11   \
	PXOR  X11, key   \
	MOVOU key, (p)   \
	PXOR  X11, chain

#define OPEN(p, chain, key) \
	MOVOU (p), X11   \
	PXOR  X11, key   \
	MOVOU key, (p)   \
	PXOR  key, chain

#define ONE(way) \
	MOVQ  keys+0(FP), AX    \
	MOVQ  rounds+8(FP), CX  \
	MOVQ  s+16(FP), DX      \
	MOVQ  p+24(FP), R8      \
	LASTKEY                 \
	MOVQ  blocks+32(FP), BX \
	MOVOU MAC(0), X0        \
	MOVOU KEY(0), X4        \
	NUMBERS                 \
loop:                       \
	way(R8, X0, X4)         \
	ADDQ  $16, R8           \
	NUMBER                  \
	MOVOU COUNTER(0), X4    \
	PXOR  X10, X4           \
	PXOR  X8, X0            \
	ROUNDS2(last)           \
	DECQ  BX                \
	JNZ   loop              \
	MOVOU X0, MAC(0)        \
	MOVOU X4, KEY(0)        \
	STORENEXT               \
	RET

// R8–R11 point to the data of the lanes; $16, SI, DI and R12 is how far each goes
// per block, 0 for a lane without a datagram.
#define FOUR(way) \
	MOVQ  keys+0(FP), AX    \
	MOVQ  rounds+8(FP), CX  \
	MOVQ  s+16(FP), DX      \
	MOVQ  p0+24(FP), R8     \
	MOVQ  p1+32(FP), R9     \
	MOVQ  p2+40(FP), R10    \
	MOVQ  p3+48(FP), R11    \
	MOVL  $16, SI           \
	XORL  DI, DI            \
	XORL  R12, R12          \
	MOVQ  k+56(FP), R13     \
	CMPQ  R13, $3           \
	JLT   ready             \
	MOVL  $16, DI           \
	JEQ   ready             \
	MOVL  $16, R12          \
ready:                      \
	LASTKEY                 \
	MOVQ  blocks+64(FP), BX \
	MOVOU MAC(0), X0        \
	MOVOU MAC(1), X1        \
	MOVOU MAC(2), X2        \
	MOVOU MAC(3), X3        \
	MOVOU KEY(0), X4        \
	MOVOU KEY(1), X5        \
	MOVOU KEY(2), X6        \
	MOVOU KEY(3), X7        \
	NUMBERS                 \
loop:                       \
	way(R8, X0, X4)         \
	way(R9, X1, X5)         \
	way(R10, X2, X6)        \
	way(R11, X3, X7)        \
	ADDQ  $16, R8           \
	ADDQ  SI, R9            \
	ADDQ  DI, R10           \
	ADDQ  R12, R11          \
	NUMBER                  \
	MOVOU COUNTER(0), X4    \
	MOVOU COUNTER(1), X5    \
	MOVOU COUNTER(2), X6    \
	MOVOU COUNTER(3), X7    \
	PXOR  X10, X4           \
	PXOR  X10, X5           \
	PXOR  X10, X6           \
	PXOR  X10, X7           \
	PXOR  X8, X0            \
	PXOR  X8, X1            \
	PXOR  X8, X2            \
	PXOR  X8, X3            \
	ROUNDS8(last)           \
	DECQ  BX                \
	JNZ   loop              \
	MOVOU X0, MAC(0)        \
	MOVOU X1, MAC(1)        \
	MOVOU X2, MAC(2)        \
	MOVOU X3, MAC(3)        \
	MOVOU X4, KEY(0)        \
	MOVOU X5, KEY(1)        \
	MOVOU X6, KEY(2)        \
	MOVOU X7, KEY(3)        \
	STORENEXT               \
	RET

// func substitute(w uint32) uint32
// With four equal columns ShiftRows changes nothing, so that the last round with
// key 0 is the S-box alone.
TEXT ·substitute(SB), NOSPLIT, $0-12
	MOVL       w+0(FP), AX
	MOVQ       AX, X0
	PSHUFD     $0, X0, X0
	PXOR       X1, X1
	AESENCLAST X1, X0
	MOVQ       X0, AX
	MOVL       AX, ret+8(FP)
	RET

// func encryptEight(keys *roundKeys, rounds int, work *[8]block)
TEXT ·encryptEight(SB), NOSPLIT, $0-24
	MOVQ  keys+0(FP), AX
	MOVQ  rounds+8(FP), CX
	MOVQ  work+16(FP), DX
	LASTKEY
	MOVOU 0(DX), X0
	MOVOU 16(DX), X1
	MOVOU 32(DX), X2
	MOVOU 48(DX), X3
	MOVOU 64(DX), X4
	MOVOU 80(DX), X5
	MOVOU 96(DX), X6
	MOVOU 112(DX), X7
	MOVOU (AX), X8
	ALL(PXOR, X8)
	ROUNDS8(last)
	MOVOU X0, 0(DX)
	MOVOU X1, 16(DX)
	MOVOU X2, 32(DX)
	MOVOU X3, 48(DX)
	MOVOU X4, 64(DX)
	MOVOU X5, 80(DX)
	MOVOU X6, 96(DX)
	MOVOU X7, 112(DX)
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
