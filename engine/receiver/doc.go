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
// Package machine says what every machine does. The host of this one also answers each Join with
// Joined, each Open with Opened, each Close with Closed, each Settle with Settled and each
// Checkpoint with CheckpointDone, once and after any time; Joins of one slot in their order. The
// machine ignores answers that come after their session or file has ended. A session that ends
// during an Open or a Close waits for that answer. However many sessions share a group, it has at
// most one Join without a Leave; no Leave follows a Joined that failed.
//
// StoreFailed reports a block that could not be written, before the answer to the Close of its
// file. That Close must fail: otherwise a file with a hole gets its final name. Strangers get the
// texts of Joined, StoreFailed, Settled and of an Opened that aborts, so these must not contain
// paths of this host.
//
// COMPLETE for a file says that the disk has it under its final name. With a temporary directory,
// COMPLETE for the session says that the files survive a kill as well.
//
// A host whose disk is behind calls NoRoom and still hands packets in; the machine refuses blocks
// and asks for them later. Patience says how long packets may lie unread before that.
//
// HandleBatch opens sealed datagrams side by side. A host with spare processors opens them before,
// in any number of goroutines, each with a [seal.Unsealer] that has the keys of a session from
// Keyed to SessionEnded. It decrypts and marks; the verdicts are the same without it.
//
// # Limits
//
// Everything that a peer can make grow is bounded: sessions (Config), the queue of Poll
// (queueMax), answers to ANNOUNCEs and public-key work (budget.go), STATUS (statusBurst), and the
// missing sets (blocksMax). Sessions that only promise data end early and give way to those of
// other hosts (admission.go). So a host can keep others out only if it has as many networks as
// there are slots, or sends data in each session.
//
// A session in clear proves no more than its source address. KEYINFO is not signed: a host that
// can send from the sender's address can keep us busy with wrong keys, or abort a session that has
// no keys yet. It cannot read anything. Only Config.MinSecurity refuses an ANNOUNCE whose offer of
// encryption was removed. A host that announces a group before its sender keeps that sender out
// until the session ends. One ANNOUNCE can make us send about 250 REGISTERs, as in all of version 4.
package receiver
