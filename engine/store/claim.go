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

// What a session has in the temporary directory belongs to one sender, its owner, and is
// used by one session at a time, which has the lock of the directory.
//
// The directory of an encrypted session has a name that is made from its owner,
// _group_GGGGGGGG.HHHH...: so nothing in clear, and nothing that another key began, ever
// gets there. A session in clear has _group_GGGGGGGG, where a stock daemon finds it, if
// that is free; _group_GGGGGGGG_owner tells whose it is. If it is another owner's, or in
// use, the session gets a directory like those of encrypted ones. What has no owner
// comes from a stock daemon or from one that was older than this: a session in clear may
// go on with it, if it is a restart, and nobody else touches it.

// Owner says whose a session is.
type Owner struct {
	Encrypted bool
	// Name tells owners apart: a digest of the sender's key, or in clear its UID and
	// address. An owner in clear without a name has what nobody else owns.
	Name string
}

// ownerSuffix is what the name of the file ends with that tells whose the directory of a
// session in clear is.
const ownerSuffix = "_owner"

const (
	maxOwner   = 1024 // length of an owner that is still read, bytes
	ownerHex   = 32   // digits of a digest in the name of a directory
	claimNames = 9    // sessions of one owner and group at once, in several processes
)

var (
	// errClaim says that a session gets no directory.
	errClaim = errors.New("all directories of this session are in use")
	// errOthers is why a session does not go on with what is there.
	errOthers = errors.New("nothing says that this sender began it")
)

// held is the directory of a session while it is in use.
type held struct {
	dir
	unlock func()
	owned  bool // what says whose it is, says that it is ours
	made   bool // by this session
}

func (h *held) release() {
	h.dir.close()
	h.unlock()
}

// groupName is the directory below Temp that holds what the session received. Before it
// is claimed it may still become another.
func (s *Session) groupName() string {
	if s.name == "" {
		return s.claimName(0)
	}
	return s.name
}

// stateName is the record beside it.
func (s *Session) stateName() string { return s.groupName() + recordSuffix }

// clearName is the directory that sessions in clear have, and stock daemons.
func (s *Session) clearName() string { return fmt.Sprintf("_group_%08X", s.key.Group) }

// claimName returns the i-th name that the directory of the session may have.
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

// groupEntry takes the name of something that a session has in Temp apart: the directory
// of the session, and what follows; group is "" if it is nothing of that kind.
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

// groupNumber returns the group of a directory that groupEntry has found.
func groupNumber(group string) uint32 {
	n, err := strconv.ParseUint(group[len("_group_"):][:8], 16, 32)
	if err != nil {
		panic(err)
	}
	return uint32(n)
}

// claim takes the directory of the session for it alone: what it, or an earlier instance
// of the same owner, has there, or with create a new one. Without create there may be none.
func (s *Session) claim(create bool, log *[]string) error {
	root, err := s.root(s.k.cfg.Temp)
	if err != nil {
		return err
	}
	if s.held == nil {
		free := s.claimOld(root, log)
		if s.held == nil && create {
			if err := s.claimNew(root, free); err != nil {
				return err
			}
		}
	}
	if !create || s.held.owned {
		return nil
	}
	if err := s.writeOwner(root); err != nil {
		return err
	}
	s.held.owned = true
	return s.settle(root) // what is received gets no name on disk before its directory and owner have one
}

