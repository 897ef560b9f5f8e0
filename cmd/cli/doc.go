// Package cli is what the commands share about their command lines: a table of
// options, the parser that walks it, the help text made from it, and the rules
// by which numbers, UIDs, names and interfaces are read.
//
// # Contract
//
// A command describes each option once, in a [Option]; parsing, help, usage and
// error messages all come from that row. The parser reads what getopt reads, so
// command lines written for the stock programs mean the same here: single
// letters, bundled flags (-qo), values attached or separate, options after
// operands, -- as the end of options. Every option has a long name as well.
// Options take effect from left to right; the first error ends the walk.
//
// An error keeps the text of the stock program, because scripts look for it, and
// adds the option as it was written, the value and what would be right:
//
//	Invalid blocksize: -b 99999 (allowed: 512 to 8800 bytes)
//
// # Why a parser of its own
//
// The table says more than a flag package can take in: -h of uftp has a value,
// "-R=5" is the value "=5" to getopt, errors must read like getopt's, a wrong
// value must be told in the words of the stock program, and help is grouped.
// Around such a package the adapters would be longer than these few lines.
//
// # Limits
//
// Long names are not abbreviated, and POSIXLY_CORRECT is not looked at. Name
// look-ups are bounded in time (see [Resolver]), one after the other.
package cli
