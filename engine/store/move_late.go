package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
)

// A session that ends well tells its sender so before its files are moved out of the
// temporary directory, and the sender will not come again. So the directory of the
// group gets another name as soon as all files are there: whoever finds that name knows
// that the session was over, and goes on. If a sender comes again, because it did not
// hear how well it went, it sends all once more.

// doneSuffix is what the name of the directory of a group ends with when all is there.
const doneSuffix = "_done"

// whole is what a session has collected that has all its files.
type whole struct {
	group  dir
	unlock func()
	marked bool // the directory has the name that FinishMoves looks for
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
	if err := s.recall(root, s.key.Instance > 0, log); err != nil {
		return err
	}
	s.drop(root, s.past.saved) // nobody asked for it
	s.past.saved, s.past.disk = nil, ""
	if err := remove(root, s.stateName()); err != nil {
		return err
	}
	group, err := root.sub(s.groupName())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	unlock, err := group.lock()
	if err != nil {
		group.close()
		return err
	}
	err = rename(root, s.groupName(), root, s.groupName()+doneSuffix)
	if err != nil { // it is moved all the same
		*log = append(*log, "Couldn't mark what is to be moved, a kill before that would leave it: "+reason(err))
	}
	s.whole = &whole{group: group, unlock: unlock, marked: err == nil}
	return nil
}

// notWhole takes the mark back from a session that did not end well.
func (s *Session) notWhole() error {
	w := s.whole
	if w == nil {
		return nil
	}
	s.whole = nil
	defer w.close()
	if !w.marked {
		return nil
	}
	root, err := s.root(s.k.cfg.Temp)
	if err != nil {
		return err
	}
	return rename(root, s.groupName()+doneSuffix, root, s.groupName())
}

// LateMove is what became of a session whose files were being moved when the receiver
// was killed.
type LateMove struct {
	Group uint32
	Moved []string // as of [Session.End]
	Log   []string
	Err   error
}

// FinishMoves moves what receivers that were killed have not. It is for the start,
// before the first session: what it moves is older than all that comes.
func (k *Sink) FinishMoves() []LateMove {
	if k.cfg.Temp == "" {
		return nil
	}
	var list []LateMove
	entries, err := os.ReadDir(k.cfg.Temp)
	for _, e := range entries {
		if group, ok := doneGroup(e.Name()); ok && e.IsDir() {
			if l, ok := k.finishMove(group); ok {
				list = append(list, l)
			}
		}
	}
	if err != nil {
		list = append(list, LateMove{Err: err})
	}
	return list
}

// doneGroup returns the group whose directory is called name while it is moved.
func doneGroup(name string) (group uint32, ok bool) {
	id, ok := strings.CutSuffix(strings.TrimPrefix(name, "_group_"), doneSuffix)
	if !ok || len(id) != 8 || !isHex(id) || !strings.HasPrefix(name, "_group_") {
		return 0, false
	}
	n, err := strconv.ParseUint(id, 16, 32)
	return uint32(n), err == nil
}

// finishMove moves what is left of a group; ok is false if another receiver is at it.
func (k *Sink) finishMove(group uint32) (l LateMove, ok bool) {
	s := k.Begin(SessionKey{Group: group})
	defer s.closeRoots()
	l = LateMove{Group: group}
	root, err := s.root(k.cfg.Temp)
	if err != nil {
		l.Err = err
		return l, true
	}
	d, err := root.sub(s.groupName() + doneSuffix)
	if errors.Is(err, fs.ErrNotExist) {
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
	m.log = append(m.log, "Moving what a receiver that was killed has not moved")
	l.Err = m.all(root, d, true)
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
