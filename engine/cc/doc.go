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
// TFMCC (RFC 4654) is not built yet. It fits behind the same door:
//
//   - Start begins a round, and at the first walk of a file slow start. Planned, Stop and Lacks
//     do nothing.
//   - Ask says that CONG_CTRL is due, once in max(GRTT, one packet interval); the sender queues
//     a round of it in place of the DONE that lists nobody. That goes on while DONE is
//     repeated, so a law also needs a Deadline, which the sender adds to its own.
//   - Answer takes a CC_ACK, or the extension of a STATUS: Status grows by the rate, the echo
//     and the flags of the report. Receiver grows by rate and round trip time; CONG_CTRL reads
//     both when it lists receivers. Verdict.RTT raises the group's GRTT as it does today.
//   - One method is new, for a receiver that finishes or fails: the limiting receiver (CLR)
//     must be replaced at once.
//   - The extension of FILESEG (rate, cc_seq, suppression rate) is the same for a whole train.
//     The law fills it when the sender plans a train; the fill stage copies it into each
//     datagram.
//   - The receiver's half, loss events and the rate equation, becomes a type of this package
//     too. It needs the number, length, arrival time and ECN mark of each datagram, as
//     machine.Datagram carries them, and nothing of the session.
//
// # Limits
//
// A rate cannot help against losses that many receivers have independently of each other. A
// receiver that falsely reports total loss can slow the session, just as a slow one can. Only
// its address and, in an encrypted session, the keys tell a client from a host that uses its
// UID: the sender must check both before it passes an answer on.
package cc
