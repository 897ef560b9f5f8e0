package store

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"

	"uftp/wire"
)

// Texts of the steps, as the stock daemon logs them.
const (
	logInSync    = "skipping file, in sync"
	logOverwrite = "overwriting out of sync file"
	logCopy      = "copying new file"
	logPreview   = "Sync preview mode, skipping receive"
)

// errBusy is a mistake of the caller: a session receives one file at a time.
var errBusy = errors.New("store: Open while a file of the session is open")

// Open does what a FILEINFO asks for (v4-receiver.md section 4). It either
// completes the request or returns a file to be received; the session has no
// other file open then. A preview changes nothing on disk.
func (s *Session) Open(req Request) (Answer, *File) {
	if s.open != nil {
		panic(errBusy)
	}
	var a Answer
	s.preview = req.Preview
	s.forgetGone()
	f, err := s.answer(req, &a)
	s.preview = false
	if err != nil {
		var known stockError
		switch {
		case isNoSpace(err):
			err = fmt.Errorf("%w: %s", ErrNoSpace, req.Name)
		case !errors.As(err, &known):
			err = fmt.Errorf("%s: %w", req.Name, err)
		}
		return Answer{Complete: true, Status: wire.StatusRejected, Text: err.Error(), Log: a.Log}, nil
	}
	a.Complete = f == nil
	s.open = f
	return a, f
}

// answer fills a. An error rejects the request.
func (s *Session) answer(req Request, a *Answer) (*File, error) {
	if s.k.cfg.Temp != "" {
		if err := s.claim(false, &a.Log); err != nil {
			return nil, err
		}
	}
	p, err := s.locate(req.Name)
	if err != nil {
		return nil, err
	}
	if p.isRoot() && (req.Type == wire.TypeFile || req.Type == wire.TypeLink || req.Type == wire.TypeDelete) {
		return nil, errNameSelf
	}
	if p.skip > 0 && !p.isRoot() && (req.Type == wire.TypeFile || req.Type == wire.TypeLink || req.Type == wire.TypeDir) {
		if err := s.movable(p, req.Type); err != nil {
			return nil, err
		}
	}
	switch req.Type {
	case wire.TypeFile:
		return s.answerFile(req, p, a)
	case wire.TypeDir:
		return nil, s.answerDir(req, p, a)
	case wire.TypeLink:
		return nil, s.answerLink(req, p, a)
	case wire.TypeDelete:
		return nil, s.answerDelete(req, p, a)
	case wire.TypeFreeSpace:
		return nil, s.answerSpace(p, a)
	}
	return nil, stockError(fmt.Sprintf("Invalid file type: %d", req.Type))
}

// answerDir makes an empty directory. One that exists is left alone; below a
// temporary directory it may come from an earlier instance and is new to the user.
func (s *Session) answerDir(req Request, p place, a *Answer) error {
	at, fi, err := s.find(p)
	if err != nil {
		return err
	}
	at.close()
	a.Log = append(a.Log, "Empty directory")
	if req.Preview {
		return nil
	}
	if err := s.prepare(p, req.Resume, &a.Log); err != nil {
		return err
	}
	if fi != nil && fi.IsDir() {
		if p.skip == 0 {
			a.Status = wire.StatusSkipped
		}
		return nil
	}
	if p.isRoot() {
		return nil // the directory of the group, which now exists
	}
	a.Log = append(a.Log, "Creating directory")
	in, err := s.parent(p, &a.Log)
	if err != nil {
		return err
	}
	defer in.close()
	return s.makeDir(in, p, &a.Log)
}

