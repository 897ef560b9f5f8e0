package store

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// A session reports success to its sender before its files leave the temporary directory, and
// the sender will not come again. So the session's directory gets the suffix _done as soon as
// all files are there: a receiver that finds this suffix at its start finishes the move. If the
// sender did not hear of the success and starts again, it sends everything once more.
//
// If the move fails for a reason that may pass, such as a full disk, the directory gets a number
// behind the suffix and is retried. Newer sessions do not overtake it: one that has an entry of
// the same name waits for it.

// doneSuffix ends the name of a session's directory that holds all its files.
const doneSuffix = "_done"

// doneDir is the directory of a session that has all its files.
type doneDir struct {
	group  dir
	unlock func()
}

func (w *doneDir) close() {
	w.group.close()
	w.unlock()
}

// MarkDone marks the session as having all its files, before its sender hears of it. If the
// receiver is killed after that, the next one moves the files. [Session.End] must still follow.
func (s *Session) MarkDone() (log []string, err error) {
	if s.k.cfg.Temp == "" || s.open != nil {
		return nil, nil
	}
	err = s.markDone(&log)
	return log, err
}

// markDone removes partial files, marks the session's directory, and sets s.done if there is
// anything to move. When called again it does nothing.
func (s *Session) markDone(log *[]string) error {
	if s.done != nil {
		return nil
	}
	root, err := s.root(s.k.cfg.Temp)
	if err != nil {
		return err
	}
	if err := s.claim(false, log); err != nil || s.claimed == nil {
		return err
	}
	if err := s.readRecord(root, s.key.Instance > 0, log); err != nil {
		return err
	}
	s.drop(s.previous.saved) // no request has resumed it
	s.previous.saved, s.previous.disk = nil, ""
	if err := remove(root, s.recordName()); err != nil {
		return err
	}
	group := s.claimed.dir
	w := &doneDir{group: group, unlock: s.claimed.unlock}
	s.claimed = nil
	if fi, gone := group.Stat("."); gone != nil || s.protects(fi) {
		err = errors.Join(gone, errGuarded(group.path)) // the directory contains the destination
	} else if err = rename(root, s.groupName(), root, s.groupName()+doneSuffix); err == nil {
		s.done = w
		return s.syncIfDurable(root)
	}
	w.close()
	return fmt.Errorf("couldn't mark the session complete (its files stay in the temporary directory if uftpd is killed now): %w", err)
}

// unmarkDone takes the mark back from a session that did not end well.
func (s *Session) unmarkDone() error {
	w := s.done
	if w == nil {
		return nil
	}
	s.done = nil
	defer w.close()
	root, err := s.root(s.k.cfg.Temp)
	if err != nil {
		return err
	}
	return rename(root, s.groupName()+doneSuffix, root, s.groupName())
}

// LateMove is the result of moving files after the end of their session, because the receiver
// was killed or something prevented the move.
type LateMove struct {
	Group uint32
	Moved []string // as returned by [Session.End]
	Log   []string
	Err   error
}

// retries are the directories that wait for another attempt to move them.
type retries struct {
	trying sync.Mutex // held during an attempt
	mu     sync.Mutex // guards waits
	list   []waiting  // the oldest first
}

// waiting is one of them.
type waiting struct {
	name     string // below the temporary directory
	group    uint32
	reported string // the reason as it was reported last
}

// Reasons to wait that do not come from the system.
var (
	errNoDest = errors.New("couldn't open the destination")
	errWaits  = errors.New("an earlier session has files of the same name that must be moved first")
)

