package store

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
)

// CaptureConfig describes a ring of capture files.
type CaptureConfig struct {
	Path      string // the current file; Path.1 is the one before it, and so on, as with logs
	FileBytes int64  // no file gets longer
	Files     int    // number of files that are kept, the current one included; at least 2
}

// captureMagicLen is how many first bytes distinguish a capture from other files.
const captureMagicLen = 4

// Capture is a ring of files, one of which is written. Each file begins with the same head and has
// it before it has its name, so each can be read on its own even if the process is killed. Not for
// concurrent use.
//
// Two programs never write one ring. The current file is locked, and the next one is locked before
// it gets its name. The next one is created under a fixed name, so only one program can create it.
type Capture struct {
	cfg  CaptureConfig
	head []byte
	f    *os.File // nil: the next file could not be created
	lock *os.File // holds the lock of the last file written, where there are locks
	size int64
}

// OpenCapture creates the first file, mode 0600. Files of an earlier run move down the ring, except
// one that has only a head; those behind the end of the ring, which was longer then, are removed.
// If a file of the ring's names is not a plain file or begins differently, or if another program
// writes the ring, OpenCapture changes nothing and fails.
func OpenCapture(cfg CaptureConfig, head []byte) (*Capture, error) {
	if cfg.Files < 2 || cfg.FileBytes <= int64(len(head)) || len(head) < captureMagicLen {
		return nil, fmt.Errorf("capture of %d files of %d bytes with a head of %d", cfg.Files, cfg.FileBytes, len(head))
	}
	c := &Capture{cfg: cfg, head: head}
	for i := range cfg.Files {
		if _, err := c.check(c.name(i)); err != nil {
			return nil, err
		}
	}
	err := c.begin()
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// begin creates the first file.
func (c *Capture) begin() error {
	exists, err := c.lockCurrent()
	if err != nil {
		return err
	}
	if exists {
		info, err := os.Lstat(c.cfg.Path)
		if err == nil && info.Size() <= int64(len(c.head)) {
			err = os.Remove(c.cfg.Path)
		}
		if err != nil {
			return err
		}
	}
	if err := c.Next(); err != nil {
		return err
	}
	for i := c.cfg.Files; ; i++ {
		if size, err := c.check(c.name(i)); err != nil || size < captureMagicLen {
			return nil
		}
		if err := os.Remove(c.name(i)); err != nil {
			return err
		}
	}
}

// name returns the path of the i-th file; the current one is 0.
func (c *Capture) name(i int) string {
	if i == 0 {
		return c.cfg.Path
	}
	return c.cfg.Path + "." + strconv.Itoa(i)
}

// check returns why a file must not become part of the ring, and its length; 0 if there is none.
func (c *Capture) check(name string) (size int64, err error) {
	info, err := os.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	if !info.Mode().IsRegular() {
		return 0, fmt.Errorf("%s is not a plain file", name)
	}
	f, err := os.Open(name)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	var magic [captureMagicLen]byte
	n, err := io.ReadFull(f, magic[:])
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return 0, err
	}
	if n > 0 && !bytes.Equal(magic[:n], c.head[:n]) {
		return 0, fmt.Errorf("%s exists and is not a capture", name)
	}
	return info.Size(), nil
}

// lockCurrent locks the last file written, unless we hold its lock. It fails if another program
// writes it. exists is false if there is no such file; another program may then create it.
func (c *Capture) lockCurrent() (exists bool, err error) {
	if c.lock != nil && isFile(c.cfg.Path, c.lock) {
		return true, nil
	}
	h, err := lockPlain(c.cfg.Path, nil)
	exists = !errors.Is(err, fs.ErrNotExist)
	if err != nil && exists {
		return false, err
	}
	c.setLock(h)
	return exists, nil
}

// setLock keeps h, which may be nil, as the lock, and releases the previous one.
func (c *Capture) setLock(h *os.File) {
	c.lock.Close()
	c.lock = h
}

// lockPlain opens and locks a plain file, which must be the file made unless that is nil. It
// returns [fs.ErrNotExist] if there is no such file, an error if another program holds the lock,
// and nil without an error if the file cannot be locked.
func lockPlain(name string, made fs.FileInfo) (*os.File, error) {
	info, err := os.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if made != nil && (err != nil || !os.SameFile(info, made)) {
		return nil, errCaptured(name)
	}
	if err != nil || !info.Mode().IsRegular() {
		return nil, nil
	}
	h, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return nil, nil
	}
	err = lockFile(h)
	if err == nil && isFile(name, h) {
		return h, nil
	}
	h.Close() // also without a lock: some systems do not move an open file
	if err == nil || errors.Is(err, errLocked) {
		return nil, errCaptured(name)
	}
	return nil, nil
}

