// Package wire holds the packet formats of UFTP version 4: the 16-byte common
// header, the 21 messages, the extensions, the quantized numbers and the lists.
//
// Every message has a Parse function that checks lengths and returns a view by
// value (slices in it borrow from the packet), and an Append method that writes
// the same bytes. Neither allocates. A view is a faithful picture: what is
// parsed and appended again is byte-identical for every packet that obeys the
// format. What a message *means* is decided by the machines in engine.
//
// Reserved bytes are written as 0 and not looked at. All integers are big-endian.
//
// Limits: version 5 layouts are not written yet; the places where they differ
// (time stamps, FILEINFO, KEYINFO, PROXY_KEY) take a Layout argument's place in
// Header.Version, which the Parse functions refuse when it is not [Version4].
package wire
