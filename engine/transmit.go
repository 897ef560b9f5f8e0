package engine

import (
	"errors"
	"net"
	"net/netip"
	"time"

	"uftp/crypto/aead"
	"uftp/engine/cc"
	"uftp/engine/clock"
	"uftp/engine/machine"
	"uftp/engine/netio"
	"uftp/engine/ring"
	"uftp/engine/store"
	"uftp/engine/tap"
	"uftp/wire"
)

// Data of a sender, from plan to wire:
//
//  1. the core plans a train into a free slot (send.go);
//  2. a worker, or the transmitter when there are none, reads the blocks straight
//     behind the places of their headers, writes the headers and, in an encrypted
//     session, seals the datagrams where they lie;
//  3. the transmitter waits for the departure and sends what is due, one system
//     call for up to txBatch trains.
//
// Control packets take the same way, so the order on the wire is that of the plan,
// and with it that of the counters. The machine has sealed them already. Some overtake,
// because the ring may stand still: they leave by a goroutine of their own (overtakeLoop).
//
// A sealed datagram lies in its slot as package aead wants it: common header,
// ENCRYPTED header, signature, FILESEG header and data, tag or padding.

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
	bufs   [machine.MaxTrainBlocks][]byte // of the run being read
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

// check reports whether the file has shrunk since it was found, which may be long
// ago: then it is left out, while a shrinking file that was announced has to be
// aborted at every receiver. One that grew is sent as long as it was.
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

// fill reads the blocks of the slot's train, writes their headers and seals them
// if sealer is not nil. It returns errOver if the run has ended during the read.
func (s *txSlot) fill(sealer *aead.Sealer, quit <-chan struct{}) error {
	t := &s.train
	lead := wire.HeaderLen + wire.FileSegLen
	stride := lead + t.Layout.BlockSize
	if sealer != nil {
		lead = sealer.Lead() + wire.FileSegLen
		stride = sealer.Size(wire.FileSegLen + t.Layout.BlockSize)
	}
	h := t.Head
	end, last := 0, 0
	for i := range t.N {
		b := int(t.Block[i])
		sec, in := t.Layout.Section(b)
		at := i * stride
		plain := at + lead - wire.FileSegLen - wire.HeaderLen
		wire.PutFileSeg(s.buf[plain:], h, t.FileID, uint16(sec), uint16(in))
		if plain > at {
			copy(s.buf[at:at+wire.HeaderLen], s.buf[plain:])
		}
		h.Seq++
		last = t.Layout.Len(b)
		end = at + lead + last
		s.bufs[i] = s.buf[at+lead : end]
	}
	for i := 0; i < t.N; {
		j := i + 1
		for j < t.N && t.Block[j] == t.Block[j-1]+1 {
			j++
		}
		if s.src.hold != nil {
			s.src.hold()
		}
		if err := s.src.src.ReadBlocks(s.bufs[i:j], t.Layout.Offset(int(t.Block[i]))); err != nil {
			s.state = slotBroken
			return err
		}
		i = j
	}
	if over(quit) { // perhaps long ago: the keys may be gone
		s.state = slotBroken
		return errOver
	}
	if sealer != nil {
		var err error
		end, err = sealer.SealBatch(s.buf, t.N, wire.FileSegLen+t.Layout.BlockSize, wire.FileSegLen+last, t.Counter)
		if err != nil {
			s.state = slotBroken
			return err
		}
	}
	s.n, s.seg, s.to, s.state = end, stride, t.To, slotFilled
	return nil
}

// fillLoop is one worker of the fill stage.
func fillLoop(h *ring.Hand[txSlot], sealer *aead.Sealer, failed *mailbox[fileFailure], quit <-chan struct{}) {
	for {
		if over(quit) {
			return
		}
		if !h.Ready() {
			select {
			case <-h.Wake():
				continue
			case <-quit:
				return
			}
		}
		fillSlot(h.Slot(), sealer, failed, quit)
		h.Done(1)
	}
}

func fillSlot(s *txSlot, sealer *aead.Sealer, failed *mailbox[fileFailure], quit <-chan struct{}) {
	if s.state != slotPlanned {
		return
	}
	if err := s.fill(sealer, quit); err != nil && err != errOver {
		failed.put(fileFailure{s.src, err})
	}
}

