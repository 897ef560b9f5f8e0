package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// A directory of the configuration may be removed while a receiver runs. It is created again, as
// stock daemons do. But it may be missing because its disk was unmounted, and then received files
// must not fill the disk below the mount point. So its parent must still exist, on the file system
// where the directory was.

// configDir is a directory of the configuration as it was at the start.
type configDir struct {
	name string
	mode fs.FileMode
	fi   fs.FileInfo
}

// learnConfigDirs looks at the directories of the configuration.
func (k *Sink) learnConfigDirs() {
	for _, name := range append(append([]string{k.cfg.Temp}, k.cfg.Dests...), k.cfg.Backups...) {
		if fi, err := os.Stat(name); name != "" && err == nil {
			k.configDirs = append(k.configDirs, configDir{name, fi.Mode() & (fs.ModePerm | fs.ModeSetgid | fs.ModeSticky), fi})
		}
	}
}

// remake creates a missing directory of the configuration again.
func (k *Sink) remake(name string) error {
	for _, h := range k.configDirs {
		if h.name != name {
			continue
		}
		parent := filepath.Dir(name)
		r, err := os.OpenRoot(parent)
		if err != nil {
			return fmt.Errorf("%s is missing and was not created again: %w", name, err)
		}
		defer r.Close()
		up, last := dir{Root: r, path: parent}, filepath.Base(name)
		fi, err := r.Stat(".")
		if err == nil && !sameDevice(fi, h.fi) {
			err = fmt.Errorf("%s is not on the file system where it was at the start", parent)
		}
		if err == nil {
			err = up.Mkdir(last, 0o755)
		}
		if errors.Is(err, fs.ErrExist) {
			return nil // another session was faster, or it is a link that leads nowhere
		}
		if err == nil {
			r.Chmod(last, h.mode) // an error does no harm
			if k.durable {
				err = up.sync()
			}
		}
		if err != nil {
			return fmt.Errorf("%s is missing and was not created again: %w", name, err)
		}
		return nil
	}
	return fs.ErrNotExist
}

// forgetGone closes directories of the configuration that were removed, so that root creates
// them again.
func (s *Session) forgetGone() {
	for name, r := range s.roots {
		if _, err := os.Stat(name); errors.Is(err, fs.ErrNotExist) {
			r.Close()
			delete(s.roots, name)
		}
	}
}
