// Package tap captures what passes a socket, for any role: it copies datagrams as they were
// sent and received, and writes them to a ring of pcapng files.
//
//		rx ──────────► lane ──┐
//		                      ├─► Run: merge by time, cut trains, add headers ──► files
//		transmitter ─► lane ──┘
//
//	 1. Each goroutine of the data path has a [Lane]. The transmitter copies what has left into
//	    its lane. The receive stage copies what has arrived before anybody opens it in place. A
//	    copy is a whole train with one time for a batch.
//	 2. [Tap.Run] takes the records of all lanes in the order of their times, cuts trains into
//	    datagrams, puts IP and UDP headers before them, and writes.
//
// # Contract
//
// The data path never waits here. A record costs it a copy, a few atomic operations, and a
// token into a channel when Run sleeps. It allocates nothing. A lane that is full takes
// nothing and counts what it refuses.
//
// What goes wrong behind the lanes costs packets of the capture and nothing else. Each lost
// datagram is counted three times: in the packet that follows the gap, in the statistics at
// the end of each file, and in a [Lost] event at most once a minute. A file that cannot be
// written gives one [Failed] event for each kind of error, and is tried again after 10 s.
//
// An answer never stands before the packet that it answers. A send may take long where the
// socket is full, and the answer may arrive before it returns. So the transmitter announces
// the time of a send with [Lane.Begin], and Run keeps back what is younger until [Lane.Sent].
// A lane that is more than half full ends that wait.
//
// A Tap has no clock and starts no goroutine: [Host] brings the clock, and package engine
// calls Run. A nil Tap and a nil Lane are good: they capture nothing.
//
// # Limits
//
// Packets of the capture have headers that are made up: the kernel hands out datagrams. The
// TTL of what arrives is unknown. The address of this host comes from the system where the
// socket does not report it, and is remembered for a minute.
package tap
