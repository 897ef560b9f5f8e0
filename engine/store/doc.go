// Package store is the only package that touches files: it reads what a sender
// sends and keeps what a receiver receives.
//
// It starts no goroutine, reads no clock and knows no packets. Slow calls
// (opening, syncing, moving) block; the host calls them where blocking is no
// harm. Reading and writing blocks allocates nothing.
package store
