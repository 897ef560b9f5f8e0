// Command uftp_keymgt describes and creates key files.
//
//	uftp_keymgt FILE...              describe each key
//	uftp_keymgt -g rsa:BITS FILE     create a key and describe it
//	uftp_keymgt -g ec:CURVE FILE
//
// # Output
//
// One line for each key on standard output:
//
//	FILE: RSA, 2048 bits, fingerprint: 78:84:8F:...
//	FILE: ECDSA, curve prime256v1, fingerprint: 4D:8A:6A:...
//
// Errors and warnings go to standard error, with the texts of the stock program, which writes the
// descriptions there too. A reader of both streams together sees the same lines.
//
// # Exit codes
//
//	0  everything was done
//	1  an option, or a key that could not be read, created or stored (the other
//	   keys are described all the same); standard output
//
// The stock program ends with 0 even if a key cannot be read or stored.
//
// # Limits
//
// New files are readable by their owner only and never replace a file. -m and -d are for the key
// containers of Windows and have no effect.
package main
