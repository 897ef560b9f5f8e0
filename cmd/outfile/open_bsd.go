//go:build unix && !linux && !darwin && !freebsd

package outfile

import "golang.org/x/sys/unix"

// See open_linux.go.
const (
	openDir   = unix.O_RDONLY
	searchDir = 0
)
