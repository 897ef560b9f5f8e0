package frames

import (
	"bytes"
	"encoding/binary"
	"errors"
)

// ErrSuper says that a UDP payload is longer than any UFTP datagram, and that no second
// UFTP header shows where to cut it. Such a capture was taken before the network card or
// the kernel cut a train (GSO, USO), or after they joined one (GRO). Reading may go on.
var ErrSuper = errors.New("frames: super-packet that cannot be split")

// What super needs to know of UFTP version 4 (its common header of 16 bytes).
const (
	uftpVersion   = 0x40
	uftpFileSeg   = 9
	uftpEncrypted = 18
	uftpHead      = 16
	uftpMax       = 9000 // bytes of the longest datagram
)

// super returns the length of the datagrams that a payload consists of, all but
// the last being equally long: 0 for a payload that is one datagram, ErrSuper for one that
// must be several, but has no second header.
//
// Kernels accept a train of datagrams to one address in one piece. A captured piece looks
// like one datagram, but its first header repeats at equal distances with the next
// sequence number. No data has those 16 bytes by chance.
func super(b []byte) (size int, err error) {
	if len(b) < uftpHead || b[0] != uftpVersion {
		return 0, nil
	}
	if b[1] == uftpFileSeg || b[1] == uftpEncrypted {
		var want [uftpHead]byte
		for from := uftpHead; ; {
			copy(want[:], b)
			binary.BigEndian.PutUint16(want[2:], binary.BigEndian.Uint16(b[2:])+1)
			i := bytes.Index(b[from:], want[:])
			if i < 0 {
				break
			}
			size = from + i
			if repeats(b, size, want[:]) {
				return size, nil
			}
			from = size + 1
		}
	}
	if len(b) > uftpMax {
		return 0, ErrSuper
	}
	return 0, nil
}

// repeats reports whether a header stands at every multiple of size; head is the
// second one and is changed.
func repeats(b []byte, size int, head []byte) bool {
	for at := size; at < len(b); at += size {
		if !bytes.HasPrefix(b[at:], head) {
			return false
		}
		binary.BigEndian.PutUint16(head[2:], binary.BigEndian.Uint16(head[2:])+1)
	}
	return true
}
