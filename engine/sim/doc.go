// Package sim runs the machines of sender and receiver, unchanged, in a simulated world: the
// network, the disks and the clock are virtual. A session of a thousand receivers takes a
// second, and the same seed gives the same run.
//
//	Sender ── packets, trains ──► link ──► link … ──► Receiver
//	machine   packed by package seal   one for each receiver    machine
//	virtual files                      and direction            virtual disk
//	      └──────────────── World: clock, queue of events, checkers ───────────┘
//
// A [World] is one goroutine with a queue of events ordered by (time, number). Each direction of
// each link has its own random generator, seeded from (seed, link), so one link's losses do not
// depend on the traffic of others. Links delay, drop (independently and in bursts), duplicate,
// reorder and corrupt packets, and go down on a schedule; a [Rule] drops chosen messages.
// [Sender] and [Receiver] are the hosts around a machine. They follow the contract in package
// machine and carry out its requests on a virtual disk, which may be slow, full, or lose power.
//
// # Checkers
//
// A test builds a world and runs it. Run returns an error if a checker saw something that must
// not happen:
//
//   - a receiver stores bytes that are not those of the file at that place, stores a block
//     twice, or stores when no file is open;
//   - a file is closed, or a checkpoint claims blocks, that were never stored;
//   - a sender reports a receiver done whose disk does not have the whole file;
//   - data leaves faster than the rate allows, over any span of time;
//   - a machine is idle although its deadline has passed, acts endlessly while time stands
//     still, or is not asked in time;
//   - a receiver sends more than its share;
//   - the sequence numbers of a session are not consecutive;
//   - a packet does not parse, or is longer than a receiver reads;
//   - a receiver leaves a group that it has not joined, or a session does not end;
//   - the world is not at rest within the time that the test allows.
//
// In the tests of this package a failing seed leaves a capture and a trace, and the command
// that repeats it (-sim.seed). -sim.seeds sets how many random worlds run.
//
// # Limits
//
//   - Files have no bytes. A block is computed from the file's seed and its place when it is
//     sent, and compared when it is stored. A disk keeps one bit for each block.
//   - One buffer travels to all receivers of a packet. Only corrupted packets, and sealed ones,
//     which are opened in place, are copied for each receiver.
//   - Hosts take no time to handle a packet, and their socket buffers never overflow: load shows
//     only as the number of packets. Time stands still while a machine runs.
//   - There are no routers and no fragments. Checksums find every corruption, unless a test
//     switches them off.
package sim
