package store

import (
	"io/fs"
	"os"
	"time"
)

// All calls to the file system for a receiver go through this file, so that tests can refuse
// any of them, or stop the machine before any of them.

// call is one call to the system, before it is made.
type call struct {
	op      string   // "mkdir", "rename", …
	at      dir      // directory of name
	name    string   // entry; "." = at itself
	to      dir      // rename, link, exchange: directory of the second name
	newName string   // or the text of a link
	file    *os.File // for calls on an open file: write, sync, …
	off, n  int64    // write, reserve: which bytes
}

// spy, if set, makes the calls in a test: it calls do, or returns an error in its place.
var spy func(c *call, do func() error) error

func (c call) make(do func() error) error {
	if spy == nil {
		return do()
	}
	return spy(&c, do)
}

// value is make for a call that returns something.
func value[T any](c call, do func() (T, error)) (v T, err error) {
	err = c.make(func() (err error) {
		v, err = do()
		return err
	})
	return v, err
}

func (d dir) Mkdir(name string, perm fs.FileMode) error {
	return call{op: "mkdir", at: d, name: name}.make(func() error { return d.Root.Mkdir(name, perm) })
}

func (d dir) Remove(name string) error {
	return call{op: "remove", at: d, name: name}.make(func() error { return d.Root.Remove(name) })
}

func (d dir) RemoveAll(name string) error {
	return call{op: "removeall", at: d, name: name}.make(func() error { return d.Root.RemoveAll(name) })
}

func (d dir) Rename(name, newName string) error {
	return call{op: "rename", at: d, name: name, to: d, newName: newName}.make(func() error { return d.Root.Rename(name, newName) })
}

func (d dir) Symlink(text, name string) error {
	return call{op: "symlink", at: d, name: name, newName: text}.make(func() error { return d.Root.Symlink(text, name) })
}

func (d dir) Chtimes(name string, atime, mtime time.Time) error {
	return call{op: "chtimes", at: d, name: name}.make(func() error { return d.Root.Chtimes(name, atime, mtime) })
}

func (d dir) Lstat(name string) (fs.FileInfo, error) {
	return value(call{op: "lstat", at: d, name: name}, func() (fs.FileInfo, error) { return d.Root.Lstat(name) })
}

func (d dir) Open(name string) (*os.File, error) {
	return value(call{op: "open", at: d, name: name}, func() (*os.File, error) { return d.Root.Open(name) })
}

func (d dir) OpenRoot(name string) (*os.Root, error) {
	return value(call{op: "open", at: d, name: name}, func() (*os.Root, error) { return d.Root.OpenRoot(name) })
}

func (d dir) OpenFile(name string, flag int, perm fs.FileMode) (*os.File, error) {
	op := "open"
	if flag&os.O_CREATE != 0 {
		op = "create"
	}
	return value(call{op: op, at: d, name: name}, func() (*os.File, error) { return d.Root.OpenFile(name, flag, perm) })
}

// rename moves an entry from one open directory to another. It follows no link.
func rename(from dir, name string, to dir, newName string) error {
	return call{op: "rename", at: from, name: name, to: to, newName: newName}.make(func() error { return renameAt(from, name, to, newName) })
}

// hardLink gives a file a second name in another open directory; that name must be free.
func hardLink(from dir, name string, to dir, newName string) error {
	return call{op: "link", at: from, name: name, to: to, newName: newName}.make(func() error { return linkAt(from, name, to, newName) })
}

// exchange swaps two entries in one step.
func exchange(from dir, name string, to dir, newName string) error {
	return call{op: "exchange", at: from, name: name, to: to, newName: newName}.make(func() error { return exchangeAt(from, name, to, newName) })
}

// syncData makes the bytes of f durable.
func syncData(f *os.File) error {
	return call{op: "syncdata", file: f}.make(func() error { return syncFile(f) })
}

// chmod gives an open file its mode.
func chmod(f *os.File, mode fs.FileMode) error {
	return call{op: "chmod", file: f}.make(func() error { return f.Chmod(mode) })
}

// truncate sets the size of f.
func truncate(f *os.File, size int64) error {
	return call{op: "truncate", file: f, n: size}.make(func() error { return f.Truncate(size) })
}

// spiedWrite is pwritev through spy.
func (v *writeVec) spiedWrite(f *os.File, bufs [][]byte, off, n int64) error {
	return call{op: "write", file: f, off: off, n: n}.make(func() error {
		_, err := v.pwritev(f, bufs, off)
		return err
	})
}
