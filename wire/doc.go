// Package wire holds the packet formats of UFTP: the 16-byte common header, the
// messages, the extensions, the quantized numbers and the lists. docs/protocol.md
// describes them.
//
// A datagram is a common header ([ParseHeader]) and one message. Every message
// has a Parse function that checks lengths and returns a view by value (slices
// in it borrow from the packet), and an Append method that writes the same
// bytes. Neither allocates. A packet that obeys the format and is parsed and
// appended again comes out byte for byte. The machines in engine decide what a
// message means.
//
//	h, msg, err := wire.ParseHeader(datagram)
//	x, err := wire.ParseFileInfo(h.Version, msg)
//	b = x.Append(h.Version, h.Append(b[:0]))
//
// Parse functions take the message from its function byte on: datagram[16:] if it
// came in clear, the plaintext if it came inside ENCRYPTED. A session has one
// [Version]; where the layout of a message depends on it, Parse and Append take it.
// Errors are static values. A Parse function whose errors a machine answers with an
// ABORT says so.
//
// Append writes reserved bytes as 0, Parse does not look at them. All integers are
// big-endian. Only the first extension of a message counts: if it is not the
// one that belongs there, Parse ignores all of them, as the stock programs do.
//
// Append panics when a field cannot be represented at all (a header longer than
// 255 words, an IPv6 address in an IPv4 ANNOUNCE, a version that is not built): its
// input comes from our own machines, which bound names and keys when they take them
// in.
//
// Limits: version 4 only. [ParseHeader] and every Parse function that takes a
// version refuse others with [ErrVersion]. Sealing, opening and the contents of keys
// and signatures belong to crypto.
package wire
