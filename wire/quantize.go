package wire

import "math"

// Numbers in one or two bytes (docs/protocol.md, "Quantised numbers"). Both ends must
// round alike, so the order of operations matters: the explicit conversions keep a
// compiler from fusing a product and a sum, which would move the borders of codes on
// some machines.

// Bounds of a quantized round trip time, seconds.
const (
	GRTTMin = 1e-6
	GRTTMax = 1000
)

// grttLinear is the number of codes at the low end that count microseconds; the
// rest are logarithmic, 13 codes to a factor e.
const grttLinear = 32

// EncodeGRTT returns the code of a round trip time. It clamps the time to 1 µs and
// 1000 s, and takes NaN for 1 µs. Above 32 µs the code stands for the time or a little
// more.
func EncodeGRTT(seconds float64) uint8 {
	switch {
	case !(seconds > GRTTMin):
		return 0
	case seconds >= GRTTMax:
		return 255
	case seconds < (grttLinear+1)*GRTTMin:
		return uint8(seconds/GRTTMin) - 1
	}
	return uint8(math.Ceil(255 - float64(13*math.Log(GRTTMax/seconds))))
}

// DecodeGRTT returns the round trip time of a code in seconds.
func DecodeGRTT(b uint8) float64 { return grttTable[b] }

var grttTable = func() (t [256]float64) {
	for b := range t {
		if b < grttLinear {
			t[b] = float64(b+1) * GRTTMin
		} else {
			t[b] = GRTTMax / math.Exp(float64(255-b)/13)
		}
	}
	return t
}()

// EncodeGroupSize returns the code of a number of hosts: 5 bits of mantissa in
// tenths of a decade and 3 bits of decimal exponent. Negative numbers count as 0;
// numbers from 98 437 500 on have the largest code.
func EncodeGroupSize(n int) uint8 {
	if n <= 0 {
		return 0
	}
	m, e := float64(n), 0
	for m >= 10 {
		m /= 10
		e++
	}
	v := int(m*32/10+0.5) << 3
	if v > 0xff {
		m /= 10
		e++
		v = int(m*32/10+0.5) << 3
	}
	if e > 7 {
		return 0xff
	}
	return uint8(v | e)
}

// DecodeGroupSize returns the number of hosts a code stands for.
func DecodeGroupSize(b uint8) int {
	return int(float64(float64(b>>3)*(10.0/32)*decades[b&7]) + 0.5)
}

var decades = [8]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7}

// EncodeRate returns the code of a rate: 12 bits of mantissa in tenths of a
// decade and 4 bits of decimal exponent. Rates from about 10^16 on have the largest
// code.
func EncodeRate(bytesPerSecond uint64) uint16 {
	m, e := float64(bytesPerSecond), 0
	for m > 10 {
		m /= 10
		e++
	}
	v := int(m*4096/10+0.5) << 4
	if v > 0xffff {
		m /= 10
		e++
		v = int(m*4096/10+0.5) << 4
	}
	if e > 15 {
		return 0xffff
	}
	return uint16(v | e)
}

// DecodeRate returns the rate of a code in bytes per second.
func DecodeRate(w uint16) uint64 {
	r := float64(w>>4) * (10.0 / 4096)
	for range w & 15 {
		r *= 10
	}
	return uint64(r)
}
