package engine

import (
	"errors"
	"fmt"
	"time"

	"uftp/crypto/identity"
	"uftp/engine/clock"
	"uftp/engine/disk"
	"uftp/engine/machine"
	"uftp/engine/receiver"
	"uftp/engine/ring"
	"uftp/engine/store"
)

// files is the part of a receiveRun that works with package disk: it hands over the jobs that
// the machine asks for, and takes the results.
type files struct {
	disk     *disk.Disk
	sessions map[receiver.SessionID]*disk.Session // that had a job
	open     map[machine.FileRef]*disk.File
	lastRef  machine.FileRef // of the last block stored, and its file
	last     *disk.File
}

func newFiles() files {
	return files{sessions: map[receiver.SessionID]*disk.Session{}, open: map[machine.FileRef]*disk.File{}}
}

// session returns the disk's side of a session. It begins with the first job: only then the
// owner of the session is certain.
func (r *receiveRun) session(s *receiver.Session) *disk.Session {
	d := r.sessions[s.SessionID]
	if d == nil {
		d = r.disk.Begin(store.SessionKey{Group: s.Group, Instance: s.Instance, Owner: owner(&s.Owner), Started: r.wall.time(s.Started)})
		r.sessions[s.SessionID] = d
	}
	return d
}

// job hands a request of the machine to the disk, and reports whether ev was one.
func (r *receiveRun) job(ev machine.Event) bool {
	switch ev := ev.(type) {
	case receiver.Open:
		// Known from now on: the session may be given up before the answer comes.
		rq := &ev.Request
		r.open[rq.Ref] = r.disk.Open(r.session(&ev.Session), store.Request{
			FileID: ev.Session.FileID, Type: rq.Type, Name: rq.Name, Link: rq.Link, Size: rq.Size, MTime: uint32(rq.MTime),
			Layout: rq.Layout, Sync: rq.Sync, Preview: rq.Preview, Resume: rq.Resume,
		}, ev)
	case receiver.Close:
		r.disk.Close(r.open[ev.Ref])
	case receiver.Checkpoint:
		r.disk.Checkpoint(r.open[ev.Ref], ev.Missing)
	case receiver.Abandon:
		if f := r.open[ev.Ref]; f != nil { // else nothing was opened
			r.disk.Abandon(f, ev.Missing)
			r.forget(ev.Ref)
		}
	case receiver.Settle:
		r.disk.Settle(r.session(&ev.Session), ev)
	default:
		return false
	}
	return true
}

// store hands a block, which lies in the slot at pos, to the disk.
func (f *files) store(s *machine.Store, pos uint64) {
	if s.Ref != f.lastRef {
		f.lastRef, f.last = s.Ref, f.open[s.Ref]
	}
	f.disk.Store(f.last, s.Offset, s.Data, pos)
}

// forget drops the core's hold on a file.
func (f *files) forget(ref machine.FileRef) {
	delete(f.open, ref)
	if f.lastRef == ref {
		f.lastRef, f.last = 0, nil
	}
}

// asked is the event that a file was opened for.
func asked(f *disk.File) receiver.Open { return f.For.(receiver.Open) }

// done hands the results of the disk to the machine, and reports them.
func (r *receiveRun) done(now clock.Time) {
	for _, res := range r.disk.Results() {
		for _, ev := range resultEvents(res) {
			r.put(ev)
		}
		switch res := res.(type) {
		case disk.Opened:
			ref, a := asked(res.File).Request.Ref, &res.Answer
			opened := receiver.Opened{
				Action: receiver.Receive, Status: a.Status, Missing: a.Missing, Partial: a.Partial,
				FreeSpace: a.FreeSpace, HasSpace: a.HasSpace, Text: a.Text,
			}
			if a.Complete {
				opened.Action = receiver.Complete
				r.forget(ref)
			}
			r.m.Opened(now, ref, opened)
		case disk.Closed:
			ref, text := asked(res.File).Request.Ref, ""
			if res.Err != nil {
				text = res.Err.Error()
			}
			r.forget(ref)
			r.m.Closed(now, ref, text)
		case disk.Checkpointed:
			r.m.CheckpointDone(now, asked(res.File).Request.Ref)
		case disk.Settled:
			ev := res.For.(receiver.Settle)
			text := ""
			if res.Err != nil {
				text = forPeer(res.Err)
			}
			r.m.Settled(now, ev.Session.SessionID, ev.Number, text)
		case disk.Ended:
			r.live--
			r.active(now, r.live > 0)
		case disk.WriteFailed:
			r.m.StoreFailed(now, asked(res.File).Request.Ref, forPeer(res.Err))
		}
	}
}