// transmitter is the last stage of a sender.
type transmitter struct {
	wall   wall
	conn   netio.Conn
	notes  *mailbox[machine.Event]
	tap    *tap.Lane // nil: nothing is captured
	failed *mailbox[fileFailure]
	inline bool // read blocks here, and seal them
	sealer *aead.Sealer
	trace  bool
	quit   <-chan struct{}
	// bucket holds what leaves to the rate again: trains that are overdue because this
	// goroutine was not run must not leave all at once.
	bucket cc.Bucket
	rate   int64 // of the bucket, bytes/s
	packet int   // bytes that the rate counts for a block

	timer  *time.Timer
	trains [txBatch]netio.TxTrain

	past [1]netio.TxTrain // of overtakeLoop

	// turn holds a token during a send, where run and overtakeLoop share conn, tap and what
	// follows; nil where there is only run.
	turn     chan struct{}
	lastErr  string // of the last send, to report each kind once
	lastTold clock.Time
}

func (t *transmitter) run(h *ring.Hand[txSlot]) {
	t.timer = time.NewTimer(time.Hour)
	defer t.timer.Stop()
	for {
		if !h.Ready() {
			select {
			case <-h.Wake():
				continue
			case <-t.quit:
				return
			}
		}
		k, n := t.gather(h)
		if k == 0 {
			return
		}
		t.send(t.trains[:n])
		// The planner needs no waking while most of the ring waits for us: it could
		// plan one train, and be woken again for the next.
		h.Pass(k)
		if !h.Crowded() {
			h.WakeNext()
		}
	}
}

// gather takes the slots that are due, at least one: k slots with n trains to
// send. It waits for the first one's departure; k is 0 when it was told to quit.
func (t *transmitter) gather(h *ring.Hand[txSlot]) (k, n int) {
	now := t.wall.now()
	began := now
	for k < txBatch && h.Ahead(k) {
		s := h.Peek(k)
		if t.inline && s.state == slotPlanned {
			if k > 0 && t.wall.now().Sub(began) > fillMost {
				return k, n
			}
			fillSlot(s, t.sealer, t.failed, t.quit)
			if over(t.quit) {
				return 0, 0
			}
		}
		if s.src != nil {
			if s.train.Rate != t.rate {
				t.rate = s.train.Rate
				t.bucket.SetRate(t.rate, catchUp)
			}
			due := max(s.train.Depart, t.bucket.Next(now))
			if due > now {
				now = t.wall.now()
			}
			if k > 0 && due > now.Add(together) {
				return k, n
			}
			if k == 0 && due > now {
				if !t.waitUntil(due) {
					return 0, 0
				}
				now = t.wall.now()
				began = now
			}
			t.bucket.Take(now, s.train.N*t.packet)
		}
		if s.state == slotFilled {
			t.trains[n] = netio.TxTrain{Buf: s.buf[:s.n], Seg: s.seg, To: s.to}
			n++
			if t.trace {
				t.traceSlot(s)
			}
		}
		k++
	}
	return k, n
}

// waitUntil sleeps until at; false means quit.
func (t *transmitter) waitUntil(at clock.Time) bool {
	for {
		d := at.Sub(t.wall.now())
		if d <= 0 {
			return true
		}
		if d < 2*time.Millisecond {
			t.wall.shortSleep(d)
			continue
		}
		t.timer.Reset(d - time.Millisecond)
		select {
		case <-t.timer.C:
		case <-t.quit:
			return false
		}
	}
}

// overtakeLoop sends what overtakes. It shares the socket with run, but not the disk that
// run may wait for, nor the departures.
func (t *transmitter) overtakeLoop(h *ring.Hand[txSlot]) {
	for {
		if !h.Ready() {
			select {
			case <-h.Wake():
				continue
			case <-t.quit:
				return
			}
		}
		s := h.Slot()
		t.past[0] = netio.TxTrain{Buf: s.buf[:s.n], To: s.to}
		if t.trace {
			t.traceSlot(s)
		}
		t.send(t.past[:])
		h.Done(1)
	}
}

// send sends trains; what the network refuses is lost like any datagram, and told.
func (t *transmitter) send(trains []netio.TxTrain) {
	if t.turn != nil {
		t.turn <- struct{}{}
		defer func() { <-t.turn }()
	}
	for len(trains) > 0 {
		t.tap.Begin()
		sent, err := t.conn.WriteBatch(trains)
		t.tap.Sent(trains[:sent])
		if err == nil {
			t.lastErr = ""
			return
		}
		if errors.Is(err, net.ErrClosed) {
			return
		}
		bad := trains[sent]
		trains = trains[sent+1:]
		now := t.wall.now()
		if msg := err.Error(); msg != t.lastErr || now.Sub(t.lastTold) > time.Second {
			t.lastErr, t.lastTold = msg, now
			t.notes.put(SendFailed{bad.To, err})
		}
	}
}

func (t *transmitter) traceSlot(s *txSlot) {
	step := s.n
	if s.seg > 0 {
		step = s.seg
	}
	for at := 0; at < s.n; at += step {
		t.notes.put(Traced{Peer: s.to, Text: wire.Describe(s.buf[at:min(at+step, s.n)])})
	}
}
