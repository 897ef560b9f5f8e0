package engine

import (
	"errors"
	"net/netip"

	"uftp/engine/machine"
	"uftp/engine/ring"
	"uftp/engine/seal"
	"uftp/engine/store"
)

// Data of a sender, from plan to wire:
//
//  1. the core plans a train into a free slot (send.go);
//  2. a filler, or the transmitter when there are none, reads the blocks straight
//     behind the places of their headers, writes the headers and, in an encrypted
//     session, seals the datagrams where they lie (here);
//  3. the transmitter waits for the departure and sends what is due, one system
//     call for up to txBatch trains (tx.go).
//
// Control packets take the same way, so the order on the wire is that of the plan, and so is
// the order of the counters. The machine has sealed them already. The ring may stand still
// because of a disk. Packets that must leave even then take a ring and a goroutine of
// their own (runUrgent).

// slotState says how far a slot has come.
type slotState uint8

const (
	slotPlanned slotState = iota // train: nothing read yet
	slotFilled                   // ready to leave
	slotBroken                   // its blocks could not be read: it does not leave
)

// txSlot is one train or control packet on its way out.
type txSlot struct {
	buf    []byte
	train  machine.Train // when src is not nil
	src    *source
	state  slotState
	to     netip.AddrPort
	n, seg int
	bufs   [machine.MaxTrainBlocks][]byte // places of the blocks
	vec    store.ReadVec
}

// source is the file that trains are read from. pending and closing belong to the core.
type source struct {
	path    string
	src     *store.Source // nil unless a regular file
	id      uint16
	pending int // slots that refer to it
	closing bool
	failed  bool   // that it cannot be read was reported
	hold    func() // for tests: called before each read; may be nil
}

// close closes the file, if there is one that is open.
func (s *source) close() error {
	if s == nil || s.src == nil {
		return nil
	}
	src := s.src
	s.src = nil
	return src.Close()
}

// check returns an error if the file has shrunk since the walk found it, which may be long
// ago. Such a file is left out. Once it is announced, every receiver would have to give it
// up. A file that grew is sent as long as it was.
func (s *source) check() error {
	if s == nil || s.src == nil {
		return nil
	}
	if err := s.src.Check(); errors.Is(err, store.ErrShrunk) {
		return err
	}
	return nil
}

// packet makes the slot a control packet.
func (s *txSlot) packet(p *machine.Packet) {
	s.src = nil
	s.n = copy(s.buf, p.Data)
	s.seg, s.to, s.state = 0, p.To, slotFilled
}

// fill packs the slot's train: it writes the headers, reads the blocks to where they belong,
// and completes the datagrams. It returns errOver if the run has ended during the read.
func (s *txSlot) fill(p *seal.Packer, quit <-chan struct{}) error {
	t := &s.train
	for i := range t.N {
		s.bufs[i] = p.Put(s.buf, t, i)
	}
	for i := 0; i < t.N; {
		j := i + 1
		for j < t.N && t.Block[j] == t.Block[j-1]+1 {
			j++
		}
		if s.src.hold != nil {
			s.src.hold()
		}
		if err := s.src.src.ReadBlocks(&s.vec, s.bufs[i:j], t.Layout.Offset(int(t.Block[i]))); err != nil {
			s.state = slotBroken
			return err
		}
		i = j
	}
	if over(quit) { // the read may have hung until after the end: the keys may be gone
		s.state = slotBroken
		return errOver
	}
	n, err := p.Seal(s.buf, t)
	if err != nil {
		s.state = slotBroken
		return err
	}
	s.n, s.seg, s.to, s.state = n, p.Stride(), t.To, slotFilled
	return nil
}

// filler fills the trains in slots. A run has several, each with a goroutine of its own, or
// one that the transmitter calls.
type filler struct {
	packer *seal.Packer
	failed *ring.Mailbox[fileFailure]
	quit   <-chan struct{}
}

// fileFailure says that a file could not be read any more.
type fileFailure struct {
	src *source
	err error
}

// run fills the slots of h, and wipes its keys at the end.
func (f *filler) run(h *ring.Hand[txSlot]) {
	defer f.packer.Wipe()
	for !over(f.quit) && ready(h, f.quit) {
		f.fill(h.Slot())
		h.Done(1)
	}
}

// fill fills a slot if it holds a train that is only planned.
func (f *filler) fill(s *txSlot) {
	if s.state != slotPlanned {
		return
	}
	if err := s.fill(f.packer, f.quit); err != nil && err != errOver {
		f.failed.Put(fileFailure{s.src, err})
	}
}
