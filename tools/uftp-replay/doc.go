// Uftp-replay works on captures of UFTP sessions: it shows their messages, extracts the
// files, changes packets, and plays sessions into our own machines. docs/replay.md is its
// manual.
//
// # Contract
//
// A capture is read as a stream; receiver reads it twice. Memory does not grow with the
// capture (package session names the bounds). Exit codes: 0 for yes, 1 for no (files not
// complete, answers that differ), 2 for wrong usage, 3 for a file that cannot be read or
// written, or a capture that ends within a packet.
//
// # Limits
//
// Protocol version 4. A capture tests receivers, ours in virtual time and real ones on an
// interface, and our sender in virtual time. Sessions through a proxy are not replayed.
package main
