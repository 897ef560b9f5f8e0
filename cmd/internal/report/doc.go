// Package report turns the events of a session into what people and scripts
// read: log lines and status lines in the words of the stock programs, JSON
// lines, a live display on a terminal, and the table at the end.
//
// # Contract
//
// A [Sender] or [Receiver] is handed to the engine as its Reporter; every call
// comes from one goroutine, in order. Outputs are independent of each other and
// each may be absent. Nothing here stops a session: what cannot be written is lost, which
// is counted, and noted for the exit code (package outfile).
//
//	event ─► Sender / Receiver ─┬─► Log      lines, levels 0..5, time stamps, [group/instance:file]
//	                            ├─► Status   CONNECT, RESULT, FREESPACE, HSTATS, STATS; flushed line by line
//	                            ├─► JSON     one object a line (docs/events.md)
//	                            └─► Screen   a few lines at the foot of a terminal, redrawn 5 times a second
//
// Names come from other hosts and from file systems: what a terminal obeys in them, or
// breaks a line (cli.Clean), is replaced by ? everywhere but in JSON, which escapes it
// and has the bytes of names that are not UTF-8. The ; in a name
// is not escaped in status lines, as in those of the stock programs.
//
// # Limits
//
// The log of level 3 to 5 has the lines of the stock programs where the engine
// knows their content (RTT, GRTT, section sizes, rewind timer, destination of
// control messages) and one line per datagram; lines about internals of the stock
// programs are not imitated. The sender prints no line for a directory it walks
// through. The live display needs a terminal that understands ANSI sequences.
// Results are kept file by file for tables of up to [tableMax] receivers and
// files; beyond that, the table has sums and the worst cases.
package report
