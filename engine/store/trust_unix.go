//go:build linux || darwin || freebsd

package store

import (
	"io/fs"
	"syscall"
)

// hasOwners: files have owners on this system.
const hasOwners = true

// sameDevice reports whether two entries are on one file system.
func sameDevice(a, b fs.FileInfo) bool {
	x, ok1 := a.Sys().(*syscall.Stat_t)
	y, ok2 := b.Sys().(*syscall.Stat_t)
	return ok1 && ok2 && x.Dev == y.Dev
}

// ownerOf returns the owner of fi and its number of names.
func ownerOf(fi fs.FileInfo) (uid uint32, links uint64, ok bool) {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, 0, false
	}
	return st.Uid, uint64(st.Nlink), true
}
