package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"syscall"
)

// What happens to something that is in the way (v4-receiver.md sections 4.2 and 13).

// maxBackups is how many objects of one name a session keeps; more fail.
const maxBackups = 100

// displace takes away fi, which stands at p, the last element of which lies in in: to
// the backup directory if there is one, else it is removed, directories with all
// they hold. Links are never followed. On an error it is still there, except
// that a directory may be removed in part. To put something else in its place,
// use install.
func (s *Session) displace(in dir, fi fs.FileInfo, p place, log *[]string) error {
	if s.keeps(fi) {
		return errGuarded(p.path())
	}
	s.k.swapping.Lock()
	defer s.k.swapping.Unlock()
	if len(s.k.cfg.Backups) == 0 {
		return in.RemoveAll(p.last())
	}
	b, err := s.backup(in, p, moveAway, log)
	b.close()
	return err
}

// errFull refuses to remove a directory, and all it holds, for something else.
func errFull(path string) error {
	return stockError(fmt.Sprintf("Rejecting file: %s is a directory that is not empty", path))
}

// blocked says why something that is no directory cannot take the place of fi, what
// stands at p, the last element of which lies in in; nil if it can.
func (s *Session) blocked(in dir, fi fs.FileInfo, p place) error {
	switch {
	case fi == nil:
		return nil
	case s.keeps(fi):
		return errGuarded(p.path())
	case !fi.IsDir() || len(s.k.cfg.Backups) > 0:
		return nil
	}
	if empty, err := in.isEmpty(p.last()); empty || err != nil {
		return err
	}
	return errFull(p.path())
}

// isEmpty reports whether directory name of d holds nothing.
func (d dir) isEmpty(name string) (bool, error) {
	sub, err := d.sub(name)
	if err != nil {
		return false, err
	}
	defer sub.close()
	f, err := sub.Open(".")
	if err != nil {
		return false, err
	}
	defer f.Close()
	if _, err = f.ReadDir(1); err == io.EOF {
		return true, nil
	}
	return false, err
}

// install moves an entry to its place and takes away what stands there: it is replaced
// in one step if the system can do that, with a backup directory after it was linked
// there. Else it goes there, or is moved aside, and comes back if the move fails. A
// directory that is not empty is replaced by nothing, unless it goes to a backup
// directory.
func (s *Session) install(from dir, name string, in dir, p place, log *[]string) error {
	_, _, err := s.swap(from, name, in, p, false, log)
	return err
}

// installTree is install for what a session has collected in the temporary directory: a
// directory takes the place of another with all that it holds.
func (s *Session) installTree(from dir, name string, in dir, p place, log *[]string) error {
	left, at, err := s.swap(from, name, in, p, true, log)
	if err != nil || left == "" {
		return err
	}
	*log = append(*log, "Replaced directory "+p.path()+" and all that was in it")
	if err := at.RemoveAll(left); err != nil {
		*log = append(*log, fmt.Sprintf("Couldn't remove all of %s: %s", at.join(left), reason(err)))
	}
	return nil
}

// swap is install up to a tree that is left to remove, and where; "" if there is none.
// Only one session at a time: in a place that another one fills between two steps
// nothing can be put, nor put back.
func (s *Session) swap(from dir, name string, in dir, p place, trees bool, log *[]string) (left string, at dir, err error) {
	s.k.swapping.Lock()
	defer s.k.swapping.Unlock()
	old, err := in.Lstat(p.last())
	if errors.Is(err, fs.ErrNotExist) {
		return "", at, rename(from, name, in, p.last())
	}
	if err != nil {
		return "", at, err
	}
	if s.keeps(old) {
		return "", at, errGuarded(p.path())
	}
	fi, err := from.Lstat(name)
	if err != nil {
		return "", at, err
	}
	if len(s.k.cfg.Backups) > 0 {
		how := moveAway
		if old.Mode().IsRegular() && !fi.IsDir() {
			how = linkAway
		}
		b, err := s.backup(in, p, how, log)
		if err != nil {
			return "", at, err
		}
		defer b.close()
		if err := rename(from, name, in, p.last()); err != nil {
			return "", at, errors.Join(err, b.undo(in, p.last()))
		}
		return "", at, nil
	}
	if !old.IsDir() && !fi.IsDir() {
		return "", at, rename(from, name, in, p.last())
	}
	trees = trees && fi.IsDir()
	if !trees {
		if err := s.blocked(in, old, p); err != nil {
			return "", at, err
		}
	}
	// A directory is replaced in one step only where two entries can change places. What
	// has no temporary name (see mover) must not get what is to go.
	if isTemp(name, s.key.Group) && exchange(from, name, in, p.last()) == nil {
		if err := from.Remove(name); err != nil && old.IsDir() {
			return "", at, errors.Join(filled(err, p), exchange(from, name, in, p.last()))
		} else if err != nil {
			*log = append(*log, fmt.Sprintf("Couldn't remove %s: %s", from.join(name), reason(err)))
		}
		return "", at, nil
	}
	// Else it is moved aside first.
	aside := scratchName(p.last(), s.key.Group, scratchOld)
	if err := in.RemoveAll(aside); err != nil {
		return "", at, err
	}
	if err := rename(in, p.last(), in, aside); err != nil {
		return "", at, err
	}
	if err := rename(from, name, in, p.last()); err != nil {
		return "", at, errors.Join(err, rename(in, aside, in, p.last()))
	}
	if trees && old.IsDir() {
		return aside, in, nil
	}
	if err := in.Remove(aside); err != nil && old.IsDir() {
		return "", at, errors.Join(filled(err, p), rename(in, p.last(), from, name), rename(in, aside, in, p.last()))
	} else if err != nil {
		*log = append(*log, fmt.Sprintf("Couldn't remove %s: %s", in.join(aside), reason(err)))
	}
	return "", at, nil
}

