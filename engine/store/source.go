package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"sync/atomic"
	"syscall"

	"uftp/wire"
)

// What can become of a source file while it is sent.
var (
	// ErrShrunk says that a file has fewer bytes than were announced: the file is to be given up.
	ErrShrunk = errors.New("the file became shorter while it was sent")
	// ErrChanged says that a file is not the one that was announced, or that it was
	// written to meanwhile: receivers may hold a mixture.
	ErrChanged = errors.New("the file changed while it was sent")
)

// Source is a regular file being sent. Its methods may be called from several
// goroutines at once, except Close.
type Source struct {
	f    *os.File
	e    Entry
	seen fs.FileInfo
}

// OpenSource opens the file of e. It must still be the regular file that the walk
// found (else [ErrChanged]) and have at least e.Size bytes (else [ErrShrunk]); what
// was appended since is left out, as if it came a moment later. Errors name the path.
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

// ReadBlocks fills bufs one after the other with the bytes from off on, which must
// lie within the announced size. It allocates nothing. [ErrShrunk] says that the
// file ended before; any other error is that of the system.
func (s *Source) ReadBlocks(bufs [][]byte, off int64) error {
	err := s.read(bufs, off)
	if err == io.EOF {
		return ErrShrunk
	}
	return err
}

// readVecs are the vectors of reads under way. More reads at once than vectors are
// possible when disks are slow; the rest goes block by block.
var readVecs [8]struct {
	busy atomic.Bool
	vec
}

func (s *Source) read(bufs [][]byte, off int64) error {
	for i := range readVecs {
		if v := &readVecs[i]; v.busy.CompareAndSwap(false, true) {
			_, err := v.preadv(s.f, bufs, off)
			v.busy.Store(false)
			return err
		}
	}
	for _, b := range bufs {
		n, err := s.f.ReadAt(b, off)
		if n < len(b) {
			return err
		}
		off += int64(n)
	}
	return nil
}

// Check looks at the file again, with one call of the system and no read: time may
// have passed since the walk. [ErrShrunk] says that it has fewer bytes than e.Size,
// so that to announce it is of no use; [ErrChanged] that size or modification time
// are not those of the walk, as of a file that is appended to all the time. It
// can still be sent as it was announced, but may mix old and new bytes.
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

// Close closes the file. It returns what [Source.Check] finds: if that is an
// error, what was delivered may mix old and new bytes.
func (s *Source) Close() error { return errors.Join(s.Check(), s.f.Close()) }

// openRead opens a file for reading without waiting: what was a file a moment ago
// may be a fifo that nobody writes to.
func openRead(path string) (*os.File, error) {
	flags := os.O_RDONLY
	if runtime.GOOS != "windows" {
		flags |= syscall.O_NONBLOCK
	}
	return os.OpenFile(path, flags, 0)
}
