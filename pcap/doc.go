// Package pcap reads UDP datagrams out of packet captures.
//
// [NewReader] takes a classic pcap or a pcapng stream, gzip-compressed or not,
// and [Reader.Next] yields one whole datagram after the other in the order of
// capture: time, addresses, payload. Fragments of IPv4 and IPv6 are put
// together again; a datagram then appears where its last missing fragment was.
// Everything else in the capture is skipped and counted in [Stats]. The package
// opens no file.
//
// A capture may come from anywhere, so every length in it is checked and what it
// can make us keep is bounded: frames to 256 KiB, unfinished datagrams to 256 of
// at most 64 KiB each, for 30 s of capture time. Both formats are read here and
// not by gopacket, which trusts lengths: a pcapng file can make it panic or ask
// for 4 GiB, a classic one make it panic where an int has 32 bits. In the tests
// gopacket is the second opinion, as writer of captures and as decoder.
//
// Limits: Ethernet only, with or without VLAN tags. Checksums are not verified
// (captures taken on the sending host often hold unfinished ones). Tunnels are
// not opened, and IPv6 authentication headers and jumbograms are skipped.
// Nothing is written yet.
package pcap
