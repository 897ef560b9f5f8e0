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

// What a session leaves in the temporary directory for its next instance (docs/protocol.md,
// "Receiver's record"). The layout of the record is in state_record.go.
//
//   - A file under its final name is finished: it was synced before it got that name. The next
//     instance keeps it if size and time are those that the sender announces.
//   - A partial file has its temporary name, and the record names it and its missing blocks.
//     Checkpoint writes the record after it has synced the data, so both survive kill -9 and a
//     crash of the machine. A temporary file that no record names is worth nothing and is removed.
//   - Abandon, the orderly end, also gives the partial file its final name, so that a stock daemon
//     can resume from it; until then our record means "no file" to a stock daemon. The time of
//     such a file is partialStamp, so that it never counts as finished if the record is lost. An
//     instance that reads a record, ours or a stock daemon's, first renames the data back.
//   - Name, size, blocks, sections, time and block size must match, or all of the file is received
//     again. A stock record has neither time nor block size; the time is that of the data.

const (
	// maxRecord bounds a record that is read, bytes: 500 million blocks at a byte each in one of
	// a stock daemon, the largest number of blocks in one of ours.
	maxRecord = 1<<29 + 1<<16
	// maxStockBlocks bounds the files whose record a stock daemon can read too.
	maxStockBlocks = 1 << 26
)

// recordSuffix ends the name of a record.
const recordSuffix = "_restart"

// partialStamp is the time of a partial file under its final name, seconds since the Unix epoch. A
// file with this time never counts as finished.
const partialStamp = 1

// previous is what an earlier instance of the session left.
type previous struct {
	read  bool    // the record was looked for
	found bool    // there was a record, perhaps of no file
	saved *record // the partial file, until it is resumed or dropped
	disk  string  // the data file that the record on disk names, "" = none
}

// rel returns the name of the temporary file relative to the session's directory, with slashes.
func (f *File) rel() string { return f.s.rel(f.at, f.temp) }

func (s *Session) rel(at dir, name string) string {
	group := filepath.Join(s.k.cfg.Temp, s.groupName()) + string(filepath.Separator)
	return filepath.ToSlash(strings.TrimPrefix(at.join(name), group))
}

// readRecord reads the record of an earlier instance, once per session. A stock daemon, or an
// orderly end, leaves a partial file under its final name; readRecord renames it, so that nothing
// mistakes it for a complete one. Without resume the session is a new one of the same number, and
// the partial file is dropped.
func (s *Session) readRecord(root dir, resume bool, log *[]string) error {
	if s.previous.read {
		return nil
	}
	s.previous.read = true
	h, _, err := root.openRegular(s.recordName(), os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var rec *record
	if err == nil {
		var data []byte
		data, err = io.ReadAll(io.LimitReader(h, maxRecord))
		h.Close()
		if err == nil {
			rec, err = decodeRecord(data)
		}
	}
	if err != nil {
		*log = append(*log, "Couldn't read restart file: "+reason(err))
		return nil
	}
	*log = append(*log, "Reading restart file")
	if rec != nil && !s.findData(rec) {
		rec = nil
	}
	if !resume {
		s.drop(rec)
		return remove(root, s.recordName())
	}
	s.previous.found = true
	if s.previous.saved = rec; rec != nil {
		s.previous.disk = rec.temp
	}
	return nil
}

// findData finds the data of rec and gives them a temporary name if they have none; false means
// that there are none. If an earlier session has renamed them already, they are under that name.
func (s *Session) findData(rec *record) bool {
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
	temp := tempName(name, s.key.Group, 0) // no file has ID 0
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
		rec.mtime = uint32(fi.ModTime().Unix()) // stock daemons set the sent time on partial files too
	}
	rec.temp = s.rel(at, temp)
	return true
}

