package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
)

// Walking below a directory without following any link. os.Root keeps every step inside the
// directory, even if an entry is swapped during the step. But os.Root follows links that stay
// inside, so each step is also compared with the entry before it.

var (
	errNotDir  = errors.New("not a directory")
	errSwapped = errors.New("directory was replaced while it was opened")
)

// dir is an open directory.
type dir struct {
	*os.Root
	path      string        // absolute, for logs and scripts
	forbidden []fs.FileInfo // directories that sub refuses to open
	trust     *trust        // checks what lies in it; nil = accept everything
	owned     bool          // close closes it
}

func (d dir) close() {
	if d.owned {
		d.Root.Close()
	}
}

// join returns the absolute name of an entry.
func (d dir) join(name string) string { return filepath.Join(d.path, name) }

// sub opens a directory in d. It returns fs.ErrNotExist if there is no such entry, errNotDir if it
// is something else, and other errors for a link and for a forbidden directory.
func (d dir) sub(name string) (dir, error) {
	before, err := d.Lstat(name)
	switch {
	case err != nil:
		return dir{}, err
	case before.Mode()&(fs.ModeSymlink|fs.ModeIrregular) != 0:
		return dir{}, fmt.Errorf("%s is a link: links are not followed", d.join(name))
	case !before.IsDir():
		return dir{}, errNotDir
	case among(d.forbidden, before):
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
	return dir{Root: r, path: d.join(name), forbidden: d.forbidden, trust: d.trust, owned: true}, nil
}

// reach walks from d through elems as far as there are directories. It returns the deepest one
// and the number of elements that lead to it; if that is less than len(elems), the next one is
// missing or not a directory. The caller closes the result.
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

// under opens directory elems below d, d itself if elems is empty. The caller closes it; d stays
// open.
func (d dir) under(elems []string) (dir, error) {
	d.owned = false
	sub, n, err := d.reach(elems)
	if err == nil && n < len(elems) {
		sub.close()
		err = &fs.PathError{Op: "open", Path: sub.join(elems[n]), Err: fs.ErrNotExist}
	}
	return sub, err
}

// eachDir calls fn for d and all directories below it until fn returns an error. It keeps two
// directories open at a time, however deep they lie.
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

// find returns what stands at p, nil if nothing does, and the deepest existing directory on the
// way. The caller closes that directory.
func (s *Session) find(p place) (at dir, fi fs.FileInfo, err error) {
	root, elems, err := s.start(p)
	if err != nil {
		return dir{}, nil, err
	}
	if p.skip > 0 && s.claimed == nil {
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

// parent opens the directory of p and creates what is missing of it. A file in the way is backed
// up or removed; a link in the way is an error.
func (s *Session) parent(p place, log *[]string) (dir, error) {
	d, elems, err := s.start(p)
	if err != nil {
		return dir{}, err
	}
	before := len(p.elems) - len(elems) // elements that lead to d
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

// makeDir creates directory p in in. Something else of that name is backed up or removed, but
// not before the new directory exists.
func (s *Session) makeDir(in dir, p place, log *[]string) error {
	err := in.Mkdir(p.last(), 0o755)
	if errors.Is(err, fs.ErrExist) {
		if fi, err := in.Lstat(p.last()); err == nil && fi.IsDir() {
			return s.syncIfDurable(in) // another session was faster
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
	return s.syncIfDurable(in)
}

// list returns the entries of d, sorted by name.
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

// sync makes the entries of d durable, where the system can sync a directory.
func (d dir) sync() error {
	f, err := d.Open(".")
	if err != nil {
		return err
	}
	defer f.Close()
	return call{op: "syncdir", at: d, name: "."}.make(func() error { return syncDir(f) })
}

// syncTreeIfDurable is syncIfDurable for entry name of in and all directories below it.
func (s *Session) syncTreeIfDurable(in dir, name string) error {
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

// openRegular opens a regular file in d. It never follows a link.
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

// holds reports whether entry name is the same file as fi.
func (d dir) holds(name string, fi fs.FileInfo) bool {
	now, err := d.Lstat(name)
	return err == nil && os.SameFile(now, fi)
}
