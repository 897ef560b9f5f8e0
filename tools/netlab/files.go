//go:build linux

package netlab

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sort"
)

// ErrDiffer reports files or trees that are not equal.
var ErrDiffer = errors.New("netlab: files differ")

// WriteRandom writes size bytes that depend on seed only, with mode 0644, and
// makes missing parent directories.
func WriteRandom(path string, size int64, seed uint64) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<16)
	_, err = io.CopyN(w, randomReader(seed), size)
	return errors.Join(err, w.Flush(), f.Close())
}

func randomReader(seed uint64) io.Reader {
	var key [32]byte
	for i := range 8 {
		key[i] = byte(seed >> (8 * i))
	}
	return rand.NewChaCha8(key)
}

// Sum is the SHA-256 of a file.
func Sum(path string) ([32]byte, error) {
	var sum [32]byte
	f, err := os.Open(path)
	if err != nil {
		return sum, err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return sum, err
	}
	return [32]byte(h.Sum(nil)), nil
}

// SameFile compares content and modification time in whole seconds. It wants
// got to be a regular file with mode 0644.
func SameFile(want, got string) error {
	if err := SameContent(want, got); err != nil {
		return err
	}
	w, err := os.Stat(want)
	if err != nil {
		return err
	}
	g, err := os.Lstat(got)
	if err != nil {
		return err
	}
	if g.Mode() != 0o644 {
		return fmt.Errorf("%w: %s has mode %v, not -rw-r--r--", ErrDiffer, got, g.Mode())
	}
	if w.ModTime().Unix() != g.ModTime().Unix() {
		return fmt.Errorf("%w: %s has time %v, not %v", ErrDiffer, got, g.ModTime(), w.ModTime())
	}
	return nil
}

// SameContent compares the bytes of two files.
func SameContent(want, got string) error {
	w, err := Sum(want)
	if err != nil {
		return err
	}
	g, err := Sum(got)
	if err != nil {
		return err
	}
	if w != g {
		wi, _ := os.Stat(want)
		gi, _ := os.Stat(got)
		return fmt.Errorf("%w: %s (%d bytes) is not %s (%d bytes)", ErrDiffer, got, gi.Size(), want, wi.Size())
	}
	return nil
}

// List names what is below dir, sorted: directories end in /, links read
// "name -> text". Only empty directories are listed, as UFTP sends them; dir
// itself is not.
func List(dir string) ([]string, error) {
	var names []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil || rel == "." {
			return err
		}
		switch {
		case d.IsDir():
			entries, err := os.ReadDir(path)
			if err != nil || len(entries) > 0 {
				return err
			}
			rel += "/"
		case d.Type() == fs.ModeSymlink:
			text, err := os.Readlink(path)
			if err != nil {
				return err
			}
			rel += " -> " + text
		case !d.Type().IsRegular():
			rel += " (special)"
		}
		names = append(names, rel)
		return nil
	})
	sort.Strings(names)
	return names, err
}

// SameTree compares everything below two directories: names, links as links,
// content, times and mode 0644 of files, mode 0755 of directories.
func SameTree(want, got string) error {
	w, err := List(want)
	if err != nil {
		return err
	}
	g, err := List(got)
	if err != nil {
		return err
	}
	if fmt.Sprint(w) != fmt.Sprint(g) {
		return fmt.Errorf("%w: %s holds %q, %s holds %q", ErrDiffer, got, g, want, w)
	}
	return filepath.WalkDir(want, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(want, path)
		if err != nil || rel == "." {
			return err
		}
		other := filepath.Join(got, rel)
		switch {
		case d.Type().IsRegular():
			return SameFile(path, other)
		case d.IsDir():
			st, err := os.Lstat(other)
			if err != nil {
				return err
			}
			if st.Mode() != fs.ModeDir|0o755 {
				return fmt.Errorf("%w: %s has mode %v, not drwxr-xr-x", ErrDiffer, other, st.Mode())
			}
		}
		return nil
	})
}
