package engine

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"uftp/crypto/identity"
	"uftp/engine/block"
	"uftp/engine/machine"
	"uftp/engine/receiver"
	"uftp/engine/ring"
	"uftp/engine/store"
)

// A worker does what takes long for the sessions of one group: opening, closing,
// making durable, moving. One after the other, because a restarted session reads
// what the one before it has written. It ends when the core closes its quit.
type worker struct {
	box      *ring.Mailbox[request]
	wake     chan struct{}
	quit     chan struct{}
	sessions int           // not ended; the core's
	fenced   uint64        // requests to it that were given to the writer; the core's
	passed   atomic.Uint64 // and those that the writer has handed on
}

// request is a receiver event that the worker carries out, and the file it is about, if any.
type request struct {
	ev   machine.Event
	file *openFile
}

// answerKind says what an answer is about.
type answerKind uint8

const (
	answerOpened answerKind = iota
	answerClosed
	answerCheckpointed
	answerAbandoned
	answerSettled
	answerWriteFailed
	answerEnded
	answerKeyMade
)

// answer is the outcome of a request, or a failed write, on its way to the core.
type answer struct {
	kind    answerKind
	ref     machine.FileRef
	opened  receiver.Opened
	text    string               // error, "" if none
	group   uint32               // answerEnded
	session receiver.SessionID   // answerSettled
	number  uint32               // of the Settle
	key     *identity.PrivateKey // answerKeyMade; nil if it failed
	events  []machine.Event
}

// newWorker starts a worker.
func newWorker(clock wall, sink *store.Sink, answers *ring.Mailbox[answer], hold func(), wg *sync.WaitGroup) *worker {
	w := &worker{wake: make(chan struct{}, 1), quit: make(chan struct{})}
	w.box = ring.NewMailbox[request](w.wake)
	wg.Go(func() { w.run(&clock, sink, answers, hold) })
	return w
}

func (w *worker) run(clock *wall, sink *store.Sink, answers *ring.Mailbox[answer], hold func()) {
	sessions := map[receiver.SessionID]*store.Session{}
	for {
		reqs := w.box.Take()
		for i := range reqs {
			if hold != nil {
				hold()
			}
			if over(w.quit) { // perhaps long ago
				return
			}
			answers.Put(carryOut(clock, sink, sessions, &reqs[i]))
		}
		if len(reqs) > 0 {
			continue
		}
		select {
		case <-w.wake:
		case <-w.quit:
			return
		}
	}
}