// claimOld looks for a directory that is there, and returns the names that are free.
func (s *Session) claimOld(root dir, log *[]string) (free []string) {
	leave := func(name string, why error) {
		line := fmt.Sprintf("Leaving %s alone: %v", root.join(name), why)
		if !slices.Contains(s.left, line) { // it may be looked for again
			*log, s.left = append(*log, line), append(s.left, line)
		}
	}
	for i := range claimNames {
		name := s.claimName(i)
		if err := root.ours(name + recordSuffix); err != nil {
			leave(name+recordSuffix, err)
			continue
		}
		gone := !root.has(name)
		mine, _, err := s.mine(root, name)
		switch {
		case err != nil:
			leave(name, err)
		case !mine && !gone:
			leave(name, errOthers)
		case !mine && root.has(name+recordSuffix):
		case gone && root.has(name+doneSuffix): // it could not be marked as whole later
		case gone:
			free = append(free, name)
		default:
			h, err := s.hold(root, name)
			if errors.Is(err, errLocked) || errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err == nil { // now nobody else changes it
				if mine, h.owned, err = s.mine(root, name); err != nil || !mine {
					h.release()
				}
			}
			if err != nil {
				leave(name, err)
				continue
			}
			if mine {
				s.name, s.held = name, h
				return nil
			}
		}
	}
	if name := s.clearName(); s.key.Owner.Encrypted && s.key.Instance > 0 && root.has(name) && !root.has(name+ownerSuffix) {
		leave(name, errOthers) // a stock daemon, or one that was older than this, may have had it for this sender
	}
	return free
}

// claimNew makes a directory under one of the names that are free.
func (s *Session) claimNew(root dir, free []string) error {
	for _, name := range free {
		if err := root.Mkdir(name, 0o700); errors.Is(err, fs.ErrExist) {
			continue // since a moment
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
		h.made = true
		s.name, s.held = name, h
		return nil
	}
	return errClaim
}

// hold opens and locks directory name, if it still has that name then and is still ours.
func (s *Session) hold(root dir, name string) (*held, error) {
	d, err := root.sub(name)
	if err != nil {
		return nil, err
	}
	unlock, err := d.lock()
	if err != nil {
		d.close()
		return nil, err
	}
	h := &held{dir: d, unlock: unlock}
	id, err := d.Stat(".")
	if err == nil && !root.holds(name, id) {
		err = errLocked // whoever had the lock has given it another name
	}
	if err != nil {
		h.release()
		return nil, err
	}
	return h, nil
}

// plainName is the name of the directory that does not tell its owner.
func (s *Session) plainName() string {
	if s.key.Owner.Encrypted {
		return ""
	}
	return s.clearName()
}

// mine reports whether the directory called name is the session's, and whether that is
// written down: if it is nobody's it may become its.
func (s *Session) mine(root dir, name string) (mine, written bool, err error) {
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

// readOwner returns whose directory name is, as it was written down.
func readOwner(root dir, name string) (string, error) {
	h, _, err := root.openRegular(name+ownerSuffix, os.O_RDONLY)
	if err != nil {
		return "", err
	}
	defer h.Close()
	data, err := io.ReadAll(io.LimitReader(h, maxOwner))
	return strings.TrimSuffix(string(data), "\n"), err
}

// writeOwner writes down that the directory of the session is its own.
func (s *Session) writeOwner(root dir) error {
	if s.name != s.plainName() || s.key.Owner.Name == "" {
		return nil
	}
	return root.replace(s.name+ownerSuffix, []byte(s.key.Owner.Name+"\n"))
}

// disown removes what says whose the directory called name was, if that is gone.
func (d dir) disown(name string) error {
	if d.has(name) || d.has(name+recordSuffix) || d.ours(name+ownerSuffix) != nil {
		return nil
	}
	return remove(d, name+ownerSuffix)
}

// has reports whether there is an entry called name, or may be.
func (d dir) has(name string) bool {
	_, err := d.Lstat(name)
	return !errors.Is(err, fs.ErrNotExist)
}

// ours returns why an entry is to be left alone; one that is missing is fine.
func (d dir) ours(name string) error {
	fi, err := d.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = d.trust.check(fi)
	}
	return err
}

// replace replaces file name by one that holds data and has reached the disk, in one step.
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

// start returns the directory from which the walk to p begins, and the elements that it
// goes through. In the temporary directory it is the one that the session holds: another
// that got its name meanwhile does not count.
func (s *Session) start(p place) (dir, []string, error) {
	if p.skip > 0 && s.held != nil {
		d := s.held.dir
		d.owned = false
		return d, p.elems[p.skip:], nil
	}
	d, err := s.root(p.root)
	return d, p.elems, err
}
