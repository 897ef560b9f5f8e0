package disk

import (
	"sync/atomic"

	"uftp/engine/block"
	"uftp/engine/clock"
	"uftp/engine/machine"
	"uftp/engine/ring"
	"uftp/engine/store"
)

// Config is all that a Disk needs.
type Config struct {
	Sink  Sink
	Slots int // of the ring
	// Core and Writer are the hands of the ring's last two stages.
	Core   Core
	Writer Writer
	Clock  func() clock.Time
	Go     func(func())    // runs a function on a goroutine of its own
	Wake   chan struct{}   // gets a token when there are results
	Quit   <-chan struct{} // closed when the run is over

	// For tests: called before each write and each job; may be nil.
	HoldWrite, HoldJob func()
}

// Core is the hand of the stage that calls Store.
type Core interface {
	Followed() uint64 // position up to which the writer is done
	Held() int        // slots that wait for core and writer
}

// Writer is the hand of the stage that Run is.
type Writer interface {
	Ahead(k int) bool
	Pos() uint64
	Done(k int)
	SetWake(chan struct{})
	Wake() <-chan struct{}
}

// Disk is what a receiver has on its disk. See the package comment.
type Disk struct {
	cfg     Config
	lists   []list // by slot: a slot's owner owns its list
	results *ring.Mailbox[Result]

	// The core's.
	groups  map[uint32]*group
	pending int    // results to come
	pos     uint64 // of the slot that Store was at last, and its list
	list    *list
	backlog

	writer writer
}

// Session is one session that may have files.
type Session struct {
	key   store.SessionKey
	group *group
	sink  SinkSession // begun by its first job; the worker's
}

// File is a file being received.
type File struct {
	For machine.Event // given to Open

	session *Session
	blocks  int
	behind  uint64   // position behind its last block; the core's
	sink    SinkFile // set by the job Open; the writer reads it from the first block on
	opened  clock.Time
	failed  error // of the first write that failed; the writer's, and the worker's once it closes
}

// New returns a Disk. Call it, and start Run, before any goroutine uses the ring.
func New(cfg Config) *Disk {
	d := &Disk{
		cfg:     cfg,
		lists:   make([]list, cfg.Slots),
		results: ring.NewMailbox[Result](cfg.Wake),
		groups:  map[uint32]*group{},
	}
	wake := make(chan struct{}, 1)
	cfg.Writer.SetWake(wake)
	d.writer = writer{Disk: d, fences: ring.NewMailbox[fence](wake)}
	d.list = &d.lists[0]
	d.backlog = newBacklog(cfg.Slots)
	return d
}

// Store notes that data, which lies in the slot at pos, belongs at off of f. At most
// machine.MaxJoined blocks lie in a slot.
func (d *Disk) Store(f *File, off int64, data []byte, pos uint64) {
	if pos != d.pos {
		d.pos, d.list = pos, &d.lists[pos%uint64(len(d.lists))]
	}
	f.behind = pos + 1
	d.list.add(write{f, off, data})
}

// Begin begins a session; End ends it.
func (d *Disk) Begin(key store.SessionKey) *Session {
	g := d.groups[key.Group]
	if g == nil {
		g = newGroup()
		d.groups[key.Group] = g
		d.cfg.Go(func() { g.run(d) })
	}
	g.sessions++
	return &Session{key: key, group: g}
}

// Open opens a file for rq, or does what else rq means. event comes back with the results.
// The file may be stored to when Opened says so.
func (d *Disk) Open(s *Session, rq store.Request, event machine.Event) *File {
	f := &File{For: event, session: s, blocks: rq.Layout.Blocks}
	d.do(s, 0, open{f, rq})
	return f
}

// Close gives a file its final name. No block of it follows.
func (d *Disk) Close(f *File) { d.do(f.session, f.behind, closing{f}) }

// Checkpoint makes durable what is there. missing belongs to the disk until Checkpointed.
func (d *Disk) Checkpoint(f *File, missing *block.Set) {
	d.do(f.session, f.behind, checkpoint{f, missing})
}

// Abandon gives a file up. No block of it follows, and missing is the disk's.
func (d *Disk) Abandon(f *File, missing *block.Set) {
	d.do(f.session, f.behind, abandon{f, missing})
}

// Settle makes known that the session has all its files.
func (d *Disk) Settle(s *Session, event machine.Event) { d.do(s, 0, settle{s, event}) }

// End ends a session, which is over successfully if ok. Nothing of it follows.
func (d *Disk) End(s *Session, ok bool, event machine.Event) { d.do(s, 0, end{s, ok, event}) }

// do gives a job to the worker of its group: directly, or behind the slots before pos.
func (d *Disk) do(s *Session, pos uint64, j job) {
	d.pending++
	g := s.group
	if _, ok := j.(checkpoint); !ok && g.passed.Load() == g.fenced && d.cfg.Core.Followed() >= pos {
		g.jobs.Put(j)
		return
	}
	g.fenced++
	d.writer.fences.Put(fence{pos, g, j})
}

// Results returns what has been done since the last call.
func (d *Disk) Results() []Result {
	list := d.results.Take()
	for _, r := range list {
		switch r := r.(type) {
		case WriteFailed:
			continue // it answers no job
		case Ended:
			d.leave(r.group)
		}
		d.pending--
	}
	return list
}

// Pending is how many results are still to come.
func (d *Disk) Pending() int { return d.pending }

// leave ends the worker of a group when its last session is over.
func (d *Disk) leave(id uint32) {
	g := d.groups[id]
	if g.sessions--; g.sessions == 0 {
		close(g.quit)
		delete(d.groups, id)
	}
}

// group does the jobs of the sessions of one group, on a goroutine of its own.
type group struct {
	jobs     *ring.Mailbox[job]
	wake     chan struct{}
	quit     chan struct{}
	sessions int           // not ended; the core's
	fenced   uint64        // jobs that were given to the writer; the core's
	passed   atomic.Uint64 // and those that the writer has handed on
}

func newGroup() *group {
	g := &group{wake: make(chan struct{}, 1), quit: make(chan struct{})}
	g.jobs = ring.NewMailbox[job](g.wake)
	return g
}

func (g *group) run(d *Disk) {
	for {
		jobs := g.jobs.Take()
		for _, j := range jobs {
			if d.cfg.HoldJob != nil {
				d.cfg.HoldJob()
			}
			if d.over() { // the job before may have hung until after the end
				return
			}
			d.results.Put(j.do(d))
		}
		if len(jobs) > 0 {
			continue
		}
		select {
		case <-g.wake:
		case <-g.quit:
			return
		case <-d.cfg.Quit:
			return
		}
	}
}

// over reports whether the run is over.
func (d *Disk) over() bool {
	select {
	case <-d.cfg.Quit:
		return true
	default:
		return false
	}
}
