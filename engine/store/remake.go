package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// A directory of the configuration may be removed while a receiver runs, by something
// that cleans up. It is made again, as stock daemons do. But it may also be gone with the
// disk that it was on, and what is received must not fill the one below the mount point:
// so its parent must still be there, on the file system that the directory was on.

// home is where a directory of the configuration was at the start.
type home struct {
	name string
	mode fs.FileMode
	fi   fs.FileInfo
}

// learnHomes looks at the directories of the configuration.
func (k *Sink) learnHomes() {
	for _, name := range append(append([]string{k.cfg.Temp}, k.cfg.Dests...), k.cfg.Backups...) {
		if fi, err := os.Stat(name); name != "" && err == nil {
			k.homes = append(k.homes, home{name, fi.Mode() & (fs.ModePerm | fs.ModeSetgid | fs.ModeSticky), fi})
		}
	}
}

// remake makes a directory of the configuration that is gone.
func (k *Sink) remake(name string) error {
	for _, h := range k.homes {
		if h.name != name {
			continue
		}
		parent := filepath.Dir(name)
		r, err := os.OpenRoot(parent)
		if err != nil {
			return fmt.Errorf("%s is gone, and not made again: %w", name, err)
		}
		defer r.Close()
		up, last := dir{Root: r, path: parent}, filepath.Base(name)
		fi, err := r.Stat(".")
		if err == nil && !sameDevice(fi, h.fi) {
			err = fmt.Errorf("%s is on another file system than it was", parent)
		}
		if err == nil {
			err = up.Mkdir(last, 0o755)
		}
		if errors.Is(err, fs.ErrExist) {
			return nil // another session was faster, or it is a link that leads nowhere
		}
		if err == nil {
			r.Chmod(last, h.mode) // as far as that goes
			if k.durable {
				err = up.sync()
			}
		}
		if err != nil {
			return fmt.Errorf("%s is gone, and not made again: %w", name, err)
		}
		return nil
	}
	return fs.ErrNotExist
}

// forgetGone closes directories of the configuration that are gone, so that root makes
// them again.
func (s *Session) forgetGone() {
	for name, r := range s.roots {
		if _, err := os.Stat(name); errors.Is(err, fs.ErrNotExist) {
			r.Close()
			delete(s.roots, name)
		}
	}
}
