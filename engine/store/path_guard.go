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

// Directories of the configuration may lie in one another. What keeps a sender
// from one of them are not names, which differ where a link, a mount or the case
// of letters leads to the same place: each directory is known by its identity.

// errGuarded refuses to touch a directory of the configuration.
func errGuarded(path string) error {
	return stockError(fmt.Sprintf("Rejecting file: %s is or holds a directory of this receiver", path))
}

// guard is the directories of the configuration as a session finds them.
type guard struct {
	kept    []fs.FileInfo // all of them and what leads there: not to be removed, moved away or replaced
	private []fs.FileInfo // temporary and backup directories: they hold what is of other sessions
	all     []fs.FileInfo
}

// newGuard looks at the directories of c. One that is missing needs no guard.
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

// add adds directory name. It and its parents are kept; if links lead there, both
// they and where they lead.
func (g *guard) add(name string) {
	if fi, err := os.Stat(name); err == nil {
		g.all = append(g.all, fi)
	}
	g.keep(name)
	if real, err := filepath.EvalSymlinks(name); err == nil {
		g.keep(real)
	}
}

func (g *guard) keep(name string) {
	for {
		if fi, err := os.Lstat(name); err == nil && !among(g.kept, fi) {
			g.kept = append(g.kept, fi)
		}
		up := filepath.Dir(name)
		if up == name {
			return
		}
		name = up
	}
}

// among reports whether fi is one of list.
func among(list []fs.FileInfo, fi fs.FileInfo) bool {
	return slices.ContainsFunc(list, func(o fs.FileInfo) bool { return os.SameFile(o, fi) })
}

// shut returns the directories that no walk below directory name of c enters. A
// destination in a destination is as open to senders as the outer one; it is no
// part of what a session collects in the temporary directory.
func (g *guard) shut(c *SinkConfig, name string) []fs.FileInfo {
	if name == c.Temp {
		return g.all
	}
	return g.private
}

// keeps reports whether fi is or holds a directory of the configuration.
func (s *Session) keeps(fi fs.FileInfo) bool { return among(s.guard.kept, fi) }

// movable refuses what is to be collected for p if it could not be moved to the
// destination when the session ends, so that it is not received in vain. The move
// does not rely on it.
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
		case err == nil && s.keeps(fi):
			err = errGuarded(at.join(e))
		case err == nil && i == len(elems)-1 && typ != wire.TypeDir:
			err = s.blocked(at, fi, place{root: s.k.cfg.Dests[0], elems: elems})
		}
		at.close()
		if known := stockError(""); errors.As(err, &known) {
			return known
		}
		if err != nil || !merged {
			return nil // nothing there, or it is replaced with all below it
		}
		at = next
	}
	at.close()
	return nil
}
