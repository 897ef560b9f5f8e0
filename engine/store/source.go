package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"syscall"

	"uftp/wire"
)

// What may happen to a source file while it is sent.
var (
	// ErrShrunk means that a file has fewer bytes than were announced: the sender gives it up.
	ErrShrunk = errors.New("the file became shorter while it was sent")
	// ErrChanged means that a file is not the announced one, or that it was written to while it
	// was sent: receivers may have a mixture.
	ErrChanged = errors.New("the file changed while it was sent")
)

// Source is a regular file being sent. Its methods may be called from several
// goroutines at once, except Close.
type Source struct {
	f    *os.File
	e    Entry
	seen fs.FileInfo
}

// OpenSource opens the file of e. It must still be the regular file that the walk found (otherwise
// [ErrChanged]) and have at least e.Size bytes (otherwise [ErrShrunk]). Bytes that were appended
// since are not sent. Errors name the path.
func OpenSource(e Entry) (*Source, error) {
	if e.Type != wire.TypeFile {
		return nil, fmt.Errorf("%s is not a regular file", e.Path)
	}
	f, err := openRead(e.Local)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	switch {
	case err != nil:
	case !info.Mode().IsRegular() || e.seen != nil && !os.SameFile(info, e.seen):
		err = fmt.Errorf("%s: %w", e.Path, ErrChanged)
	case info.Size() < e.Size:
		err = fmt.Errorf("%s: %w", e.Path, ErrShrunk)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	if e.seen != nil {
		info = e.seen
	}
	return &Source{f: f, e: e, seen: info}, nil
}

// ReadBlocks fills bufs one after the other with the bytes from off on, which must lie within the
// announced size. v is scratch memory; ReadBlocks allocates nothing. [ErrShrunk] means that the
// file ended early; any other error comes from the system.
func (s *Source) ReadBlocks(v *ReadVec, bufs [][]byte, off int64) error {
	_, err := v.preadv(s.f, bufs, off)
	if err == io.EOF {
		return ErrShrunk
	}
	return err
}

// ReadVecLen is how many buffers [Source.ReadBlocks] fills with one system call.
const ReadVecLen = 64

// Check compares the file with the walk, with one call to the system and without reading.
// [ErrShrunk] means that it has fewer bytes than e.Size, so announcing it is pointless.
// [ErrChanged] means that size or modification time have changed, as for a file that is appended
// to all the time: it can still be sent as announced, but may mix old and new bytes.
func (s *Source) Check() error {
	info, err := s.f.Stat()
	switch {
	case err != nil:
		return err
	case info.Size() < s.e.Size:
		return fmt.Errorf("%s: %w", s.e.Path, ErrShrunk)
	case info.Size() != s.seen.Size() || !info.ModTime().Equal(s.seen.ModTime()):
		return fmt.Errorf("%s: %w", s.e.Path, ErrChanged)
	}
	return nil
}

// Close closes the file. It returns the result of [Source.Check]: on an error, what was delivered
// may mix old and new bytes.
func (s *Source) Close() error { return errors.Join(s.Check(), s.f.Close()) }

// openRead opens a file for reading without waiting: the file may have been replaced by a fifo that
// nobody writes to.
func openRead(path string) (*os.File, error) {
	flags := os.O_RDONLY
	if runtime.GOOS != "windows" {
		flags |= syscall.O_NONBLOCK
	}
	return os.OpenFile(path, flags, 0)
}
