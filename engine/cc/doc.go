// Package cc decides how fast data may leave. A [Bucket] holds a flow to a rate. A
// [Controller] is a law of congestion: it finds the rate. [Fixed] keeps the one that the user
// has set; [Adaptive] searches the highest one at which receivers lose little.
//
// A law owns no connection. It learns what was planned, what has left and what receivers lack,
// and it answers with a rate and with the wish to ask receivers something:
//
//	┌────────┐  Start, Planned, Departed, Stop   ┌────────────┐
//	│ sender ├──────────────────────────────────▶│ Controller │
//	│        │  Answer, Lacks: STATUS            │            │
//	│        ├──────────────────────────────────▶│            │
//	│        │  Rate; Ask: "ask them now"        │            │
//	│        │◀──────────────────────────────────┤            │
//	└────────┘                                   └────────────┘
//
// The sender builds all messages, sends them, and applies a new rate to its pacing. What a law
// remembers of one receiver is a [Receiver], which the sender keeps with the client.
//
// # TFMCC
//
// TFMCC (RFC 4654) is not built yet. It is a third law, and most of it fits:
//
//   - Start begins a round and, with another layout, slow start. Planned, Stop and Lacks do
//     nothing.
//   - Ask says that CONG_CTRL is due, once in max(GRTT, one packet interval).
//   - Answer takes a CC_ACK, or the extension of a STATUS: Status grows by the rate, the echo
//     and the flags of the report. Receiver grows by rate and round trip time; CONG_CTRL reads
//     both when it lists receivers. The sender reads a new Rate before the next train.
//   - The extension of FILESEG (rate, cc_seq, suppression rate) is the same for a whole train.
//     The law fills it when the sender plans a train, in machine.Train.
//   - The receiver's half, loss events and the rate equation, becomes a type of this package
//     too. It needs the number, length, arrival time and ECN mark of each datagram, as
//     machine.Datagram carries them, and nothing of the session.
//
// This is missing:
//
//   - Ask gives one of several answers: the DONE that lists nobody, CONG_CTRL, or the end of
//     the file because nobody reports any more. It goes on while DONE is repeated, so a law
//     also needs a Deadline, which the sender adds to its own.
//   - A method for a receiver that finishes or fails: the limiting receiver (CLR) must be
//     replaced at once.
//   - Group gives the measured GRTT as well: one packet in it is the least rate, and the
//     advertised GRTT depends on the rate.
//   - Today Verdict.RTT also lowers the GRTT, if all of this phase are below it. Reports come
//     so often that this must wait for the end of a round.
//   - dialect.Server makes Packers without the extension of FILESEG: it must know the law's kind.
//   - CONG_CTRL is stamped when it is planned, and leaves behind trains that were planned
//     before. The stamp must be the departure of the last of them, or each round trip looks
//     longer by up to Lookahead.
//
// # Limits
//
// A rate cannot help against losses that many receivers have independently of each other. A
// receiver that falsely reports total loss can slow the session, just as a slow one can. Only
// its address and, in an encrypted session, the keys tell a client from a host that uses its
// UID: the sender must check both before it passes an answer on.
package cc
