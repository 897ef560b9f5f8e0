package store

import (
	"errors"
	"fmt"
	"io/fs"
)

// End ends the session; every file of it is finished or abandoned. With a
// temporary directory, what was received is moved to the destination if ok, and
// kept for a later instance of the session if not. moved are the absolute paths
// for the post-receive script (v4-receiver.md section 7.1), log the steps. An
// entry that cannot be moved stays in the temporary directory and is part of err;
// the others are moved all the same.
func (s *Session) End(ok bool) (moved, log []string, err error) {
	defer s.closeRoots()
	if f := s.open; f != nil {
		// Nobody says what is missing: the last checkpoint, if any, has to do.
		if !f.recorded() || ok {
			f.discard()
		}
		f.release()
	}
	switch {
	case s.k.cfg.Temp == "":
		return nil, nil, nil
	case !ok:
		err = errors.Join(s.notWhole(), s.suspend(&log))
		return nil, log, err
	}
	m := mover{s: s, dest: s.k.cfg.Dests[0]}
	err = m.run()
	return m.moved, m.log, err
}

// mover moves what a session received from the temporary directory to the destination.
type mover struct {
	s     *Session
	dest  string
	late  bool // it was begun by a receiver that was killed
	moved []string
	log   []string
	errs  []error
}

func (m *mover) run() error {
	s := m.s
	if err := s.collected(&m.log); err != nil {
		return err
	}
	w := s.whole
	if w == nil {
		return nil // the session had no files
	}
	s.whole = nil
	defer w.close()
	root, err := s.root(s.k.cfg.Temp)
	if err != nil {
		return err
	}
	return m.all(root, w.group, w.marked)
}

// all moves all that group holds. marked tells whether it is called what FinishMoves looks for.
func (m *mover) all(root, group dir, marked bool) error {
	name := m.s.groupName()
	if marked {
		name += doneSuffix
	}
	to, err := m.s.root(m.dest)
	if m.note(err); err == nil {
		m.purge(group)
		m.move(group, to, nil)
	}
	group.close()
	if len(m.errs) == 0 {
		m.note(root.Remove(name))
		m.note(m.s.settle(to))
	} else if marked {
		// What stays is for the user: by the next start there may be newer files.
		m.note(rename(root, name, root, m.s.groupName()))
	}
	return errors.Join(m.errs...)
}

func (m *mover) note(err error) {
	if err != nil {
		m.errs = append(m.errs, err)
	}
}

// purge removes the temporary files of instances that were killed.
func (m *mover) purge(d dir) {
	entries, err := d.list()
	m.note(err)
	for _, e := range entries {
		switch {
		case isTemp(e.Name(), m.s.key.Group):
			m.note(d.RemoveAll(e.Name()))
		case e.IsDir():
			if sub, err := d.sub(e.Name()); err == nil {
				m.purge(sub)
				sub.close()
			}
		}
	}
}

// move moves all entries of from, which mirrors to. elems lead to both.
func (m *mover) move(from, to dir, elems []string) {
	if m.late {
		m.heal(to)
	}
	entries, err := from.list()
	m.note(err)
	for _, e := range entries {
		p := place{root: m.dest, elems: append(elems[:len(elems):len(elems)], e.Name())}
		if m.s.k.cfg.Merge && e.IsDir() {
			err = m.merge(from, to, p)
		} else if err = m.s.install(from, e.Name(), to, p, &m.log); err == nil {
			m.moved = append(m.moved, p.path())
		}
		if err != nil {
			m.note(fmt.Errorf("couldn't move %s to %s: %w", from.join(e.Name()), p.path(), err))
		}
	}
}

// merge moves what the directory p.last() of from holds into that of to.
func (m *mover) merge(from, to dir, p place) error {
	name := p.last()
	source, err := from.sub(name)
	if err != nil {
		return err
	}
	defer source.close()
	fi, err := to.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !fi.IsDir() {
		err = m.s.makeDir(to, p, &m.log)
	}
	if err != nil {
		return err
	}
	target, err := to.sub(name)
	if err != nil {
		return err
	}
	defer target.close()
	had, failed := len(m.moved), len(m.errs)
	m.move(source, target, p.elems)
	if len(m.errs) > failed {
		return nil // what is left is told already
	}
	if len(m.moved) == had {
		m.moved = append(m.moved, p.path())
	}
	return from.Remove(name)
}
