package store

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// allocate reserves n bytes of f from off on, if the file system can do so without writing.
func allocate(f *os.File, off, n int64) error {
	fd := int(f.Fd())
	var st unix.Statfs_t
	if err := unix.Fstatfs(fd, &st); err == nil && st.Type == unix.TMPFS_MAGIC {
		return nil // tmpfs would clear the memory, about 0.4 s/GB
	}
	for {
		if err := unix.Fallocate(fd, 0, off, n); err != unix.EINTR {
			return err
		}
	}
}

// punch releases n bytes of f from off on, if the file system can.
func punch(f *os.File, off, n int64) error {
	return call{op: "release", file: f, off: off, n: n}.make(func() error {
		for {
			err := unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, off, n)
			switch {
			case errors.Is(err, unix.EINTR):
			case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EINVAL):
				return nil
			default:
				return err
			}
		}
	})
}

// exchangeAt implements exchange.
func exchangeAt(from dir, name string, to dir, newName string) error {
	return between("exchange", from, name, to, newName, func(a, b int) error {
		return unix.Renameat2(a, name, b, newName, unix.RENAME_EXCHANGE)
	})
}

// isNoSpace reports whether err means that a disk or a quota is full.
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
