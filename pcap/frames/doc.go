// Package frames takes UDP datagrams out of the frames of a capture.
//
// # Contract
//
// [Reader.Next] returns one whole datagram after the other in the order of capture. A
// datagram that was sent in fragments appears where its last missing fragment was. A
// super-packet, a train of UFTP datagrams that the kernel handed on in one piece, is cut
// where the next UFTP header stands, or refused with [ErrSuper]. All other frames are
// skipped and counted in [Stats].
//
// # What gopacket decodes
//
// Headers are decoded by the layers of gopacket: Ethernet, VLAN tags, BSD loopback, IPv4,
// IPv6 and its extension headers, UDP. They are allocated once and point into the frame, so
// decoding allocates nothing; the payload alone is copied. FuzzDecoder holds them against
// any bytes. The layers accept packets that contradict themselves. So the decoder refuses
//
//   - a version in an IP header that the link layer did not announce,
//   - packets longer than the frame, and datagrams longer than the packet,
//   - a length of 0, which the layers take for the length of what is there.
//
// The rest is decoded here, in few lines each:
//
//   - Linux cooked frames: the layer slices the address by a length that it does not check,
//     and panics; there is none for version 2.
//   - Raw IP: the link type has no layer.
//   - The payload of an IPv6 packet: behind a hop-by-hop header the layer looks for as many
//     bytes as the packet has with that header.
//   - IPv6 fragment headers: the layer cannot be decoded into.
//   - Fragments are put together here: ip4defrag of gopacket does not limit how many
//     datagrams it keeps, and knows no IPv6.
//
// TestLayersNotUsed shows both defects; when it fails, that code can go.
//
// # Limits
//
// Unfinished datagrams are limited to 256 of at most 64 KiB each, for 30 s of capture time.
// Checksums are not verified, since captures taken on the sending host often hold
// unfinished ones. Packets with malformed IP options count as broken. Tunnels are not
// opened; IPv6 authentication headers and jumbograms are skipped. A super-packet below 9000
// bytes is not recognised if it has one datagram and less than a header of the next, or
// other messages than FILESEG and ENCRYPTED. TTL and traffic class are not read.
package frames
