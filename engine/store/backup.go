package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"syscall"
)

// Replacing, backing up and removing what is in the way (docs/files.md).

// maxBackups is how many backups of one name a session keeps; the next one fails.
const maxBackups = 100

// displace removes fi, which stands at p in directory in. It goes to the backup directory if
// there is one; otherwise it is deleted, a directory with everything in it. Links are never
// followed. After an error fi is still there, except that a directory may be partly deleted.
// To put something else in its place, use install.
func (s *Session) displace(in dir, fi fs.FileInfo, p place, log *[]string) error {
	if s.protects(fi) {
		return errGuarded(p.path())
	}
	s.k.swapping.Lock()
	defer s.k.swapping.Unlock()
	if len(s.k.cfg.Backups) == 0 {
		return in.RemoveAll(p.last())
	}
	b, err := s.backup(in, p, byMove, log)
	b.close()
	return err
}

// errFull refuses to replace a directory that is not empty.
func errFull(path string) error {
	return stockError(fmt.Sprintf("Rejecting file: %s is a directory that is not empty", path))
}

// blocked returns why something other than a directory cannot replace fi, which stands at p in
// directory in; nil if it can.
func (s *Session) blocked(in dir, fi fs.FileInfo, p place) error {
	switch {
	case fi == nil:
		return nil
	case s.protects(fi):
		return errGuarded(p.path())
	case !fi.IsDir() || len(s.k.cfg.Backups) > 0:
		return nil
	}
	if empty, err := in.isEmpty(p.last()); empty || err != nil {
		return err
	}
	return errFull(p.path())
}

// isEmpty reports whether directory name of d is empty.
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

// install moves entry name of from to p in directory in and replaces what stands there, in one
// step if the system can. With a backup directory the old entry is linked or moved there first.
// Without one, where the system cannot replace it in one step, it is renamed first and comes
// back if the move fails. A directory that is not empty is only replaced if it goes to a backup
// directory.
func (s *Session) install(from dir, name string, in dir, p place, log *[]string) error {
	_, err := s.swap(from, name, in, p, false, log)
	return err
}

// installTree is install for a directory of the session in the temporary directory: it replaces
// another directory with everything in it.
func (s *Session) installTree(from dir, name string, in dir, p place, log *[]string) error {
	left, err := s.swap(from, name, in, p, true, log)
	if err != nil || left == "" {
		return err
	}
	*log = append(*log, "Replaced directory "+p.path()+" and everything in it")
	if err := in.RemoveAll(left); err != nil {
		*log = append(*log, fmt.Sprintf("Couldn't remove everything in %s: %s", in.join(left), reason(err)))
	}
	return nil
}

// swap is install. With trees a directory replaces any other directory; swap then returns the name
// that the old one has in in now, left, for the caller to delete, "" if there is none. One session
// at a time is in swap: if another took the name between two steps, neither the new nor the old
// entry could go there.
func (s *Session) swap(from dir, name string, in dir, p place, trees bool, log *[]string) (left string, err error) {
	s.k.swapping.Lock()
	defer s.k.swapping.Unlock()
	old, err := in.Lstat(p.last())
	if errors.Is(err, fs.ErrNotExist) {
		return "", rename(from, name, in, p.last())
	}
	if err != nil {
		return "", err
	}
	if s.protects(old) {
		return "", errGuarded(p.path())
	}
	fi, err := from.Lstat(name)
	if err != nil {
		return "", err
	}
	switch {
	case len(s.k.cfg.Backups) > 0:
		how := byMove
		if old.Mode().IsRegular() && !fi.IsDir() {
			how = byLink
		}
		return "", s.swapWithBackup(from, name, in, p, how, log)
	case !old.IsDir() && !fi.IsDir():
		return "", rename(from, name, in, p.last())
	}
	trees = trees && fi.IsDir()
	if !trees {
		if err := s.blocked(in, old, p); err != nil {
			return "", err
		}
	}
	// Only an exchange replaces a directory in one step. The name in from then has the old
	// directory; it must be a temporary one, or the next attempt of mover would move that too.
	if isTemp(name, s.key.Group) && exchange(from, name, in, p.last()) == nil {
		if err := from.Remove(name); err != nil && old.IsDir() {
			return "", errors.Join(notRemoved(err, p), exchange(from, name, in, p.last()))
		} else if err != nil {
			*log = append(*log, fmt.Sprintf("Couldn't remove %s: %s", from.join(name), reason(err)))
		}
		return "", nil
	}
	return s.swapInSteps(from, name, in, p, old, trees, log)
}

