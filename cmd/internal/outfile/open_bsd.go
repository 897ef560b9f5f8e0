//go:build unix && !linux

package outfile

import "golang.org/x/sys/unix"

// openDir opens a directory to go through.
const openDir = unix.O_RDONLY
