// Package netio moves batches of UDP datagrams between the network and preallocated buffers. It is
// the only package that touches sockets. It starts no goroutine and reads no clock: every call runs
// in the caller's goroutine and parks in Go's network poller, so that a deadline or Close wakes it.
//
// # Glossary
//
//	datagram  the payload of one UDP packet
//	train     datagrams of one size (the last may be shorter) to one destination, one behind the
//	          other in one buffer, to be sent: TxTrain
//	run       datagrams that the kernel has joined (GRO), received in one slot
//	slot      one receive buffer, with the datagram or run that arrived in it: RxSlot
//	segment   the kernel's word for one datagram of a train or run, as in Seg
//	message   what one header of recvmmsg or sendmmsg describes: a datagram, a train or a run
//	batch     the messages of one system call; for callers, what one ReadBatch or WriteBatch takes
//	control message  what the kernel adds to a message: traffic class, segment size, destination
//
// # Implementations
//
// [Conn] has two. On Linux batch_linux.go hands many messages to the kernel with one system call; a
// train is one message with UDP_SEGMENT (GSO), and UDP_GRO brings runs. The portable one sends and
// receives datagram by datagram through the standard library and golang.org/x/net. It serves every
// other system, and Linux when [Config].Portable asks for it.
//
// # Contract
//
//   - One goroutine at a time may be in ReadBatch and one in WriteBatch; the two may overlap. All
//     other methods may be called by any goroutine at any time.
//   - Callers may always send trains. Where GSO is off, WriteBatch sends their datagrams one by one.
//     GSO goes off for the whole Conn when the kernel refuses a train whose datagrams it then accepts
//     (a segment above the interface's MTU, an interface without checksums for segments);
//     Stats.GSOFallbacks counts that.
//   - After warm-up neither ReadBatch nor WriteBatch allocates, except for errors and expired
//     deadlines.
//   - Sockets are bound to the wildcard address without address reuse, unless Config.SharePort is
//     set: a second Listen on the same port fails with EADDRINUSE.
//   - Path MTU discovery is off, so a datagram above the MTU is fragmented.
//
// # Memberships
//
// Linux limits a socket to net.ipv4.igmp_max_memberships groups (20) and a group to igmp_max_msf
// sources (10). Beyond that Join opens membership sockets, which nobody reads; with
// IP_MULTICAST_ALL their groups reach the bound socket. A group with sources stays on the bound
// socket as long as there is room, because only that socket's own list filters exactly. On
// membership sockets the filter is the interface's: it lets another source in if another program on
// this host has joined the same group on the same interface for that source.
//
// # Limits
//
//   - Runs need slots of [SlotBytes]; a smaller slot truncates a run, and Truncated reports it.
//   - Linux does not report a datagram that the local queue of a network device drops (it would with
//     IP_RECVERR only); such a loss looks like one on the wire.
//   - Stats.KernelDrops is known on Linux only, and a run that finds the buffer full counts as one.
//   - A [Watch] for changed interfaces exists on Linux only; elsewhere callers look from time to time.
//   - On Windows the received traffic class is 0, the destination is unknown, the traffic class to
//     send may be ignored, and Join refuses source-specific memberships.
//   - Outside Linux an IPv4 group on a dual-stack socket is joined on a separate IPv4 socket; the
//     system decides whether the bound socket receives it. Use an IPv4 socket for IPv4 groups there.
//   - The code for Windows, macOS and FreeBSD is compiled, not run, by our tests.
package netio
