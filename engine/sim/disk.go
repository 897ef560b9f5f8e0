package sim

import (
	"time"

	"uftp/engine/block"
	"uftp/engine/machine"
	"uftp/engine/receiver"
	"uftp/wire"
)

// Disk is the disk of a receiver. It keeps a bit for every block of a file, set when the right
// bytes were stored there. As in package store, the files that a session left belong to its
// owner: a session of the same group with another owner finds none of them.
type Disk struct {
	// How long things take.
	OpenTime, CloseTime, SyncTime time.Duration
	// Space is the room for files, bytes (0 = no limit): a larger file is refused when it
	// is opened. WriteLimit is the number of stored bytes after which writing fails (0 =
	// never), although opening has found room.
	Space, WriteLimit int64
	// CloseError makes every Close fail with it.
	CloseError string
	// Answer, if it returns true, is the outcome of opening instead.
	Answer func(rq *receiver.Request) (receiver.Opened, bool)

	r       *Receiver
	files   []*diskFile // whole ones and parts
	open    map[machine.FileRef]*openFile
	current *openFile // of the last block stored
	written int64
	pending int // answers to come
}

// openFile is a file from Open to its end.
type openFile struct {
	ref    machine.FileRef
	file   *File // nil when nobody sends such a file: a mangled FILEINFO
	layout block.Layout
	whose  whose
	rq     receiver.Request
	ready  bool // Opened was given
	closed bool // Close or Abandon was asked for
	broken bool // StoreFailed was given
	have   block.Set
	kept   *diskFile // where it came from and goes to
}

// diskFile is a file, or part of one, on the disk, with the blocks that a power cut leaves.
type diskFile struct {
	file    *File
	name    string
	whose   whose // zero: of no receiver
	whole   bool
	arrived bool      // in the destination
	durable block.Set // valid when part
	part    bool
}

// whose names the sessions that a file belongs to.
type whose struct {
	group uint32
	owner receiver.Owner
}

func whoseIs(s *receiver.Session) whose { return whose{s.Group, s.Owner} }

func (d *Disk) init(r *Receiver) {
	d.r = r
	d.open = map[machine.FileRef]*openFile{}
}

// Has reports whether the disk has all of f under its name.
func (d *Disk) Has(f *File) bool {
	for _, k := range d.files {
		if k.file == f && k.whole {
			return true
		}
	}
	return false
}

// Part returns how many blocks of f would be there after a power cut.
func (d *Disk) Part(f *File) int {
	for _, k := range d.files {
		if k.file == f && k.part {
			return k.durable.Count()
		}
	}
	return 0
}

// Put places a whole file on the disk.
func (d *Disk) Put(f *File) { d.files = append(d.files, &diskFile{file: f, name: f.Name, whole: true}) }

func (d *Disk) find(of whose, name string) *diskFile {
	for _, k := range d.files {
		if k.name == name && (k.whose == of || k.whose == whose{}) {
			return k
		}
	}
	return nil
}

// later answers the machine after d, unless the receiver was restarted meanwhile.
func (r *Receiver) later(d time.Duration, answer func()) {
	life := r.life
	r.Disk.pending++
	r.w.events.Push(r.w.now.Add(d), event{call: func() {
		if r.life != life {
			return
		}
		r.Disk.pending--
		if r.up {
			r.onTime()
			answer()
			r.settle()
			r.offIfIdle()
		}
	}})
}

func (d *Disk) look(o *openFile) receiver.Opened {
	rq := &o.rq
	if d.Answer != nil {
		if a, ok := d.Answer(rq); ok {
			return a
		}
	}
	switch rq.Type {
	case wire.TypeFile:
	case wire.TypeFreeSpace:
		return receiver.Opened{Action: receiver.Complete, HasSpace: true, FreeSpace: uint64(d.Space)}
	default:
		return receiver.Opened{Action: receiver.Complete}
	}
	if d.Space > 0 && rq.Size > d.Space {
		return receiver.Opened{Action: receiver.Complete, Status: wire.StatusRejected, Text: "Not enough disk space"}
	}
	o.have.Reset(rq.Layout.Blocks, false)
	k := d.find(o.whose, rq.Name)
	if k != nil && rq.Sync && k.whole && k.file == o.file {
		return receiver.Opened{Action: receiver.Complete, Status: wire.StatusSkipped}
	}
	if k != nil && rq.Resume && k.file == o.file {
		switch {
		case k.whole:
			return receiver.Opened{Action: receiver.Complete}
		case k.part && k.durable.Len() == rq.Layout.Blocks:
			o.have.CopyFrom(&k.durable)
			missing := new(block.Set)
			missing.Reset(rq.Layout.Blocks, true)
			for i := o.have.Next(0); i < o.have.Len(); i = o.have.Next(i + 1) {
				missing.Remove(i)
			}
			o.kept = k
			return receiver.Opened{Action: receiver.Receive, Missing: missing, Partial: true}
		}
	}
	if k == nil {
		k = &diskFile{name: rq.Name, whose: o.whose}
		d.files = append(d.files, k)
	}
	if !k.whole {
		k.file, k.whose, k.part = o.file, o.whose, false
	}
	o.kept = k
	return receiver.Opened{Action: receiver.Receive}
}

