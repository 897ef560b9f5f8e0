//go:build unix

package outfile

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

const nonblock = unix.O_NONBLOCK

// linksMax bounds the links that are followed on the way to a file.
const linksMax = 40

// reach is the set of users that can write to a directory.
type reach int

const (
	reachOwn   reach = iota // root and our user
	reachGroup              // a group too
	reachAll                // everybody, or another user
)

// ours reports whether something belongs to root or to our user.
func ours(st *unix.Stat_t) bool { return st.Uid == 0 || int(st.Uid) == os.Geteuid() }

func reachOf(st *unix.Stat_t) reach {
	switch {
	case !ours(st) || st.Mode&0o002 != 0:
		return reachAll
	case st.Mode&0o020 != 0:
		return reachGroup
	}
	return reachOwn
}

// place is the place of a file, with all links resolved.
type place struct {
	path  string // as it was given
	given bool   // open it by path
	dir   int    // open directory, -1 if none
	reach reach  // of dir
	owner uint32 // of dir
	name  string // in dir
}

func (p *place) close() {
	if p.dir >= 0 {
		unix.Close(p.dir)
		p.dir = -1
	}
}

func (p *place) fail(why string) error { return &UnsafeError{p.path, why} }

func (p *place) sysError(op string, err error) error {
	return &fs.PathError{Op: op, Path: p.path, Err: err}
}

// enter moves to a directory below the current one, or to a first one.
func (p *place) enter(name string) error {
	at := p.dir
	if at < 0 {
		at = unix.AT_FDCWD
	}
	open := func(how int) (int, error) {
		return retry(func() (int, error) {
			return unix.Openat(at, name, how|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		})
	}
	fd, err := open(openDir)
	if err == unix.EACCES && searchDir != 0 {
		fd, err = open(searchDir)
	}
	if err != nil {
		return p.sysError("open", err)
	}
	p.close()
	p.dir = fd
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return p.sysError("stat", err)
	}
	p.reach, p.owner = reachOf(&st), st.Uid
	return nil
}

// start enters the directory where a path begins.
func (p *place) start(path string) error {
	p.close()
	if strings.HasPrefix(path, "/") {
		return p.enter("/")
	}
	return p.enter(".")
}

// find walks to the directory of a file. The caller closes the place.
func find(path string) (p place, err error) {
	p = place{path: path, dir: -1}
	if Given(path) {
		p.given = true
		return p, nil
	}
	if path == "" {
		return p, p.sysError("open", unix.ENOENT)
	}
	if err := p.start(path); err != nil {
		return p, err
	}
	rest := path
	for links := 0; ; {
		rest = strings.TrimLeft(rest, "/")
		name, after, more := strings.Cut(rest, "/")
		if name == "" || !more && (name == "." || name == "..") {
			return p, p.sysError("open", unix.EISDIR)
		}
		last := !more || strings.Trim(after, "/") == ""
		if last && more {
			return p, p.sysError("open", unix.EISDIR)
		}
		if name == "." {
			rest = after
			continue
		}
		var st unix.Stat_t
		err := unix.Fstatat(p.dir, name, &st, unix.AT_SYMLINK_NOFOLLOW)
		switch {
		case last && errors.Is(err, unix.ENOENT):
			p.name = name
			return p, nil
		case err != nil:
			return p, p.sysError("stat", err)
		case st.Mode&unix.S_IFMT == unix.S_IFLNK:
			if links++; links > linksMax {
				return p, p.sysError("open", unix.ELOOP)
			}
			if !p.follows(&st, last) {
				return p, p.fail("is behind a link that another user may have made: it is not followed")
			}
			to, err := readlink(p.dir, name)
			if err != nil {
				return p, p.sysError("readlink", err)
			}
			if last && Given(to) {
				p.path, p.given = to, true
				return p, nil
			}
			if strings.HasPrefix(to, "/") {
				if err := p.start(to); err != nil {
					return p, err
				}
			}
			if rest = to; !last {
				rest += "/" + after
			}
		case last:
			p.name = name
			return p, nil
		default:
			if err := p.enter(name); err != nil {
				return p, err
			}
			rest = after
		}
	}
}

// follows reports whether a link in the current directory may be followed. Where a group can write,
// as in the log directory of some systems, links of root and ours are followed. Where everybody can
// write, no link to a file is followed, whoever owns it.
func (p *place) follows(link *unix.Stat_t, last bool) bool {
	if p.reach == reachOwn {
		return true
	}
	return ours(link) && link.Nlink == 1 && !(last && p.reach == reachAll)
}

func readlink(dir int, name string) (string, error) {
	b := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(dir, name, b)
	if err != nil {
		return "", err
	}
	return string(b[:n]), nil
}

