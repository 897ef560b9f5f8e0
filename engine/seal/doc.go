// Package seal turns planned trains into datagrams, in clear or sealed.
//
// A [Packer] is the only place that knows how a data packet lies in memory: how many bytes
// stand before its data, how far apart the datagrams of a train are, what follows the data.
//
//	0        16              28          Lead()-header    Lead()     +data      Stride()
//	| common |                                 | FILESEG  | block    |              clear: Lead() = 24
//	| common | counter, lengths | signature    | FILESEG  | block    | trailer      sealed
//
// FILESEG stands for either kind of data packet (FILESEG, PARITY). Its header is 8 bytes, or
// 16 with TFMCC_DATA_INFO. A stage that fills a train calls Put for each datagram, which
// writes the headers and returns the place of the data; it reads the data there, and calls
// Seal once for the whole train. The data is not copied.
//
// # Limits
//
// A Packer belongs to one goroutine. All datagrams of a session have the same extension: the
// session says whether it has congestion control.
package seal
