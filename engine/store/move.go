package store

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
)

// End ends the session; all its files must be finished or abandoned. With a temporary
// directory it moves what was received to the destination if ok, and keeps it for a later
// instance of the session if not. moved are the absolute paths for the post-receive script. The
// caller should log the lines of log. An entry that cannot be moved stays in the temporary
// directory and is named in err; the others are moved all the same.
func (s *Session) End(ok bool) (moved, log []string, err error) {
	defer s.closeRoots()
	s.forgetGone()
	if f := s.open; f != nil {
		// The caller did not say which blocks are missing: only a checkpoint can help.
		if !f.recorded() || ok {
			f.discard()
		}
		f.release()
	}
	switch {
	case s.k.cfg.Temp == "":
		return nil, nil, nil
	case !ok:
		err = errors.Join(s.unmarkDone(), s.leaveRecord(&log))
		return nil, log, err
	}
	m := mover{s: s, dest: s.k.cfg.Dests[0]}
	err = m.run()
	return m.moved, m.log, err
}

// mover moves a session's files from the temporary directory to the destination.
type mover struct {
	s     *Session
	dest  string
	retry bool // an earlier attempt has begun this move
	moved []string
	log   []string

	errs   []error
	failed int // number of errors
}

func (m *mover) run() error {
	s := m.s
	if err := s.markDone(&m.log); err != nil {
		return err
	}
	w := s.done
	if w == nil {
		return nil // the session had no files
	}
	s.done = nil
	defer w.close()
	root, err := s.root(s.k.cfg.Temp)
	if err != nil {
		return err
	}
	return m.all(root, w.group, s.groupName()+doneSuffix)
}

// all moves everything in group, a directory called name.
func (m *mover) all(root, group dir, name string) error {
	if first := m.s.k.waitsFor(root, group, name); first != "" {
		m.note(fmt.Errorf("%w: %s", errWaits, root.join(first)))
		return m.end(root, name)
	}
	to, err := m.s.root(m.dest)
	if err != nil {
		m.note(fmt.Errorf("%w: %w", errNoDest, err))
		return m.end(root, name)
	}
	m.purge(group)
	m.move(group, to, nil)
	group.close()
	return m.end(root, name)
}

// end removes directory name if everything was moved. Otherwise the rest stays there: scheduled
// for another attempt if the reason may pass, and for the user if not, since by the next start
// there may be newer files at the destination.
func (m *mover) end(root dir, name string) error {
	if len(m.errs) == 0 {
		if err := root.Remove(name); err == nil || errors.Is(err, fs.ErrNotExist) {
			m.s.k.cancelRetry(name)
			return root.disown(m.s.groupName())
		} else {
			m.note(err)
		}
	}
	if slices.ContainsFunc(m.errs, passing) {
		m.s.k.scheduleRetry(root, name, m)
	} else {
		m.s.k.cancelRetry(name)
		m.note(rename(root, name, root, m.s.groupName()))
	}
	return errors.Join(m.errs...)
}

// note counts an error, and keeps it if its text is new.
func (m *mover) note(err error) {
	if err == nil {
		return
	}
	m.failed++
	if !slices.ContainsFunc(m.errs, func(e error) bool { return e.Error() == err.Error() }) {
		m.errs = append(m.errs, err)
	}
}

// purge removes the temporary files of killed instances.
func (m *mover) purge(group dir) {
	m.note(group.eachDir(func(d dir, entries []fs.DirEntry) error {
		for _, e := range entries {
			if isTemp(e.Name(), m.s.key.Group) {
				m.note(d.RemoveAll(e.Name()))
			}
		}
		return nil
	}))
}

// move moves all entries of directory elems below from to directory elems below to. They are
// durable there when it returns; only then may their names in the temporary directory go. No
// directory stays open while one below it is moved, so a deep tree needs no more handles than
// a flat one.
func (m *mover) move(from, to dir, elems []string) {
	d, err := m.open(from, to, elems)
	if err != nil {
		m.note(err)
		return
	}
	defer func() { d.close() }()
	if m.retry {
		m.repair(d.to)
	}
	entries, err := d.from.list()
	m.note(err)
	for _, e := range entries {
		p := place{root: m.dest, elems: append(elems[:len(elems):len(elems)], e.Name())}
		if err = m.vet(d.from, e, p); err != nil {
			// It stays, for the user to decide.
		} else if m.s.k.cfg.Merge && e.IsDir() {
			var made bool
			if made, err = m.target(d.to, p); err == nil {
				d.close()
				m.merge(from, to, p.elems, made)
				if d, err = m.open(from, to, elems); err != nil {
					m.note(err)
					return
				}
			}
		} else if err = m.s.installTree(d.from, e.Name(), d.to, p, &m.log); err == nil {
			m.moved = append(m.moved, p.path())
		}
		if err != nil {
			m.note(fmt.Errorf("couldn't move %s to %s: %w", d.from.join(e.Name()), p.path(), err))
		}
	}
	if len(entries) > 0 {
		m.note(m.s.syncIfDurable(d.to))
	}
}

// pair is a directory in the temporary directory and its counterpart at the destination.
type pair struct{ from, to dir }

func (p *pair) close() {
	p.from.close()
	p.to.close()
	*p = pair{}
}

// open opens both directories of elems.
func (m *mover) open(from, to dir, elems []string) (p pair, err error) {
	if p.from, err = from.under(elems); err == nil {
		if p.to, err = to.under(elems); err != nil {
			p.from.close()
		}
	}
	if err != nil {
		return pair{}, err
	}
	return p, nil
}

// target makes sure that there is a directory at p in to.
func (m *mover) target(to dir, p place) (made bool, err error) {
	fi, err := to.Lstat(p.last())
	if errors.Is(err, fs.ErrNotExist) || err == nil && !fi.IsDir() {
		return true, m.s.makeDir(to, p, &m.log)
	}
	return false, err
}

// merge moves the entries of directory elems below from into that below to, and removes the
// emptied one. If it had no entries, its own name goes to the script, unless the directory
// existed and an earlier attempt may have moved its entries.
func (m *mover) merge(from, to dir, elems []string, made bool) {
	had, failed := len(m.moved), m.failed
	m.move(from, to, elems)
	if m.failed > failed {
		return
	}
	if len(m.moved) == had && (made || !m.retry) {
		m.moved = append(m.moved, place{root: m.dest, elems: elems}.path())
	}
	up, err := from.under(elems[:len(elems)-1])
	if err == nil {
		err = up.Remove(elems[len(elems)-1])
		up.close()
	}
	m.note(err)
}