// swapWithBackup is swap with a backup directory.
func (s *Session) swapWithBackup(from dir, name string, in dir, p place, how backupMode, log *[]string) error {
	b, err := s.backup(in, p, how, log)
	if err != nil {
		return err
	}
	defer b.close()
	if err := rename(from, name, in, p.last()); err != nil {
		return errors.Join(err, b.undo(in, p.last()))
	}
	return nil
}

// swapInSteps is swap where the entry fi, which stands at p, cannot be replaced in one step.
func (s *Session) swapInSteps(from dir, name string, in dir, p place, fi fs.FileInfo, trees bool, log *[]string) (left string, err error) {
	old := scratchName(p.last(), s.key.Group, scratchOld)
	if err := in.RemoveAll(old); err != nil {
		return "", err
	}
	if err := rename(in, p.last(), in, old); err != nil {
		return "", err
	}
	if err := rename(from, name, in, p.last()); err != nil {
		return "", errors.Join(err, rename(in, old, in, p.last()))
	}
	if trees && fi.IsDir() {
		return old, nil
	}
	if err := in.Remove(old); err != nil && fi.IsDir() {
		return "", errors.Join(notRemoved(err, p), rename(in, p.last(), from, name), rename(in, old, in, p.last()))
	} else if err != nil {
		*log = append(*log, fmt.Sprintf("Couldn't remove %s: %s", in.join(old), reason(err)))
	}
	return "", nil
}

// notRemoved explains why the directory that stood at p could not be removed: another program
// has just put something into it, or err.
func notRemoved(err error, p place) error {
	if errors.Is(err, syscall.ENOTEMPTY) || errors.Is(err, fs.ErrExist) {
		return errFull(p.path())
	}
	return err
}

// backupMode is how something gets into a backup directory.
type backupMode uint8

const (
	byMove backupMode = iota
	byLink            // keeps its name too, where the file system has hard links
)

// backedUp is a backup and its place.
type backedUp struct {
	dir
	name   string
	linked bool // the old name still exists
}

// undo restores the backed-up object under its old name in directory in.
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

// backup moves or links what stands at p to B/YYYYMMDD/HHMMSS/full path, named after the start
// of the session. It never replaces an older backup of that name (of a file that came twice):
// the newer one gets a number. The caller closes the result.
func (s *Session) backup(in dir, p place, how backupMode, log *[]string) (backedUp, error) {
	b, err := s.tryBackup(in, p, how)
	if err != nil {
		return backedUp{}, fmt.Errorf("couldn't back up %s: %w", p.path(), err)
	}
	*log = append(*log, "Backed up existing file to "+b.join(b.name))
	return b, nil
}

func (s *Session) tryBackup(in dir, p place, how backupMode) (b backedUp, err error) {
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
				if err = s.syncIfDurable(d); err == nil {
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
			if how == byLink {
				err = hardLink(in, p.last(), d, name)
				linked = err == nil
			}
			if errors.Is(err, fs.ErrExist) {
				continue // another process has just made it
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
		if err = s.syncIfDurable(d); err != nil { // the old entry must not get lost with its backup
			err = errors.Join(err, b.undo(in, p.last()))
			d.close()
			return backedUp{}, err
		}
		return b, nil
	}
	d.close()
	return b, fmt.Errorf("%s: %w", d.join(p.last()), fs.ErrExist)
}
