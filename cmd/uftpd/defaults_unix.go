//go:build !windows

package main

// Defaults of -D and -L.
const (
	defaultDest = "/tmp"
	defaultLog  = "/tmp/uftpd.log"
)
