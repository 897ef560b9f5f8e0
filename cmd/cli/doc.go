// Package cli reads command lines: a table of options, the parser that uses it, the help text made
// from it, and readers for numbers, UIDs, names and interfaces. The rules for messages to people
// are at the top of text.go.
//
// # Contract
//
// A command describes each option once, in an [Option]; parsing, help, usage and error messages all come
// from that row. The parser reads what getopt reads, so command lines for the stock programs mean the
// same here: single letters, bundled flags (-qo), values attached or separate, options after operands,
// -- as the end of options. Every option has a long name too. Options take effect from left to right;
// parsing stops at the first error.
//
// An error keeps the text of the stock program, because scripts look for it, and adds the option as
// it was written, its value and the allowed values:
//
//	Invalid blocksize: -b 99999 (allowed: 512 to 8800 bytes)
//
// # Why a parser of its own
//
// The stock programs need things that a flag package does not have: -h of uftp takes a value,
// "-R=5" is the value "=5" to getopt, errors must read like getopt's or have the stock program's
// text for a wrong value, and help is grouped. Adapters around such a package would be longer than
// this parser.
//
// # Limits
//
// Long names cannot be abbreviated, and POSIXLY_CORRECT is ignored. Name look-ups are made one
// after the other, in bounded time (see [Resolver]).
package cli
