// Package house holds the test of the rules in docs/architecture.md: which package may
// import which, and the other rules as far as a syntax tree shows them.
package house
