// Package pcap reads and writes capture files: classic pcap and pcapng.
//
// # Contract
//
// [NewReader] takes a capture of either format, gzip-compressed or not, and [Reader.Next]
// returns one frame after the other with its time and place. Package frames takes UDP
// datagrams out of them. An [Encoder] appends the bytes of a capture to a slice: a head,
// then datagrams, as Ethernet frames or raw IP. A [Writer] writes what an Encoder makes.
// The package opens no file.
//
// # Why file formats of our own
//
// A capture may come from anywhere. The readers of gopacket (pcapgo) trust the lengths in
// it: a pcapng file can make them panic or ask for 4 GiB, and a classic one make them panic
// where an int has 32 bits. Here every length is checked, a frame has at most 256 KiB and a
// pcapng section at most 4096 interfaces. An Encoder allocates nothing, because uftp and
// uftpd capture their own datagrams while they send and receive. They import this package
// alone: gopacket would double the time that they need to start. In the tests gopacket and
// Wireshark read what is written here.
//
// # Limits
//
// Frames of other link types than [LinkEthernet] and the like are refused with
// [ErrLinkType]. A Writer has no place for TTL and traffic class, an Encoder has.
package pcap
