package store

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
)

// The directory of a session in the temporary directory belongs to one sender, its owner, and
// one session at a time uses it and holds its lock.
//
// An encrypted session's directory is named after its owner, _group_GGGGGGGG.HHHH..., so no
// session in clear and no session with another key ever uses it. A session in clear uses
// _group_GGGGGGGG, where a stock daemon looks too, and _group_GGGGGGGG_owner names the owner. If
// that directory is in use or has another owner, the session gets one named after its owner. A
// directory without an owner comes from a stock daemon or an old version of uftpd: only a
// restarted session in clear may continue it.

// Owner identifies the sender of a session.
type Owner struct {
	Encrypted bool
	// Name tells owners apart: a digest of the sender's key, or in clear its UID and address.
	// A session in clear without a name uses the directory that has no owner.
	Name string
}

// ownerSuffix ends the name of the file that names the owner of a directory in clear.
const ownerSuffix = "_owner"

const (
	maxOwner   = 1024 // bytes of an owner file that are read
	ownerHex   = 32   // hex digits of the digest in a directory's name
	claimNames = 9    // sessions of one owner and group at the same time, over all processes
)

var (
	// errClaim means that a session gets no directory.
	errClaim = errors.New("all directories of this session are in use")
	// errNotOurs is why a session does not continue with what is there.
	errNotOurs = errors.New("there is no record that this sender began it")
)

// claimedDir is the directory of a session while it is in use.
type claimedDir struct {
	dir
	unlock       func()
	ownerWritten bool // the owner file names our owner, or none is needed
	isNew        bool // this session created it
}

func (h *claimedDir) release() {
	h.dir.close()
	h.unlock()
}

// groupName returns the name of the session's directory below Temp. Until the directory is
// claimed the name may still change.
func (s *Session) groupName() string {
	if s.name == "" {
		return s.claimName(0)
	}
	return s.name
}

// recordName is the record beside it.
func (s *Session) recordName() string { return s.groupName() + recordSuffix }

// clearName is the directory of sessions in clear, and of stock daemons.
func (s *Session) clearName() string { return fmt.Sprintf("_group_%08X", s.key.Group) }

