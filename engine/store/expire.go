package store

import (
	"errors"
	"io/fs"
	"os"
	"time"
)

// What an interrupted session leaves in the temporary directory waits for its sender. Nobody knows
// whether the sender will come again, and each partial file may take the space of the complete one.
// So a user can have it removed some time after the last change.

// expiredSuffix ends the name of a directory that is being removed. The renaming is one step, so no
// session resumes from half of what was there.
const expiredSuffix = "_expired"

// Expired is something that was removed from Temp, or could not be.
type Expired struct {
	Path string
	Err  error
}

// Expire removes what incomplete or killed sessions left in Temp, if it has not changed since
// before. A running session changes its directory or the file that it receives all the time.
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
		case kind == "" && e.IsDir(): // a session's directory
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
		case kind == expiredSuffix && e.IsDir(): // a removal that was interrupted
			if root.checkTrust(e.Name()) != nil {
				continue
			}
			err = root.RemoveAll(e.Name())
		case (kind == recordSuffix || kind == ownerSuffix) && e.Type().IsRegular(): // the directory is gone
			if root.has(group) || root.has(group+doneSuffix) || root.checkTrust(e.Name()) != nil || root.changed(e.Name(), before) {
				continue
			}
			if err = root.Remove(e.Name()); errors.Is(err, fs.ErrNotExist) {
				continue // the session that removed the directory has just removed it
			}
		default:
			continue
		}
		list = append(list, Expired{root.join(e.Name()), err})
	}
	return list
}

// idle opens and locks a directory of ours that no session uses.
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

// changed reports whether an entry was changed since before; a missing one was not.
func (d dir) changed(name string, before time.Time) bool {
	fi, err := d.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false
	}
	return err != nil || !fi.ModTime().Before(before)
}

// anyChanged reports whether a directory, one below it, or a file being received there was changed
// since before. Files under their final names do not count: they have their senders' times.
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
