package store

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"

	"uftp/wire"
)

// Log lines with the texts of the stock daemon.
const (
	logInSync    = "skipping file, in sync"
	logOverwrite = "overwriting out of sync file"
	logCopy      = "copying new file"
	logPreview   = "Sync preview mode, skipping receive"
)

// errBusy is a mistake of the caller: a session receives one file at a time.
var errBusy = errors.New("store: Open while a file of the session is open")

// Open handles a FILEINFO (docs/protocol.md, "Answer to FILEINFO"). It either completes the request
// or returns a file to receive into. No other file of the session may be open.
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

// answer fills a. On an error the request is rejected.
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

// answerDir creates an empty directory. One that exists stays as it is. Below a temporary
// directory an existing one may come from an earlier instance, so the sender hears that it is
// new.
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
		return nil // the directory of the session, which exists now
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
	return s.syncIfDurable(in)
}

// makeLink makes a link and moves it to its place. Links have no locks: a temporary name that
// exists may belong to a live session or be a leftover, so the next number is tried. If all
// numbers are taken, some must be leftovers, and the last one is reused.
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

// answerDelete removes whatever stands at p. It is no error if nothing does.
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
	return s.syncIfDurable(in)
}

// answerSpace returns the free space of the file system where p is, or would be.
func (s *Session) answerSpace(p place, a *Answer) error {
	at, fi, err := s.find(p)
	if err != nil {
		return err
	}
	defer at.close()
	a.Log = append(a.Log, "Get free space for path")
	if len(p.elems) > 0 && fi != nil && fi.IsDir() {
		// Another file system may be mounted at the path itself.
		if d, err := at.sub(p.last()); err == nil {
			defer d.close()
			at = d
		}
	}
	a.HasSpace = true
	n, ok := freeSpace(at)
	if !ok || n > math.MaxInt64 {
		n = math.MaxInt64 // docs/protocol.md, "FREESPACE_INFO": unknown
	}
	a.FreeSpace = n
	return nil
}

// answerFile decides whether a regular file is wanted, and opens the file to receive into.
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
		if f, err := s.resumePartial(req, p, a); f != nil || err != nil {
			return f, err
		}
		// The session's directory may be new, and readRecord may have renamed the partial file.
		at.close()
		if at, fi, err = s.find(p); err != nil {
			at = dir{}
			return nil, err
		}
		if req.Resume && s.previous.finished(req, fi) && at.trust.check(fi) == nil {
			return nil, nil
		}
	}
	if err := fits(req, at, req.Size); err != nil {
		return nil, err
	}
	if p.skip == 0 {
		a.Log = append(a.Log, s.k.leftovers.clear(at)...)
	}
	f, err := s.create(req, p, at)
	if err == nil {
		at = dir{} // f owns it now
	}
	return f, err
}

// fits checks that n more bytes have space now. Others may take that space before the data
// arrive.
func fits(req Request, at dir, n int64) error {
	if free, ok := freeSpace(at); ok && uint64(max(n, 0)) > free {
		return fmt.Errorf("%w: %s needs %d bytes, %d are free", ErrNoSpace, req.Name, n, free)
	}
	return nil
}

// compare decides by size and time (docs/protocol.md, "Existing objects") whether to receive a file
// that would replace old, which is nil if there is none. Both times go through the 32 bits of
// the wire: a local time that no sender can express would otherwise count as newer for ever.
func (s *Session) compare(req Request, old fs.FileInfo, log *[]string) (status wire.CompleteStatus, wanted bool) {
	if old == nil {
		*log = append(*log, logCopy)
		return wire.StatusNormal, true
	}
	same := old.Mode().IsRegular() && old.Size() == req.Size
	theirs, ours := unixOf(req.MTime, s.key.Started), unixOf(uint32(old.ModTime().Unix()), s.key.Started)
	if req.MTime == 0 {
		theirs = ours // the sender gives none: only the sizes can be compared
	}
	if theirs < ours || theirs == ours && same {
		*log = append(*log, logInSync)
		return wire.StatusSkipped, false
	}
	*log = append(*log, logOverwrite)
	return wire.StatusOverwrite, true
}

// prepare creates the directory of the session, in which p will be, and reads once per session
// what an earlier instance left there. Without a temporary directory it does nothing.
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
	p.elems[0] = s.groupName()                // claiming may have chosen another name
	if !s.previous.read && !s.claimed.isNew { // an earlier instance may have been killed before it synced this
		if err := s.syncTreeIfDurable(root, s.groupName()); err != nil {
			return err
		}
	}
	return s.readRecord(root, resume, log)
}

// syncIfDurable makes changes to the entries of d durable if the configuration asks for it.
// With a temporary directory that is always so: the sender will not send these files again.
func (s *Session) syncIfDurable(d dir) error {
	if !s.k.durable {
		return nil
	}
	return d.sync()
}

// create makes the temporary file of req in the deepest directory of its path that exists;
// nothing else changes before the file is complete. If another process receives the same file
// of the same session there, the new file gets a name with a number.
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

// createAs makes the temporary file under the name temp, after removing a leftover of that
// name. It returns errLocked or [fs.ErrExist] if another process uses the name.
func (s *Session) createAs(temp string, req Request, p place, at dir) (*File, error) {
	if err := at.vacate(temp); err != nil {
		return nil, err
	}
	if rec := s.previous.saved; rec != nil && rec.temp == s.rel(at, temp) {
		s.previous.saved = nil
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
		h.Close() // the name stays: it may belong to another process by now
		return nil, err
	}
	return f, nil
}
