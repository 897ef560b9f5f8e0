// Package bench measures whole transfers: sender and receiver in one process over
// loopback, one large file or many small ones, in memory, in clear and encrypted.
// Its results are in Go's benchmark format, so benchstat compares them. The parts
// are measured beside their code; against other programs, by command compare
// below this directory. docs/tuning.md tells what the figures mean.
package bench
