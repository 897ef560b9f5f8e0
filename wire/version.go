package wire

import (
	"encoding/binary"
	"fmt"
)

// Version is the version of the protocol, as the first byte of a datagram gives it. A session
// speaks one version. The functions of a message whose layout depends on the version take it.
type Version uint8

// Version4 is the only version that is built.
const Version4 Version = 0x40

// known reports whether the messages of v can be read and written.
func (v Version) known() bool { return v == Version4 }

// must panics if v is not known: the machines take no session of such a version.
func (v Version) must() {
	if !v.known() {
		panic(ErrVersion)
	}
}

// Stamp is a moment in a message, µs since the Unix epoch.
type Stamp uint64

// Nearest returns the moment closest to ref that s can stand for: version 4 sends the low 32 bits
// of the seconds. It may lie before the epoch, as a negative number in two's complement.
func (v Version) Nearest(s, ref Stamp) Stamp {
	d := int32(uint32(s/1e6) - uint32(ref/1e6))
	return (ref/1e6+Stamp(int64(d)))*1e6 + s%1e6
}

// String returns the seconds with six decimals.
func (s Stamp) String() string { return fmt.Sprintf("%d.%06d", s/1e6, s%1e6) }

// parseStamp reads the 8 bytes of a stamp: seconds and microseconds, which may be a million and
// more. The seconds wrap where append wraps them.
func parseStamp(p []byte) Stamp {
	sec, usec := binary.BigEndian.Uint32(p), binary.BigEndian.Uint32(p[4:])
	return Stamp(sec+usec/1e6)*1e6 + Stamp(usec%1e6)
}

func (s Stamp) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(s/1e6))
	return binary.BigEndian.AppendUint32(b, uint32(s%1e6))
}
