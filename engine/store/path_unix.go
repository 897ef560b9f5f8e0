//go:build linux || darwin || freebsd

package store

import (
	"errors"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// noWait keeps open from waiting for the other end of a pipe.
const noWait = unix.O_NONBLOCK

// renameAt implements rename.
func renameAt(from dir, name string, to dir, newName string) error {
	return between("rename", from, name, to, newName, func(a, b int) error { return unix.Renameat(a, name, b, newName) })
}

// linkAt implements hardLink.
func linkAt(from dir, name string, to dir, newName string) error {
	return between("link", from, name, to, newName, func(a, b int) error { return unix.Linkat(a, name, b, newName, 0) })
}

// between calls fn with the descriptors of two directories.
func between(op string, from dir, name string, to dir, newName string, fn func(a, b int) error) error {
	a, err := from.Open(".")
	if err != nil {
		return err
	}
	defer a.Close()
	b, err := to.Open(".")
	if err != nil {
		return err
	}
	defer b.Close()
	if err := fn(int(a.Fd()), int(b.Fd())); err != nil {
		return &os.LinkError{Op: op, Old: from.join(name), New: to.join(newName), Err: err}
	}
	return nil
}

// freeSpace returns the bytes that unprivileged users may still write to the file system of d;
// ok is false if that is unknown.
func freeSpace(d dir) (bytes uint64, ok bool) {
	f, err := d.Open(".")
	if err != nil {
		return 0, false
	}
	defer f.Close()
	var st unix.Statfs_t
	for {
		err = unix.Fstatfs(int(f.Fd()), &st)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	// File systems that do not count report zero blocks.
	if err != nil || st.Blocks == 0 {
		return 0, false
	}
	return uint64(max(int64(st.Bavail), 0)) * blockBytes(&st), true
}

// allocated returns the bytes that a file takes on the disk.
func allocated(fi fs.FileInfo) int64 {
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		return st.Blocks * 512
	}
	return fi.Size()
}

// syncDir makes the entries of an open directory durable.
func syncDir(f *os.File) error {
	err := f.Sync()
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EOPNOTSUPP) {
		return nil
	}
	return err
}