// resultEvents returns the reports about a result.
func resultEvents(res disk.Result) []machine.Event {
	switch res := res.(type) {
	case disk.Opened:
		return logLines(asked(res.File).Session, res.Answer.Log)
	case disk.Closed:
		ev := asked(res.File)
		evs := append(logLines(ev.Session, res.Finished.Log), failure(ev.Session, "giving up the file", res.GaveUp)...)
		if res.Err == nil {
			evs = append(evs, Stored{Session: ev.Session, Request: ev.Request, Path: res.Finished.Path, Elapsed: res.Elapsed})
		}
		return evs
	case disk.Checkpointed:
		return failure(asked(res.File).Session, "saving the restart state", res.Err)
	case disk.Abandoned:
		return failure(asked(res.File).Session, "giving up the file", res.Err)
	case disk.WriteFailed:
		ev := asked(res.File)
		return failure(ev.Session, "storing "+ev.Request.Name, res.Err)
	case disk.Settled:
		s := res.For.(receiver.Settle).Session
		return append(logLines(s, res.Log), failure(s, "ending the session", res.Err)...)
	case disk.Ended:
		s := res.For.(receiver.SessionEnded).Session
		var evs []machine.Event
		for _, l := range res.Late {
			evs = append(evs, lateMove(&l)...)
		}
		evs = append(evs, logLines(s, res.Log)...)
		evs = append(evs, failure(s, "finishing the session", res.Err)...)
		if len(res.Moved) > 0 {
			evs = append(evs, Moved{Session: s, Paths: res.Moved})
		}
		return evs
	}
	return nil
}

// owner names the owner of a session for the store.
func owner(o *receiver.Owner) store.Owner {
	if o.Encrypted {
		return store.Owner{Encrypted: true, Name: fmt.Sprintf("%X", o.Key)}
	}
	if !o.Addr.IsValid() {
		return store.Owner{Name: o.Sender.String()}
	}
	return store.Owner{Name: fmt.Sprintf("%v %v", o.Sender, o.Addr)}
}

// newKey answers KeyWanted.
type newKey struct {
	spec identity.Spec
	key  *identity.PrivateKey // nil if it failed
	err  error
}

func makeKey(spec identity.Spec) newKey {
	key, err := identity.Generate(spec)
	return newKey{spec, key, err}
}

// lateMove reports on a session whose files were not all moved when it ended.
func lateMove(l *store.LateMove) []machine.Event {
	s := receiver.Session{SessionID: receiver.SessionID{Slot: -1, Group: l.Group}}
	evs := logLines(s, l.Log)
	evs = append(evs, failure(s, "finishing an earlier session", l.Err)...)
	if len(l.Moved) > 0 {
		evs = append(evs, Moved{Session: s, Paths: l.Moved})
	}
	return evs
}

// retryEvery is the time between two tries to move files that could not be moved.
const retryEvery = time.Minute

// retryLoop tries again and again to move files that could not be moved.
func retryLoop(sink *store.Sink, notes *ring.Mailbox[machine.Event], quit <-chan struct{}) {
	for {
		select {
		case <-time.After(retryEvery):
		case <-quit:
			return
		}
		for _, l := range sink.RetryMoves() {
			for _, ev := range lateMove(&l) {
				notes.Put(ev)
			}
		}
	}
}

// expireEvery is the time between two looks for files that have expired.
const expireEvery = time.Hour

// expireLoop removes files of interrupted sessions that are older than age.
func expireLoop(sink *store.Sink, age time.Duration, notes *ring.Mailbox[machine.Event], quit <-chan struct{}) {
	for {
		for _, x := range sink.Expire(time.Now().Add(-age)) {
			notes.Put(Expired{x})
		}
		select {
		case <-time.After(expireEvery):
		case <-quit:
			return
		}
	}
}

// logLines returns lines of the store for the log.
func logLines(s receiver.Session, lines []string) []machine.Event {
	evs := make([]machine.Event, 0, len(lines)+1)
	for _, l := range lines {
		evs = append(evs, Note{s, 2, l})
	}
	return evs
}

// failure returns a note that what has failed, or none if err is nil.
func failure(s receiver.Session, what string, err error) []machine.Event {
	if err == nil {
		return nil
	}
	return []machine.Event{Note{s, 0, what + ": " + err.Error()}}
}

// forPeer returns what a sender, which may be anybody, may hear of an error: the system's
// text, and no path, interface or address of this host. The log has the rest.
func forPeer(err error) string {
	if text, ok := store.Reason(err); ok {
		return text
	}
	if errors.Is(err, errNoInterface) {
		return errNoInterface.Error()
	}
	return "failed, its log says why"
}
