package store

import (
	"errors"
	"fmt"
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
	l.mu.Lock()
	defer l.mu.Unlock()
	budget := leftoverEntries
	l.look(d, &budget)
	log, l.log = l.log, nil
	return log
}

// start looks below root: at the nearest directories first, as far as the limit
// goes. What it did the next session tells.
func (l *leftovers) start(root dir) {
	l.mu.Lock()
	defer l.mu.Unlock()
	budget := leftoverEntries
	for queue := [][]string{nil}; len(queue) > 0; queue = queue[1:] {
		elems := queue[0]
		d, n, err := root.reach(elems)
		if err != nil {
			continue
		}
		if n == len(elems) {
			for _, name := range l.look(d, &budget) {
				queue = append(queue, append(elems[:n:n], name))
			}
		}
		d.close()
	}
}

// look removes what was left in d and returns the directories in it.
func (l *leftovers) look(d dir, budget *int) (dirs []string) {
	id, err := d.Stat(".")
	if err != nil || *budget <= 0 || among(l.seen, id) {
		return nil
	}
	if len(l.seen) == leftoverDirs {
		l.seen = append(l.seen[:0], l.seen[1:]...)
	}
	l.seen = append(l.seen, id)
	f, err := d.Open(".")
	if err != nil {
		return nil
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
				l.log = append(l.log, "Removed "+d.join(e.Name())+", left by a receiver that was killed")
			}
		}
		if err != nil {
			break // io.EOF too
		}
	}
	return dirs
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

// received reports whether name is a file that another process is receiving.
func (d dir) received(name string) bool {
	h, id, err := d.openRegular(name, os.O_RDWR)
	if err != nil {
		return false
	}
	defer h.Close()
	return id.Mode().Perm() == receivedMode && errors.Is(lockFile(h), errLocked)
}

// mark locks a file that was just made and marks it. Without a mark, where that
// cannot be done, nobody else ever removes it. The lock belongs to a handle of its
// own, so that it outlives the one for writing, which is closed before the file
// gets its final name.
func (f *File) mark() {
	h, id, err := f.at.openRegular(f.temp, os.O_RDWR)
	if err != nil {
		return
	}
	if !os.SameFile(id, f.id) || lockFile(h) != nil || h.Chmod(receivedMode) != nil {
		h.Close()
		return
	}
	f.lock = h
}

// unmark gives a file that is whole its mode.
func (f *File) unmark() error {
	if f.lock == nil {
		return nil
	}
	return f.lock.Chmod(f.id.Mode().Perm())
}

// tempFor returns the name under which req is received in at. Files of that name
// that nobody uses are removed; if another process receives the same file of the
// same session there, a name beside it is taken.
func (s *Session) tempFor(req Request, p place, at dir) (string, error) {
	temp := tempName(p.last(), s.key.Group, req.FileID)
	for i := 1; p.skip == 0 && at.received(temp); i++ {
		if i == 10 {
			return "", errInUse
		}
		temp = scratchName(p.last(), s.key.Group, fmt.Sprintf("%04X.%d", req.FileID, i))
	}
	return temp, at.RemoveAll(temp)
}
