package receiver

import (
	"uftp/engine/block"
	"uftp/engine/clock"
	"uftp/engine/machine"
	"uftp/wire"
)

// gotFileInfo takes FILEINFO (docs/protocol.md, "Answer to FILEINFO").
func (s *session) gotFileInfo(now clock.Time, msg []byte) machine.Drop {
	if s.phase == Joining || s.phase == Completing {
		return machine.DropPhase
	}
	x, err := wire.ParseFileInfo(s.dialect.Version(), msg)
	if err != nil {
		if err == wire.ErrFunc {
			return machine.DropMalformed // no reason to end the session
		}
		s.abort(now, "Rejecting FILEINFO: invalid message size", EndRefused)
		return machine.DropNone
	}
	if !x.Hosts.Contains(s.r.cfg.UID) {
		s.restartIdle(now)
		return machine.DropNotForUs
	}
	if x.FileID == 0 {
		return machine.DropFile
	}
	if s.phase == Registering {
		s.confirm(now) // the REG_CONF was lost
	}
	s.echo = echo{x.Time, now}
	s.restartIdle(now)
	switch {
	case s.phase == Opening:
	case s.phase != MidGroup:
		s.ackFileInfo()
	case x.FileID == s.finished.id:
		s.sendComplete(s.finished)
	default:
		return s.newFile(now, &x)
	}
	return machine.DropNone
}

// newFile starts with a file that was not announced before.
func (s *session) newFile(now clock.Time, x *wire.FileInfo) machine.Drop {
	r := s.r
	if r.olderUnfinished(s) {
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
		s.abort(now, "Invalid file type", EndRefused)
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
		s.endFile(finished{id: x.FileID, status: wire.StatusRejected}, bad)
		return machine.DropNone
	}
	s.enter(now, Opening)
	r.emit(Open{Session: s.info, Request: req})
	return machine.DropNone
}

// checkName returns why a name or link is refused on every file system, "" if it is not. Both
// / and \ separate elements here (docs/protocol.md, "Names and paths").
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

// opened goes on with a file that the host has opened, refused, or done without data.
func (s *session) opened(now clock.Time, o Opened) {
	f := &s.file
	if o.Action != Receive {
		s.r.unreserve(s)
		s.enter(now, MidGroup)
		if o.Action == Abort {
			s.abort(now, o.Text, EndRefused)
			return
		}
		s.endFile(finished{id: s.info.FileID, status: o.Status, space: o.FreeSpace, hasSpace: o.HasSpace}, o.Text)
		if s.ended {
			s.end(now, s.reason)
		}
		return
	}
	s.held = s.reserved
	f.status = o.Status
	f.partial = o.Partial
	// A set of another size is not about this file. To receive blocks twice does no harm.
	if n := f.req.Layout.Blocks; o.Missing != nil && o.Missing.Len() == n {
		f.missing.CopyFrom(o.Missing)
	} else {
		f.missing.Reset(n, true)
	}
	f.checkpointed = f.missing.Count()
	s.enter(now, Receiving)
	if s.ended {
		s.end(now, s.reason)
		return
	}
	if f.givenUp {
		s.giveUpFile(now, f.givenUpText)
		return
	}
	s.ackFileInfo()
	switch {
	case f.missing.Count() == 0:
		s.completeFile(now)
	case f.done:
		f.done = false
		s.doneReceiving(now, f.doneSection, true)
	}
}

// ackFileInfo sends FILEINFO_ACK for the current file.
func (s *session) ackFileInfo() {
	s.say(wire.FuncFileInfoAck, fileInfoAck{s.info.FileID, s.file.partial, s.echo})
	s.step(FileInfoAckSent)
}

type fileInfoAck struct {
	id      uint16
	partial bool
	echo    echo
}

func (m fileInfoAck) appendTo(b []byte, it *item, now clock.Time) ([]byte, bool) {
	x := wire.FileInfoAck{FileID: m.id, Partial: m.partial, Time: m.echo.aged(now)}
	return x.Append(it.head.Version, b), false
}

// endFile ends a file that wants no data, and says so with COMPLETE, now and when asked again.
func (s *session) endFile(f finished, text string) {
	s.finished = f
	s.files++
	s.r.emit(FileEnded{Session: s.info, Request: s.file.req, Status: f.status, Text: text}) // before the step of COMPLETE
	if !s.ended {
		s.sendComplete(f)
	}
}
