package disk

import (
	"uftp/engine/block"
	"uftp/engine/store"
)

// Sink is where files go. Sessions of one group are used by one goroutine, all others by
// others at the same time.
type Sink interface {
	Begin(store.SessionKey) SinkSession
	// RetryMoves moves what could not be moved when its session ended.
	RetryMoves() []store.LateMove
}

// SinkSession is what a session is to a Sink.
type SinkSession interface {
	// Open returns no file if the answer says that all is done.
	Open(store.Request) (store.Answer, SinkFile)
	MarkDone() (log []string, err error)
	End(ok bool) (moved, log []string, err error)
}

// SinkFile is a file of a Sink. The writer calls WriteAt, the worker the rest. Checkpoint may
// come during a WriteAt; Finish or Abandon comes when all is written, and last.
type SinkFile interface {
	WriteAt(bufs [][]byte, off int64) error
	Finish() (store.Finished, error)
	Checkpoint(missing *block.Set) error
	Abandon(missing *block.Set) error
}

// Files returns the Sink that package store is.
func Files(k *store.Sink) Sink { return files{k} }

type files struct{ *store.Sink }

func (k files) Begin(key store.SessionKey) SinkSession { return filesSession{k.Sink.Begin(key)} }

type filesSession struct{ *store.Session }

func (s filesSession) Open(rq store.Request) (store.Answer, SinkFile) {
	answer, f := s.Session.Open(rq)
	if f == nil { // which is not the nil of an interface
		return answer, nil
	}
	return answer, f
}
