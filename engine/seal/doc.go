// Package seal stands between machines and bytes: it turns planned trains into datagrams, and
// sealed datagrams into messages. It knows formats and keys, and no protocol.
//
//	machine ── Train ──► Packer ──► datagrams      datagrams ──► Unsealer ── Marks ──► machine
//	                 fill stage, W goroutines      opening stage, W goroutines
//
// # Packing
//
// A [Packer] is the only place that knows how a data packet lies in memory: how many bytes
// stand before its data, how far apart the datagrams of a train are, and what follows the
// data.
//
//	0        16                  28          Lead()-h  Lead()            Stride()
//	| common | counter, lengths | signature | message | block           | trailer |  sealed
//	| header |                              | header  |                 |         |
//
//	0        16        Lead()            Stride()
//	| common | message | block           |                                           in clear
//	| header | header  |                 |
//
// The message header is that of FILESEG or PARITY: h = 8 bytes, or 16 with TFMCC_DATA_INFO.
// A stage that fills a train calls Put for each datagram, which writes the headers and returns
// the place of the data. It reads the data there, and calls Seal once for the whole train. The
// data is never copied.
//
// # Opening
//
// An [Unsealer] decrypts what it has a key for, in place, and marks it. It finds a [Key] by
// session and source: members of a session may share a key, or have one each. The machine gets
// the datagram with its [Mark] and decides what the message means. It opens what has no mark
// itself. A mark names the key that was used, so one that was made with the key of an older
// session counts as a failure.
//
// # Limits
//
// Packer and Unsealer belong to one goroutine each; stages that work in parallel have one per
// goroutine. Neither allocates once it has its keys. All datagrams of a session have the same
// extension: the session says whether it has congestion control. Handshakes are not known
// here: roles make the keys (crypto/handshake) and hand them in.
package seal
