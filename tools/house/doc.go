// Package house holds the test that keeps the house in order: who may import whom,
// and the rules of the house (docs/architecture.md) as far as a syntax tree shows
// them.
package house
