// Package pcap reads UDP datagrams out of packet captures, and writes them.
//
// [NewReader] takes a classic pcap or a pcapng stream, gzip-compressed or not,
// and [Reader.Next] yields one whole datagram after the other in the order of
// capture: time, addresses, payload. Fragments of IPv4 and IPv6 are put
// together again; a datagram then appears where its last missing fragment was.
// Trains of UFTP datagrams that were captured in one piece, as the kernels of
// senders hand them on (GSO), are cut where the next header stands, or refused
// with [ErrSuper]. Everything else in the capture is skipped and counted in
// [Stats]. [NewWriter] writes either format; an [Encoder] makes the same bytes for who
// brings them to a file in his own way, as a program that captures its own packets
// does, raw IP if he likes. The package opens no file.
//
// A capture may come from anywhere, so every length in it is checked and what it
// can make us keep is bounded: frames to 256 KiB, unfinished datagrams to 256 of
// at most 64 KiB each, for 30 s of capture time. Both formats are read here and
// not by gopacket, which trusts lengths: a pcapng file can make it panic or ask
// for 4 GiB, a classic one make it panic where an int has 32 bits. In the tests
// gopacket is the second opinion, as writer of captures and as decoder.
//
// Limits: Ethernet and Linux cooked, with or without VLAN tags, raw IP, and the
// loopback of the BSDs. Checksums are not verified
// (captures taken on the sending host often hold unfinished ones). Tunnels are
// not opened, and IPv6 authentication headers and jumbograms are skipped. A
// super-packet of one datagram and a bit less than a header of the next, or one
// of other messages, is not recognised below 9000 bytes. TTL and
// the like are not read, and a [Writer] does not keep them.
package pcap
