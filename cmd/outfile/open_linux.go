package outfile

import "golang.org/x/sys/unix"

// openDir are the flags to open a directory for passing through, without permission to read it, if
// possible. searchDir are others to try if openDir needs that permission; 0: there are none.
const (
	openDir   = unix.O_PATH
	searchDir = 0
)
