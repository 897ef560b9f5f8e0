//go:build !windows

package main

// Where files and the log go unless the command line says otherwise.
const (
	defaultDest = "/tmp"
	defaultLog  = "/tmp/uftpd.log"
)
