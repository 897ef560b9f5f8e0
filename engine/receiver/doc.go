// Package receiver is the machine of a receiving daemon: all its sessions, from
// ANNOUNCE to DONE_CONF, with the world taken out (package machine says how a
// host drives it; v4-receiver.md is what it follows).
//
//	ANNOUNCE ok      Joined         REG_CONF or FILEINFO
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
// # Contract
//
// The host answers each Join with Joined, each Open with Opened, each Close with
// Closed, each Settle with Settled and each Checkpoint with CheckpointDone, once and
// after any time, Joins of one slot in their order; answers about what has ended meanwhile are ignored. For one group there is
// never more than one Join without a Leave, whatever sessions share it; after a
// Joined that tells a failure there is no Leave. A block that could not be written
// is told with StoreFailed, before the answer to the Close of its file; that Close
// must fail, or the file with a hole gets its final name. The texts of Joined, StoreFailed,
// Settled and of an Opened that aborts go to the sender, whom nobody knows: they must not
// say where anything lies on this host. A session that ends while
// an Open or Close is under way ends when the answer has come.
//
// COMPLETE for a file says that the disk has it under its final name, COMPLETE for the
// session that with a temporary directory even a kill does not keep the files there. While the
// host needs time to finish a file, the sender is kept waiting (see doneClosing).
//
// A host whose disk is behind says so with NoRoom and goes on handing packets in: blocks
// are refused then and asked for again, and the sender hears answers. How long packets
// may lie unread before that is told by Patience.
//
// Datagrams that came together are handed in together (HandleBatch), so that sealed
// ones are opened side by side. A host with processors to spare opens them before, in
// as many goroutines as it likes, each with an [Unsealer]; keys for it are to be had
// from Keyed to SessionEnded. All that an Unsealer does is decrypt and mark: verdicts
// are the same whoever has opened a datagram. It does not know which counters came
// before, so other than here a replay costs it the time of one opening, as much as a
// forged datagram.
//
// # Where it is stricter or freer than the stock receiver
//
//   - Any first sequence number is accepted. A window that was moved by a forged
//     number moves back after 16 packets in order.
//   - In a session in clear every message counts only if it comes from the address
//     of the ANNOUNCE, whatever its port: the UID is no secret. What comes from
//     elsewhere moves nothing. Config.Roaming lifts that, for senders behind
//     something that translates their address to changing ones; our packets go on
//     going to the first. What is sealed counts from everywhere. With IPv6 a sender
//     announces to a group of its link from its link-local address and goes on in a
//     wider private group from a global one, or the other way round: then the address
//     that confirms the registration counts, too. Whoever is quicker than the sender can
//     spoil a session in clear there.
//   - Section, block and the length of every block are checked. A last block that
//     is too long is cut: stock senders make one when their source grows.
//   - With a list of servers, address and UID of a sender must stand in one line of it.
//   - NAKs ask for everything that is known to be missing (see nak).
//   - A file that fails when it is finished is rejected; the session goes on.
//   - While a session is live, or its last file is not settled, another instance of its
//     group is taken only from the same sender: the same UID and address, both in clear
//     or both encrypted with the same long-term key (see Owner). Others are refused, and
//     so are older instances than one that is confirmed. An ABORT tells a stranger so
//     when the session's sender has spoken since it first asked: otherwise it may be
//     that sender's restart, which an ABORT would cost this receiver for good.
//   - A restarted session ends its older instances when it is confirmed (encrypted:
//     when its first sealed packet has proved the keys), with or without a temporary
//     directory.
//   - The DONE that ends the session is ignored while a file is not whole: the
//     sender must not believe that all is well.
//   - TFMCC is refused with an ABORT.
//   - An ABORT of the current file costs that file; stock ends the session.
//
// # Encrypted sessions
//
// The handshake (package handshake) takes the place of REG_CONF: REGISTER, with
// CLIENT_KEY behind it if the sender asks, then KEYINFO, which confirms. From then
// on everything we send is sealed, an ABORT at shutdown too, but for a registration
// that goes on because nothing has proved the keys yet; and of what comes only
// sealed packets that are authentic and not replayed change anything: the window of
// sequence numbers, GRTT and all timers included, but for the idle timer, which
// ANNOUNCE and KEYINFO from the sender's address restart between files, and a longer
// GRTT, which they tell until the keys are proved. Before that the sender's address
// counts for KEYINFO and ABORT. Each refusal has its reason in the verdict.
//
//   - A key of ours is needed only when the sender asks for one, and then of any
//     kind and size that it can use. With Config.MakeKeys one is made.
//   - The RSA exchange proves neither whose key is shown to whom nor what the ANNOUNCE
//     said: a sender to which we show our key can pass for us at another one, and anybody
//     on the way can make a session one of preview. Config.GuardRSA shows keys only to
//     senders listed with a fingerprint, and takes neither sync nor preview there.
//   - Counters of our packets begin at the Unix time in nanoseconds, so a receiver
//     that comes back within a session does not use one twice, unless the clock of
//     its host was set back meanwhile.
//   - A KEYINFO that does not open is ignored; stock ends the session over it. One
//     that opens, which a changed one mostly does too, is believed when a packet of
//     the sender was opened with its keys; until then eight are remembered, the first
//     of them for sure. Meanwhile REGISTER is repeated when the sender asks for us,
//     24 GRTT after an ANNOUNCE to everybody, and older instances stay.
//   - A packet with a signature of its own (KEYEX) proves the keys only if its message
//     is well-formed, and under one set of keys alone.
//   - A sealed message that no sender sends is dropped unseen: it may be our own, come
//     back to a receiver that has the UID of its sender.
//   - A sender without a long-term key of its own makes one for each run. Its restart
//     is refused until the older instance has ended, and gets nothing that it left.
//   - Public-key work for ANNOUNCEs that prove nothing is limited to a quarter of
//     the time of one core, that for packets whose signature is wrong to a fifth, and
//     to a twentieth for those from other addresses than the session's.
//
// # Limits
//
// Everything that a peer can make grow is bounded: sessions by Config, the queue
// of Poll (control messages are refused while it is long), answers to ANNOUNCEs
// that are not taken (100 a second), STATUS (64 at once, one per section and
// GRTT), and the missing sets. These are allocated only when the host has opened
// the file, which is when it has found the space for it, and altogether hold at
// most 2^33 blocks.
//
// Promises hold little for long. A session that has stored no block ends two minutes
// after its sender was heard last, a file without one after one minute, whatever GRTT and
// robust factor the packets name. While all sessions are taken, an ANNOUNCE from a host
// that waits in none takes the place of the oldest session of the largest crowd that
// does: sessions without a block, and those whose sender is silent, counted by IPv4
// address or IPv6 network (see crowd). So a host that only promises does not shut out the
// others; one that has as many networks as there are sessions, or goes on sending data in
// each, does. Files of which nothing came give their memory to smaller ones, sessions that
// are silent for a minute to all.
//
// KEYINFO has no signature: who can send from the sender's address, or pretend to,
// can keep us busy with wrong keys, or abort us before we have any; with wrong
// signatures he can use up the time for them, and good ones wait for their share. The
// session then fails or is slow; nothing can be read. An ANNOUNCE whose offer of encryption was removed is
// one of a session in clear: only Config.MinSecurity keeps those out.
//
// Group numbers are no secret: who announces one before its sender does keeps the sender
// out for as long as that session lasts.
//
// In clear sessions a packet is as true as its source address. Whoever can send from
// the sender's address, or pretend to, and knows group and UID can spoil a file; with
// Config.Roaming everybody who knows them can. Whoever can send at all can make us answer
// one ANNOUNCE with about 250 REGISTERs, as every version 4 receiver does.
//
// An Open that takes longer than R·3·GRTT costs the file: there is no message to
// keep a sender waiting before FILEINFO_ACK.
package receiver
