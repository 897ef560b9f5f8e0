package store

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
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
	if len(s.k.cfg.Backups) == 0 {
		return in.RemoveAll(p.last())
	}
	b, err := s.backup(in, p, log)
	b.close()
	return err
}

// install moves an entry to its place and takes away what stands there: with a
// backup directory it goes there, else it is replaced in one step if the system
// can do that, and comes back if the move fails.
func (s *Session) install(from dir, name string, in dir, p place, log *[]string) error {
	aside, err := s.swap(from, name, in, p, log)
	if err != nil || aside == "" {
		return err
	}
	if err := in.RemoveAll(aside); err != nil {
		*log = append(*log, fmt.Sprintf("Couldn't remove all of %s: %s", in.join(aside), reason(err)))
	}
	return nil
}

// swap is install up to what is left to remove, "" if nothing is. Only one session at
// a time: in a place that another one fills between two steps nothing can be put, nor
// put back.
func (s *Session) swap(from dir, name string, in dir, p place, log *[]string) (aside string, err error) {
	s.k.swapping.Lock()
	defer s.k.swapping.Unlock()
	old, err := in.Lstat(p.last())
	if errors.Is(err, fs.ErrNotExist) {
		return "", rename(from, name, in, p.last())
	}
	if err != nil {
		return "", err
	}
	if s.keeps(old) {
		return "", errGuarded(p.path())
	}
	if len(s.k.cfg.Backups) > 0 {
		b, err := s.backup(in, p, log)
		if err != nil {
			return "", err
		}
		defer b.close()
		if err := rename(from, name, in, p.last()); err != nil {
			return "", errors.Join(err, rename(b.dir, b.name, in, p.last()))
		}
		return "", nil
	}
	fi, err := from.Lstat(name)
	if err != nil {
		return "", err
	}
	if !old.IsDir() && !fi.IsDir() {
		return "", rename(from, name, in, p.last())
	}
	// A directory cannot be replaced in one step: move it aside first.
	aside = scratchName(p.last(), s.key.Group, scratchOld)
	if err := in.RemoveAll(aside); err != nil {
		return "", err
	}
	if err := rename(in, p.last(), in, aside); err != nil {
		return "", err
	}
	if err := rename(from, name, in, p.last()); err != nil {
		return "", errors.Join(err, rename(in, aside, in, p.last()))
	}
	return aside, nil
}

// backedUp is where a backup went.
type backedUp struct {
	dir
	name string
}

func (b backedUp) close() {
	if b.Root != nil {
		b.dir.close()
	}
}

// backup moves what stands at p to B/YYYYMMDD/HHMMSS/full path, named after the
// start of the session. A backup that has this name already (of a file that came
// twice) is not destroyed: the newer one gets a number. The caller closes what it gets.
func (s *Session) backup(in dir, p place, log *[]string) (backedUp, error) {
	b, err := s.tryBackup(in, p)
	if err != nil {
		return backedUp{}, fmt.Errorf("couldn't back up %s: %w", p.path(), err)
	}
	*log = append(*log, "Backed up existing file to "+b.join(b.name))
	return b, nil
}

func (s *Session) tryBackup(in dir, p place) (b backedUp, err error) {
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
				next, err = d.sub(e)
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
		if errors.Is(err, fs.ErrNotExist) {
			err = rename(in, p.last(), d, name)
		}
		if err != nil {
			d.close()
			return b, err
		}
		return backedUp{dir: d, name: name}, nil
	}
	d.close()
	return b, fmt.Errorf("%s: %w", d.join(p.last()), fs.ErrExist)
}
