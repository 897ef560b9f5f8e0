//go:build darwin || freebsd

package store

import "golang.org/x/sys/unix"

// blockBytes is the unit that st counts in.
func blockBytes(st *unix.Statfs_t) uint64 { return uint64(st.Bsize) }
