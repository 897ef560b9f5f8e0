package disk

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"uftp/engine/block"
	"uftp/engine/clock"
	"uftp/engine/machine"
	"uftp/engine/ring"
	"uftp/engine/store"
)

// TestAgainstModel plays a machine that opens, stores, closes, checkpoints and abandons as it
// comes, in several sessions of several groups, over a sink that is slow now and then and
// fails at times. The model notes what was asked for; whatever reaches the sink must agree.
func TestAgainstModel(t *testing.T) { rapid.Check(t, play) }

const (
	blockBytes  = 8
	modelSlots  = 5
	blocksMax   = 40 // of a file
	jobPatience = 10 * time.Second
)

// named is the event that a job was asked for with.
type named struct{ id int }

func (named) MachineEvent() {}

var errFull = errors.New("no space")

// player is the machine, and with mu the model, which the sink looks at.
type player struct {
	*rapid.T
	d        *Disk
	in, core *ring.Hand[[]byte]
	wake     chan struct{}

	mu       sync.Mutex
	wrong    []string // what the sink found
	delay    *rand.Rand
	asked    int            // jobs, numbered as they were asked for
	ran      map[uint32]int // by group: the last job that reached the sink
	sets     map[*block.Set]snapshot
	files    map[string]*modelFile // by name
	sessions []*modelSession
	results  int
}

// snapshot is what a file held when a job was asked for.
type snapshot struct {
	id     int
	stored map[int64]bool
}

type modelSession struct {
	*Session
	group   uint32
	files   []*modelFile
	settles []int // ids, not run
	end     int
	done    bool // the result of End is there
}

type modelFile struct {
	*File
	session   *modelSession
	name      string
	complete  bool // there is nothing to receive
	failAfter int  // writes
	openID    int
	closeID   int
	next      int            // block behind the one stored last
	stored    map[int64]bool // asked for
	written   map[int64]bool // reached the sink
	opened    bool           // the machine knows
	over      bool           // closed or abandoned
	failed    bool           // in the sink
	reported  bool           // WriteFailed came
	finished  bool           // in the sink: nothing may follow
}

func play(t *rapid.T) {
	r := ring.New(modelSlots, func(_ int, b *[]byte) { *b = make([]byte, machine.MaxJoined*blockBytes) }, 1, 1, 1)
	quit := make(chan struct{})
	p := &player{
		T: t, in: r.Hand(0, 0), core: r.Hand(1, 0), wake: make(chan struct{}, 1),
		delay: rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "delays"), 0)),
		ran:   map[uint32]int{}, sets: map[*block.Set]snapshot{}, files: map[string]*modelFile{},
	}
	var now clock.Time
	var wg sync.WaitGroup
	p.d = New(Config{
		Sink: p, Slots: modelSlots, Core: p.core, Writer: r.Hand(2, 0),
		Clock: func() clock.Time { return now }, Go: wg.Go, Wake: p.wake, Quit: quit,
	})
	wg.Go(p.d.Run)
	defer func() {
		close(quit)
		wg.Wait()
	}()
	for range rapid.IntRange(1, 60).Draw(t, "steps") {
		p.step()
		p.hear()
	}
	p.finish()
}

// step does one thing that a machine may do now.
func (p *player) step() {
	open := p.which(func(f *modelFile) bool { return !f.over && !f.complete })
	var steps []func()
	if len(p.sessions) < 6 {
		steps = append(steps, p.begin)
	}
	for _, s := range p.sessions {
		if s.end == 0 {
			steps = append(steps, func() { p.open(s) }, func() { p.settle(s) })
			if rapid.IntRange(0, 5).Draw(p.T, "end") == 0 {
				steps = append(steps, func() { p.end(s) })
			}
		}
	}
	if len(open) > 0 {
		f := rapid.SampledFrom(open).Draw(p.T, "file")
		some := func() { p.store(open) }
		steps = append(steps, some, some, some, some, func() { p.close(f) }, func() { p.checkpoint(f) }, func() { p.checkpoint(f) }, func() { p.abandon(f) })
	}
	if len(steps) > 0 {
		rapid.SampledFrom(steps).Draw(p.T, "step")()
	}
}

func (p *player) which(ok func(*modelFile) bool) (list []*modelFile) {
	for _, name := range slices.Sorted(maps.Keys(p.files)) {
		if f := p.files[name]; ok(f) {
			list = append(list, f)
		}
	}
	return list
}

// ask numbers a job.
func (p *player) ask() int {
	p.asked++
	return p.asked
}

func (p *player) begin() {
	group := rapid.Uint32Range(1, 2).Draw(p.T, "group")
	p.mu.Lock()
	s := &modelSession{group: group}
	p.sessions = append(p.sessions, s)
	instance := uint8(len(p.sessions) - 1)
	p.mu.Unlock()
	s.Session = p.d.Begin(store.SessionKey{Group: group, Instance: instance})
}