// dataOf opens the directory of a file whose name is relative to the session's directory.
func (s *Session) dataOf(name string) (at dir, last string, err error) {
	elems, err := splitName(name)
	if err != nil {
		return dir{}, "", err
	}
	if len(elems) == 0 {
		return dir{}, "", errNameSelf
	}
	if s.claimed == nil {
		return dir{}, "", fs.ErrNotExist
	}
	at = s.claimed.dir
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

// drop removes the data of rec; nil has none.
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

// resumePartial opens the partial file of an earlier instance if it belongs to the file of req;
// nil if it does not. If the file has changed since, the partial file is dropped.
func (s *Session) resumePartial(req Request, p place, a *Answer) (*File, error) {
	rec := s.previous.saved
	if !req.Resume || rec == nil || rec.name != req.Name {
		return nil, nil
	}
	root, err := s.root(s.k.cfg.Temp)
	if err != nil {
		return nil, err
	}
	if !rec.matches(req) {
		a.Log = append(a.Log, "File changed since the transfer was cut, receiving all of it")
		s.previous.saved, s.previous.disk = nil, ""
		s.drop(rec)
		return nil, remove(root, s.recordName())
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
	// Blocks behind the end of the data are missing, whatever the record says.
	for i := int(had / int64(req.Layout.BlockSize)); i < req.Layout.Blocks && had < req.Size; i++ {
		rec.missing.Add(i)
	}
	f.received = max(req.Size-int64(rec.missing.Count())*int64(req.Layout.BlockSize), 0)
	s.previous.saved = nil
	// Writes will now make the record outdated. A stock daemon's record also knows less than ours.
	if err := s.writeRecord(f, &rec.missing, false); err != nil {
		a.Log = append(a.Log, "Couldn't write restart file: "+reason(err))
	}
	a.Partial, a.Missing = true, &rec.missing
	return f, nil
}

// finished reports whether fi, under the final name, was finished by an earlier instance and is the
// file of req. Size and time decide; if the sender gives no time, size alone does, provided that
// the earlier instance left a record.
func (p *previous) finished(req Request, fi fs.FileInfo) bool {
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

// writeRecord writes the record of f, whose data are durable. With final the file also gets its
// final name, where a stock daemon looks for it, if that name is free.
func (s *Session) writeRecord(f *File, missing *block.Set, final bool) error {
	root, err := s.root(s.k.cfg.Temp)
	if err != nil {
		return err
	}
	if !f.named { // the record names this entry, so it must be durable too
		if err := f.at.sync(); err != nil {
			return err
		}
		f.named = true
	}
	var in dir
	if final = final && missing.Len() <= maxStockBlocks; final {
		if in, final = s.openVacant(f.place); final {
			defer in.close()
			stamp := time.Unix(partialStamp, 0)
			if err := f.at.Chtimes(f.temp, stamp, stamp); err != nil {
				return err
			}
		}
	}
	s.buf = encodeRecord(s.buf[:0], f.req, f.rel(), missing, final)
	if err := s.replaceRecord(root); err != nil {
		return err
	}
	if rec := s.previous.saved; rec != nil { // no record names the older partial file any more
		s.drop(rec)
		s.previous.saved = nil
	}
	s.previous.disk = f.rel()
	if final {
		return rename(f.at, f.temp, in, f.place.last())
	}
	return nil
}

// openVacant opens the directory of p, created if necessary, if nothing is at p or on the way.
func (s *Session) openVacant(p place) (in dir, ok bool) {
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

// replaceRecord replaces the record by s.buf in one step.
func (s *Session) replaceRecord(root dir) error {
	if err := root.replace(s.recordName(), s.buf); err != nil {
		return err
	}
	return root.sync()
}

// removeRecord removes the record of f, which has got its final name.
func (s *Session) removeRecord(f *File) error {
	if !f.recorded() {
		return nil
	}
	s.previous.disk = ""
	root, err := s.root(s.k.cfg.Temp)
	if err != nil {
		return err
	}
	return remove(root, s.recordName())
}

// leaveRecord leaves a record for the next instance. Like the stock daemon it does so even if no
// file was interrupted: the record then says that the files here are finished.
func (s *Session) leaveRecord(log *[]string) error {
	if !s.previous.read {
		return nil // this session received no file: the record of the earlier instance is still right
	}
	*log = append(*log, "Writing restart file")
	if s.previous.disk != "" {
		return nil
	}
	root, err := s.root(s.k.cfg.Temp)
	if err != nil {
		return err
	}
	s.buf = encodeRecord(s.buf[:0], Request{}, "", &block.Set{}, false)
	return s.replaceRecord(root)
}
