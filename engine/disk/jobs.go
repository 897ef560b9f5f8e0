package disk

import (
	"time"

	"uftp/engine/block"
	"uftp/engine/machine"
	"uftp/engine/store"
)

// Result is the outcome of a job, or a write that failed.
type Result interface{ result() }

type (
	// Opened answers Open. With Answer.Complete there is no file any more.
	Opened struct {
		File   *File
		Answer store.Answer
	}
	// Closed answers Close. Err is nil if the file has its final name. GaveUp is the
	// error of giving up a file that could not be written.
	Closed struct {
		File     *File
		Finished store.Finished
		Elapsed  time.Duration // since it was opened
		Err      error
		GaveUp   error
	}
	// Checkpointed answers Checkpoint, also where the file could not be written.
	Checkpointed struct {
		File *File
		Err  error
	}
	// Abandoned answers Abandon.
	Abandoned struct {
		File *File
		Err  error
	}
	// Settled answers Settle.
	Settled struct {
		For machine.Event
		Log []string
		Err error
	}
	// Ended answers End. Late is what could be moved of earlier sessions.
	Ended struct {
		For   machine.Event
		Late  []store.LateMove
		Moved []string
		Log   []string
		Err   error
		group uint32
	}
	// WriteFailed says that a file could not be written and is not written any more.
	WriteFailed struct {
		File *File
		Err  error
	}
)

func (Opened) result()       {}
func (Closed) result()       {}
func (Checkpointed) result() {}
func (Abandoned) result()    {}
func (Settled) result()      {}
func (Ended) result()        {}
func (WriteFailed) result()  {}

// job is something to do for a session, by the worker of its group.
type job interface {
	do(d *Disk) Result
}

type (
	open struct {
		file *File
		rq   store.Request
	}
	closing    struct{ file *File }
	checkpoint struct {
		file    *File
		missing *block.Set
	}
	abandon struct {
		file    *File
		missing *block.Set
	}
	settle struct {
		session *Session
		event   machine.Event
	}
	end struct {
		session *Session
		ok      bool
		event   machine.Event
	}
)

// begun returns the sink's side of a session.
func (s *Session) begun(d *Disk) SinkSession {
	if s.sink == nil {
		s.sink = d.cfg.Sink.Begin(s.key)
	}
	return s.sink
}

func (j open) do(d *Disk) Result {
	answer, sink := j.file.session.begun(d).Open(j.rq)
	j.file.sink, j.file.opened = sink, d.cfg.Clock()
	return Opened{j.file, answer}
}

func (j closing) do(d *Disk) Result {
	f := j.file
	r := Closed{File: f, Err: f.failed}
	if f.failed != nil {
		// Which blocks are there is unknown: so no block is, for the next session.
		var all block.Set
		all.Reset(f.blocks, true)
		r.GaveUp = f.sink.Abandon(&all)
	} else if r.Finished, r.Err = f.sink.Finish(); r.Err == nil {
		r.Elapsed = d.cfg.Clock().Sub(f.opened)
	}
	f.sink = nil
	return r
}

func (j checkpoint) do(*Disk) Result { return Checkpointed{j.file, j.file.sink.Checkpoint(j.missing)} }

func (j abandon) do(*Disk) Result {
	r := Abandoned{File: j.file}
	if j.file.sink != nil {
		r.Err = j.file.sink.Abandon(j.missing)
		j.file.sink = nil
	}
	return r
}

func (j settle) do(d *Disk) Result {
	log, err := j.session.begun(d).MarkDone()
	return Settled{j.event, log, err}
}

func (j end) do(d *Disk) Result {
	r := Ended{For: j.event, group: j.session.key.Group}
	r.Late = d.cfg.Sink.RetryMoves() // first, for they are older
	r.Moved, r.Log, r.Err = j.session.begun(d).End(j.ok)
	return r
}