// filled says why the directory that stood at p could not be removed: err, or that
// somebody has put something into it just now.
func filled(err error, p place) error {
	if errors.Is(err, syscall.ENOTEMPTY) || errors.Is(err, fs.ErrExist) {
		return errFull(p.path())
	}
	return err
}

// away is how something gets into a backup directory.
type away uint8

const (
	moveAway away = iota
	linkAway      // it keeps its name, too, where the file system has links
)

// backedUp is where a backup went.
type backedUp struct {
	dir
	name   string
	linked bool // it still has its name
}

// undo takes the backup back; what has it had the name in in.
func (b backedUp) undo(in dir, name string) error {
	if b.linked {
		return b.Remove(b.name)
	}
	return rename(b.dir, b.name, in, name)
}

func (b backedUp) close() {
	if b.Root != nil {
		b.dir.close()
	}
}

// backup moves or links what stands at p to B/YYYYMMDD/HHMMSS/full path, named after the
// start of the session. A backup that has this name already (of a file that came
// twice) is not destroyed: the newer one gets a number. The caller closes what it gets.
func (s *Session) backup(in dir, p place, how away, log *[]string) (backedUp, error) {
	b, err := s.tryBackup(in, p, how)
	if err != nil {
		return backedUp{}, fmt.Errorf("couldn't back up %s: %w", p.path(), err)
	}
	*log = append(*log, "Backed up existing file to "+b.join(b.name))
	return b, nil
}

func (s *Session) tryBackup(in dir, p place, how away) (b backedUp, err error) {
	root, err := s.root(s.k.cfg.Backups[p.dest])
	if err != nil {
		return b, err
	}
	t := s.key.Started
	elems := []string{t.Format("20060102"), t.Format("150405")}
	base := p.root[len(filepath.VolumeName(p.root)):]
	more, err := splitName(base)
	if err != nil {
		return b, err
	}
	elems = append(append(elems, more...), p.elems...)
	d := root
	for _, e := range elems[:len(elems)-1] {
		next, err := d.sub(e)
		if errors.Is(err, fs.ErrNotExist) {
			if err = d.Mkdir(e, 0o755); err == nil || errors.Is(err, fs.ErrExist) {
				if err = s.settle(d); err == nil {
					next, err = d.sub(e)
				}
			}
		}
		if err != nil {
			d.close()
			return b, fmt.Errorf("%s: %w", d.join(e), err)
		}
		d.close()
		d = next
	}
	for i := range maxBackups {
		name := p.last()
		if i > 0 {
			name = fmt.Sprintf("%s.%d", cutName(name, maxName-3), i)
		}
		if _, err = d.Lstat(name); err == nil {
			continue
		}
		linked := false
		if errors.Is(err, fs.ErrNotExist) {
			err = errors.ErrUnsupported
			if how == linkAway {
				err = hardLink(in, p.last(), d, name)
				linked = err == nil
			}
			if errors.Is(err, fs.ErrExist) {
				continue // another process has it since a moment
			}
			if err != nil {
				err = rename(in, p.last(), d, name)
			}
		}
		if err != nil {
			d.close()
			return b, err
		}
		b = backedUp{dir: d, name: name, linked: linked}
		if err = s.settle(d); err != nil { // what is replaced must not be lost with its backup
			err = errors.Join(err, b.undo(in, p.last()))
			d.close()
			return backedUp{}, err
		}
		return b, nil
	}
	d.close()
	return b, fmt.Errorf("%s: %w", d.join(p.last()), fs.ErrExist)
}
