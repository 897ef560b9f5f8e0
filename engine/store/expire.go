package store

import (
	"errors"
	"io/fs"
	"os"
	"time"
)

// What an interrupted session leaves in the temporary directory waits for the sender to
// come again. Nobody knows whether it will, and each partial file takes the space of the
// whole one. So who wants has it removed some time after the last change.

// expiredSuffix is what the name of a directory ends with that is being removed. It is
// given in one step, so that no session takes up half of what was there.
const expiredSuffix = "_expired"

// Expired is something that was removed from Temp, or could not be.
type Expired struct {
	Path string
	Err  error
}

// Expire removes what sessions left in Temp that ended without all their files, or were
// killed, and has not changed since before. A session that is under way changes its
// directory or what it receives there all the time.
func (k *Sink) Expire(before time.Time) (list []Expired) {
	if k.cfg.Temp == "" {
		return nil
	}
	r, err := os.OpenRoot(k.cfg.Temp)
	if err != nil {
		return []Expired{{k.cfg.Temp, err}}
	}
	defer r.Close()
	root := dir{Root: r, path: k.cfg.Temp, trust: k.trust}
	entries, err := root.list()
	if err != nil {
		list = append(list, Expired{k.cfg.Temp, err})
	}
	for _, e := range entries {
		group, kind := groupEntry(e.Name())
		record := group + recordSuffix
		switch {
		case group == "":
			continue
		case kind == "" && e.IsDir(): // what was received
			if root.changed(record, before) || root.anyChanged(group, before) {
				continue
			}
			d, unlock, ok := root.idle(group)
			if !ok {
				continue
			}
			if err = rename(root, group, root, group+expiredSuffix); err == nil {
				err = errors.Join(remove(root, record), root.disown(group), root.RemoveAll(group+expiredSuffix))
			}
			d.close()
			unlock()
		case kind == expiredSuffix && e.IsDir(): // whoever removed it was killed
			if root.ours(e.Name()) != nil {
				continue
			}
			err = root.RemoveAll(e.Name())
		case (kind == recordSuffix || kind == ownerSuffix) && e.Type().IsRegular(): // of a directory that is gone
			if root.has(group) || root.has(group+doneSuffix) || root.ours(e.Name()) != nil || root.changed(e.Name(), before) {
				continue
			}
			if err = root.Remove(e.Name()); errors.Is(err, fs.ErrNotExist) {
				continue // it went with the directory, a moment ago
			}
		default:
			continue
		}
		list = append(list, Expired{root.join(e.Name()), err})
	}
	return list
}

// idle opens and locks a directory of ours that nobody uses.
func (d dir) idle(name string) (sub dir, unlock func(), ok bool) {
	sub, err := d.sub(name)
	if err != nil {
		return dir{}, nil, false
	}
	if unlock, err = sub.lock(); err != nil {
		sub.close()
		return dir{}, nil, false
	}
	return sub, unlock, true
}

// changed reports whether an entry was changed since before; one that is missing was not.
func (d dir) changed(name string, before time.Time) bool {
	fi, err := d.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false
	}
	return err != nil || !fi.ModTime().Before(before)
}

// anyChanged reports whether a directory, one below it, or a file that is being received
// there was changed since before. Files under their final names have the time stamps of
// their senders and do not count.
func (d dir) anyChanged(name string, before time.Time) bool {
	if d.changed(name, before) {
		return true
	}
	sub, err := d.sub(name)
	if err != nil {
		return true
	}
	defer sub.close()
	entries, err := sub.list()
	if err != nil {
		return true
	}
	for _, e := range entries {
		if e.IsDir() && sub.anyChanged(e.Name(), before) || isAnyTemp(e.Name()) && sub.changed(e.Name(), before) {
			return true
		}
	}
	return false
}
