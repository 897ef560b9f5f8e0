//go:build !linux

package main

import (
	"errors"
	"io"
	"runtime"
)

// simulate says that this system cannot.
func (o *options) simulate(io.Writer, io.Writer) error {
	return &systemError{errors.New("joining interfaces needs Linux (packet sockets); this is " + runtime.GOOS)}
}
