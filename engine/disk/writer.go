package disk

import (
	"uftp/engine/machine"
	"uftp/engine/ring"
)

// Limits of one write: the kernel takes 1024 buffers, and a slot should not wait long.
const (
	writeBufsMax  = 1024
	writeBytesMax = 4 << 20
	writeSlotsMax = writeBufsMax / machine.MaxJoined
)

// write is one block to store.
type write struct {
	file *File
	off  int64
	data []byte
}

// list is what one slot has to store.
type list struct {
	n int
	w [machine.MaxJoined]write
}

func (l *list) add(w write) {
	l.w[l.n] = w
	l.n++
}

// clear forgets the references so that a closed file can go.
func (l *list) clear() {
	clear(l.w[:l.n])
	l.n = 0
}

// fence is a job that must not overtake the slots before pos.
type fence struct {
	pos   uint64
	group *group
	job   job
}

// writer is that part of a Disk which Run owns.
type writer struct {
	*Disk
	fences *ring.Mailbox[fence]
	queue  []fence // taken, waiting for their position

	bufs [][]byte
}

// Run writes blocks until the run is over.
func (d *Disk) Run() { d.writer.run() }

func (w *writer) run() {
	w.bufs = make([][]byte, 0, writeBufsMax)
	h := w.cfg.Writer
	for {
		w.queue = append(w.queue, w.fences.Take()...)
		w.pass()
		// Slots behind a job that comes between Take and here may be written before it is
		// handed on. That does no harm: they hold nothing for its file, or, if the job is a
		// checkpoint, blocks that it calls missing.
		k := 0
		for k < writeSlotsMax && h.Ahead(k) && !w.fenced(k) {
			k++
		}
		if k > 0 {
			w.store(k)
			h.Done(k)
			continue
		}
		if w.fenced(0) || w.fences.Size() > 0 {
			continue
		}
		select {
		case <-h.Wake():
		case <-w.cfg.Quit:
			return
		}
	}
}

// fenced reports whether a job waits for the slots before the one k from now.
func (w *writer) fenced(k int) bool {
	return len(w.queue) > 0 && w.queue[0].pos <= w.cfg.Writer.Pos()+uint64(k)
}

// pass hands on the jobs whose slots are all written.
func (w *writer) pass() {
	done := 0
	for done < len(w.queue) && w.queue[done].pos <= w.cfg.Writer.Pos() {
		f := &w.queue[done]
		if c, ok := f.job.(checkpoint); ok && c.file.failed != nil {
			w.results.Put(Checkpointed{File: c.file})
		} else {
			f.group.jobs.Put(f.job)
		}
		f.group.passed.Add(1)
		done++
	}
	if done > 0 {
		n := copy(w.queue, w.queue[done:])
		clear(w.queue[n:])
		w.queue = w.queue[:n]
	}
}

// at returns the list of the slot k from now.
func (w *writer) at(k int) *list {
	return &w.lists[(w.cfg.Writer.Pos()+uint64(k))%uint64(len(w.lists))]
}

// store writes what the next k slots hold.
func (w *writer) store(k int) {
	var file *File
	var start, end int64
	w.bufs = w.bufs[:0]
	for i := range k {
		l := w.at(i)
		for j := range l.n {
			b := &l.w[j]
			if b.file != file || b.off != end || len(w.bufs) == writeBufsMax || end-start >= writeBytesMax {
				w.flush(file, start)
				file, start, end = b.file, b.off, b.off
			}
			w.bufs = append(w.bufs, b.data)
			end += int64(len(b.data))
		}
	}
	w.flush(file, start)
	for i := range k {
		w.at(i).clear()
	}
}

// flush writes one run of neighbouring blocks.
func (w *writer) flush(f *File, off int64) {
	if len(w.bufs) > 0 && f.failed == nil {
		if w.cfg.HoldWrite != nil {
			w.cfg.HoldWrite()
		}
		if w.over() { // the write before may have hung until after the end
			w.bufs = w.bufs[:0]
			return
		}
		if err := f.sink.WriteAt(w.bufs, off); err != nil {
			f.failed = err
			w.results.Put(WriteFailed{f, err})
		}
	}
	w.bufs = w.bufs[:0]
}
