package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"uftp/wire"
)

// Directories of the configuration may contain one another. Their names cannot protect them from
// a sender, since a link, a mount or another case of letters gives a directory a second name. So
// each is known by its identity.

// errGuarded refuses to touch a directory of the configuration.
func errGuarded(path string) error {
	return stockError(fmt.Sprintf("Rejecting file: %s is or holds a directory of this receiver", path))
}

// guard knows the directories of the configuration as a session finds them.
type guard struct {
	protected []fs.FileInfo // all of them and all their parents: not to be removed, moved or replaced
	private   []fs.FileInfo // temporary and backup directories: they hold files of other sessions
	all       []fs.FileInfo
}

// newGuard looks at the directories of c. One that is missing needs no protection.
func newGuard(c *SinkConfig) *guard {
	g := new(guard)
	for _, name := range append([]string{c.Temp}, c.Backups...) {
		if name != "" {
			g.add(name)
		}
	}
	g.private = g.all[:len(g.all):len(g.all)]
	for _, name := range c.Dests {
		g.add(name)
	}
	return g
}

// add adds directory name and protects it and its parents, both those on its path and those that
// links on its path lead to.
func (g *guard) add(name string) {
	if fi, err := os.Stat(name); err == nil {
		g.all = append(g.all, fi)
	}
	g.protect(name)
	if real, err := filepath.EvalSymlinks(name); err == nil {
		g.protect(real)
	}
}

func (g *guard) protect(name string) {
	for {
		if fi, err := os.Lstat(name); err == nil && !among(g.protected, fi) {
			g.protected = append(g.protected, fi)
		}
		up := filepath.Dir(name)
		if up == name {
			return
		}
		name = up
	}
}

// among reports whether list contains fi.
func among(list []fs.FileInfo, fi fs.FileInfo) bool {
	return slices.ContainsFunc(list, func(o fs.FileInfo) bool { return os.SameFile(o, fi) })
}

// forbidden returns the directories that no walk below directory name of c may enter. A
// destination inside a destination is open to senders, but not to a session's files in the
// temporary directory.
func (g *guard) forbidden(c *SinkConfig, name string) []fs.FileInfo {
	if name == c.Temp {
		return g.all
	}
	return g.private
}

// protects reports whether fi is or contains a directory of the configuration.
func (s *Session) protects(fi fs.FileInfo) bool { return among(s.guard.protected, fi) }

// movable refuses a file for p that could not be moved to the destination at the end of the
// session, so that it is not received in vain. The move makes its own checks.
func (s *Session) movable(p place, typ wire.FileType) error {
	at, err := s.root(s.k.cfg.Dests[0])
	if err != nil {
		return err
	}
	elems := p.elems[p.skip:]
	for i, e := range elems {
		fi, err := at.Lstat(e)
		merged := err == nil && s.k.cfg.Merge && fi.IsDir() && (i < len(elems)-1 || typ == wire.TypeDir)
		var next dir
		switch {
		case merged:
			next, err = at.sub(e)
		case err == nil && s.protects(fi):
			err = errGuarded(at.join(e))
		case err == nil && i == len(elems)-1 && typ != wire.TypeDir:
			err = s.blocked(at, fi, place{root: s.k.cfg.Dests[0], elems: elems})
		}
		at.close()
		if known := stockError(""); errors.As(err, &known) {
			return known
		}
		if err != nil || !merged {
			return nil // nothing there, or the move replaces it with everything in it
		}
		at = next
	}
	at.close()
	return nil
}
