// Package receiver is the machine of a receiving daemon: all its sessions, each from ANNOUNCE
// to DONE_CONF. It implements docs/protocol.md, "Receiver"; docs/differences.md says where it
// differs from the stock receiver.
//
//	ANNOUNCE ok      Joined         REG_CONF, KEYINFO or FILEINFO
//	   ──────► Joining ──► Registering ──────► MidGroup ◄───────────────────┐
//	              │             │              │  ▲   │                     │
//	              │ failed      │ limit        │  │   │ DONE(0) lists us    │
//	              ▼             ▼              │  │   ▼                     │
//	            ABORT         ABORT   FILEINFO │  │ Completing ──► end, OK  │
//	                                           ▼  │ COMPLETE   DONE_CONF or │
//	                                       Opening┘            limit        │
//	                                           │   Opened: Complete         │
//	                             FILEINFO_ACK  │ Opened: Receive            │
//	                                           ▼                            │
//	             ABORT ◄── idle ────────── Receiving                        │
//	                                           │ no block missing           │
//	                                           ▼                            │
//	                                        Closing ── Closed ──────────────┘
//	                                                   COMPLETE if a DONE waits
//
// [Receiver] is the endpoint. It owns what sessions share: the slots and who gets one, memory,
// budgets, the queue of Poll, heartbeats. A session (type session) is one slot.
//
// # Contract
//
// Package machine says what every machine does. In addition the host of this one answers each
// Join with Joined, each Open with Opened, each Close with Closed, each Settle with Settled and
// each Checkpoint with CheckpointDone, once and after any time; Joins of one slot in their order.
// Answers about what has ended meanwhile are ignored. A session that ends while an Open or a
// Close is under way ends when the answer has come. One group never has more than one Join
// without a Leave, whatever sessions share it; after a Joined that failed there is no Leave.
//
// StoreFailed reports a block that could not be written, before the answer to the Close of its
// file. That Close must fail: otherwise a file with a hole gets its final name. The texts of
// Joined, StoreFailed, Settled and of an Opened that aborts go to a sender whom nobody knows, so
// they must not contain paths of this host.
//
// COMPLETE for a file says that the disk has it under its final name. COMPLETE for the session
// says, with a temporary directory, that the files survive a kill as well.
//
// A host whose disk is behind calls NoRoom and goes on handing packets in: blocks are refused
// and asked for later. Patience says how long packets may lie unread before that.
//
// HandleBatch opens sealed datagrams side by side. A host with processors to spare opens them
// before, in any number of goroutines, each with an [seal.Unsealer], whose keys it gets from Keyed to
// SessionEnded. An Unsealer decrypts and marks; the verdicts are the same without it.
//
// # Limits
//
// Everything that a peer can make grow is bounded: sessions (Config), the queue of Poll
// (queueMax), answers to ANNOUNCEs and public-key work (budget.go), STATUS (statusBurst at once,
// one for each section and GRTT), and the missing sets, which are allocated when the host has
// opened the file, and altogether hold at most blocksMax blocks. Sessions that only promise data
// end early and give way to those of other hosts (admission.go); so one host cannot keep the
// others out unless it has as many networks as there are slots, or sends data in each session.
//
// A session in clear is as true as its source address. KEYINFO is not signed: who can send from
// the sender's address can keep us busy with wrong keys, or abort a session that has no keys yet.
// The session then fails or is slow, but nothing can be read. Only Config.MinSecurity keeps out
// an ANNOUNCE whose offer of encryption was removed. Whoever announces a group before its sender
// keeps that sender out for as long as the session lasts. One ANNOUNCE can make us send about
// 250 REGISTERs, as with every receiver of version 4.
//
// An Open that takes longer than R·3·GRTT costs the file: no message can keep a sender waiting
// before FILEINFO_ACK.
package receiver
