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
type Capture struct {
	cfg  CaptureConfig
	head []byte
	f    *os.File // nil: the next one could not be made
	size int64
}

// OpenCapture makes the first file, mode 0600. What an earlier run left is moved
// down the ring, unless it holds no more than a head. Files of these names that are
// not plain, or do not begin as head does, are somebody's mistake: nothing is
// touched then.
func OpenCapture(cfg CaptureConfig, head []byte) (*Capture, error) {
	if cfg.Files < 2 || cfg.FileBytes <= int64(len(head)) || len(head) < captureMagicLen {
		return nil, fmt.Errorf("capture of %d files of %d bytes with a head of %d", cfg.Files, cfg.FileBytes, len(head))
	}
	c := &Capture{cfg: cfg, head: head}
	for i := range cfg.Files {
		if err := c.check(c.name(i)); err != nil {
			return nil, err
		}
	}
	if info, err := os.Lstat(cfg.Path); err == nil && info.Size() <= int64(len(head)) {
		if err := os.Remove(cfg.Path); err != nil {
			return nil, err
		}
	}
	if err := c.Next(); err != nil {
		return nil, err
	}
	return c, nil
}

// name is that of the i-th file, the one that is written being 0.
func (c *Capture) name(i int) string {
	if i == 0 {
		return c.cfg.Path
	}
	return c.cfg.Path + "." + strconv.Itoa(i)
}

// check tells why a file must not become part of the ring.
func (c *Capture) check(name string) error {
	info, err := os.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a plain file", name)
	}
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	var magic [captureMagicLen]byte
	n, err := io.ReadFull(f, magic[:])
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return err
	}
	if n > 0 && !bytes.Equal(magic[:n], c.head[:n]) {
		return fmt.Errorf("%s exists and is no capture", name)
	}
	return nil
}

// Open reports whether a file is open.
func (c *Capture) Open() bool { return c.f != nil }

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
	free, err := c.gap()
	if err != nil {
		return err
	}
	fresh := c.cfg.Path + ".~uftp-new"
	made, err := c.prepare(fresh)
	for ; err == nil && free > 0; free-- {
		err = os.Rename(c.name(free-1), c.name(free))
	}
	if err == nil {
		err = os.Rename(fresh, c.cfg.Path)
	}
	if err != nil {
		os.Remove(fresh)
		return err
	}
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

// gap returns the first file that does not exist, and sees to it that there is one:
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
// that is open.
func (c *Capture) prepare(name string) (made fs.FileInfo, err error) {
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	made, err = f.Stat()
	if err == nil {
		_, err = f.Write(c.head)
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return made, err
}

func (c *Capture) shut() {
	if c.f != nil {
		c.f.Close()
		c.f = nil
	}
}

// Close closes the file.
func (c *Capture) Close() error {
	if c.f == nil {
		return nil
	}
	f := c.f
	c.f = nil
	return f.Close()
}
