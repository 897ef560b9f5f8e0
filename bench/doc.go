// Package bench measures whole transfers: sender and receiver in one process over
// loopback, one large file or many small ones, in memory, in clear and encrypted.
// Its results are in Go's benchmark format, so benchstat compares them. The parts
// are measured beside their code. Command compare below this directory compares with other
// programs. docs/tuning.md explains the figures.
package bench
