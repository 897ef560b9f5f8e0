// Package engine runs protocol machines on a real network and real files: Send runs one
// sender session, Receive a receiver daemon.
//
// # Contract
//
// Send and Receive block until the session or the daemon has ended. Both call the Reporter
// from one goroutine, in order; a slow Reporter costs reports and never data. After ctx was
// cancelled both return within StopLimit, and leave behind what still hangs in a system call
// (stop.go). Errors are those of setting up. After that, failures are events.
//
// This is the only package that starts goroutines and reads the clock. Stages that are
// packages of their own are handed both. After start-up the data path allocates nothing, and
// the memory is what plan.go says, and the lanes of a capture (package tap).
//
// # Picture
//
// A role is a host (host.go: clock, reports, counters, end), a machine, and stages. One
// core goroutine owns the machine. Everything that takes time (disk, socket, the user's
// terminal) happens elsewhere. Data moves through rings of preallocated slots, and only the
// right to use a slot moves (package ring). Off the data path, requests and answers travel
// in mailboxes that never block.
//
//	sender                                   receiver
//
//	walk ──offers──► core ◄── rx ◄─ socket   socket ─► rx ─► opener × W ─► core ─► disk ─► files
//	                  │ plan                                                │ ▲ jobs, │
//	                  ▼                                                     │ └───────┘
//	                 filler × W  read, seal                                 ▼  results
//	                  ▼                                                    tx ─► socket
//	                 tx ─► socket
//
// W may be 0: then tx fills, and the core opens (DefaultWorkers).
//
//	host.go, stop.go           what all roles share, and how a run ends
//	plan.go                    memory and goroutines of a run
//	send.go, receive.go        the roles: machine, loop, events
//	walk.go, fill.go, tx.go    the stages of a sender; a receiver also sends with tx.go
//	rx.go, unseal.go           the stages of a receiver; a sender also listens with rx.go
//	files.go                   jobs for package disk, and their results
//	join.go                    memberships, which follow the interfaces of the host
//	report.go, stats.go        clock, reports and counters
//
// With a capture, rx and tx copy each datagram to package tap, which never blocks them. A
// receiver whose disk is behind the network still hears and answers: see disk/backlog.go.
//
// # Limits
//
//   - Proxies and congestion control of the protocol are refused by name.
//   - One goroutine writes the blocks of all files of a receiver.
//   - The core alone opens packets that carry signatures of KEYEX.
//   - A sender has one file open for its session, and one more that it has found.
package engine
