//go:build unix

package keylog

import (
	"fmt"
	"os"
	"syscall"
)

// checkOwner returns an error if anybody but our user and root can use a file.
func checkOwner(name string, info os.FileInfo) error {
	if perm := info.Mode().Perm(); perm&0o077 != 0 {
		return fmt.Errorf("%s can be read or written by others (mode %04o)", name, perm)
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("%s belongs to another user", name)
	}
	if st.Nlink > 1 {
		return fmt.Errorf("%s has another name, too", name)
	}
	return nil
}
