package store

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"sync"
)

// What a receiver that was killed leaves in a destination: files under temporary
// names that nobody will ever finish. Nothing is written down about them; they are
// recognized where they lie, by three things together:
//
//   - the name;
//   - a mode that no finished file has: it is set when the file is locked, and taken
//     back when the file is whole, so a file that somebody sent under such a name
//     does not have it, nor a stock daemon's;
//   - no process has the lock. All that receive into a directory may be alive.
//
// Where files have no modes or no locks nothing is marked and nothing is removed.
//
// Several may receive the same file of the same session into one directory. Of what
// has a temporary name only he removes anything who has its lock, and has seen under
// the lock that the name is still that of this file. Who makes a file therefore locks
// it and looks whether it still has its name: between making and locking it was
// anybody's. The lock is kept until the file has its final name.

// receivedMode marks a file that is being received. It lets in fewer than the mode
// of finished files does.
const receivedMode fs.FileMode = 0o610

// Limits of the work.
const (
	leftoverEntries = 50_000 // looked at in one directory, or below one destination at the start
	leftoverDirs    = 1024   // remembered as seen
	leftoverAtOnce  = 512    // entries read at once
)

var (
	errLocked = errors.New("another process has the lock")
	errInUse  = errors.New("another process receives this file")
)

// leftovers is where a Sink has looked for them: once in each directory is enough,
// since who is killed later is followed by somebody who has not looked yet.
type leftovers struct {
	mu   sync.Mutex
	seen []fs.FileInfo // the latest directories, the oldest first
	log  []string      // steps that no session has told yet
}

// clear removes what was left in d, if nobody has looked yet, and returns the steps.
func (l *leftovers) clear(d dir) (log []string) {
	if id, err := d.Stat("."); err == nil && !l.saw(id) {
		budget := leftoverEntries
		l.look(d, &budget)
		l.note(id) // with more entries, too: not all of them are looked at for each file
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	log, l.log = l.log, nil
	return log
}

// start looks below root: at the nearest directories first, at so many entries as the
// budget says. What it did the next session tells. It does not keep others from clear.
func (l *leftovers) start(ctx context.Context, root dir, budget int) {
	for queue := [][]string{nil}; len(queue) > 0 && ctx.Err() == nil; queue = queue[1:] {
		elems := queue[0]
		d, n, err := root.reach(elems)
		if err != nil {
			continue
		}
		if id, err := d.Stat("."); err == nil && n == len(elems) && !l.saw(id) {
			dirs, whole := l.look(d, &budget)
			for _, name := range dirs {
				queue = append(queue, append(elems[:n:n], name))
			}
			if whole {
				l.note(id)
			}
		}
		d.close()
	}
}

// saw reports whether the directory id has been looked at.
func (l *leftovers) saw(id fs.FileInfo) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return among(l.seen, id)
}

// note remembers that the directory id has been looked at.
func (l *leftovers) note(id fs.FileInfo) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.seen) == leftoverDirs {
		l.seen = append(l.seen[:0], l.seen[1:]...)
	}
	l.seen = append(l.seen, id)
}

// look removes what was left in d. It returns the directories there, and whether
// the budget was enough for all entries.
func (l *leftovers) look(d dir, budget *int) (dirs []string, whole bool) {
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

// removeLeftover removes a file if it is marked and nobody has its lock.
func (d dir) removeLeftover(name string) bool {
	h, id, err := d.openRegular(name, os.O_RDWR)
	if err != nil {
		return false
	}
	defer h.Close()
	return id.Mode().Perm() == receivedMode && lockFile(h) == nil && d.holds(name, id) && d.Remove(name) == nil
}

// vacate removes the file called name, which nobody receives any more, whatever its
// mode. errLocked says that the name is in use, or not that of a file that we may
// write: nothing is removed then.
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
	return nil // without locks somebody else may have been faster
}

// mark locks a file that was just made, or is taken up, and marks it in a destination.
// errLocked says that somebody who took it for a leftover was faster: the name is his.
// Where there are no locks or modes the file is neither locked nor marked, and received
// all the same. The lock belongs to a handle of its own, so that it outlives the one for
// writing, which is closed before the file gets its final name.
func (f *File) mark() error {
	h, id, err := f.at.openRegular(f.temp, os.O_RDWR)
	if err != nil {
		if f.at.holds(f.temp, f.id) {
			return nil
		}
		return errLocked
	}
	if !os.SameFile(id, f.id) { // it may be his: a lock, however short, would make him give it up
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

// unmark gives a file that is whole its mode.
func (f *File) unmark() error {
	if !f.marked {
		return nil
	}
	return chmod(f.lock, f.id.Mode().Perm())
}