// answerLink makes a symbolic link under a temporary name and moves it to its place.
func (s *Session) answerLink(req Request, p place, a *Answer) error {
	if !s.k.cfg.AllowOutsideLinks || req.Link == "" {
		if err := checkLink(p, req.Link); err != nil {
			return err
		}
	}
	at, fi, err := s.find(p)
	if err != nil {
		return err
	}
	err = s.blocked(at, fi, p)
	at.close()
	if err != nil {
		return err
	}
	a.Log = append(a.Log, "Symbolic link to "+req.Link)
	if req.Preview {
		return nil
	}
	if err := s.prepare(p, req.Resume, &a.Log); err != nil {
		return err
	}
	in, err := s.parent(p, &a.Log)
	if err != nil {
		return err
	}
	defer in.close()
	if err := s.makeLink(req.Link, in, p, &a.Log); err != nil {
		return err
	}
	return s.settle(in)
}

// makeLink puts a link into its place. Nothing locks links: if somebody makes the same
// one, or left it when he was killed, this one gets a name beside his. When all names
// are taken, nobody can be alive who has them all: the last one goes.
func (s *Session) makeLink(text string, in dir, p place, log *[]string) (err error) {
	var temp string
	for i := range tempNames {
		temp = scratchName(p.last(), s.key.Group, numbered(scratchLink, i))
		if err = in.Symlink(text, temp); !errors.Is(err, fs.ErrExist) {
			break
		}
	}
	if errors.Is(err, fs.ErrExist) {
		if err := in.Remove(temp); err != nil {
			return err
		}
		err = in.Symlink(text, temp)
	}
	if err != nil {
		return err
	}
	if err := s.install(in, temp, in, p, log); err != nil {
		in.Remove(temp)
		return err
	}
	return nil
}

// answerDelete removes what stands at p, whatever it is; nothing there is fine.
func (s *Session) answerDelete(req Request, p place, a *Answer) error {
	in, fi, err := s.find(p)
	if err != nil {
		return err
	}
	defer in.close()
	a.Log = append(a.Log, "Deleting file/directory")
	if fi == nil || req.Preview {
		return nil
	}
	if err := s.displace(in, fi, p, &a.Log); err != nil {
		return err
	}
	return s.settle(in)
}

// answerSpace tells the free space where p is, or would be.
func (s *Session) answerSpace(p place, a *Answer) error {
	at, fi, err := s.find(p)
	if err != nil {
		return err
	}
	defer at.close()
	a.Log = append(a.Log, "Get free space for path")
	if len(p.elems) > 0 && fi != nil && fi.IsDir() {
		// The path may be where another file system is mounted.
		if d, err := at.sub(p.last()); err == nil {
			defer d.close()
			at = d
		}
	}
	a.HasSpace = true
	n, ok := freeSpace(at)
	if !ok || n > math.MaxInt64 {
		n = math.MaxInt64 // v4-wire.md, FREESPACE_INFO: unknown
	}
	a.FreeSpace = n
	return nil
}

// answerFile decides whether a regular file is wanted and opens what it is received into.
func (s *Session) answerFile(req Request, p place, a *Answer) (*File, error) {
	at, fi, err := s.find(p)
	if err != nil {
		return nil, err
	}
	defer func() { at.close() }()
	if req.Sync {
		var wanted bool
		if a.Status, wanted = s.compare(req, fi, &a.Log); !wanted {
			return nil, nil
		}
	}
	if err := s.blocked(at, fi, p); err != nil {
		return nil, err
	}
	if req.Preview {
		a.Log = append(a.Log, logPreview)
		return nil, nil
	}
	if p.skip > 0 {
		if err := s.prepare(p, req.Resume, &a.Log); err != nil {
			return nil, err
		}
		if f, err := s.takeUp(req, p, a); f != nil || err != nil {
			return f, err
		}
		// The directory of the group may be new, and its partial file was moved aside.
		at.close()
		if at, fi, err = s.find(p); err != nil {
			at = dir{}
			return nil, err
		}
		if req.Resume && s.past.trusts(req, fi) && at.trust.check(fi) == nil {
			return nil, nil
		}
	}
	if err := fits(req, at, req.Size); err != nil {
		return nil, err
	}
	if p.skip == 0 {
		a.Log = append(a.Log, s.k.left.clear(at)...)
	}
	f, err := s.create(req, p, at)
	if err == nil {
		at = dir{} // now the file's
	}
	return f, err
}

