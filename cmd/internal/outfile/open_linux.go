package outfile

import "golang.org/x/sys/unix"

// openDir opens a directory to go through: that takes no permission to read it.
const openDir = unix.O_PATH
