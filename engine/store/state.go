package store

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"uftp/engine/block"
)

// What a session leaves behind in the temporary directory for the next instance
// of it (v4-receiver.md section 8); the layout of the record is in state_record.go.

const (
	// maxState is the size of a record that is still read, bytes: 500 million
	// blocks at a byte each if a stock daemon wrote it, all there can be if we did.
	maxState = 1<<29 + 1<<16
	// maxStockBlocks is up to how many blocks a stock daemon is to understand our record.
	maxStockBlocks = 1 << 26
)

// recordSuffix is what the name of a record ends with.
const recordSuffix = "_restart"

// partialStamp marks a partial file that lies under its final name, s since the
// Unix epoch. No file with this stamp is ever taken for a finished one.
const partialStamp = 1

// past is what an earlier instance of the session left.
type past struct {
	read  bool    // it was looked for
	found bool    // there was a record, perhaps of no file
	saved *record // the partial file, until it is taken up or dropped
	disk  string  // data file that the record on disk is about, "" = none
}

// rel returns the name of the temporary file below the directory of the group,
// with slashes.
func (f *File) rel() string { return f.s.rel(f.at, f.temp) }

func (s *Session) rel(at dir, name string) string {
	group := filepath.Join(s.k.cfg.Temp, s.groupName()) + string(filepath.Separator)
	return filepath.ToSlash(strings.TrimPrefix(at.join(name), group))
}

