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

// CaptureConfig says where a capture of our own packets goes: a ring of files.
type CaptureConfig struct {
	Path      string // the file that is written; Path.1 is the one before it, and so on, as with logs
	FileBytes int64  // no file gets longer
	Files     int    // kept, the one that is written included; at least 2
}

// captureMagicLen is how much of its beginning tells a capture from other files.
const captureMagicLen = 4

// Capture is a ring of files, of which one is written. Each of them begins with the
// same head, and has it from the moment it has its name, so that each is good on
// its own whenever the process is killed. Not for concurrent use.
//
// Two programs do not write one ring: the file that is written is locked, and the next
// one is before it has its name. Who makes that is alone with the ring, since it has a
// fixed name until then.
type Capture struct {
	cfg  CaptureConfig
	head []byte
	f    *os.File // nil: the next one could not be made
	lock *os.File // has the lock of the file that was written last, where there are locks
	size int64
}

// OpenCapture makes the first file, mode 0600. What an earlier run left is moved
// down the ring, unless it holds no more than a head; what it left behind the end of
// the ring, which was longer then, goes. Files of these names that are not plain, or do
// not begin as head does, are somebody's mistake, and so is a ring that another program
// writes: nothing is touched then.
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

// begin makes the first file.
func (c *Capture) begin() error {
	there, err := c.claim()
	if err != nil {
		return err
	}
	if there {
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

// name is that of the i-th file, the one that is written being 0.
func (c *Capture) name(i int) string {
	if i == 0 {
		return c.cfg.Path
	}
	return c.cfg.Path + "." + strconv.Itoa(i)
}

// check tells why a file must not become part of the ring, and how long it is; 0 if
// there is none.
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
		return 0, fmt.Errorf("%s exists and is no capture", name)
	}
	return info.Size(), nil
}

// claim locks the file that was written last, if it is not ours already: an error says
// that another program writes it. If it is not there, it may be at any moment, and then
// is not ours.
func (c *Capture) claim() (there bool, err error) {
	if c.lock != nil && isFile(c.cfg.Path, c.lock) {
		return true, nil
	}
	h, err := own(c.cfg.Path, nil)
	there = !errors.Is(err, fs.ErrNotExist)
	if err != nil && there {
		return false, err
	}
	c.hold(h)
	return there, nil
}

// hold keeps h, which may be nil, as the lock.
func (c *Capture) hold(h *os.File) {
	c.lock.Close()
	c.lock = h
}

// own opens and locks a plain file, which must be made unless that is nil. No file and
// no error says that it cannot be locked; [fs.ErrNotExist] that there is none. If
// another program has the lock, the error says so.
func own(name string, made fs.FileInfo) (*os.File, error) {
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
	h.Close() // without a lock, too: some systems move no file that is open
	if err == nil || errors.Is(err, errLocked) {
		return nil, errCaptured(name)
	}
	return nil, nil
}

func errCaptured(name string) error {
	return fmt.Errorf("%s is in use: another program captures into it", name)
}

// isFile reports whether name is that of the open file h.
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

// Moved reports whether the file that is written has lost its name.
func (c *Capture) Moved() bool { return c.f != nil && !isFile(c.cfg.Path, c.f) }

// Size is the length of the file that is written.
func (c *Capture) Size() int64 { return c.size }

// Write appends whole records. When that fails, the part that was written is cut
// off again, and Write may be tried again.
func (c *Capture) Write(b []byte) error {
	if c.f == nil {
		return fs.ErrClosed
	}
	if _, err := c.f.Write(b); err != nil {
		if c.f.Truncate(c.size) != nil {
			c.shut() // it may end within a record: no more of it
		}
		return err
	}
	c.size += int64(len(b))
	return nil
}

// Next closes the file and begins a new one; when there are too many, the oldest
// goes. The new file gets its head under another name. After an error no file is
// open, Write fails, and Next may be tried again: at most the oldest is lost by that.
func (c *Capture) Next() error {
	c.shut()
	there, err := c.claim()
	free := 0
	if err == nil && there {
		free, err = c.gap()
	}
	if err != nil {
		return err
	}
	fresh := c.cfg.Path + ".~uftp-new"
	made, lock, err := c.prepare(fresh)
	if err != nil {
		return err
	}
	if err = c.alone(free); err == nil {
		err = c.shift(free, fresh)
	}
	if err != nil {
		os.Remove(fresh)
		lock.Close()
		return err
	}
	c.hold(lock)
	f, err := os.OpenFile(c.cfg.Path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	if now, err := f.Stat(); err != nil || !os.SameFile(made, now) {
		f.Close()
		return fmt.Errorf("%s was replaced by somebody else", c.cfg.Path)
	}
	c.f, c.size = f, int64(len(c.head))
	return nil
}

// alone tells, when nobody else can make a file any more, whether somebody has done so
// since free was looked for.
func (c *Capture) alone(free int) error {
	if _, err := c.claim(); err != nil {
		return err
	}
	if _, err := os.Lstat(c.name(free)); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s appeared meanwhile", c.name(free))
	}
	return nil
}

// shift moves the files before free down and fresh to their head.
func (c *Capture) shift(free int, fresh string) error {
	for ; free > 0; free-- {
		if err := os.Rename(c.name(free-1), c.name(free)); err != nil {
			return err
		}
	}
	return os.Rename(fresh, c.cfg.Path)
}

// gap returns the first file that does not exist, and sees to it, in a ring that is
// ours, that there is one:
// the oldest goes if it must, before room for the next is needed.
func (c *Capture) gap() (free int, err error) {
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

// prepare makes a file that holds the head and is closed: some systems move no file
// that is open. Where there are locks, lock has its. An error says that it cannot be
// made, or that another program is making it.
func (c *Capture) prepare(name string) (made fs.FileInfo, lock *os.File, err error) {
	old, err := own(name, nil)
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
		lock, err = own(name, made)
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

func (c *Capture) shut() {
	if c.f != nil {
		c.f.Close()
		c.f = nil
	}
}

// Close closes the file and gives the ring up.
func (c *Capture) Close() error {
	defer c.hold(nil)
	if c.f == nil {
		return nil
	}
	f := c.f
	c.f = nil
	return f.Close()
}
