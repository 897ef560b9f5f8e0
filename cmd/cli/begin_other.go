//go:build !unix

package cli

// OnBegin returns nil: there is no signal here that could mean it.
func OnBegin() <-chan struct{} { return nil }
