//go:build !linux

package store

import (
	"errors"
	"os"
	"syscall"
)

// allocate does nothing: a write finds out whether there is space.
func allocate(*os.File, int64, int64) error { return nil }

// punch does nothing: what is reserved lies behind the data.
func punch(*os.File, int64, int64) error { return nil }

// exchangeAt says that two entries cannot change places here.
func exchangeAt(dir, string, dir, string) error { return errors.ErrUnsupported }

// isNoSpace reports whether err says that a disk is full.
func isNoSpace(err error) bool { return errors.Is(err, syscall.ENOSPC) }

// syncFile makes the bytes of f durable.
func syncFile(f *os.File) error { return f.Sync() }
