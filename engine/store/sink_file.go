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
	lock  *os.File    // has the lock of the temporary file, where there are locks
	id    fs.FileInfo // identity of the temporary file
	at    dir         // where it is
	temp  string      // its name there
	place place       // where it is to be
	req   Request

	came     int64 // bytes that were written; WriteAt's while it is received, as reserved
	reserved int64 // bytes from its start that have their space, as far as that can be had

	marked bool // has the mode of a file that is being received
	noted  bool // a record on disk names it
}

// errClosed is a mistake of the caller.
var errClosed = errors.New("store: file is closed")

// errRange is a mistake of the caller: bytes outside the file.
var errRange = errors.New("store: write outside the file")

// errStolen says that somebody took the temporary name away.
var errStolen = errors.New("the temporary file was replaced by somebody else")

// Path returns the absolute name the file will have.
func (f *File) Path() string { return f.place.path() }

// WriteAt writes bufs, one after the other, from offset off on. It allocates
// nothing. After an error, which names the file and matches [ErrNoSpace] if the
// disk is full, the file is to be given up with Abandon.
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
	f.came += n
	return nil
}

// Finish gives the file, all of which has been written, its time stamp and its
// final name. What had that name goes to the backup directory or is replaced;
// it stays if Finish fails, and the temporary file is removed then.
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
	if err := f.close(); err != nil { // some file systems report a full disk only now
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
	if err := f.unmark(); err != nil { // not sooner: until then it is known for a leftover
		return err
	}
	if err := f.s.install(f.at, f.temp, in, f.place, log); err != nil {
		return err
	}
	if f.place.skip > 0 {
		if err := f.s.forget(f); err != nil { // harmless: its data are not where it says
			*log = append(*log, "Couldn't remove restart file: "+reason(err))
		}
	}
	return f.s.settle(in)
}

// Checkpoint makes what has been written durable and records that only the blocks
// of missing are not, so that a later instance of the session goes on from there
// even if this process is killed. WriteAt may run meanwhile: what it writes may or
// may not reach the disk, and counts as missing if missing says so. Without a
// temporary directory Checkpoint does nothing.
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
	return f.s.remember(f, missing, false)
}

// Abandon gives the file up. It is removed; with a temporary directory it is kept
// for a later instance of the session, with a record of the blocks of missing. It
// is removed there, too, if all blocks are missing or no record can be written
// nor was by Checkpoint: nobody could use it, and the disk may be full of it.
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
		err = f.s.forget(f)
	} else {
		f.unreserve(missing)
		if err = syncData(f.h); err == nil {
			err = f.s.remember(f, missing, true)
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

// recorded reports whether the record on disk tells what is missing of f.
func (f *File) recorded() bool { return f.place.skip > 0 && f.s.past.disk == f.rel() }

// close closes the handle only.
func (f *File) close() error {
	if f.h == nil {
		return nil
	}
	err := call{op: "close", file: f.h}.make(f.h.Close)
	f.h = nil
	return err
}

// discard removes the temporary file, unless its name is somebody else's by now.
func (f *File) discard() {
	f.close()
	if f.at.holds(f.temp, f.id) {
		f.at.Remove(f.temp)
	}
}

// unlock gives the lock up, when the temporary name is gone.
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
