//go:build unix

package main

import (
	"io/fs"

	"golang.org/x/sys/unix"
)

// restrict lets those who cannot read a file of this mode not read what is made from
// now on, until the returned function is called.
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
