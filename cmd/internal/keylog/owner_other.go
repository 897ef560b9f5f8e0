//go:build !unix

package keylog

import "os"

// checkOwner has nothing to go by: modes and numbers of users are Unix.
func checkOwner(string, os.FileInfo) error { return nil }
