// Package house holds the test of the rules in docs/architecture.md: which package may
// import which, and the other rules as far as a syntax tree shows them.
//
// Other tests keep two pages complete. docs/protocol.md has a section for every message and every
// extension, and for every citation in the code. docs/architecture.md names every package, and
// the files that it names exist.
package house