func (p *player) open(s *modelSession) {
	f := &modelFile{
		session: s, name: fmt.Sprintf("f%03d", len(p.files)), openID: p.ask(),
		complete:  rapid.IntRange(0, 9).Draw(p.T, "complete") == 0,
		failAfter: rapid.SampledFrom([]int{-1, -1, -1, 0, 1, 3}).Draw(p.T, "failAfter"),
		stored:    map[int64]bool{}, written: map[int64]bool{},
	}
	p.mu.Lock()
	p.files[f.name] = f
	s.files = append(s.files, f)
	p.mu.Unlock()
	f.File = p.d.Open(s.Session, store.Request{Name: f.name, Layout: block.Layout{Blocks: blocksMax}}, named{f.openID})
}

// content is what block i of f holds.
func (f *modelFile) content(i int) []byte { return fmt.Appendf(nil, "%s%04d", f.name, i)[:blockBytes] }

// store fills one slot with blocks of some files.
func (p *player) store(open []*modelFile) {
	p.until("a slot is free", p.in.Ready)
	buf := *p.in.Slot()
	for i := range buf {
		buf[i] = '#' // nobody may look at what was there
	}
	p.in.Done(1)
	for n := rapid.IntRange(0, 6).Draw(p.T, "blocks"); n > 0 && len(buf) > 0; n-- {
		f := rapid.SampledFrom(open).Draw(p.T, "of")
		i := f.next
		if rapid.IntRange(0, 4).Draw(p.T, "jump") == 0 {
			i = rapid.IntRange(0, blocksMax-1).Draw(p.T, "block")
		}
		off := int64(i * blockBytes)
		if i == blocksMax || f.over || f.stored[off] {
			continue
		}
		p.until("the file is open", func() bool { return f.opened })
		copy(buf, f.content(i))
		f.next = i + 1
		p.mu.Lock()
		f.stored[off] = true
		p.mu.Unlock()
		p.d.Store(f.File, off, buf[:blockBytes], p.core.Pos())
		buf = buf[blockBytes:]
	}
	p.core.Done(1)
}

// until hears results until ok.
func (p *player) until(what string, ok func() bool) {
	for limit := time.Now().Add(jobPatience); !ok(); p.hear() {
		if time.Now().After(limit) {
			p.Fatalf("waited for long until %s", what)
		}
		runtime.Gosched()
	}
}

// set returns a set that belongs to a new job for f.
func (p *player) set(f *modelFile) *block.Set {
	s := new(block.Set)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sets[s] = snapshot{p.ask(), maps.Clone(f.stored)}
	return s
}

func (p *player) checkpoint(f *modelFile) { p.d.Checkpoint(f.File, p.set(f)) }

func (p *player) abandon(f *modelFile) {
	f.over = true
	p.d.Abandon(f.File, p.set(f))
}

func (p *player) close(f *modelFile) {
	p.mu.Lock()
	f.over, f.closeID = true, p.ask()
	p.mu.Unlock()
	p.d.Close(f.File)
}

func (p *player) settle(s *modelSession) {
	p.mu.Lock()
	id := p.ask()
	s.settles = append(s.settles, id)
	p.mu.Unlock()
	p.d.Settle(s.Session, named{id})
}

func (p *player) end(s *modelSession) {
	for _, f := range s.files {
		if !f.over {
			p.abandon(f)
		}
	}
	p.mu.Lock()
	s.end = p.ask()
	p.mu.Unlock()
	p.d.End(s.Session, true, named{s.end})
}

// hear takes results, if there are any.
func (p *player) hear() {
	list := p.d.Results()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, res := range list {
		p.result(res)
	}
	if len(p.wrong) > 0 {
		p.Fatal(p.wrong)
	}
}

func (p *player) result(res Result) {
	if _, ok := res.(WriteFailed); !ok {
		p.results++
	}
	of := func(h *File) *modelFile {
		for _, f := range p.files {
			if f.File == h {
				return f
			}
		}
		panic("a result for an unknown file")
	}
	switch res := res.(type) {
	case Opened:
		f := of(res.File)
		if res.File.For != (named{f.openID}) || f.opened || res.Answer.Complete != f.complete {
			p.Fatalf("%s: result %+v of Open", f.name, res)
		}
		f.opened = true
		f.over = f.over || f.complete
	case WriteFailed:
		f := of(res.File)
		if !f.failed || f.reported {
			p.Fatalf("%s: failed is %v, reported is %v, and it is reported", f.name, f.failed, f.reported)
		}
		f.reported = true
	case Closed:
		f := of(res.File)
		if f.closeID == 0 || f.failed != (res.Err != nil) || f.failed != f.reported {
			p.Fatalf("%s: closed with %v, failed is %v, reported is %v", f.name, res.Err, f.failed, f.reported)
		}
	case Settled, Checkpointed, Abandoned:
	case Ended:
		s := p.sessions[slices.IndexFunc(p.sessions, func(s *modelSession) bool { return res.For == named{s.end} })]
		if s.done {
			p.Fatal("a session ended twice")
		}
		s.done = true
	}
}

