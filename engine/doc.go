// Package engine runs protocol machines on a real network and real files: Send is
// one sender session, Receive a receiver daemon.
//
// It is the only package that starts goroutines and reads the clock. A run has one
// core goroutine that owns the machine; everything that takes time (disk, socket,
// the user's terminal) happens elsewhere. Data moves through a ring of preallocated
// slots, see package ring; off the data path, requests and answers travel in
// mailboxes that never block.
//
//	sender                                   receiver
//
//	walk ──offers──► core ◄── rx ◄─ socket   socket ─► rx ─► open × W ─► core ─► write ─► files
//	                  │ plan                                              │ │ requests ▲
//	                  ▼                                                   │ └──────────┴─► one worker
//	                 fill × W   read, seal                                ▼                a group
//	                  ▼                                                  tx ─► socket
//	                 transmit ─► socket
//
// W may be 0: then the transmitter fills, and the core opens. See DefaultWorkers.
//
// With a capture, rx and transmit copy each datagram into a lane that never blocks the data
// path (package tap).
//
// What receivers that were killed left in the destinations is removed beside all this,
// by a goroutine of its own: nobody waits for it.
//
// The memberships of a receiver follow the interfaces of the host: a goroutine hears from
// the kernel that something has changed, and the core looks (join.go).
//
// A receiver whose disk is behind goes on hearing and answering: what does not fit into
// the ring is read into a few slots of another one and refused (disk/backlog.go).
//
// In both, reports go to a goroutine that calls the Reporter, so a stuck terminal
// costs reports and never data.
//
// A run ends within StopLimit after a signal, and leaves behind what hangs then (stop.go).
//
// Limits: no proxies or congestion control yet; files of one receiver are written
// by one goroutine; packets with signatures of KEYEX are opened by the core alone.
package engine
