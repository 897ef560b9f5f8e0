package store

import (
	"io/fs"
	"os"

	"golang.org/x/sys/windows"
)

// freeSpace returns the bytes that this user may still write to the volume of d; ok is false if
// that is unknown.
func freeSpace(d dir) (bytes uint64, ok bool) {
	name, err := windows.UTF16PtrFromString(d.path)
	if err != nil {
		return 0, false
	}
	err = windows.GetDiskFreeSpaceEx(name, &bytes, nil, nil)
	return bytes, err == nil
}

// noWait is for systems that have pipes among the files.
const noWait = 0

// renameAt implements rename by path: Windows has no call that takes open directories, so it
// follows a parent that another program swaps for a link at the right moment.
func renameAt(from dir, name string, to dir, newName string) error {
	return os.Rename(from.join(name), to.join(newName))
}

// linkAt implements hardLink by path, with the same weakness.
func linkAt(from dir, name string, to dir, newName string) error {
	return os.Link(from.join(name), to.join(newName))
}

// allocated returns the bytes that a file takes on the disk.
func allocated(fi fs.FileInfo) int64 { return fi.Size() }

// syncDir does nothing: Windows cannot sync a directory.
func syncDir(*os.File) error { return nil }
