package engine

import (
	"time"

	"uftp/engine/machine"
	"uftp/engine/receiver"
	"uftp/engine/ring"
	"uftp/engine/store"
)

// Data of a receiver, from wire to file:
//
//  1. rx fills slots from the socket; a run joined by the kernel stays whole (rx.go);
//  2. a worker, if there are any, opens the sealed datagrams that it has keys for,
//     where they lie, and marks in the slot what came of it (unseal.go);
//  3. the core gives each datagram to the machine, which opens what nobody has tried,
//     and notes in the slot which bytes go where (receive.go);
//  4. the writer joins neighbouring blocks, also across slots, into one vectored
//     write straight from the slots;
//  5. the slot is free again.
//
// Requests (open, close, …) overtake each other never, nor the data of their file: each
// is stamped with the position of the ring behind its last block, and the writer passes
// it on when all slots before that are written. If they are, and no request waits, the
// core does so itself: the writer may be busy for long with the data of another session.

// Limits of one write: the kernel takes 1024 buffers, and a slot should not wait long.
const (
	writeBufsMax  = 1024
	writeBytesMax = 4 << 20
	slotWritesMax = machine.MaxJoined // datagrams in one slot
	writeSlotsMax = writeBufsMax / slotWritesMax
)

// openFile is a file being received. sink belongs to its worker until the file is
// open, then to the writer; broken is the writer's.
type openFile struct {
	ref    machine.FileRef
	req    receiver.Request
	of     receiver.Session
	opened time.Time
	behind uint64 // position in the ring behind its last block; the core's
	sink   *store.File
	broken error // of the first write that failed: write no more. The writer's, and the worker's once it closes
}

// write is one block to store.
type write struct {
	file *openFile
	off  int64
	data []byte
}

// writeList is what one slot has to store.
type writeList struct {
	n int
	w [slotWritesMax]write
}

// add notes a block. The kernel joins at most slotWritesMax datagrams, so it fits;
// the caller has seen to it.
func (l *writeList) add(w write) {
	l.w[l.n] = w
	l.n++
}

// clear forgets the references so that a closed file can go.
func (l *writeList) clear() {
	clear(l.w[:l.n])
	l.n = 0
}

// fenced is a request that must not overtake the slots before pos.
type fenced struct {
	pos uint64
	to  *worker
	req request
}

// writer is the last stage of a receiver.
type writer struct {
	hand     *ring.Hand[rxSlot]
	requests *ring.Mailbox[fenced]
	queue    []fenced // taken, waiting for their position
	answers  *ring.Mailbox[answer]
	quit     <-chan struct{}
	hold     func() // for tests: called before each write; may be nil

	bufs [][]byte
}

func (w *writer) run() {
	w.bufs = make([][]byte, 0, writeBufsMax)
	for {
		w.queue = append(w.queue, w.requests.Take()...)
		w.pass()
		// A request that comes between take and here may be overtaken by slots
		// behind it. That does no harm: they hold nothing for its file.
		k := 0
		for k < writeSlotsMax && w.hand.Ahead(k) && !w.fence(k) {
			k++
		}
		if k > 0 {
			w.store(k)
			w.hand.Done(k)
			continue
		}
		if len(w.queue) > 0 && w.queue[0].pos <= w.hand.Pos() || w.requests.Size() > 0 {
			continue
		}
		select {
		case <-w.hand.Wake():
		case <-w.quit:
			return
		}
	}
}

// fence reports whether a request waits for the slot k from now.
func (w *writer) fence(k int) bool {
	return len(w.queue) > 0 && w.queue[0].pos <= w.hand.Pos()+uint64(k)
}

// pass hands on the requests whose slots are all written.
func (w *writer) pass() {
	done := 0
	for done < len(w.queue) && w.queue[done].pos <= w.hand.Pos() {
		f := &w.queue[done]
		if ev, ok := f.req.ev.(receiver.Checkpoint); ok && f.req.file.broken != nil {
			// Its set calls a block present that could not be written.
			w.answers.Put(answer{kind: answerCheckpointed, ref: ev.Ref})
		} else {
			f.to.box.Put(f.req)
		}
		f.to.passed.Add(1)
		done++
	}
	if done > 0 {
		n := copy(w.queue, w.queue[done:])
		clear(w.queue[n:])
		w.queue = w.queue[:n]
	}
}

// store writes what the next k slots hold.
func (w *writer) store(k int) {
	var file *openFile
	var start, end int64
	w.bufs = w.bufs[:0]
	for i := range k {
		l := &w.hand.Peek(i).writes
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
		w.hand.Peek(i).writes.clear()
	}
}

// flush writes one run of neighbouring blocks.
func (w *writer) flush(f *openFile, off int64) {
	if len(w.bufs) > 0 && f.broken == nil {
		if w.hold != nil {
			w.hold()
		}
		if over(w.quit) { // perhaps long ago
			w.bufs = w.bufs[:0]
			return
		}
		if err := f.sink.WriteAt(w.bufs, off); err != nil {
			f.broken = err
			w.answers.Put(answer{kind: answerWriteFailed, ref: f.ref, text: forPeer(err), events: failure(f.of, "storing "+f.req.Name, err)})
		}
	}
	w.bufs = w.bufs[:0]
}
