// Package disk writes the blocks that a receiver takes. It also does everything else that may
// wait for a file system while the core goes on: opening, closing, making durable, moving.
//
//	core ── Store ──► slots of the ring ──► Run: the writer ──────► files
//	  │                                        │ jobs behind their blocks
//	  ├── Open, Close, … ───────────────►──────┤
//	  │     (directly, when nothing is left)   ▼
//	  ◄─────────── Results ──────────── the worker of the group ──► files
//
// # Contract
//
// The core calls all methods of Disk, but Run, which is the last stage of the ring. Store
// borrows a block that lies in a slot. The writer joins neighbouring blocks, also across
// slots, into one vectored write, and then frees the slots.
//
// Each job has exactly one result, of its kind. WriteFailed reports the first write of a file
// that failed. It comes before the results of Close and Abandon of the file, and the writer
// writes nothing more to that file.
//
// # The fence
//
// A job must not overtake the blocks of its file, nor the jobs of its group that were asked
// for before it: a session that is restarted reads what the one before has written. But a
// job should not wait for the blocks of other files either, which may take long.
//
// So a job carries a position in the ring, the one behind the last block of its file. When
// the writer has come so far, and all jobs of the group that went to the writer were handed
// on, the core gives the job to the worker itself. Otherwise it gives the job to the writer.
// The writer takes jobs in order. It hands on the first one as soon as it has come to the
// job's position, and stops there with a write that would go further. Why this is enough:
//
//   - Store moves the position of a file behind the slot, and a file gets no blocks once
//     Close or Abandon was asked for. So every block of the file lies before the position.
//   - The writer moves its own position only when the slots before it are written. So a
//     worker that gets the job, from the core or from the writer, finds all blocks in the file.
//   - Jobs reach the worker in the order in which they were asked for. Those that take the
//     way through the writer stay in order. One that goes directly finds none of its group
//     there: the writer counts a job only when the worker has it.
//   - What the writer knows of a file (that a write failed) is the worker's to read from then
//     on: the job went through a mailbox, or the core has seen the writer's position.
//
// A checkpoint asks for nothing but durability of what is there, and blocks may follow it. It
// always takes the way through the writer, which drops it if a write has failed: the set of
// the checkpoint would call a block present that is not.
//
// # Limits
//
// One goroutine writes the blocks of all files. Jobs of one group are done one after the
// other. What hangs in a system call when the run is over is left behind; it touches its
// own slots and nothing else when it returns, and nothing that waited behind it is done.
package disk
