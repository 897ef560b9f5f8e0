// Package netio moves batches of UDP datagrams between the network and
// preallocated buffers. It is the only package that touches sockets or
// unsafe. It starts no goroutine and reads no clock: every call runs in the
// caller's goroutine and parks in Go's network poller, so that a deadline or
// Close wakes it.
//
// Two implementations stand behind [Conn]. On Linux the batch one hands many
// messages to the kernel with one recvmmsg or sendmmsg; a train of datagrams
// of one size leaves as one message with UDP_SEGMENT (GSO), and a run of
// datagrams that the kernel joined arrives as one slot with UDP_GRO. The
// portable one sends and receives datagram by datagram through the standard
// library, with the socket options of golang.org/x/net/ipv4 and ipv6; it
// serves every other system, and Linux when [Config].Portable asks for it.
//
// # Contract
//
//   - One goroutine at a time in ReadBatch, one in WriteBatch; the two may
//     overlap. Every other method may be called by anybody at any time.
//   - Trains are always welcome: where GSO is off or the kernel has refused
//     it, WriteBatch sends their datagrams one by one. GSO is switched off for
//     the whole Conn the first time the kernel refuses a train that it then
//     accepts plainly (a segment above the interface's MTU, an interface that
//     cannot sum the segments); Stats.GSOFallbacks counts it.
//   - After warm-up neither ReadBatch nor WriteBatch allocates, in both
//     implementations; errors and expired deadlines may.
//   - Sockets are bound to the wildcard address without address reuse: a
//     second Listen on the same port fails with EADDRINUSE.
//   - Path MTU discovery is off, so a datagram above the MTU is fragmented.
//
// # Memberships
//
// Linux limits a socket to net.ipv4.igmp_max_memberships groups (20) and a
// group to igmp_max_msf sources (10). Join opens further sockets that only
// hold memberships; with IP_MULTICAST_ALL what they joined reaches the bound
// socket. A group joined for given sources sits on
// the bound socket as long as there is room, because only that socket's own
// list filters exactly. Once a group has moved to a membership socket the
// filter is the interface's: other sources stay out unless another program on
// this host has joined the same group on the same interface for them.
//
// # Interfaces
//
// A [Choice] names an interface that is there or is still to come, [Survey] says which are
// there, and a [Watch] waits until that changes. Watch exists on Linux alone; elsewhere
// callers have to look from time to time.
//
// # Limits
//
//   - GRO needs slots of [SlotBytes]; a smaller slot cuts a joined run, which
//     Truncated tells.
//   - Linux does not report a datagram dropped in the local queue of a network
//     device (only with IP_RECVERR would it); such a loss looks like one on
//     the wire.
//   - Stats.KernelDrops is known on Linux only, and the kernel counts a joined
//     run that found the buffer full as one.
//   - The traffic class of received datagrams is 0 on Windows, their destination is
//     not told, and the traffic class to send may be ignored there. Source-specific membership does not exist on
//     Windows: Join says so.
//   - Outside Linux an IPv4 group on a dual-stack socket is joined on a
//     separate IPv4 socket; whether the bound socket then hears it is the
//     system's decision. Use a plain IPv4 socket for IPv4 groups there.
//   - The code for Windows, macOS and FreeBSD is compiled, not run, by our tests.
package netio