// session returns the store's side of a session, begun at its first request.
func session(clock *wall, sink *store.Sink, all map[receiver.SessionID]*store.Session, s *receiver.Session) *store.Session {
	st := all[s.SessionID]
	if st == nil {
		st = sink.Begin(store.SessionKey{Group: s.Group, Instance: s.Instance, Owner: owner(&s.Owner), Started: clock.time(s.Started)})
		all[s.SessionID] = st
	}
	return st
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

func carryOut(clock *wall, sink *store.Sink, all map[receiver.SessionID]*store.Session, rq *request) answer {
	switch ev := rq.ev.(type) {
	case receiver.Open:
		return open(session(clock, sink, all, &ev.Session), &ev, rq.file)
	case receiver.Close:
		a := answer{kind: answerClosed, ref: ev.Ref}
		if err := rq.file.broken; err != nil {
			// Nobody knows which blocks are there: none, for whoever resumes.
			var all block.Set
			all.Reset(rq.file.req.Layout.Blocks, true)
			if err := rq.file.sink.Abandon(&all); err != nil {
				a.events = failure(ev.Session, "giving up the file", err)
			}
			rq.file.sink = nil
			a.text = err.Error()
			return a
		}
		fin, err := rq.file.sink.Finish()
		a.events = notes(ev.Session, fin.Log)
		if err != nil {
			a.text = err.Error()
			return a
		}
		a.events = append(a.events, Stored{Session: ev.Session, Request: rq.file.req, Path: fin.Path, Elapsed: time.Since(rq.file.opened)})
		return a
	case receiver.Checkpoint:
		a := answer{kind: answerCheckpointed, ref: ev.Ref}
		if err := rq.file.sink.Checkpoint(ev.Missing); err != nil {
			a.events = failure(ev.Session, "saving the restart state", err)
		}
		return a
	case receiver.Abandon:
		a := answer{kind: answerAbandoned}
		if rq.file != nil && rq.file.sink != nil {
			if err := rq.file.sink.Abandon(ev.Missing); err != nil {
				a.events = failure(ev.Session, "giving up the file", err)
			}
		}
		return a
	case receiver.Settle:
		log, err := session(clock, sink, all, &ev.Session).MarkDone()
		a := answer{kind: answerSettled, session: ev.Session.SessionID, number: ev.Number, events: notes(ev.Session, log)}
		if err != nil {
			a.text = forPeer(err)
			a.events = append(a.events, failure(ev.Session, "ending the session", err)...)
		}
		return a
	case receiver.SessionEnded:
		a := answer{kind: answerEnded, group: ev.Session.Group}
		for _, l := range sink.RetryMoves() { // it is older
			a.events = append(a.events, lateMove(&l)...)
		}
		moved, log, err := session(clock, sink, all, &ev.Session).End(ev.OK)
		delete(all, ev.Session.SessionID)
		a.events = append(a.events, notes(ev.Session, log)...)
		if err != nil {
			a.events = append(a.events, failure(ev.Session, "finishing the session", err)...)
		}
		if len(moved) > 0 {
			a.events = append(a.events, Moved{Session: ev.Session, Paths: moved})
		}
		return a
	}
	panic("engine: request of an unknown type")
}

// open carries out an Open request.
func open(s *store.Session, ev *receiver.Open, f *openFile) answer {
	rq := &ev.Request
	ans, sink := s.Open(store.Request{
		FileID: ev.Session.FileID, Type: rq.Type, Name: rq.Name, Link: rq.Link, Size: rq.Size, MTime: uint32(rq.MTime),
		Layout: rq.Layout, Sync: rq.Sync, Preview: rq.Preview, Resume: rq.Resume,
	})
	a := answer{kind: answerOpened, ref: rq.Ref, events: notes(ev.Session, ans.Log)}
	a.opened = receiver.Opened{
		Action: receiver.Receive, Status: ans.Status, Missing: ans.Missing, Partial: ans.Partial,
		FreeSpace: ans.FreeSpace, HasSpace: ans.HasSpace, Text: ans.Text,
	}
	if ans.Complete {
		a.opened.Action = receiver.Complete
		return a
	}
	f.sink, f.opened = sink, time.Now()
	return a
}

// makeKey carries out a KeyWanted.
func makeKey(spec identity.Spec) answer {
	key, err := identity.Generate(spec)
	a := answer{kind: answerKeyMade, key: key}
	if err != nil {
		a.events = failure(receiver.Session{}, "making a key of type "+spec.String(), err)
	}
	return a
}

// lateMove tells what became of a session whose files were not all moved when it ended.
func lateMove(l *store.LateMove) []machine.Event {
	s := receiver.Session{SessionID: receiver.SessionID{Slot: -1, Group: l.Group}}
	evs := notes(s, l.Log)
	if l.Err != nil {
		evs = append(evs, failure(s, "finishing an earlier session", l.Err)...)
	}
	if len(l.Moved) > 0 {
		evs = append(evs, Moved{Session: s, Paths: l.Moved})
	}
	return evs
}

// retryEvery is how often is tried again to move what could not be moved.
const retryEvery = time.Minute

// retryLoop tries again to move what could not be moved.
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

// expireEvery is how often is looked for what has expired.
const expireEvery = time.Hour

// expireLoop removes what interrupted sessions left for longer than age.
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

func notes(s receiver.Session, lines []string) []machine.Event {
	evs := make([]machine.Event, 0, len(lines)+1)
	for _, l := range lines {
		evs = append(evs, Note{s, 2, l})
	}
	return evs
}

func failure(s receiver.Session, what string, err error) []machine.Event {
	return []machine.Event{Note{s, 0, what + ": " + err.Error()}}
}

// forPeer is what a sender, whom nobody knows, may hear of an error: the system's text, and
// no path, interface or address of this host. The log has the rest.
func forPeer(err error) string {
	if text, ok := store.Reason(err); ok {
		return text
	}
	if errors.Is(err, errNoInterface) {
		return errNoInterface.Error()
	}
	return "failed, its log says why"
}
