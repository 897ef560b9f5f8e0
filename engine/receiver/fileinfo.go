package receiver

import (
	"uftp/engine/block"
	"uftp/engine/clock"
	"uftp/engine/machine"
	"uftp/wire"
)

// gotFileInfo takes FILEINFO (v4-receiver.md section 4.1).
func (r *Receiver) gotFileInfo(now clock.Time, s *session, msg []byte) machine.Drop {
	if s.phase == Joining || s.phase == Completing {
		return machine.DropPhase
	}
	x, err := wire.ParseFileInfo(s.version, msg)
	if err != nil {
		if err == wire.ErrFunc {
			return machine.DropMalformed // not worth a session
		}
		r.abort(now, s, "Rejecting FILEINFO: invalid message size", EndRefused)
		return machine.DropNone
	}
	if !x.Hosts.Contains(r.cfg.UID) {
		s.alive(now)
		return machine.DropNotForUs
	}
	if x.FileID == 0 {
		return machine.DropFile
	}
	if s.phase == Registering {
		r.confirm(now, s) // it stands for a REG_CONF that was lost
	}
	s.stamp, s.heard = x.Time, now
	s.alive(now)
	switch {
	case s.phase == Opening:
	case s.phase != MidGroup:
		r.acknowledge(s)
	case x.FileID == s.finished.id:
		r.complete(s, s.finished)
	default:
		return r.newFile(now, s, &x)
	}
	return machine.DropNone
}

// newFile starts with a file that was not announced before.
func (r *Receiver) newFile(now clock.Time, s *session, x *wire.FileInfo) machine.Drop {
	if r.elder(s) {
		return machine.DropPhase // the sender will ask again
	}
	req := Request{
		Type:    x.Type,
		Name:    string(x.Name),
		Link:    string(x.Link),
		Size:    x.Size,
		MTime:   x.MTime,
		Sync:    s.sync,
		Preview: s.preview,
		Resume:  s.info.Instance > 0 && r.cfg.Restart,
	}
	bad := checkName(&req)
	if bad == "" && x.Type > wire.TypeFreeSpace {
		s.info.FileID = x.FileID
		r.abort(now, s, "Invalid file type", EndRefused)
		return machine.DropNone
	}
	if bad == "" && x.Type == wire.TypeFile {
		var err error
		if req.Layout, err = block.NewLayout(x.Size, s.blockSize); err != nil {
			bad = err.Error()
		} else if !r.reserve(now, s, req.Layout.Blocks) {
			bad = "too many blocks for the memory of this receiver"
		}
	}
	r.lastRef++
	if r.lastRef == 0 {
		r.lastRef = 1
	}
	req.Ref = r.lastRef
	s.info.FileID = x.FileID
	s.file = file{req: req, seq: s.win.highest, missing: s.file.missing}
	s.file.missing.Reset(0, false)
	r.emit(FileStarted{Session: s.info, Request: req})
	if bad != "" {
		r.answer(s, finished{id: x.FileID, status: wire.StatusRejected}, bad)
		return machine.DropNone
	}
	r.enter(now, s, Opening)
	r.emit(Open{Session: s.info, Request: req})
	return machine.DropNone
}

// elder reports whether the host is not done with an older instance of a
// restarted session: what that one has got is not yet there to be used.
func (r *Receiver) elder(s *session) bool {
	if s.info.Instance == 0 {
		return false
	}
	for i := range r.slots {
		if o := &r.slots[i]; o.ended && o.reason == EndSuperseded && o.info.Group == s.info.Group && o.info.Instance < s.info.Instance {
			return true
		}
	}
	return false
}

// checkName returns why a name or link is refused whatever the file system says.
// Both / and \ separate elements here, as in the stock receiver.
func checkName(q *Request) string {
	if q.Name == "" {
		return "filename is empty"
	}
	names := 0 // elements that name something
	for i := 0; i <= len(q.Name); {
		j := i
		for j < len(q.Name) && q.Name[j] != '/' && q.Name[j] != '\\' {
			j++
		}
		switch q.Name[i:j] {
		case "..":
			return "Rejecting FILEINFO from server: filename contains .."
		case "", ".":
		default:
			names++
		}
		i = j + 1
	}
	switch {
	case q.Type == wire.TypeLink && q.Link == "":
		return "link has no target"
	case names == 0 && q.Type != wire.TypeFreeSpace:
		return "filename is that of the destination itself"
	}
	return ""
}

// Opened answers an Open request.
func (r *Receiver) Opened(now clock.Time, ref machine.FileRef, o Opened) {
	s := r.byRef(ref)
	if s == nil || s.phase != Opening {
		return
	}
	f := &s.file
	if o.Action != Receive {
		r.unreserve(s)
		r.enter(now, s, MidGroup)
		if o.Action == Abort {
			r.abort(now, s, o.Text, EndRefused)
			return
		}
		r.answer(s, finished{id: s.info.FileID, status: o.Status, space: o.FreeSpace, hasSpace: o.HasSpace}, o.Text)
		if s.ended {
			r.end(now, s, s.reason)
		}
		return
	}
	s.held = s.reserved
	f.status = o.Status
	f.partial = o.Partial
	// A set over other blocks cannot be about this file: better too much twice.
	if n := f.req.Layout.Blocks; o.Missing != nil && o.Missing.Len() == n {
		f.missing.CopyFrom(o.Missing)
	} else {
		f.missing.Reset(n, true)
	}
	f.checkpointed = f.missing.Count()
	r.enter(now, s, Receiving)
	if s.ended {
		r.end(now, s, s.reason)
		return
	}
	if f.givenUp {
		r.giveUpFile(now, s, f.why)
		return
	}
	r.acknowledge(s)
	switch {
	case f.missing.Count() == 0:
		r.whole(now, s)
	case f.done:
		f.done = false
		r.doneReceiving(now, s, f.doneSection, true)
	}
}

// acknowledge sends FILEINFO_ACK for the current file.
func (r *Receiver) acknowledge(s *session) {
	it := r.packet(s, wire.FuncFileInfoAck)
	it.fileID = s.info.FileID
	it.partial = s.file.partial
	it.stamp, it.heard = s.stamp, s.heard
	r.push(it)
	r.step(s, FileInfoAckSent)
}

// answer ends a file between FILEINFO and data with a COMPLETE, and remembers it.
func (r *Receiver) answer(s *session, f finished, text string) {
	s.finished = f
	s.files++
	r.emit(FileEnded{Session: s.info, Request: s.file.req, Status: f.status, Text: text}) // why, then what is said
	if !s.ended {
		r.complete(s, f)
	}
}
