package store

import (
	"io/fs"
	"os"

	"golang.org/x/sys/windows"
)

// freeSpace returns the bytes that this user may still write to the volume of d;
// ok is false where nobody knows.
func freeSpace(d dir) (bytes uint64, ok bool) {
	name, err := windows.UTF16PtrFromString(d.path)
	if err != nil {
		return 0, false
	}
	err = windows.GetDiskFreeSpaceEx(name, &bytes, nil, nil)
	return bytes, err == nil
}

// noWait is for systems with pipes among the files.
const noWait = 0

// renameAt is rename. There is no way here to
// name open directories, so somebody who swaps a parent for a link at the right
// moment is followed.
func renameAt(from dir, name string, to dir, newName string) error {
	return os.Rename(from.join(name), to.join(newName))
}

// linkAt is hardLink, with the same weakness.
func linkAt(from dir, name string, to dir, newName string) error {
	return os.Link(from.join(name), to.join(newName))
}

// allocated returns the bytes of disk that a file has.
func allocated(fi fs.FileInfo) int64 { return fi.Size() }

// syncDir does nothing: directories cannot be synced here.
func syncDir(*os.File) error { return nil }
