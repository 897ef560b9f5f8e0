// Package netlab builds a small network inside the Linux kernel for tests and
// benchmarks: one Ethernet segment with a sender and any number of receivers,
// each in a network namespace of its own.
//
//	          bridge br0 (no snooping, no spanning tree)
//	         /        |          |           \
//	S eth0        1 eth0      2 eth0  ...   N eth0
//	10.88.0.100   10.88.0.1   10.88.0.2     10.88.0.N      /24
//	fd88::100     fd88::1     fd88::2       fd88::N        /64
//
// Contract. [Open] builds a lab and [Lab.Close] removes it with every process
// in it; [New] does both for a test. Several labs may exist at the same time,
// in one process or in several: all names carry the process ID and a number.
// The next Open removes labs of processes that were killed.
// [Lab.Reset] gives a lab back as it was built, so that one lab can serve many
// scenarios one after the other.
//
// A [Host] runs commands ([Host.Run], [Host.Start]) or Go code ([Host.Do]) in its
// namespace. A test can make it lose chosen datagrams ([Host.Drop]), limit its rate
// ([Host.Limit]), unplug it ([Host.Unplug]), remove and renew its interface ([Host.Remove],
// [Host.Renew]) and capture its traffic ([Host.Capture]). The helpers for files
// ([WriteRandom], [SameFile], [SameTree]) are here because every scenario needs them.
//
// Limits. Linux, root, and the programs ip, bridge, nft, tc and tcpdump; [Require]
// skips a test that lacks them and fails it where CI is set. A Host has one
// interface. Only the network is isolated: files and process IDs are those of the machine.
// Drop rules read the start of a UDP datagram, so only the first fragment of a fragmented
// one can match. A lab has no delay, since not every kernel has netem.
package netlab
