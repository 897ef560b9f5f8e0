package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
)

// Walking below a directory without ever following a link. os.Root keeps every
// step inside the directory, whatever is swapped meanwhile; but it follows links
// that stay inside, so each step is also compared with what was there before it.

var (
	errNotDir  = errors.New("not a directory")
	errSwapped = errors.New("directory was replaced while it was opened")
)

// dir is an open directory.
type dir struct {
	*os.Root
	path  string        // absolute, for logs and scripts
	shut  []fs.FileInfo // directories that sub refuses
	trust *trust        // of what lies in it; nil = anything will do
	owned bool          // close is to close it
}

func (d dir) close() {
	if d.owned {
		d.Root.Close()
	}
}

// join returns the absolute name of an entry.
func (d dir) join(name string) string { return filepath.Join(d.path, name) }

// sub opens a directory in d: fs.ErrNotExist if there is no such entry,
// errNotDir if it is something else. A link is an error of its own, and so is a
// directory that is shut.
func (d dir) sub(name string) (dir, error) {
	before, err := d.Lstat(name)
	switch {
	case err != nil:
		return dir{}, err
	case before.Mode()&(fs.ModeSymlink|fs.ModeIrregular) != 0:
		return dir{}, fmt.Errorf("%s is a link: links are not followed", d.join(name))
	case !before.IsDir():
		return dir{}, errNotDir
	case among(d.shut, before):
		return dir{}, errGuarded(d.join(name))
	}
	r, err := d.OpenRoot(name)
	if err != nil {
		return dir{}, err
	}
	after, err := r.Stat(".")
	if err != nil || !os.SameFile(before, after) {
		err = errSwapped
	} else {
		err = d.trust.check(after)
	}
	if err != nil {
		r.Close()
		return dir{}, fmt.Errorf("%s: %w", d.join(name), err)
	}
	return dir{Root: r, path: d.join(name), shut: d.shut, trust: d.trust, owned: true}, nil
}

// reach walks from d through elems as far as there are directories. It returns
// the deepest one and how many elements lead to it; fewer than len(elems) means
// that the next is missing or not a directory. The caller closes what it gets.
func (d dir) reach(elems []string) (dir, int, error) {
	for i, e := range elems {
		next, err := d.sub(e)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errNotDir) {
			return d, i, nil
		}
		d.close()
		if err != nil {
			return dir{}, 0, err
		}
		d = next
	}
	return d, len(elems), nil
}

// under opens the directory that elems lead to, d itself if there are none. The caller
// closes it; d stays open.
func (d dir) under(elems []string) (dir, error) {
	d.owned = false
	sub, n, err := d.reach(elems)
	if err == nil && n < len(elems) {
		sub.close()
		err = &fs.PathError{Op: "open", Path: sub.join(elems[n]), Err: fs.ErrNotExist}
	}
	return sub, err
}

// eachDir calls fn for d and all directories below it, as long as it returns no error. Two of them
// are open at a time, however deep they lie.
func (d dir) eachDir(fn func(d dir, entries []fs.DirEntry) error) error {
	for queue := [][]string{nil}; len(queue) > 0; {
		elems := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		sub, err := d.under(elems)
		if len(elems) > 0 && errors.Is(err, fs.ErrNotExist) {
			continue // fn has removed it
		}
		if err != nil {
			return err
		}
		entries, err := sub.list()
		if err == nil {
			err = fn(sub, entries)
		}
		for _, e := range entries {
			if e.IsDir() {
				queue = append(queue, append(elems[:len(elems):len(elems)], e.Name()))
			}
		}
		sub.close()
		if err != nil {
			return err
		}
	}
	return nil
}

// find returns what stands at p, nil if nothing does, and the deepest directory
// on the way that exists. The caller closes it.
func (s *Session) find(p place) (at dir, fi fs.FileInfo, err error) {
	root, elems, err := s.start(p)
	if err != nil {
		return dir{}, nil, err
	}
	if p.skip > 0 && s.held == nil {
		return root, nil, nil // the session has no directory yet
	}
	if len(elems) == 0 {
		fi, err = root.Stat(".")
		return root, fi, err
	}
	parents := elems[:len(elems)-1]
	at, n, err := root.reach(parents)
	if err != nil {
		return dir{}, nil, err
	}
	if n == len(parents) {
		fi, err = at.Lstat(p.last())
		if errors.Is(err, fs.ErrNotExist) {
			fi, err = nil, nil
		}
		if err != nil {
			at.close()
			return dir{}, nil, err
		}
	}
	return at, fi, nil
}

