//go:build !linux

package store

import (
	"errors"
	"os"
	"syscall"
)

// preallocate gives f its size.
func preallocate(f *os.File, size int64) error { return truncate(f, size) }

// exchangeAt says that two entries cannot change places here.
func exchangeAt(dir, string, dir, string) error { return errors.ErrUnsupported }

// isNoSpace reports whether err says that a disk is full.
func isNoSpace(err error) bool { return errors.Is(err, syscall.ENOSPC) }

// syncFile makes the bytes of f durable.
func syncFile(f *os.File) error { return f.Sync() }
