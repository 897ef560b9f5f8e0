package identity

import "encoding/binary"

// splitBlock returns the numbers r and s of a signature block of the curve
// (docs/protocol.md, "Signatures"): two lengths, r, s, zeros. It accepts leading zeros
// of a number, which version 5 sends, but no number longer than a coordinate.
func splitBlock(c Curve, block []byte) (r, s []byte, ok bool) {
	if len(block) != c.blockLen() {
		return nil, nil, false
	}
	n := int(binary.BigEndian.Uint16(block))
	m := int(binary.BigEndian.Uint16(block[2:]))
	if n == 0 || m == 0 || n > c.CoordLen() || m > c.CoordLen() {
		return nil, nil, false
	}
	block = block[4:]
	for _, b := range block[n+m:] {
		if b != 0 {
			return nil, nil, false
		}
	}
	return block[:n], block[n : n+m], true
}

// appendBlock appends the signature block of r and s, minimal numbers.
func appendBlock(b []byte, c Curve, r, s []byte) []byte {
	end := len(b) + c.blockLen()
	b = binary.BigEndian.AppendUint16(b, uint16(len(r)))
	b = binary.BigEndian.AppendUint16(b, uint16(len(s)))
	b = append(b, r...)
	b = append(b, s...)
	for len(b) < end {
		b = append(b, 0)
	}
	return b
}

// trim drops leading zeros.
func trim(n []byte) []byte {
	for len(n) > 0 && n[0] == 0 {
		n = n[1:]
	}
	return n
}

// appendDER appends the ASN.1 form of the pair (r, s), each at most coordMax bytes. The
// standard library verifies that form.
func appendDER(b, r, s []byte) []byte {
	r, s = trim(r), trim(s)
	n := derIntLen(r) + derIntLen(s)
	b = append(b, 0x30)
	if n >= 128 {
		b = append(b, 0x81)
	}
	b = append(b, byte(n))
	return appendDERInt(appendDERInt(b, r), s)
}

// derIntLen returns the bytes of the INTEGER n with its head of two.
func derIntLen(n []byte) int {
	if len(n) == 0 || n[0]&0x80 != 0 {
		return len(n) + 3
	}
	return len(n) + 2
}

func appendDERInt(b, n []byte) []byte {
	b = append(b, 0x02, byte(derIntLen(n)-2))
	if len(n) == 0 || n[0]&0x80 != 0 {
		b = append(b, 0)
	}
	return append(b, n...)
}
