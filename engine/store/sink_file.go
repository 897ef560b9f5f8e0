package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"uftp/engine/block"
)

// File is a regular file being received, under a temporary name.
type File struct {
	s     *Session
	h     *os.File
	lock  *os.File    // holds the lock of the temporary file; nil where there are no locks
	id    fs.FileInfo // identity of the temporary file
	at    dir         // the directory of the temporary file
	temp  string      // its name in at
	place place       // where the finished file goes
	req   Request

	received int64 // bytes written so far; belongs to WriteAt
	reserved int64 // bytes from the start for which space is reserved, or cannot be; belongs to WriteAt

	marked bool // has the mode that marks files being received
	named  bool // a record on disk names it
}

// errClosed is a mistake of the caller.
var errClosed = errors.New("store: file is closed")

// errRange is a mistake of the caller: bytes outside the file.
var errRange = errors.New("store: write outside the file")

// errStolen means that the temporary name refers to another file by now.
var errStolen = errors.New("the temporary file was replaced by another program")

// Path returns the absolute name the file will have.
func (f *File) Path() string { return f.place.path() }

// WriteAt writes bufs one after the other, starting at offset off. It allocates nothing. An
// error names the file and matches [ErrNoSpace] if the disk is full; the caller then gives the
// file up with Abandon.
func (f *File) WriteAt(bufs [][]byte, off int64) error {
	if f.h == nil {
		return errClosed
	}
	n := int64(0)
	for _, b := range bufs {
		n += int64(len(b))
	}
	if off < 0 || n > f.req.Size-off {
		return errRange
	}
	f.reserve(off + n)
	var err error
	if spy == nil {
		_, err = f.s.vec.pwritev(f.h, bufs, off)
	} else {
		err = f.s.vec.spiedWrite(f.h, bufs, off, n)
	}
	if err != nil {
		if isNoSpace(err) {
			err = ErrNoSpace
		}
		return fmt.Errorf("%s: %w", f.Path(), err)
	}
	f.received += n
	return nil
}

// Finish gives a file that is completely written its time stamp and its final name. An older
// file of that name is replaced, or moved to the backup directory. If Finish fails, the older
// file stays and the temporary file is removed.
func (f *File) Finish() (Finished, error) {
	if f.h == nil {
		return Finished{}, errClosed
	}
	done := Finished{Path: f.Path()}
	err := f.finish(&done.Log)
	if err != nil {
		f.discard()
		err = fmt.Errorf("%s: %w", f.Path(), err)
	}
	f.release()
	return done, err
}

func (f *File) finish(log *[]string) error {
	if f.s.k.durable {
		if err := syncData(f.h); err != nil {
			return err
		}
	}
	if err := f.close(); err != nil { // some file systems report a full disk only here
		return err
	}
	if !f.at.holds(f.temp, f.id) {
		return errStolen
	}
	if f.req.MTime != 0 {
		stamp := time.Unix(unixOf(f.req.MTime, f.s.key.Started), 0)
		if err := f.at.Chtimes(f.temp, stamp, stamp); err != nil {
			*log = append(*log, "Couldn't set time stamp: "+reason(err))
		}
	}
	in, err := f.s.parent(f.place, log)
	if err != nil {
		return err
	}
	defer in.close()
	if err := f.unmark(); err != nil { // not earlier: until here a crash must leave a recognisable leftover
		return err
	}
	if err := f.s.install(f.at, f.temp, in, f.place, log); err != nil {
		return err
	}
	if f.place.skip > 0 {
		if err := f.s.removeRecord(f); err != nil { // harmless: the record names data that are no longer there
			*log = append(*log, "Couldn't remove restart file: "+reason(err))
		}
	}
	return f.s.syncIfDurable(in)
}

// Checkpoint makes what has been written durable, and records that only the blocks of missing
// are not there. A later instance of the session resumes from that record even if this process
// is killed. WriteAt may run at the same time: its blocks count as missing if missing has
// them, whether or not they reach the disk. Without a temporary directory Checkpoint does
// nothing.
func (f *File) Checkpoint(missing *block.Set) error {
	if f.h == nil {
		return errClosed
	}
	if f.place.skip == 0 {
		return nil
	}
	if err := syncData(f.h); err != nil {
		return fmt.Errorf("%s: %w", f.Path(), err)
	}
	return f.s.writeRecord(f, missing, false)
}

// Abandon gives the file up. With a temporary directory it keeps the file for a later instance
// of the session, with a record of the blocks of missing. It removes the file if there is no
// temporary directory, if all blocks are missing, or if no record can be written and Checkpoint
// has written none: nobody could use the file, and the disk may be full because of it.
func (f *File) Abandon(missing *block.Set) error {
	if f.h == nil {
		return errClosed
	}
	defer f.release()
	if f.place.skip == 0 {
		f.discard()
		return nil
	}
	var err error
	if missing.Count() == missing.Len() {
		f.discard()
		err = f.s.removeRecord(f)
	} else {
		f.unreserve(missing)
		if err = syncData(f.h); err == nil {
			err = f.s.writeRecord(f, missing, true)
		}
	}
	if !f.recorded() {
		f.discard()
	}
	if err != nil {
		return fmt.Errorf("%s: %w", f.Path(), err)
	}
	return nil
}

// recorded reports whether the record on disk is about f.
func (f *File) recorded() bool { return f.place.skip > 0 && f.s.previous.disk == f.rel() }

// close closes the handle only.
func (f *File) close() error {
	if f.h == nil {
		return nil
	}
	err := call{op: "close", file: f.h}.make(f.h.Close)
	f.h = nil
	return err
}

// discard removes the temporary file, unless its name refers to another file by now.
func (f *File) discard() {
	f.close()
	if f.at.holds(f.temp, f.id) {
		f.at.Remove(f.temp)
	}
}

// unlock releases the lock, when the temporary name is gone.
func (f *File) unlock() {
	if f.lock != nil {
		f.lock.Close()
		f.lock = nil
	}
}

// release ends the use of the file.
func (f *File) release() {
	f.close()
	f.unlock()
	f.at.close()
	if f.s.open == f {
		f.s.open = nil
	}
}
