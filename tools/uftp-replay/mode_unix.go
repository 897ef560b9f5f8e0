//go:build unix

package main

import (
	"io/fs"

	"golang.org/x/sys/unix"
)

// restrict sets the umask so that files made from now on are readable only by those who
// can read a file of this mode, until the returned function is called.
func restrict(mode fs.FileMode) (undo func()) {
	mask := unix.Umask(0o077)
	now := mask
	if mode&0o040 == 0 {
		now |= 0o070
	}
	if mode&0o004 == 0 {
		now |= 0o007
	}
	unix.Umask(now)
	return func() { unix.Umask(mask) }
}
