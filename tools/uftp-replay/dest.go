package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"

	"uftp/cmd/cli"
	"uftp/engine/block"
	"uftp/tools/internal/session"
	"uftp/wire"
)

// destMax is how many files of a destination directory are compared.
const destMax = 100_000

// destCheck compares a receiver's destination directory with what the captured
// receiver took.
type destCheck struct {
	x     *stage
	root  *os.Root
	took  map[fileOf]bool   // the captured receiver completed it
	last  map[string]fileOf // which of several files of one name is the last one
	now   *os.File
	of    fileOf
	name  string
	found map[fileOf]bool // compared
	bad   map[fileOf]bool
	more  int // beyond destMax
}

// checkDest reads the capture once more, compares every block with the directory, and
// prints the differences.
func (x *stage) checkDest(capture, dir string, p *played) (same bool, err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return false, err
	}
	defer root.Close()
	c := &destCheck{
		x: x, root: root, took: map[fileOf]bool{}, last: map[string]fileOf{},
		found: map[fileOf]bool{}, bad: map[fileOf]bool{},
	}
	defer c.close()
	for i := range p.want {
		a := &p.want[i]
		if f, err := wire.ParseComplete(a.msg); a.fn == wire.FuncComplete && err == nil && f.FileID != 0 &&
			(f.Status == wire.StatusNormal || f.Status == wire.StatusOverwrite) {
			c.took[fileOf{a.id, f.FileID}] = true
		}
	}
	if err := x.t.read(capture, nil, c.name1, nil); err != nil {
		return false, err
	}
	if err := x.t.read(capture, nil, c.message, nil); err != nil {
		return false, err
	}
	fmt.Fprintf(x.t.out, "%v: %d of %d entries of the destination directory are as they were sent\n", p.uid, len(c.found)-len(c.bad), len(c.found))
	if c.more > 0 {
		fmt.Fprintf(x.t.out, "  %d more were not compared\n", c.more)
	}
	return len(c.bad) == 0 && c.more == 0, nil
}

// name1 notes which file of a name is the last one.
func (c *destCheck) name1(m *session.Message) error {
	if f, err := wire.ParseFileInfo(m.Head.Version, m.Msg); err == nil && c.x.speaks(m) && m.Head.Func == wire.FuncFileInfo {
		of := fileOf{m.Session.ID, f.FileID}
		if name := path.Clean(string(f.Name)); c.took[of] && (len(c.last) < destMax || c.last[name] != fileOf{}) {
			c.last[name] = of
		} else if c.took[of] {
			c.more++
		}
	}
	return nil
}

func (c *destCheck) close() {
	if c.now != nil {
		c.now.Close()
		c.now = nil
	}
}

// differs prints the first difference of an entry.
func (c *destCheck) differs(of fileOf, format string, args ...any) {
	if !c.bad[of] {
		c.bad[of] = true
		fmt.Fprintln(c.x.t.out, "  "+cli.Clean(fmt.Sprintf(format, args...)))
	}
}

// message compares one FILEINFO or FILESEG.
func (c *destCheck) message(m *session.Message) error {
	if !c.x.speaks(m) {
		return nil
	}
	switch m.Head.Func {
	case wire.FuncFileInfo:
		f, err := wire.ParseFileInfo(m.Head.Version, m.Msg)
		of := fileOf{m.Session.ID, f.FileID}
		name := path.Clean(string(f.Name))
		if err != nil || c.last[name] != of || c.found[of] {
			return nil
		}
		c.found[of] = true
		c.close()
		c.of, c.name = of, name
		c.entry(of, name, &f)
	case wire.FuncFileSeg:
		f, err := wire.ParseFileSeg(m.Msg)
		l := m.Session.Layout(f.FileID)
		if err != nil || c.now == nil || l == nil || c.of != (fileOf{m.Session.ID, f.FileID}) {
			return nil
		}
		if i, ok := l.Index(int(f.Section), int(f.Block)); ok {
			c.block(l, i, f.Data)
		}
	}
	return nil
}

// entry compares FILEINFO with the entry in the directory.
func (c *destCheck) entry(of fileOf, name string, f *wire.FileInfo) {
	info, err := c.root.Lstat(name)
	if f.Type == wire.TypeDelete {
		if !errors.Is(err, fs.ErrNotExist) {
			c.differs(of, "%q is still there", name)
		}
		return
	}
	if f.Type == wire.TypeFreeSpace {
		delete(c.found, of)
		return
	}
	if err != nil {
		c.differs(of, "%v", err)
		return
	}
	switch f.Type {
	case wire.TypeDir:
		if !info.IsDir() {
			c.differs(of, "%q is no directory", name)
		}
	case wire.TypeLink:
		if to, err := c.root.Readlink(name); err != nil || to != string(f.Link) {
			c.differs(of, "%q leads to %q, want %q: %v", name, to, f.Link, err)
		}
	default:
		if !info.Mode().IsRegular() || info.Size() != f.Size {
			c.differs(of, "%q has %d bytes, %v, want a file of %d", name, info.Size(), info.Mode(), f.Size)
			return
		}
		if c.now, err = c.root.Open(name); err != nil {
			c.differs(of, "%v", err)
		}
	}
}

// block compares a block.
func (c *destCheck) block(l *block.Layout, i int, data []byte) {
	b := make([]byte, min(len(data), l.Len(i)))
	if _, err := c.now.ReadAt(b, l.Offset(i)); err != nil || !bytes.Equal(b, data[:len(b)]) {
		c.differs(c.of, "%q differs in block %d: %v", c.name, i, err)
	}
}
