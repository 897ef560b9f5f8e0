package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Files in the temporary directory are moved to the destination with the rights of this process. So
// everything found there must come from us: it belongs to our user, and no other user may write to
// it. These checks use open files where possible, because a name may refer to something else a
// moment later.

// trust is what the checks expect of everything below the temporary directory.
type trust struct {
	uid    uint32 // owner of the files that we create; a file server may change it
	owners bool   // files have owners here
	modes  bool   // the file system keeps modes
}

// Reasons to leave something alone.
var (
	errOwner   = errors.New("it belongs to another user")
	errWrite   = errors.New("other users may write to it")
	errNames   = errors.New("the file has more than one name")
	errSpecial = errors.New("it is neither a file nor a directory nor a link")
	errSetID   = errors.New("it would run with the rights of its owner")
)

// learnTrust finds out what the files that we create in directory name look like.
func learnTrust(name string) (*trust, error) {
	r, err := os.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	for i := 1; i < 100; i++ {
		probe := fmt.Sprintf("_uftptmp%d", i)
		if err = r.Mkdir(probe, 0o700); errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		t, err := learnFrom(r, probe)
		if err := errors.Join(err, r.RemoveAll(probe)); err != nil {
			return nil, err
		}
		return t, nil
	}
	return nil, err
}

// learnFrom looks at directory probe and at a file that it creates there: a file system that keeps
// no modes may give either of them another one.
func learnFrom(r *os.Root, probe string) (*trust, error) {
	name := filepath.Join(probe, "file")
	h, err := r.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	h.Close()
	d, err := r.Lstat(probe)
	if err != nil {
		return nil, err
	}
	f, err := r.Lstat(name)
	if err != nil {
		return nil, err
	}
	return trustOf(d, f), nil
}

// trustOf derives the expectations from a directory and a file that were just created for our user
// alone.
func trustOf(d, f fs.FileInfo) *trust {
	t := new(trust)
	t.uid, _, t.owners = ownerOf(d)
	t.modes = t.owners && (d.Mode().Perm()|f.Mode().Perm())&0o022 == 0
	return t
}

// check returns why fi must be left alone, nil if it is ours. A nil trust accepts everything.
func (t *trust) check(fi fs.FileInfo) error {
	mode := fi.Mode()
	kind := mode.Type()
	if t == nil {
		return nil
	}
	if kind != 0 && kind != fs.ModeDir && kind != fs.ModeSymlink {
		return errSpecial
	}
	if !t.owners {
		return nil
	}
	uid, links, ok := ownerOf(fi)
	switch {
	case !ok || uid != t.uid:
		return errOwner
	case !t.modes || kind == fs.ModeSymlink:
		return nil
	case mode.Perm()&0o022 != 0:
		return errWrite
	case kind == 0 && links > 1:
		return errNames
	case kind == 0 && mode&(fs.ModeSetuid|fs.ModeSetgid) != 0:
		return errSetID
	}
	return nil
}

// Warnings lists the directories of the configuration where other users of this machine can change
// received files. Call it at the start.
func (k *Sink) Warnings() (list []string) {
	warn := func(what, name, harm string) {
		if fi, err := os.Stat(name); err == nil && fi.Mode().Perm()&0o002 != 0 && hasOwners {
			list = append(list, fmt.Sprintf("Warning: every user may write to the %s directory %s: %s", what, name, harm))
		}
	}
	for _, d := range k.cfg.Dests {
		warn("destination", d, "what is received can be replaced or taken away")
	}
	for _, b := range k.cfg.Backups {
		warn("backup", b, "backups can be replaced or taken away")
	}
	if t := k.cfg.Temp; t != "" {
		warn("temporary", t, "sessions can be kept from what they received before")
		switch {
		case !k.trust.owners:
			list = append(list, "Warning: this system does not say whose files are: whoever may write to the temporary directory "+t+" may change what is received")
		case !k.trust.modes:
			list = append(list, "Warning: modes of files are not kept in the temporary directory "+t+": whoever may write there may change what is received")
		}
	}
	return list
}

// vet returns why an entry of from must not be moved to p: it or something below it is not ours, or
// a link there leads out of the destination.
func (m *mover) vet(from dir, e fs.DirEntry, p place) error {
	fi, err := from.Lstat(e.Name())
	if err != nil {
		return err
	}
	if err := m.vetEntry(from, fi, p); err != nil || !fi.IsDir() || m.s.k.cfg.Merge {
		return err // with Merge, move checks the entries of a directory one by one
	}
	// One directory is open at a time, however deep they lie.
	for queue := [][]string{{e.Name()}}; len(queue) > 0; {
		elems := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		d := from
		d.owned = false
		d, n, err := d.reach(elems)
		if err != nil {
			return err
		}
		entries, err := d.list()
		if err == nil && n < len(elems) {
			err = errSwapped
		}
		for _, e := range entries {
			if fi, err = d.Lstat(e.Name()); err != nil {
				break
			}
			in := append(elems[:len(elems):len(elems)], e.Name())
			if err = m.vetEntry(d, fi, place{root: p.root, elems: append(p.elems[:len(p.elems)-1:len(p.elems)-1], in...)}); err != nil {
				break
			}
			if fi.IsDir() {
				queue = append(queue, in)
			}
		}
		d.close()
		if err != nil {
			return err
		}
	}
	return nil
}

// vetEntry is vet for one entry of d.
func (m *mover) vetEntry(d dir, fi fs.FileInfo, p place) error {
	err := d.trust.check(fi)
	if err == nil && fi.Mode()&fs.ModeSymlink != 0 && !m.s.k.cfg.AllowOutsideLinks {
		var text string
		if text, err = d.Readlink(fi.Name()); err == nil {
			err = checkLink(p, text)
		}
	}
	if err != nil {
		return fmt.Errorf("%s is left alone: %w", filepath.Join(d.path, fi.Name()), err)
	}
	return nil
}
