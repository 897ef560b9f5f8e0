//go:build !unix

package cli

// OnBegin returns nil: this system has no SIGUSR2.
func OnBegin() <-chan struct{} { return nil }