// retry repeats a call that a signal has interrupted.
func retry(call func() (int, error)) (int, error) {
	for {
		if n, err := call(); err != unix.EINTR {
			return n, err
		}
	}
}

// open opens a file by the rules of the package comment; flags must not have O_TRUNC. With wait it
// waits for the reader of a named pipe.
func open(path string, flags int, perm fs.FileMode, wait bool) (*os.File, error) {
	p, err := find(path)
	defer p.close()
	if err != nil {
		return nil, err
	}
	if p.given {
		return openGiven(p.path, flags, perm)
	}
	return p.open(flags, perm, wait)
}

// openGiven opens what the system or our parent process has open. A socket cannot be opened by a
// name, and a process that has changed its user may not open the pipe that it was started with.
func openGiven(path string, flags int, perm fs.FileMode) (*os.File, error) {
	f, err := os.OpenFile(path, flags, perm)
	fd, ok := standing(path)
	if err == nil || !ok || !errors.Is(err, unix.ENXIO) && !errors.Is(err, unix.EACCES) {
		return f, err
	}
	mode, ferr := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if ferr != nil || mode&unix.O_ACCMODE == unix.O_RDONLY {
		return nil, err
	}
	own, ferr := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
	if ferr != nil {
		return nil, err
	}
	return os.NewFile(uintptr(own), path), nil
}

func (p *place) open(flags int, perm fs.FileMode, wait bool) (*os.File, error) {
	flags |= unix.O_NOFOLLOW | unix.O_CLOEXEC
	fd, err := retry(func() (int, error) { return unix.Openat(p.dir, p.name, flags|unix.O_NONBLOCK, uint32(perm)) })
	if err == unix.ENXIO && wait && p.reach == reachOwn {
		fd, err = retry(func() (int, error) { return unix.Openat(p.dir, p.name, flags, uint32(perm)) })
	}
	if err != nil {
		return nil, p.sysError("open", err)
	}
	var st unix.Stat_t
	if err = unix.Fstat(fd, &st); err != nil {
		err = p.sysError("stat", err)
	} else {
		err = p.check(&st)
	}
	if err == nil {
		err = unix.SetNonblock(fd, false)
	}
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), p.path), nil
}

// check returns why an opened file must not be written.
func (p *place) check(st *unix.Stat_t) error {
	switch regular := st.Mode&unix.S_IFMT == unix.S_IFREG; {
	case p.reach == reachOwn:
	case !ours(st) && st.Uid != p.owner:
		return p.fail("belongs to another user, in a directory that others can write")
	case !regular && p.reach == reachAll:
		return p.fail("is no regular file, in a directory that others can write")
	case regular && st.Nlink > 1:
		return p.fail("has a second name, in a directory that others can write")
	}
	return nil
}

// Replace writes a file in one step: readers find either the old or the new content. If it cannot
// create a new file, and for devices, it overwrites the existing one.
func Replace(path string, data []byte, perm fs.FileMode) error {
	p, err := find(path)
	defer p.close()
	if err != nil {
		return err
	}
	if p.given {
		return p.overwrite(data, perm)
	}
	var st unix.Stat_t
	err = unix.Fstatat(p.dir, p.name, &st, unix.AT_SYMLINK_NOFOLLOW)
	switch {
	case err == nil && st.Mode&unix.S_IFMT != unix.S_IFREG:
		return p.overwrite(data, perm)
	case err == nil:
		if err := p.check(&st); err != nil {
			return err
		}
	}
	fresh := "." + p.name + ".~" + rand.Text()
	fd, err := retry(func() (int, error) {
		return unix.Openat(p.dir, fresh, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, uint32(perm))
	})
	if err != nil {
		return p.overwrite(data, perm)
	}
	f := os.NewFile(uintptr(fd), fresh)
	_, err = f.Write(data)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = unix.Renameat(p.dir, fresh, p.dir, p.name)
	}
	if err != nil {
		unix.Unlinkat(p.dir, fresh, 0)
		return err
	}
	return nil
}

// overwrite writes an existing file.
func (p *place) overwrite(data []byte, perm fs.FileMode) (err error) {
	var f *os.File
	if p.given {
		f, err = openGiven(p.path, os.O_WRONLY, 0)
	} else {
		f, err = p.open(os.O_WRONLY|os.O_CREATE, perm, false)
	}
	if err != nil {
		return err
	}
	if info, serr := f.Stat(); serr == nil && info.Mode().IsRegular() {
		err = f.Truncate(0)
	}
	if err == nil {
		_, err = f.Write(data)
	}
	return errors.Join(err, f.Close())
}
