package store

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// preallocate gives f its size and, where the file system can do so without
// writing, its blocks too: a full disk shows now instead of in the middle.
func preallocate(f *os.File, size int64) error {
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &st); err == nil && st.Type == unix.TMPFS_MAGIC {
		return truncate(f, size) // its blocks are memory: to give them is to clear them, about 0.4 s/GB
	}
	for {
		err := unix.Fallocate(int(f.Fd()), 0, 0, size)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EINVAL):
			return truncate(f, size)
		default:
			return err
		}
	}
}

// exchangeAt is exchange.
func exchangeAt(from dir, name string, to dir, newName string) error {
	return between("exchange", from, name, to, newName, func(a, b int) error {
		return unix.Renameat2(a, name, b, newName, unix.RENAME_EXCHANGE)
	})
}

// isNoSpace reports whether err says that a disk or a quota is full.
func isNoSpace(err error) bool { return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) }

// syncFile makes the bytes of f durable.
func syncFile(f *os.File) error {
	for {
		if err := unix.Fdatasync(int(f.Fd())); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// blockBytes is the unit that st counts in.
func blockBytes(st *unix.Statfs_t) uint64 {
	if st.Frsize > 0 {
		return uint64(st.Frsize)
	}
	return uint64(st.Bsize)
}