// recall reads the record of an earlier instance, once a session, and moves the
// partial file that a stock daemon, or an orderly end, left under its final name
// to a name where nothing mistakes it for a whole one. Unless resume, the session
// is a new one that happens to have the same number: the partial file is dropped.
func (s *Session) recall(root dir, resume bool, log *[]string) error {
	if s.past.read {
		return nil
	}
	s.past.read = true
	h, _, err := root.openRegular(s.stateName(), os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var rec *record
	if err == nil {
		var data []byte
		data, err = io.ReadAll(io.LimitReader(h, maxState))
		h.Close()
		if err == nil {
			rec, err = decodeState(data)
		}
	}
	if err != nil {
		*log = append(*log, "Couldn't read restart file: "+reason(err))
		return nil
	}
	*log = append(*log, "Reading restart file")
	if rec != nil && !s.secure(rec) {
		rec = nil
	}
	if !resume {
		s.drop(rec)
		return remove(root, s.stateName())
	}
	s.past.found = true
	if s.past.saved = rec; rec != nil {
		s.past.disk = rec.temp
	}
	return nil
}

// secure finds the data of rec and sees to it that they have a temporary name;
// false means that there are none. If it was done before and the session was cut
// again, the data are still where it put them.
func (s *Session) secure(rec *record) bool {
	if rec.temp != "" {
		if at, name, err := s.dataOf(rec.temp); err == nil {
			defer at.close()
			if fi, err := at.Lstat(name); err == nil && fi.Mode().IsRegular() {
				return true
			}
		}
	}
	if !rec.final {
		return false
	}
	at, name, err := s.dataOf(rec.name)
	if err != nil {
		return false
	}
	defer at.close()
	temp := tempName(name, s.key.Group, 0) // 0 is no file's ID
	fi, err := at.Lstat(temp)
	if errors.Is(err, fs.ErrNotExist) {
		if fi, err = at.Lstat(name); err == nil && fi.Mode().IsRegular() {
			err = rename(at, name, at, temp)
		}
	}
	if err != nil || !fi.Mode().IsRegular() {
		return false
	}
	if !rec.own {
		rec.mtime = uint32(fi.ModTime().Unix()) // stock daemons give the sent stamp to partial files, too
	}
	rec.temp = s.rel(at, temp)
	return true
}

// dataOf opens the directory that a name below that of the session lies in.
func (s *Session) dataOf(name string) (at dir, last string, err error) {
	elems, err := splitName(name)
	if err != nil {
		return dir{}, "", err
	}
	if len(elems) == 0 {
		return dir{}, "", errNameSelf
	}
	if s.held == nil {
		return dir{}, "", fs.ErrNotExist
	}
	at = s.held.dir
	at.owned = false
	parents := elems[:len(elems)-1]
	at, n, err := at.reach(parents)
	if err != nil {
		return dir{}, "", err
	}
	if n < len(parents) {
		at.close()
		return dir{}, "", fs.ErrNotExist
	}
	return at, elems[len(elems)-1], nil
}

// drop removes the data of rec, which may be nil.
func (s *Session) drop(rec *record) {
	if rec == nil {
		return
	}
	if at, name, err := s.dataOf(rec.temp); err == nil {
		at.Remove(name)
		at.close()
	}
}

// remove removes an entry that may be missing.
func remove(d dir, name string) error {
	if err := d.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// takeUp opens the partial file of an earlier instance if it is of the very file
// that req announces; nil if not. If the file changed since, the part is dropped.
func (s *Session) takeUp(req Request, p place, a *Answer) (*File, error) {
	rec := s.past.saved
	if !req.Resume || rec == nil || rec.name != req.Name {
		return nil, nil
	}
	root, err := s.root(s.k.cfg.Temp)
	if err != nil {
		return nil, err
	}
	if !rec.matches(req) {
		a.Log = append(a.Log, "File changed since the transfer was cut, receiving all of it")
		s.past.saved, s.past.disk = nil, ""
		s.drop(rec)
		return nil, remove(root, s.stateName())
	}
	at, name, err := s.dataOf(rec.temp)
	if err != nil {
		return nil, err
	}
	h, id, err := at.openRegular(name, os.O_RDWR)
	if err != nil {
		at.close()
		return nil, err
	}
	f := &File{s: s, h: h, id: id, at: at, temp: name, place: p, req: req}
	if err := f.mark(); err != nil {
		f.release()
		return nil, errInUse
	}
	had := min(id.Size(), req.Size)
	if err = truncate(h, had); err == nil {
		err = fits(req, at, req.Size-allocated(id))
	}
	if err != nil {
		f.release()
		return nil, err
	}
	// What the file is too short for cannot be there, whatever the record says.
	for i := int(had / int64(req.Layout.BlockSize)); i < req.Layout.Blocks && had < req.Size; i++ {
		rec.missing.Add(i)
	}
	f.came = max(req.Size-int64(rec.missing.Count())*int64(req.Layout.BlockSize), 0)
	s.past.saved = nil
	// From now on the data change under the record, which knows less than we do if
	// a stock daemon wrote it.
	if err := s.remember(f, &rec.missing, false); err != nil {
		a.Log = append(a.Log, "Couldn't write restart file: "+reason(err))
	}
	a.Partial, a.Missing = true, &rec.missing
	return f, nil
}

// trusts reports whether fi, which stands under the final name, was finished by
// an earlier instance and is what req announces. Size and time stamp say so;
// where the sender gives no stamp, size alone if the instance left a record.
func (p *past) trusts(req Request, fi fs.FileInfo) bool {
	if fi == nil || !fi.Mode().IsRegular() || fi.Size() != req.Size {
		return false
	}
	stamp := fi.ModTime().Unix()
	if stamp == partialStamp {
		return false
	}
	if req.MTime == 0 {
		return p.found
	}
	return uint32(stamp) == req.MTime
}

// remember writes the record of f, whose bytes are durable. With final the file
// also gets its final name, where a stock daemon looks for it, if that is free.
func (s *Session) remember(f *File, missing *block.Set, final bool) error {
	root, err := s.root(s.k.cfg.Temp)
	if err != nil {
		return err
	}
	if !f.noted { // the record names the file: its entry must be durable, too
		if err := f.at.sync(); err != nil {
			return err
		}
		f.noted = true
	}
	var in dir
	if final = final && missing.Len() <= maxStockBlocks; final {
		if in, final = s.vacancy(f.place); final {
			defer in.close()
			stamp := time.Unix(partialStamp, 0)
			if err := f.at.Chtimes(f.temp, stamp, stamp); err != nil {
				return err
			}
		}
	}
	s.buf = encodeState(s.buf[:0], f.req, f.rel(), missing, final)
	if err := s.writeState(root); err != nil {
		return err
	}
	if rec := s.past.saved; rec != nil { // nothing names the older partial file any more
		s.drop(rec)
		s.past.saved = nil
	}
	s.past.disk = f.rel()
	if final {
		return rename(f.at, f.temp, in, f.place.last())
	}
	return nil
}

// vacancy opens the directory of p, made if need be, if nothing stands at p nor in the way.
func (s *Session) vacancy(p place) (in dir, ok bool) {
	at, elems, err := s.start(p)
	if err != nil {
		return dir{}, false
	}
	at, n, err := at.reach(elems[:len(elems)-1])
	if err != nil {
		return dir{}, false
	}
	_, err = at.Lstat(elems[n])
	at.close()
	if !errors.Is(err, fs.ErrNotExist) {
		return dir{}, false
	}
	in, err = s.parent(p, new([]string))
	return in, err == nil
}

// writeState replaces the record by what is in s.buf, in one step.
func (s *Session) writeState(root dir) error {
	if err := root.replace(s.stateName(), s.buf); err != nil {
		return err
	}
	return root.sync()
}

// forget removes the record of f, which has got its final name.
func (s *Session) forget(f *File) error {
	if !f.recorded() {
		return nil
	}
	s.past.disk = ""
	root, err := s.root(s.k.cfg.Temp)
	if err != nil {
		return err
	}
	return remove(root, s.stateName())
}

// suspend leaves a record for the next instance, as the stock daemon does, also
// if no file was cut: then it says that what is here is finished.
func (s *Session) suspend(log *[]string) error {
	if !s.past.read {
		return nil // the session got to no file: what an earlier instance left is good as it is
	}
	*log = append(*log, "Writing restart file")
	if s.past.disk != "" {
		return nil
	}
	root, err := s.root(s.k.cfg.Temp)
	if err != nil {
		return err
	}
	s.buf = encodeState(s.buf[:0], Request{}, "", &block.Set{}, false)
	return s.writeState(root)
}
