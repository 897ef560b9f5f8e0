// Package bench measures whole transfers: sender and receiver in one process over
// loopback, plain files in memory. Its results are in Go's benchmark format, so
// benchstat compares them.
package bench