// passing reports whether a call that failed with err may succeed later, by itself or because
// somebody freed space, mounted a disk or changed a permission.
func passing(err error) bool {
	for _, e := range []error{
		errNoDest, errWaits, fs.ErrPermission,
		syscall.EMFILE, syscall.ENFILE, syscall.ENOSPC, syscall.EDQUOT, syscall.ENOMEM, syscall.EIO, syscall.EROFS,
		syscall.EBUSY, syscall.EAGAIN, syscall.EINTR, syscall.ESTALE, syscall.ETIMEDOUT, syscall.ENOBUFS,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return isNoSpace(err)
}

// FinishMoves finishes the moves of killed receivers. Call it at the start, before the first
// session: what it moves is older than everything that comes.
func (k *Sink) FinishMoves() []LateMove {
	if k.cfg.Temp == "" {
		return nil
	}
	var list []LateMove
	entries, err := os.ReadDir(k.cfg.Temp)
	var names []string
	var orphans []string
	for _, e := range entries {
		if _, _, ok := doneGroup(e.Name()); ok && e.IsDir() {
			names = append(names, e.Name())
		} else if group, kind := groupEntry(e.Name()); kind == ownerSuffix {
			orphans = append(orphans, group)
		}
	}
	slices.SortStableFunc(names, func(a, b string) int { return order(a) - order(b) })
	k.retries.trying.Lock()
	defer k.retries.trying.Unlock()
	for _, name := range names {
		if l, ok := k.finishMove(name); ok {
			list = append(list, l)
		}
	}
	if err != nil {
		list = append(list, LateMove{Err: err})
	}
	k.disown(orphans)
	return list
}

// disown removes the owner files of directories that are gone.
func (k *Sink) disown(groups []string) {
	r, err := os.OpenRoot(k.cfg.Temp)
	if err != nil {
		return
	}
	defer r.Close()
	root := dir{Root: r, path: k.cfg.Temp, trust: k.trust}
	for _, group := range groups {
		if !root.has(group + doneSuffix) { // another process may have to undo that mark
			root.disown(group) // on an error the next start tries again
		}
	}
}

// RetryMoves retries the moves that sessions of this Sink could not finish. Call it before each
// later session ends, and from time to time. It returns only changes: files that were moved, and
// reasons that were not reported before.
func (k *Sink) RetryMoves() (list []LateMove) {
	k.retries.trying.Lock()
	defer k.retries.trying.Unlock()
	k.retries.mu.Lock()
	waits := slices.Clone(k.retries.list)
	k.retries.mu.Unlock()
	for _, w := range waits {
		l, ok := k.finishMove(w.name)
		if ok && (l.Err == nil || len(l.Moved) > 0 || l.Err.Error() != w.reported) {
			list = append(list, l)
		}
	}
	return list
}

// scheduleRetry gives directory name its place among those that are retried.
func (k *Sink) scheduleRetry(root dir, name string, m *mover) {
	reason := errors.Join(m.errs...).Error()
	k.retries.mu.Lock()
	defer k.retries.mu.Unlock()
	for i := range k.retries.list {
		if k.retries.list[i].name == name {
			k.retries.list[i].reported = reason
			return
		}
	}
	if order(name) == newest {
		n := 1
		if entries, err := root.list(); err == nil {
			for _, e := range entries {
				if _, i, ok := doneGroup(e.Name()); ok && i != newest {
					n = max(n, i+1)
				}
			}
		}
		numbered := fmt.Sprintf("%s.%04d", name, n)
		if rename(root, name, root, numbered) == nil {
			reason = strings.ReplaceAll(reason, root.join(name), root.join(numbered))
			name = numbered
		}
	}
	k.retries.list = append(k.retries.list, waiting{name, m.s.key.Group, reason})
	m.log = append(m.log, fmt.Sprintf("The files that could not be moved stay in %s; uftpd retries when a session ends, every minute, and at its next start", root.join(name)))
}

// cancelRetry removes directory name from those that are retried.
func (k *Sink) cancelRetry(name string) {
	k.retries.mu.Lock()
	defer k.retries.mu.Unlock()
	k.retries.list = slices.DeleteFunc(k.retries.list, func(w waiting) bool { return w.name == name })
}

// waitsFor returns the first directory that must be moved before directory group, called name,
// because both have an entry of the same name; "" if there is none.
func (k *Sink) waitsFor(root, group dir, name string) string {
	k.retries.mu.Lock()
	waits := slices.Clone(k.retries.list)
	k.retries.mu.Unlock()
	if len(waits) == 0 {
		return ""
	}
	entries, err := group.list()
	if err != nil {
		return ""
	}
	for _, w := range waits {
		if w.name == name {
			return ""
		}
		older, err := root.sub(w.name)
		if err != nil {
			continue
		}
		same := slices.ContainsFunc(entries, func(e fs.DirEntry) bool {
			_, err := older.Lstat(e.Name())
			return err == nil
		})
		older.close()
		if same {
			return w.name
		}
	}
	return ""
}

// newest is the place of a directory that was not retried yet: it is younger than all that were.
const newest = math.MaxInt32

// order returns the place of directory name among those that are retried.
func order(name string) int {
	if _, n, ok := doneGroup(name); ok {
		return n
	}
	return newest
}

// doneGroup splits the name of a directory with doneSuffix: its group, and its place among those
// that are retried.
func doneGroup(name string) (group uint32, place int, ok bool) {
	dir, kind := groupEntry(name)
	number, ok := strings.CutPrefix(kind, doneSuffix)
	if dir == "" || !ok {
		return 0, 0, false
	}
	place = newest
	if number != "" {
		n, err := strconv.ParseUint(strings.TrimPrefix(number, "."), 10, 31)
		if err != nil || number[0] != '.' {
			return 0, 0, false
		}
		place = int(n)
	}
	return groupNumber(dir), place, true
}

// finishMove moves the files in directory name; ok is false if another receiver is doing it.
func (k *Sink) finishMove(name string) (l LateMove, ok bool) {
	group, _, _ := doneGroup(name)
	s := k.Begin(SessionKey{Group: group})
	s.name, _ = groupEntry(name)
	defer s.closeRoots()
	l = LateMove{Group: group}
	root, err := s.root(k.cfg.Temp)
	if err != nil {
		l.Err = err
		return l, true
	}
	d, err := root.sub(name)
	if errors.Is(err, fs.ErrNotExist) {
		k.cancelRetry(name)
		return l, false
	}
	if err != nil {
		l.Err = err
		return l, true
	}
	defer d.close()
	unlock, err := d.lock()
	if err != nil {
		l.Err = err
		return l, !errors.Is(err, errLocked)
	}
	defer unlock()
	m := mover{s: s, dest: k.cfg.Dests[0], retry: true}
	m.log = append(m.log, "Finishing a move that was interrupted or failed earlier")
	l.Err = m.all(root, d, name)
	l.Moved, l.Log = m.moved, m.log
	return l, true
}

// lock keeps other processes from moving the entries of d. It returns errLocked if another one
// holds the lock. Where there are no locks it succeeds.
func (d dir) lock() (unlock func(), err error) {
	f, err := d.Open(".")
	if err != nil {
		return nil, err
	}
	err = lockFile(f)
	if err == nil {
		return func() { f.Close() }, nil
	}
	f.Close()
	if errors.Is(err, errLocked) {
		return nil, fmt.Errorf("%s: %w", d.path, err)
	}
	return func() {}, nil
}

// repair completes what an interrupted move began in d: an entry that was renamed to make room
// comes back if nothing took its place, and is removed if something did.
func (m *mover) repair(d dir) {
	entries, err := d.list()
	m.note(err)
	for _, e := range entries {
		group, what := cutTemp(e.Name())
		if group != fmt.Sprintf("%08X", m.s.key.Group) || len(e.Name()) >= maxName {
			continue // of another session, or a name that was cut: its original is unknown
		}
		switch what {
		case scratchDir:
			m.note(d.RemoveAll(e.Name()))
		case scratchOld:
			was := e.Name()[:len(e.Name())-len(scratchName("", m.s.key.Group, what))]
			switch _, err := d.Lstat(was); {
			case err == nil:
				m.note(d.RemoveAll(e.Name()))
			case errors.Is(err, fs.ErrNotExist):
				m.note(rename(d, e.Name(), d, was))
			default:
				m.note(err)
			}
		}
	}
}
