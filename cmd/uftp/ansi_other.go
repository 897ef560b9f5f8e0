//go:build !windows

package main

// ansi says that terminals of this system understand ANSI sequences.
const ansi = true
