//go:build !linux

package store

import (
	"errors"
	"os"
	"syscall"
)

// allocate does nothing: the write notices a full disk.
func allocate(*os.File, int64, int64) error { return nil }

// punch does nothing: allocate has reserved nothing.
func punch(*os.File, int64, int64) error { return nil }

// exchangeAt is not supported here.
func exchangeAt(dir, string, dir, string) error { return errors.ErrUnsupported }

// isNoSpace reports whether err means that a disk is full.
func isNoSpace(err error) bool { return errors.Is(err, syscall.ENOSPC) }

// syncFile makes the bytes of f durable.
func syncFile(f *os.File) error { return f.Sync() }