// finish ends all sessions and wants all jobs to be answered.
func (p *player) finish() {
	for _, s := range p.sessions {
		if s.end == 0 {
			p.end(s)
		}
	}
	p.until("all jobs are done", func() bool { return p.d.Pending() == 0 })
	if p.results != p.asked || len(p.d.groups) != 0 {
		p.Fatalf("%d results of %d jobs, %d groups left", p.results, p.asked, len(p.d.groups))
	}
	for _, f := range p.files {
		if f.failed != f.reported {
			p.Errorf("%s: failed is %v, reported is %v", f.name, f.failed, f.reported)
		}
	}
}

// The sink.

// at locks the model for a call, after a while. Call what it returns at the end.
func (p *player) at() func() {
	p.mu.Lock()
	n := p.delay.IntN(40)
	p.mu.Unlock()
	switch {
	case n == 0:
		time.Sleep(time.Millisecond)
	case n < 10:
		runtime.Gosched()
	}
	p.mu.Lock()
	return p.mu.Unlock
}

func (p *player) wantf(ok bool, format string, args ...any) {
	if !ok {
		p.wrong = append(p.wrong, fmt.Sprintf(format, args...))
	}
}

// wantOrder wants the jobs of a group in the order in which they were asked for.
func (p *player) wantOrder(group uint32, id int, what string) {
	p.wantf(id > p.ran[group], "group %d: job %d (%s) runs after job %d", group, id, what, p.ran[group])
	p.ran[group] = id
}

func (p *player) Begin(key store.SessionKey) SinkSession {
	defer p.at()()
	return sinkSession{p, p.sessions[key.Instance]}
}

func (p *player) RetryMoves() []store.LateMove { return nil }

type sinkSession struct {
	p *player
	s *modelSession
}

func (k sinkSession) Open(rq store.Request) (store.Answer, SinkFile) {
	defer k.p.at()()
	f := k.p.files[rq.Name]
	k.p.wantOrder(k.s.group, f.openID, "open")
	if f.complete {
		return store.Answer{Complete: true}, nil
	}
	return store.Answer{}, sinkFile{k.p, f}
}

func (k sinkSession) MarkDone() ([]string, error) {
	defer k.p.at()()
	k.p.wantOrder(k.s.group, k.s.settles[0], "settle")
	k.s.settles = k.s.settles[1:]
	return nil, nil
}

func (k sinkSession) End(bool) ([]string, []string, error) {
	defer k.p.at()()
	k.p.wantOrder(k.s.group, k.s.end, "end")
	return nil, nil, nil
}

type sinkFile struct {
	p *player
	f *modelFile
}

func (k sinkFile) WriteAt(bufs [][]byte, off int64) error {
	defer k.p.at()()
	f := k.f
	k.p.wantf(!f.finished && !f.failed, "%s: written to after its end or a failure", f.name)
	if f.failAfter == 0 {
		f.failed = true
		return errFull
	}
	f.failAfter--
	for _, b := range bufs {
		k.p.wantf(f.stored[off] && bytes.Equal(b, f.content(int(off/blockBytes))), "%s: %q written at %d", f.name, b, off)
		f.written[off] = true
		off += blockBytes
	}
	return nil
}

// wantWritten wants all blocks of a snapshot to be in the sink.
func (k sinkFile) wantWritten(stored map[int64]bool, what string) {
	for off := range stored {
		k.p.wantf(k.f.written[off], "%s: %s overtakes the block at %d", k.f.name, what, off)
	}
}

func (k sinkFile) Finish() (store.Finished, error) {
	defer k.p.at()()
	k.p.wantOrder(k.f.session.group, k.f.closeID, "close")
	k.p.wantf(!k.f.finished && !k.f.failed, "%s: finished after its end or a failure", k.f.name)
	k.wantWritten(k.f.stored, "close")
	k.f.finished = true
	return store.Finished{}, nil
}

func (k sinkFile) Checkpoint(missing *block.Set) error {
	defer k.p.at()()
	at := k.p.sets[missing]
	k.p.wantOrder(k.f.session.group, at.id, "checkpoint")
	k.p.wantf(!k.f.finished, "%s: checkpoint after its end", k.f.name)
	k.wantWritten(at.stored, "checkpoint")
	return nil
}

func (k sinkFile) Abandon(missing *block.Set) error {
	defer k.p.at()()
	at, asked := k.p.sets[missing]
	if !asked { // Close, of a file that failed
		at.id = k.f.closeID
		k.p.wantf(k.f.failed && missing.Count() == blocksMax, "%s: given up by Close", k.f.name)
	}
	k.p.wantOrder(k.f.session.group, at.id, "abandon")
	k.p.wantf(!k.f.finished, "%s: abandoned after its end", k.f.name)
	if !k.f.failed {
		k.wantWritten(at.stored, "abandon")
	}
	k.f.finished = true
	return nil
}