// parent opens the directory that p lies in and makes what is missing of it. A
// file in the way is backed up or removed; a link in the way is an error.
func (s *Session) parent(p place, log *[]string) (dir, error) {
	d, elems, err := s.start(p)
	if err != nil {
		return dir{}, err
	}
	before := len(p.elems) - len(elems) // elements that d stands for
	for i, e := range elems[:len(elems)-1] {
		next, err := d.sub(e)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errNotDir) {
			up := place{root: p.root, dest: p.dest, elems: p.elems[:before+i+1], skip: p.skip}
			if err = s.makeDir(d, up, log); err == nil {
				next, err = d.sub(e)
			}
		}
		d.close()
		if err != nil {
			return dir{}, err
		}
		d = next
	}
	return d, nil
}

// makeDir makes the directory p, the last element of which lies in in. What is not
// a directory there is backed up or removed, but not before the new one exists.
func (s *Session) makeDir(in dir, p place, log *[]string) error {
	err := in.Mkdir(p.last(), 0o755)
	if errors.Is(err, fs.ErrExist) {
		if fi, err := in.Lstat(p.last()); err == nil && fi.IsDir() {
			return s.settle(in) // another session was faster
		}
		temp := scratchName(p.last(), s.key.Group, scratchDir)
		if err := remove(in, temp); err != nil {
			return err
		}
		if err := in.Mkdir(temp, 0o755); err != nil {
			return err
		}
		if err = s.install(in, temp, in, p, log); err != nil {
			in.Remove(temp)
			return err
		}
	} else if err != nil {
		return err
	}
	return s.settle(in)
}

// list returns the entries of d in the order of their names.
func (d dir) list() ([]fs.DirEntry, error) {
	f, err := d.Open(".")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	entries, err := value(call{op: "list", at: d, name: "."}, func() ([]fs.DirEntry, error) { return f.ReadDir(-1) })
	sort.Slice(entries, func(i, j int) bool { return entries[i].Name() < entries[j].Name() })
	return entries, err
}

// sync makes the entries of d durable. Systems that cannot sync a directory are left alone.
func (d dir) sync() error {
	f, err := d.Open(".")
	if err != nil {
		return err
	}
	defer f.Close()
	return call{op: "syncdir", at: d, name: "."}.make(func() error { return syncDir(f) })
}

// settleTree makes the names of all that lies below entry name of in durable, and its own.
func (s *Session) settleTree(in dir, name string) error {
	if !s.k.durable {
		return nil
	}
	d, err := in.sub(name)
	if err != nil {
		return err
	}
	defer d.close()
	if err := d.eachDir(func(d dir, _ []fs.DirEntry) error { return d.sync() }); err != nil {
		return err
	}
	return in.sync()
}

// openRegular opens a regular file in d, never through a link.
func (d dir) openRegular(name string, flag int) (*os.File, fs.FileInfo, error) {
	before, err := d.Lstat(name)
	if err != nil {
		return nil, nil, err
	}
	if !before.Mode().IsRegular() {
		return nil, nil, fmt.Errorf("%s is not a regular file", d.join(name))
	}
	f, err := d.OpenFile(name, flag|noWait, 0)
	if err != nil {
		return nil, nil, err
	}
	after, err := f.Stat()
	if err == nil && !os.SameFile(before, after) {
		err = fmt.Errorf("%s was replaced while it was opened", d.join(name))
	} else if err == nil {
		if err = d.trust.check(after); err != nil {
			err = fmt.Errorf("%s: %w", d.join(name), err)
		}
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, after, nil
}

// holds reports whether the entry called name is the very file fi.
func (d dir) holds(name string, fi fs.FileInfo) bool {
	now, err := d.Lstat(name)
	return err == nil && os.SameFile(now, fi)
}
