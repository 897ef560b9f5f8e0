//go:build unix && !linux

package main

import "golang.org/x/sys/unix"

// dup makes to another name of the descriptor from.
func dup(from, to int) { unix.Dup2(from, to) }
