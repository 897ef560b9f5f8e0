// Package sender is the machine of a sender: one session from the first ANNOUNCE
// to the last DONE_CONF, for many receivers, files one after the other
// (v4-sender.md sections 2 to 8, 13, 17).
//
// It does what package machine says a machine does. The host offers files when
// asked (NeedFile: Offer or EndOfFiles), fills and sends the trains that Poll
// plans, tells how many have left (Departed) and which file it cannot read
// (FileFailed). When trains cannot leave, because the disk stalls, KeepAlive has
// what is to overtake them.
//
//	         ┌──────────────┐ nobody: 7
//	         │  Announcing  ├──────────────────────────────┐
//	         └──────┬───────┘                              │
//	                ▼                                      │
//	         ┌──────────────┐  EndOfFiles                  │
//	┌───────▶│ BetweenFiles ├───────────────┐              │
//	│        └──────┬───────┘               │              │
//	│               ▼ Offer                 │              │
//	│ all done ┌──────────┐ nobody: 8       │              │
//	├──────────┤ FileInfo ├─────────────────┼─────────────▶│
//	│          └────┬─────┘                 ▼              ▼
//	│               ▼                 ┌───────────┐    ┌───────┐
//	│ some done ┌──────┐              │ Finishing ├───▶│ Ended │
//	└───────────┤ Data ├──┐           └───────────┘ 0  └───────┘
//	            └──────┘  │                        10      ▲
//	                      └────────────────────────────────┘
//	                        nobody done: 9        Stop: 6 from anywhere
//
// Inside Data: walk the blocks that are needed; wait until the last one has left;
// DONE every 3·G, up to Robust times; 3·G after the first NAK walk again, or a quarter
// of G after the last one when everybody has answered.
//
// # Where it differs from the stock program
//
//   - Who is lost before the end is told by an ABORT (at most 256 wait to be told;
//     the others run into their time limit). In the completion phase nobody is: an
//     ABORT would cost a receiver what it has. They are asked for 10 s at least.
//   - Exit code 0 needs a client that took a file and has confirmed the session, with
//     QuitOnError all of them.
//   - Every wait is a full 3·G, the last one too; timers run from the moment a round
//     or the last data has left. The group round-trip time is never advertised below
//     one packet interval.
//   - A GRTT that has grown is said again twice within half of the time that receivers
//     wait by the old one, with the message of the phase or, where there is none, with
//     a DONE that lists nobody.
//   - Where registration may end early or last long (RegisterCount, RegisterQuiet,
//     RegisterWait), whoever registers is answered at once, and hears from us every
//     eighth of its patience until the others are in. The rounds keep their length, so
//     that the time for registration does.
//   - A client that aborts before registration is over is missing again, and may come
//     back. So is a listed host that refuses before it registers, which anybody can say for
//     it, unless its UID is the IPv4 address that it says so from.
//   - Who repeats REGISTER or COMPLETE when everybody is in or done is answered once
//     in 1·G, Robust times in all.
//   - DONE_CONF is sent twice and the session stays 5·G to answer repeated COMPLETEs.
//   - Stop sends ABORT and exits 6 in every phase. Everybody was told to abort, so
//     everybody counts as aborted afterwards, with one exception: who has completed
//     the whole session is confirmed first and counts as done.
//   - A file that is given up (TxWeight, FileFailed) is aborted with CURRENT_FILE, so
//     that those that have it stay, and our receivers that do not. The session goes on
//     with the next file; it ends with 9 if nobody had the one that was given up.
//   - Datagrams of another instance are refused: all receivers echo the byte, and the
//     last words of an instance that is gone must not hit this one.
//   - What a client says counts only from the address that it registered from, whatever
//     its port, unless it bears the client's own signature; what comes from elsewhere
//     moves nothing. Two hosts with one UID are told apart that way: the second is told
//     by an ABORT. Config.Roaming lifts it all (address.go).
//   - The next pass does not wait for 3·G when everybody has answered, unless passes are
//     counted (MaxPasses).
//   - With Adapt, on at a Rate of 0 too, a DONE that lists nobody leaves in mid-pass and
//     the rate follows what receivers answer (package cc).
//   - A client that comes no closer to a file in StallPasses passes is aborted (stall.go).
//   - When all NAKs of a pass were served within it, no empty pass follows.
//   - Parts of long lists are spaced by their size at Rate, and a list is cut so that
//     no datagram is longer than receivers can read.
//
// # Limits on what others can cause
//
// 100000 clients, in an open group 1000 at one address or /64; 50 ABORTs a second to strangers; 100 reports a second of refused
// messages; 1024 reports waiting, except for those that change the session, of which
// there are as many as clients; 1024 trains under way; half of the time for public-key
// operations of hosts that register, a fifth for signatures that turn out bad, of
// which one client can use up half. Who sends bad ones in the names of many
// clients from their addresses can still keep others from being heard.
//
// # Encrypted sessions
//
// Config.Security makes one (v4-crypto.md). REGISTER and, if asked for, CLIENT_KEY
// make a client Registered, KEYINFO goes to it every cycle, and a KEYINFO_ACK with
// the right verify data makes it Active; who registers late gets as many KEYINFOs as
// the others. Everything else is sealed: control packets here, trains by the host,
// with counters taken here. What differs from stock:
//
//   - Replayed datagrams are refused: each client has a window of counters, which
//     begins anew only when the client has proved that it was keyed anew.
//   - In clear a client can only register and, before it has the keys, refuse.
//   - A client that comes with another random number is keyed again, with the same
//     long-term key, but stays what it was until it has shown that key or, if it has
//     acknowledged already, until it has done so again. Where nobody shows a key, one
//     from elsewhere has to wait until the first one has left Robust/2 KEYINFOs
//     unanswered, and is refused once that has answered. One newcomer is kept for each client, the latest.
//   - What REGISTER says in clear about the round trip time counts up to Config.GRTT
//     until its host has the keys.
//   - Counters begin at 2^63, so that a receiver with the sender's UID, on its own
//     host, uses other nonces; what comes back of ours is not taken for its.
//   - A weak client key, or a host listed with two fingerprints, is reported; of the
//     latter the first counts.
//   - CLIENT_KEY in any order does no harm, and is not looked at unless asked for.
//   - ABORTs reach hosts with and without keys: twice when that differs.
//
// # Not here yet
//
// Congestion control and proxies: messages of theirs are refused and counted, a
// REGISTER through a proxy is reported too.
package sender
