// Package sim is a seeded world in which the machines of sender and receiver run
// unchanged: a network, disks and a clock that are all invented, so that a
// session of a thousand receivers takes a second and comes out the same every
// time.
//
// A [World] is one goroutine with a queue of events ordered by (time, number).
// Every direction of every link has its own generator, seeded from (seed, link),
// so that one link's luck does not depend on what others carry. Links delay,
// drop (independently and in bursts), duplicate, reorder, corrupt and go down on
// a schedule; [Rule] drops chosen messages. [Sender] and [Receiver] are the hosts
// around a machine: they carry out its requests on a virtual disk (slow, full,
// losing power) and call what the contract in package machine says.
//
// A test builds a world, lets it run and gets an error when one of the checkers
// saw something that must not happen:
//
//   - what a receiver stores is not what the file holds at that place, is stored
//     twice, or is stored when no file is open;
//   - a file is closed, or a checkpoint claims blocks, that were never stored;
//   - a sender reports a receiver done whose disk does not have the whole file;
//   - data leaves faster than the rate allows, over any span of time;
//   - a machine says that it has nothing to do and that its deadline has passed, or
//     does not stop doing things while time stands still, or is not asked in time;
//   - a receiver says more than its share;
//   - the sequence numbers of a session are not consecutive;
//   - a packet does not parse, or is longer than a receiver takes;
//   - memberships are left without having been joined, sessions do not end;
//   - the world does not come to rest within the time that the test allows.
//
// In this package's tests a failing seed leaves a capture and a trace and says how
// it is repeated (-sim.seed); -sim.seeds sets how many random worlds are run.
//
// Files have no bytes: a block is computed from the file's seed and its place
// when it is sent, and compared when it is stored. A disk keeps a bit a block.
// One buffer travels to all receivers of a packet; only a link that corrupts it
// and sealed packets, which are opened in place, get a copy of their own.
//
// Limits: hosts take no time to handle a packet and their socket buffers never
// overflow, so load shows only as the number of packets. Routers and
// fragments do not exist. Checksums find everything, unless a test switches them
// off. Time stands still while machines run.
package sim
