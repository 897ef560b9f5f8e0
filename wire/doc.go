// Package wire holds the packet formats of UFTP: the 16-byte common header, the
// 21 messages, the extensions, the quantized numbers and the lists.
//
// A datagram is a common header ([ParseHeader]) and one message. Every message
// has a Parse function that checks lengths and returns a view by value (slices
// in it borrow from the packet), and an Append method that writes the same
// bytes. Neither allocates. A view is a faithful picture: what is parsed and
// appended again is byte-identical for every packet that obeys the format.
// What a message *means* is decided by the machines in engine.
//
// Parse functions take the message from its function byte on, which is
// datagram[16:] when it came in clear and the plaintext when it came inside
// ENCRYPTED. A session has one [Version]; where the layout of a message depends on
// it, Parse and Append take it. Errors are static values; which of them a receiver has to answer
// with an ABORT is said at each function.
//
// Reserved bytes are written as 0 and not looked at. All integers are
// big-endian. Only the first extension of a message counts: if it is not the
// one that belongs there, all are ignored, as the stock programs do.
//
// Append panics when a field cannot be represented at all (a header longer than
// 255 words, an IPv6 address in an IPv4 ANNOUNCE, a version that is not built): its
// input comes from our own machines, which bound names and keys when they take them
// in.
//
// Limits: version 4 only. [ParseHeader] and every Parse function that takes a
// version refuse others with [ErrVersion]. ENCRYPTED is split into its parts here;
// sealing, opening and the contents of keys and signatures belong to crypto.
package wire
