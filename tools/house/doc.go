// Package house holds the test of the rules in docs/architecture.md: which package may
// import which, and the other rules as far as a syntax tree shows them.
//
// Another test keeps docs/protocol.md complete: it has a section for every message and every
// extension, and for every citation in the code.
package house