func (d *Disk) openRequest(ev *receiver.Open) {
	rq := ev.Request
	w := d.r.w
	if rq.Ref == 0 || d.open[rq.Ref] != nil {
		w.Fail("%s opens %s as file %d, which is none or open already", d.r, rq.Name, rq.Ref)
		return
	}
	f := w.fileOf(&ev.Session, &rq)
	if f == nil && !w.mangled && rq.Type == wire.TypeFile {
		w.Fail("%s opens %s of %d bytes, which nobody sends", d.r, rq.Name, rq.Size)
	}
	o := &openFile{ref: rq.Ref, file: f, layout: rq.Layout, whose: whoseIs(&ev.Session), rq: rq}
	d.open[rq.Ref] = o
	d.r.later(d.OpenTime, func() {
		a := d.look(o)
		if a.Action != receiver.Receive {
			delete(d.open, o.ref)
		}
		if a.Action == receiver.Complete {
			d.r.Statuses[rq.Name] = a.Status
		}
		o.ready = true
		d.r.m.Opened(w.now, o.ref, a)
	})
}

// store writes a block of packet p for the machine.
func (d *Disk) store(p *packet, st *machine.Store) {
	w := d.r.w
	o := d.current
	if o == nil || o.ref != st.Ref {
		if o = d.open[st.Ref]; o == nil {
			w.Fail("%s stores to file %d, which is not open", d.r, st.Ref)
			return
		}
		d.current = o
	}
	if !o.ready || o.closed {
		w.Fail("%s stores to %s, which is not open yet or closed (%v, %v)", d.r, o.rq.Name, o.ready, o.closed)
		return
	}
	bs := int64(o.layout.BlockSize)
	i := int(st.Offset / bs)
	if st.Offset%bs != 0 || i < 0 || i >= o.layout.Blocks || len(st.Data) != o.layout.Len(i) {
		w.Fail("%s stores %d bytes at %d of %s: no block of it", d.r, len(st.Data), st.Offset, o.rq.Name)
		return
	}
	if !o.have.Add(i) && !o.broken {
		w.Fail("%s stores block %d of %s twice", d.r, i, o.rq.Name)
	}
	if o.file != nil && !w.mangled {
		// In clear the data is the end of the datagram that the simulation built.
		same := p.file == o.file && p.off == st.Offset && &st.Data[0] == &p.data[len(p.data)-len(st.Data)]
		if !same && !o.file.equal(st.Data, st.Offset) {
			w.Fail("%s stores wrong bytes at %d of %s", d.r, st.Offset, o.rq.Name)
		}
	}
	d.written += int64(len(st.Data))
	if d.WriteLimit > 0 && d.written > d.WriteLimit && !o.broken {
		o.broken = true
		d.r.later(0, func() { d.r.m.StoreFailed(w.now, o.ref, "No space left on device") })
	}
}

// checkMissing checks that each block was stored that a machine does not call missing.
func (d *Disk) checkMissing(o *openFile, missing *block.Set, what string) {
	w := d.r.w
	if missing == nil || missing.Len() != o.layout.Blocks {
		w.Fail("%s: %s of %s without a set of its %d blocks", d.r, what, o.rq.Name, o.layout.Blocks)
		return
	}
	for i := range o.layout.Blocks {
		if missing.Has(i) == o.have.Has(i) && !o.broken {
			w.Fail("%s: %s of %s: block %d missing %v, stored %v", d.r, what, o.rq.Name, i, missing.Has(i), o.have.Has(i))
			return
		}
	}
}

