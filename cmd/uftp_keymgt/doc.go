// Command uftp_keymgt describes and makes key files.
//
//	uftp_keymgt FILE...              describe each key
//	uftp_keymgt -g rsa:BITS FILE     make a key, describe it
//	uftp_keymgt -g ec:CURVE FILE
//
// # Output
//
// One line for each key on standard output:
//
//	FILE: RSA, 2048 bits, fingerprint: 78:84:8F:...
//	FILE: ECDSA, curve prime256v1, fingerprint: 4D:8A:6A:...
//
// Failures and warnings go to standard error in the words of the stock program,
// which writes the descriptions there too. What reads both streams together sees
// the same lines.
//
// # Exit codes
//
//	0  everything asked for was done
//	1  an option, or a key that could not be read, made or stored; the other
//	   keys are described all the same; standard output
//
// The stock program ends with 0 when a key cannot be read or stored.
//
// # Limits
//
// New files are readable by their owner only and never replace a file. Key
// containers of Windows do not exist here: -m and -d have no effect.
package main