// fits reports whether there is space for n bytes of a file now. Others may take it
// before the data come.
func fits(req Request, at dir, n int64) error {
	if free, ok := freeSpace(at); ok && uint64(max(n, 0)) > free {
		return fmt.Errorf("%w: %s needs %d bytes, %d are free", ErrNoSpace, req.Name, n, free)
	}
	return nil
}

// compare decides by time stamps (v4-receiver.md section 4.2) whether a file is
// wanted that would replace old, nil if there is none. Both stamps are taken for what 32
// bits can say: what no sender can reach would be newer than all files for ever.
func (s *Session) compare(req Request, old fs.FileInfo, log *[]string) (status wire.CompleteStatus, wanted bool) {
	if old == nil {
		*log = append(*log, logCopy)
		return wire.StatusNormal, true
	}
	same := old.Mode().IsRegular() && old.Size() == req.Size
	theirs, ours := unixOf(req.MTime, s.key.Started), unixOf(uint32(old.ModTime().Unix()), s.key.Started)
	if req.MTime == 0 {
		theirs = ours // none is given: the size has to tell
	}
	if theirs < ours || theirs == ours && same {
		*log = append(*log, logInSync)
		return wire.StatusSkipped, false
	}
	*log = append(*log, logOverwrite)
	return wire.StatusOverwrite, true
}

// prepare makes the directory of the session, in which p will be, and, once a session,
// reads what an earlier instance left. Without a temporary directory there is nothing to do.
func (s *Session) prepare(p place, resume bool, log *[]string) error {
	if s.k.cfg.Temp == "" {
		return nil
	}
	root, err := s.root(s.k.cfg.Temp)
	if err != nil {
		return err
	}
	if err := s.claim(true, log); err != nil {
		return err
	}
	p.elems[0] = s.groupName()        // another, if it was claimed only now
	if !s.past.read && !s.held.made { // whoever made what is there may have been killed before he synced it
		if err := s.settleTree(root, s.groupName()); err != nil {
			return err
		}
	}
	return s.recall(root, resume, log)
}

// settle makes a change of the entries of d durable, if that is wanted. Below a
// temporary directory it always is: the sender will not come again for what is there.
func (s *Session) settle(d dir) error {
	if !s.k.durable {
		return nil
	}
	return d.sync()
}

// create makes the temporary file of req in the deepest directory of its path
// that exists: nothing else changes before the file is whole. If somebody else
// receives the same file of the same session there, it gets a name beside his.
func (s *Session) create(req Request, p place, at dir) (f *File, err error) {
	for i := range tempNames {
		f, err = s.createAs(nthTempName(p.last(), s.key.Group, req.FileID, i), req, p, at)
		if !errors.Is(err, errLocked) && !errors.Is(err, fs.ErrExist) {
			break
		}
		err = errInUse
	}
	return f, err
}

// createAs makes the temporary file under a name that is free or can be made so:
// errLocked or [fs.ErrExist] if it is somebody else's, or has become it meanwhile.
func (s *Session) createAs(temp string, req Request, p place, at dir) (*File, error) {
	if err := at.vacate(temp); err != nil {
		return nil, err
	}
	if rec := s.past.saved; rec != nil && rec.temp == s.rel(at, temp) {
		s.past.saved = nil
	}
	h, err := at.OpenFile(temp, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, err
	}
	f := &File{s: s, h: h, at: at, temp: temp, place: p, req: req}
	f.id, err = h.Stat()
	if err == nil {
		err = f.mark()
	}
	if err != nil {
		h.Close() // the name stays: it may be somebody else's
		return nil, err
	}
	return f, nil
}
