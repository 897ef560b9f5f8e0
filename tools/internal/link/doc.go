// Package link is one direction of a link that misbehaves on demand: a pure model in
// virtual time. It decides for each frame whether it arrives, when, how often and with
// which damage. It opens no socket and reads no clock, so tests can check every
// nanosecond.
//
// # Contract
//
// [Link.Carry] takes the moment at which a frame comes to the link and its length,
// and returns its [Fate]. Moments must not go backwards. A frame passes four places:
//
//  1. a queue bounded in bytes, which drops frames that do not fit (tail drop). The
//     frame that is being sent counts; one frame always fits into an empty queue;
//  2. the transmitter, which sends frames one after the other at the rate;
//  3. the air: scheduled events (rain, handover), independent loss, bursts of loss
//     by Gilbert and Elliott, counted in frames ([sim.Burst], as in the simulation) or
//     measured in time ([Fades]), corruption. A frame lost here has used its share of
//     the rate;
//  4. the way: delay and jitter, which keep the order, as queues and satellites do;
//     frames chosen for reordering are held back in addition, and copies come up to
//     2 ms later.
//
// All randomness follows from (seed, direction) and the number of the frame alone. So a
// busy machine changes nothing about the losses, damage and delay of frame n, except by
// the queue, the scheduled events and [Fades]. [Damage] flips the bits.
//
// [Preset] returns known links.
//
// # Limits
//
// The queue is one FIFO without classes or active management. A rate that changes
// within an event holds from the first frame that starts under it. Media that are
// shared by both directions (Wi-Fi) are two links that know nothing of each other.
// Nothing allocates after [New].
package link
