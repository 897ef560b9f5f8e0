// Package sender is the machine of a sender: one session from the first ANNOUNCE to the last
// DONE_CONF, for many receivers, files one after the other. It implements
// docs/protocol.md, "Sender".
//
// Package machine says what every machine does. In addition the host of this one
//
//   - answers NeedFile with Offer or EndOfFiles,
//   - fills and sends the trains that Poll plans, and reports with Departed how many have left,
//   - reports with FileFailed that it cannot read a file to its end,
//   - sends what KeepAlive builds before trains that wait for a slow disk.
//
// One [Sender] is one session:
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
// Inside Data: walk over the needed blocks; wait until the last one has left; send DONE every
// 3·G, up to Robust times. 3·G after the first NAK walk again, or a quarter of G after the
// last NAK when everybody has answered. The law of congestion (package cc) sets the rate of
// the walk and may ask receivers what they lack.
//
// In an encrypted session (Config.Dialect) control packets are sealed here, trains by the
// host, all with counters taken here.
//
// Limits on what others can cause: 100000 clients, in an open group 1000 at one address or
// /64; 50 ABORTs a second to strangers; 256 ABORTs to clients waiting; 100 reports a second
// of refused messages; 1024 reports waiting, and besides those one for each client and
// change of its state; half of the time for public-key operations of hosts that register,
// a fifth for signatures that turn out to be wrong, of which one client can use up half. An
// attacker who sends wrong signatures from the addresses of many clients can still keep
// others from being heard.
//
// Proxies and TFMCC are not built: their messages are refused and counted, and a REGISTER
// through a proxy is also reported.
package sender
