package store

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"sync"
)

// A killed receiver leaves files under temporary names in a destination, and nobody will ever
// finish them. No list of them exists; three signs together identify a leftover:
//
//   - its name;
//   - a mode that no finished file has. The receiver sets it with the lock and resets it when
//     the file is complete, so neither a file that somebody sent under such a name nor one of a
//     stock daemon has it;
//   - no process holds its lock. Several receivers may use one directory.
//
// Where files have no modes or no locks, nothing is marked and nothing is removed. Leftovers that
// are links or directories stay too, and so do those that lie too deep for the search at the start
// in a directory where no file arrives any more.
//
// Several processes may receive the same file of the same session into one directory. A
// temporary file may be removed only by the process that holds its lock and, while holding it,
// has checked that the name still refers to that file. A process that creates a file therefore
// locks it and then checks that the name is still its own: between the two steps anybody could
// remove it. It keeps the lock until the file has its final name.

// receivedMode marks a file that is being received. It allows less than the mode of finished
// files.
const receivedMode fs.FileMode = 0o610

// Limits of the search.
const (
	leftoverEntries = 50_000 // checked in one directory, or below one destination at the start
	leftoverDirs    = 1024   // remembered as checked
	leftoverAtOnce  = 512    // entries read at once
)

var (
	errLocked = errors.New("another process holds the lock")
	errInUse  = errors.New("another process is receiving this file")
)

// leftovers remembers which directories a Sink has checked. Once each is enough: the leftovers
// of a receiver that is killed later are found by the one that is started after it.
type leftovers struct {
	mu   sync.Mutex
	seen []fs.FileInfo // checked directories, the oldest first
	log  []string      // log lines that no session has logged yet
}

// clear removes the leftovers in d, unless d was checked before, and returns the log lines.
func (l *leftovers) clear(d dir) (log []string) {
	if id, err := d.Stat("."); err == nil && !l.visited(id) {
		budget := leftoverEntries
		l.scan(d, &budget)
		l.remember(id) // even if the budget was too small: not all entries are checked again for each file
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	log, l.log = l.log, nil
	return log
}

// start checks directories below root, the nearest first, up to budget entries. The next session
// logs what was removed. A directory that start did not finish is checked again by clear.
func (l *leftovers) start(ctx context.Context, root dir, budget int) {
	for queue := [][]string{nil}; len(queue) > 0 && ctx.Err() == nil; queue = queue[1:] {
		elems := queue[0]
		d, n, err := root.reach(elems)
		if err != nil {
			continue
		}
		if id, err := d.Stat("."); err == nil && n == len(elems) && !l.visited(id) {
			dirs, all := l.scan(d, &budget)
			for _, name := range dirs {
				queue = append(queue, append(elems[:n:n], name))
			}
			if all {
				l.remember(id)
			}
		}
		d.close()
	}
}

// visited reports whether directory id was checked.
func (l *leftovers) visited(id fs.FileInfo) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return among(l.seen, id)
}

// remember notes that directory id was checked.
func (l *leftovers) remember(id fs.FileInfo) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.seen) == leftoverDirs {
		l.seen = append(l.seen[:0], l.seen[1:]...)
	}
	l.seen = append(l.seen, id)
}

// scan removes the leftovers in d. It returns the directories in d, and whether the budget was
// enough for all entries.
func (l *leftovers) scan(d dir, budget *int) (dirs []string, all bool) {
	f, err := d.Open(".")
	if err != nil {
		return nil, false
	}
	defer f.Close()
	for *budget > 0 {
		entries, err := f.ReadDir(min(leftoverAtOnce, *budget))
		*budget -= len(entries)
		for _, e := range entries {
			switch {
			case e.IsDir():
				dirs = append(dirs, e.Name())
			case e.Type().IsRegular() && isAnyTemp(e.Name()) && d.removeLeftover(e.Name()):
				l.mu.Lock()
				l.log = append(l.log, "Removed "+d.join(e.Name())+", left by a receiver that was killed")
				l.mu.Unlock()
			}
		}
		if err != nil {
			return dirs, err == io.EOF
		}
	}
	return dirs, false
}

// removeLeftover removes a file if it is marked and nobody holds its lock.
func (d dir) removeLeftover(name string) bool {
	h, id, err := d.openRegular(name, os.O_RDWR)
	if err != nil {
		return false
	}
	defer h.Close()
	return id.Mode().Perm() == receivedMode && lockFile(h) == nil && d.holds(name, id) && d.Remove(name) == nil
}

// vacate removes file name, whatever its mode, if no process is receiving it. It returns
// errLocked, and removes nothing, if the name is in use or refers to something that we may not
// write.
func (d dir) vacate(name string) error {
	h, id, err := d.openRegular(name, os.O_RDWR)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return errLocked
	}
	defer h.Close()
	if errors.Is(lockFile(h), errLocked) || !d.holds(name, id) {
		return errLocked
	}
	if err := d.Remove(name); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil // without locks another process may have removed it
}

// mark locks a file that was just created or resumed, and sets receivedMode in a destination.
// It returns errLocked if another process took the file for a leftover: then the name belongs to
// that process. Where there are no locks or modes the file is received without. The lock has a
// handle of its own, because the handle for writing is closed before the file gets its final
// name.
func (f *File) mark() error {
	h, id, err := f.at.openRegular(f.temp, os.O_RDWR)
	if err != nil {
		if f.at.holds(f.temp, f.id) {
			return nil
		}
		return errLocked
	}
	if !os.SameFile(id, f.id) { // a lock on another process's file, however short, would make that process give it up
		h.Close()
		return errLocked
	}
	switch err := lockFile(h); {
	case errors.Is(err, errLocked) || !f.at.holds(f.temp, f.id):
		h.Close()
		return errLocked
	case err != nil:
		h.Close()
	default:
		f.lock = h
		f.marked = f.place.skip == 0 && chmod(h, receivedMode) == nil
	}
	return nil
}

// unmark gives a complete file its mode.
func (f *File) unmark() error {
	if !f.marked {
		return nil
	}
	return chmod(f.lock, f.id.Mode().Perm())
}
