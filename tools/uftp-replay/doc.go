// Uftp-replay works on captures of UFTP sessions: it shows what is in them, takes
// the files out, changes them, and plays them into our own machines. docs/replay.md
// tells how to use it.
//
// # Contract
//
// Everything is read once and streaming; memory does not grow with the capture
// (package session tells the bounds). Exit codes: 0 for yes, 1 for no (files not
// complete, answers that differ), 2 for wrong usage, 3 for what cannot be read or
// written, a capture that ends within a packet included.
//
// # Limits
//
// Protocol version 4. Receivers, ours in virtual time and real ones on an interface,
// are tested against a capture; senders in virtual time only. Proxies take no part.
package main
