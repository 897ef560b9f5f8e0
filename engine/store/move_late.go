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

// A session that ends well tells its sender so before its files are moved out of the
// temporary directory, and the sender will not come again. So the directory of the
// group gets another name as soon as all files are there: whoever finds that name knows
// that the session was over, and goes on. If a sender comes again, because it did not
// hear how well it went, it sends all once more.
//
// What cannot be moved for a reason that may pass, such as a full disk, gets a number
// behind that name, and is tried again. What is newer does not overtake it: a session
// that has something of the same name waits behind it.

// doneSuffix is what the name of the directory of a group ends with when all is there.
const doneSuffix = "_done"

// whole is what a session has collected that has all its files.
type whole struct {
	group  dir
	unlock func()
}

func (w *whole) close() {
	w.group.close()
	w.unlock()
}

// Whole tells that the session has all its files, before its sender hears of it. If
// the receiver is killed from now on, the next one moves them. [Session.End] follows
// all the same.
func (s *Session) Whole() (log []string, err error) {
	if s.k.cfg.Temp == "" || s.open != nil {
		return nil, nil
	}
	err = s.collected(&log)
	return log, err
}

// collected drops what is left of partial files, and sets s.whole if there is anything
// to move. Called again it does nothing.
func (s *Session) collected(log *[]string) error {
	if s.whole != nil {
		return nil
	}
	root, err := s.root(s.k.cfg.Temp)
	if err != nil {
		return err
	}
	if err := s.claim(false, log); err != nil || s.held == nil {
		return err
	}
	if err := s.recall(root, s.key.Instance > 0, log); err != nil {
		return err
	}
	s.drop(s.past.saved) // nobody asked for it
	s.past.saved, s.past.disk = nil, ""
	if err := remove(root, s.stateName()); err != nil {
		return err
	}
	group := s.held.dir
	w := &whole{group: group, unlock: s.held.unlock}
	s.held = nil
	if fi, gone := group.Stat("."); gone != nil || s.keeps(fi) {
		err = errors.Join(gone, errGuarded(group.path)) // it holds the destination
	} else if err = rename(root, s.groupName(), root, s.groupName()+doneSuffix); err == nil {
		s.whole = w
		return s.settle(root)
	}
	w.close()
	return fmt.Errorf("couldn't mark what is to be moved: %w", err)
}

// notWhole takes the mark back from a session that did not end well.
func (s *Session) notWhole() error {
	w := s.whole
	if w == nil {
		return nil
	}
	s.whole = nil
	defer w.close()
	root, err := s.root(s.k.cfg.Temp)
	if err != nil {
		return err
	}
	return rename(root, s.groupName()+doneSuffix, root, s.groupName())
}

// LateMove is what became of a session whose files were not all moved when it ended,
// because the receiver was killed or something was in the way of it.
type LateMove struct {
	Group uint32
	Moved []string // as of [Session.End]
	Log   []string
	Err   error
}

// late is the sessions that wait for another try.
type late struct {
	trying sync.Mutex // held while they are tried
	mu     sync.Mutex // of the rest
	waits  []waiting  // the oldest first
}

// waiting is a directory that is tried again.
type waiting struct {
	name  string // below the temporary directory
	group uint32
	told  string // why it was not moved, as it was reported
}

// Reasons to wait that are no errors of the system.
var (
	errNoDest = errors.New("couldn't open the destination")
	errWaits  = errors.New("what an earlier session has under the same name must be moved first")
)

// passing reports whether what failed with err may succeed later, by itself or because
// somebody made room, mounted a disk or mended a permission.
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

// FinishMoves moves what receivers that were killed have not. It is for the start,
// before the first session: what it moves is older than all that comes.
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
	k.late.trying.Lock()
	defer k.late.trying.Unlock()
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

// disown removes what says whose directories are that are gone.
func (k *Sink) disown(groups []string) {
	r, err := os.OpenRoot(k.cfg.Temp)
	if err != nil {
		return
	}
	defer r.Close()
	root := dir{Root: r, path: k.cfg.Temp, trust: k.trust}
	for _, group := range groups {
		if !root.has(group + doneSuffix) { // another process may have to take that back
			root.disown(group) // if not now, at the next start
		}
	}
}

// RetryMoves tries again to move what sessions of this Sink could not move when they
// ended. It is for the time before each later session ends, and now and then. It tells
// only of what changed: what was moved, and reasons other than those told before.
func (k *Sink) RetryMoves() (list []LateMove) {
	k.late.trying.Lock()
	defer k.late.trying.Unlock()
	k.late.mu.Lock()
	waits := slices.Clone(k.late.waits)
	k.late.mu.Unlock()
	for _, w := range waits {
		l, ok := k.finishMove(w.name)
		if ok && (l.Err == nil || len(l.Moved) > 0 || l.Err.Error() != w.told) {
			list = append(list, l)
		}
	}
	return list
}

// keepLate gives directory name a place in the order of those that are tried again.
func (k *Sink) keepLate(root dir, name string, m *mover) {
	told := errors.Join(m.errs...).Error()
	k.late.mu.Lock()
	defer k.late.mu.Unlock()
	for i := range k.late.waits {
		if k.late.waits[i].name == name {
			k.late.waits[i].told = told
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
			told = strings.ReplaceAll(told, root.join(name), root.join(numbered))
			name = numbered
		}
	}
	k.late.waits = append(k.late.waits, waiting{name, m.s.key.Group, told})
	m.log = append(m.log, fmt.Sprintf("What could not be moved stays in %s, and is tried again: when a session ends, every minute, and at the next start", root.join(name)))
}

// forgetLate takes directory name out of that order.
func (k *Sink) forgetLate(name string) {
	k.late.mu.Lock()
	defer k.late.mu.Unlock()
	k.late.waits = slices.DeleteFunc(k.late.waits, func(w waiting) bool { return w.name == name })
}

// waitsFor returns the first directory that is to be moved before group, which is called
// name, because it has an entry of the same name; "" if there is none.
func (k *Sink) waitsFor(root, group dir, name string) string {
	k.late.mu.Lock()
	waits := slices.Clone(k.late.waits)
	k.late.mu.Unlock()
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

// newest is the place in the order of a directory that nobody has tried again: nothing
// was made later.
const newest = math.MaxInt32

// order returns the place of directory name among those that are moved late.
func order(name string) int {
	if _, n, ok := doneGroup(name); ok {
		return n
	}
	return newest
}

// doneGroup takes the name of a directory apart that is being moved: the group, and its
// place in the order.
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

// finishMove moves what is left in directory name; ok is false if another receiver is at it.
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
		k.forgetLate(name)
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
	m := mover{s: s, dest: k.cfg.Dests[0], late: true}
	m.log = append(m.log, "Moving what was left of an earlier session")
	l.Err = m.all(root, d, name)
	l.Moved, l.Log = m.moved, m.log
	return l, true
}

// lock keeps others from moving what d holds. errLocked says that somebody does;
// where there are no locks nobody is kept from it.
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

// heal ends what the receiver that was killed had begun in d: what was moved aside comes
// back if nothing took its place, and goes if something did.
func (m *mover) heal(d dir) {
	entries, err := d.list()
	m.note(err)
	for _, e := range entries {
		group, what := cutTemp(e.Name())
		if group != fmt.Sprintf("%08X", m.s.key.Group) || len(e.Name()) >= maxName {
			continue // not ours, or cut: nobody knows of what
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
