// Package report turns the events of a session into output for people and scripts: log lines and
// status lines with the texts of the stock programs, JSON lines, a live display on a terminal, and
// the table at the end. The rules for messages to people are in package cli, text.go.
//
// # Contract
//
// A [Sender] or [Receiver] is the engine's Reporter; one goroutine makes all calls, in order.
// Outputs are independent of each other, and each may be absent. No output stops a session: what
// cannot be written is lost and counted, and changes the exit code (package outfile).
//
//	event ─► Sender / Receiver ─┬─► Log      lines, levels 0..5, time stamps, [group/instance:file]
//	                            ├─► Status   CONNECT, RESULT, FREESPACE, HSTATS, STATS; flushed line by line
//	                            ├─► JSON     one object a line (docs/events.md)
//	                            └─► Screen   a few lines at the foot of a terminal, redrawn 5 times a second
//
// Names come from other hosts and from file systems. Control characters and the like (cli.Clean)
// are replaced by ? in all outputs but JSON, which escapes them and has the bytes of names that are
// not UTF-8. A ; in a name is not escaped in status lines, as in those of the stock programs.
//
// # Limits
//
// The log of levels 3 to 5 has those lines of the stock programs whose content the engine knows
// (RTT, GRTT, section sizes, rewind timer, destination of control messages) and one line per
// datagram. The live display needs a terminal that understands ANSI sequences. The table has single
// results for up to [tableMax] receivers and files; beyond that, it has sums and the worst cases.
package report
