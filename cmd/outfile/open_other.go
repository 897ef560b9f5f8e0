//go:build !unix

package outfile

import (
	"io/fs"
	"os"
)

const nonblock = 0

func open(path string, flags int, perm fs.FileMode, _ bool) (*os.File, error) {
	return os.OpenFile(path, flags, perm)
}

// Replace writes a file.
func Replace(path string, data []byte, perm fs.FileMode) error { return os.WriteFile(path, data, perm) }