// keep makes the present state of o durable.
func (o *openFile) keep(missing *block.Set) {
	if o.kept == nil || o.kept.whole {
		return
	}
	o.kept.part = true
	o.kept.durable.Reset(o.layout.Blocks, false)
	for i := range o.layout.Blocks {
		if !missing.Has(i) {
			o.kept.durable.Add(i)
		}
	}
}

func (d *Disk) checkpoint(ev *receiver.Checkpoint) {
	o := d.open[ev.Ref]
	if o == nil {
		d.r.w.Fail("%s: checkpoint of file %d, which is not open", d.r, ev.Ref)
		return
	}
	d.checkMissing(o, ev.Missing, "checkpoint")
	want := ev.Missing.Count()
	d.r.later(d.SyncTime, func() {
		if ev.Missing.Count() != want {
			d.r.w.Fail("%s: the set of a checkpoint changed while it was written", d.r)
		}
		if d.r.Config.Restart {
			o.keep(ev.Missing)
		}
		d.r.m.CheckpointDone(d.r.w.now, ev.Ref)
	})
}

func (d *Disk) abandon(ev *receiver.Abandon) {
	o := d.open[ev.Ref]
	if o == nil {
		d.r.w.Fail("%s: abandons file %d, which is not open", d.r, ev.Ref)
		return
	}
	delete(d.open, ev.Ref)
	o.closed = true
	if !o.ready {
		return
	}
	if ev.Missing != nil && ev.Missing.Len() > 0 && ev.Missing.Count() == ev.Missing.Len() {
		return // nothing of it should be kept
	}
	d.checkMissing(o, ev.Missing, "abandon")
	if d.r.Config.Restart && !o.broken {
		o.keep(ev.Missing)
	}
}

func (d *Disk) close(ev *receiver.Close) {
	o := d.open[ev.Ref]
	w := d.r.w
	if o == nil || !o.ready || o.closed {
		w.Fail("%s closes file %d, which is not open", d.r, ev.Ref)
		return
	}
	o.closed = true
	if o.have.Count() != o.layout.Blocks {
		w.Fail("%s closes %s with %d of %d blocks", d.r, o.rq.Name, o.have.Count(), o.layout.Blocks)
	}
	d.r.later(d.CloseTime, func() {
		delete(d.open, ev.Ref)
		text := d.CloseError
		if o.broken {
			text = "a write failed"
		}
		if text == "" && o.kept != nil {
			o.kept.file, o.kept.whole, o.kept.part = o.file, true, false
			if !d.r.Config.Restart {
				d.arrive(o.kept)
			}
		}
		d.r.m.Closed(w.now, ev.Ref, text)
	})
}

// checkEnded checks what a receiver reports to its user.
func (d *Disk) checkEnded(ev *receiver.FileEnded) {
	if ev.Request.Type != wire.TypeFile || d.r.w.mangled || d.Answer != nil || ev.Status == wire.StatusRejected {
		return
	}
	f := d.r.w.fileOf(&ev.Session, &ev.Request)
	if f == nil || !d.Has(f) {
		d.r.w.Fail("%s ends %s with status %d, but its disk does not have it", d.r, ev.Request.Name, ev.Status)
	}
}

func (d *Disk) sessionEnded(ev *receiver.SessionEnded) {
	if d.r.Config.Restart && !ev.OK {
		return
	}
	for _, k := range d.files {
		if k.whose != whoseIs(&ev.Session) {
			continue
		}
		k.part = false // a part that was not resumed is removed
		if k.whole && d.r.Config.Restart {
			d.arrive(k)
		}
	}
}

// arrive puts a whole file into the destination, where it replaces a file of its name.
func (d *Disk) arrive(k *diskFile) {
	for _, o := range d.files {
		if o != k && o.name == k.name && (o.arrived || o.whose == whose{}) {
			o.whole, o.arrived = false, false
		}
	}
	k.arrived = true
}

// powerCut drops all that is not durable.
func (d *Disk) powerCut() {
	d.open = map[machine.FileRef]*openFile{}
	d.current = nil
	d.pending = 0
}

func (d *Disk) atRest() {
	if len(d.open) > 0 || d.pending > 0 {
		d.r.w.Fail("%s: %d files are open and %d answers due at rest", d.r, len(d.open), d.pending)
	}
}