// claimName returns the i-th name that the session's directory may have.
func (s *Session) claimName(i int) string {
	plain := s.clearName()
	if !s.key.Owner.Encrypted {
		if i == 0 {
			return plain
		}
		i--
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%t %s", s.key.Owner.Encrypted, s.key.Owner.Name))
	name := fmt.Sprintf("%s.%X", plain, sum[:ownerHex/2])
	if i > 0 {
		name += fmt.Sprintf(".%d", i+1)
	}
	return name
}

// groupEntry splits the name of an entry of Temp: group is the name of a session's directory,
// kind the suffix behind it. group is "" if name has another form.
func groupEntry(name string) (group, kind string) {
	const mark = "_group_"
	n := len(mark) + 8
	if len(name) < n || !strings.HasPrefix(name, mark) || !isHex(name[len(mark):n]) {
		return "", ""
	}
	if more := n + 1 + ownerHex; len(name) >= more && name[n] == '.' && isHex(name[n+1:more]) {
		if n = more; len(name) >= n+2 && name[n] == '.' && isHex(name[n+1:n+2]) {
			n += 2
		}
	}
	return name[:n], name[n:]
}

// groupNumber returns the number of a group that groupEntry returned.
func groupNumber(group string) uint32 {
	n, err := strconv.ParseUint(group[len("_group_"):][:8], 16, 32)
	if err != nil {
		panic(err)
	}
	return uint32(n)
}

// claim locks the session's directory: the one that it or an earlier instance of the same owner
// has, or with create a new one. Without create there may be none.
func (s *Session) claim(create bool, log *[]string) error {
	root, err := s.root(s.k.cfg.Temp)
	if err != nil {
		return err
	}
	if s.claimed == nil {
		free := s.claimOld(root, log)
		if s.claimed == nil && create {
			if err := s.claimNew(root, free); err != nil {
				return err
			}
		}
	}
	if !create || s.claimed.ownerWritten {
		return nil
	}
	if err := s.writeOwner(root); err != nil {
		return err
	}
	s.claimed.ownerWritten = true
	return s.syncIfDurable(root) // directory and owner must be durable before the names of received files are
}

// claimOld looks for an existing directory, and returns the names that are free.
func (s *Session) claimOld(root dir, log *[]string) (free []string) {
	leave := func(name string, why error) {
		line := fmt.Sprintf("Leaving %s alone: %v", root.join(name), why)
		if !slices.Contains(s.leftAlone, line) { // claimOld may run again
			*log, s.leftAlone = append(*log, line), append(s.leftAlone, line)
		}
	}
	for i := range claimNames {
		name := s.claimName(i)
		if err := root.checkTrust(name + recordSuffix); err != nil {
			leave(name+recordSuffix, err)
			continue
		}
		gone := !root.has(name)
		mine, _, err := s.owns(root, name)
		switch {
		case err != nil:
			leave(name, err)
		case !mine && !gone:
			leave(name, errNotOurs)
		case !mine && root.has(name+recordSuffix):
		case gone && root.has(name+doneSuffix): // free, but a session there could not be marked as done later
		case gone:
			free = append(free, name)
		default:
			h, err := s.hold(root, name)
			if errors.Is(err, errLocked) || errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err == nil { // with the lock, nobody else changes it
				if mine, h.ownerWritten, err = s.owns(root, name); err != nil || !mine {
					h.release()
				}
			}
			if err != nil {
				leave(name, err)
				continue
			}
			if mine {
				s.name, s.claimed = name, h
				return nil
			}
		}
	}
	if name := s.clearName(); s.key.Owner.Encrypted && s.key.Instance > 0 && root.has(name) && !root.has(name+ownerSuffix) {
		leave(name, errNotOurs) // it may be this sender's, from a stock daemon or an old version
	}
	return free
}

// claimNew creates a directory under one of the free names.
func (s *Session) claimNew(root dir, free []string) error {
	for _, name := range free {
		if err := root.Mkdir(name, 0o700); errors.Is(err, fs.ErrExist) {
			continue // another process was faster
		} else if err != nil {
			return err
		}
		h, err := s.hold(root, name)
		if errors.Is(err, errLocked) || errors.Is(err, fs.ErrNotExist) {
			continue // another process was faster
		}
		if err != nil {
			return err
		}
		h.isNew = true
		s.name, s.claimed = name, h
		return nil
	}
	return errClaim
}

// hold opens and locks directory name. With the lock it checks that the name still refers to
// that directory.
func (s *Session) hold(root dir, name string) (*claimedDir, error) {
	d, err := root.sub(name)
	if err != nil {
		return nil, err
	}
	unlock, err := d.lock()
	if err != nil {
		d.close()
		return nil, err
	}
	h := &claimedDir{dir: d, unlock: unlock}
	id, err := d.Stat(".")
	if err == nil && !root.holds(name, id) {
		err = errLocked // the previous holder of the lock has renamed it
	}
	if err != nil {
		h.release()
		return nil, err
	}
	return h, nil
}

// plainName is the directory name that does not contain the owner, "" for encrypted sessions.
func (s *Session) plainName() string {
	if s.key.Owner.Encrypted {
		return ""
	}
	return s.clearName()
}

// owns reports whether the session may use the directory called name, and whether its owner is
// written down. A session may become the owner of a directory that has none.
func (s *Session) owns(root dir, name string) (mine, written bool, err error) {
	if name != s.plainName() {
		return true, true, nil
	}
	owner, err := readOwner(root, name)
	if errors.Is(err, fs.ErrNotExist) {
		mine = s.key.Owner.Name == "" || s.key.Instance > 0 || !root.has(name) && !root.has(name+recordSuffix)
		return mine, false, nil
	}
	mine = err == nil && owner == s.key.Owner.Name
	return mine, mine, err
}

// readOwner returns the owner that is written down for directory name.
func readOwner(root dir, name string) (string, error) {
	h, _, err := root.openRegular(name+ownerSuffix, os.O_RDONLY)
	if err != nil {
		return "", err
	}
	defer h.Close()
	data, err := io.ReadAll(io.LimitReader(h, maxOwner))
	return strings.TrimSuffix(string(data), "\n"), err
}

// writeOwner writes the owner file of the session's directory.
func (s *Session) writeOwner(root dir) error {
	if s.name != s.plainName() || s.key.Owner.Name == "" {
		return nil
	}
	return root.replace(s.name+ownerSuffix, []byte(s.key.Owner.Name+"\n"))
}

// disown removes the owner file of directory name if that directory is gone.
func (d dir) disown(name string) error {
	if d.has(name) || d.has(name+recordSuffix) || d.checkTrust(name+ownerSuffix) != nil {
		return nil
	}
	return remove(d, name+ownerSuffix)
}

// has reports whether entry name exists, or may exist.
func (d dir) has(name string) bool {
	_, err := d.Lstat(name)
	return !errors.Is(err, fs.ErrNotExist)
}

// checkTrust returns why an entry must be left alone. One that does not exist is fine.
func (d dir) checkTrust(name string) error {
	fi, err := d.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = d.trust.check(fi)
	}
	return err
}

// replace replaces file name by a durable one that holds data, in one step.
func (d dir) replace(name string, data []byte) error {
	temp := name + ".~new"
	if err := remove(d, temp); err != nil {
		return err
	}
	h, err := d.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	err = call{op: "write", file: h, n: int64(len(data))}.make(func() error {
		_, err := h.Write(data)
		return err
	})
	if err == nil {
		err = call{op: "syncdata", file: h}.make(h.Sync)
	}
	err = errors.Join(err, h.Close())
	if err == nil {
		err = d.Rename(temp, name)
	}
	if err != nil {
		d.Remove(temp)
	}
	return err
}

// start returns the directory where the walk to p starts, and the elements to walk. In the
// temporary directory that is the directory that the session has claimed, even if another one
// has got its name since.
func (s *Session) start(p place) (dir, []string, error) {
	if p.skip > 0 && s.claimed != nil {
		d := s.claimed.dir
		d.owned = false
		return d, p.elems[p.skip:], nil
	}
	d, err := s.root(p.root)
	return d, p.elems, err
}
