package outfile

import "golang.org/x/sys/unix"

// openDir opens a directory to go through: that takes no permission to read it. searchDir
// does the same where openDir takes one; 0: nothing does.
const (
	openDir   = unix.O_PATH
	searchDir = 0
)