func errCaptured(name string) error {
	return fmt.Errorf("%s is in use: another program captures into it", name)
}

// isFile reports whether name refers to the open file h.
func isFile(name string, h *os.File) bool {
	is, err := h.Stat()
	if err != nil {
		return false
	}
	now, err := os.Lstat(name)
	return err == nil && os.SameFile(is, now)
}

// Open reports whether a file is open.
func (c *Capture) Open() bool { return c.f != nil }

// Moved reports whether the current file has lost its name.
func (c *Capture) Moved() bool { return c.f != nil && !isFile(c.cfg.Path, c.f) }

// Size returns the length of the current file.
func (c *Capture) Size() int64 { return c.size }

// Write appends whole records. If it fails, it cuts off the part that was written, and the caller
// may call it again.
func (c *Capture) Write(b []byte) error {
	if c.f == nil {
		return fs.ErrClosed
	}
	if _, err := c.f.Write(b); err != nil {
		if c.f.Truncate(c.size) != nil {
			c.closeFile() // the file may end within a record: append nothing more
		}
		return err
	}
	c.size += int64(len(b))
	return nil
}

// Next closes the current file and begins a new one; if there are too many, it removes the oldest.
// The new file gets its head under another name. After an error no file is open and Write fails;
// the caller may call Next again, and at most the oldest file is lost.
func (c *Capture) Next() error {
	c.closeFile()
	exists, err := c.lockCurrent()
	free := 0
	if err == nil && exists {
		free, err = c.makeGap()
	}
	if err != nil {
		return err
	}
	fresh := c.cfg.Path + ".~uftp-new"
	made, lock, err := c.create(fresh)
	if err != nil {
		return err
	}
	if err = c.checkAlone(free); err == nil {
		err = c.shift(free, fresh)
	}
	if err != nil {
		os.Remove(fresh)
		lock.Close()
		return err
	}
	c.setLock(lock)
	f, err := os.OpenFile(c.cfg.Path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	if now, err := f.Stat(); err != nil || !os.SameFile(made, now) {
		f.Close()
		return fmt.Errorf("%s was replaced by another program", c.cfg.Path)
	}
	c.f, c.size = f, int64(len(c.head))
	return nil
}

// checkAlone checks, when no other program can create a file any more, that none has done so since
// free was found.
func (c *Capture) checkAlone(free int) error {
	if _, err := c.lockCurrent(); err != nil {
		return err
	}
	if _, err := os.Lstat(c.name(free)); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s was created by another program", c.name(free))
	}
	return nil
}

// shift moves the files before free down and fresh to the front.
func (c *Capture) shift(free int, fresh string) error {
	for ; free > 0; free-- {
		if err := os.Rename(c.name(free-1), c.name(free)); err != nil {
			return err
		}
	}
	return os.Rename(fresh, c.cfg.Path)
}

// makeGap returns the first number without a file. In a ring that is full and ours it removes the
// oldest file, before the next one takes space.
func (c *Capture) makeGap() (free int, err error) {
	for free < c.cfg.Files {
		_, err := os.Lstat(c.name(free))
		if errors.Is(err, fs.ErrNotExist) {
			return free, nil
		}
		if err != nil {
			return 0, err
		}
		free++
	}
	free--
	return free, os.Remove(c.name(free))
}

// create makes a file that holds the head, and closes it: some systems do not move an open file.
// lock holds its lock, where there are locks. create fails if another program is creating it.
func (c *Capture) create(name string) (made fs.FileInfo, lock *os.File, err error) {
	old, err := lockPlain(name, nil)
	if err == nil {
		err = os.Remove(name)
		old.Close()
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, nil, err
	}
	made, err = f.Stat()
	if err == nil {
		lock, err = lockPlain(name, made)
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	_, err = f.Write(c.head)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		os.Remove(name)
		lock.Close()
		return nil, nil, err
	}
	return made, lock, nil
}

func (c *Capture) closeFile() {
	if c.f != nil {
		c.f.Close()
		c.f = nil
	}
}

// Close closes the file and releases the ring.
func (c *Capture) Close() error {
	defer c.setLock(nil)
	if c.f == nil {
		return nil
	}
	f := c.f
	c.f = nil
	return f.Close()
}
