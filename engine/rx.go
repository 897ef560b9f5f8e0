package engine

import (
	"errors"
	"net"
	"sync/atomic"
	"time"

	"uftp/engine/machine"
	"uftp/engine/netio"
	"uftp/engine/ring"
	"uftp/engine/seal"
	"uftp/engine/tap"
)

// rxSlot is one receive buffer of a ring: a datagram, or several of seg bytes from one
// source that the kernel joined. The kernel joins only what has the same ECN mark.
type rxSlot struct {
	buf    []byte
	after  uint64 // in the overflow ring: position of the other ring that it came after
	n, seg int
	head   machine.Datagram // of each of them; the core sets Data before it hands one in
	opened []seal.Mark      // receiver: marks of the opener, one for each datagram
}

// ReadFailed reports that the socket could not be read. The reader tries again.
type ReadFailed struct{ Err error }

func (ReadFailed) MachineEvent() {}

// Waits after a failed read double from the first to the longest.
const (
	readRetryFirst = time.Millisecond
	readRetryMax   = time.Second
)

// step returns the size of the datagrams in the slot, but for the last.
func (s *rxSlot) step() int {
	if s.seg > 0 {
		return s.seg
	}
	return max(1, s.n)
}

// split puts the first datagrams of the slot into pkts. It returns their number k, and how
// many more there are: none, unless a kernel joins more than any known one.
func (s *rxSlot) split(pkts *[machine.MaxJoined][]byte) (k, more int) {
	step := s.step()
	for at := 0; at < s.n; at += step {
		if k == len(pkts) {
			return k, (s.n - at + step - 1) / step
		}
		pkts[k] = s.buf[at:min(at+step, s.n)]
		k++
	}
	return k, 0
}

// reader is the first stage of both roles: it fills slots from the socket.
type reader struct {
	wall  wall
	conn  netio.Conn
	hand  *ring.Hand[rxSlot]
	notes *ring.Mailbox[machine.Event]
	tap   *tap.Lane // nil: nothing is captured
	quit  <-chan struct{}

	// Receiver: slots of a second ring, for what comes while the first is full and
	// reading goes on all the same (disk/backlog.go). overflow is nil at a sender.
	overflow *ring.Hand[rxSlot]
	readOn   atomic.Bool
	wake     chan struct{} // of both hands

	batch [rxBatch]netio.RxSlot
}

// newReader returns the first stage of a receiver.
func newReader(w wall, conn netio.Conn, hand, overflow *ring.Hand[rxSlot], notes *ring.Mailbox[machine.Event], tap *tap.Lane, quit <-chan struct{}) *reader {
	wake := make(chan struct{}, 1)
	hand.SetWake(wake)
	overflow.SetWake(wake)
	return &reader{wall: w, conn: conn, hand: hand, overflow: overflow, wake: wake, notes: notes, tap: tap, quit: quit}
}

// run fills slots until the socket is closed. After any other error it reports and tries
// again: a process that hears nothing any more helps nobody.
func (d *reader) run() {
	var retry time.Duration
	for {
		h := d.hand
		k := d.arm(h)
		if k == 0 && d.readOn.Load() {
			h = d.overflow
			k = d.arm(h)
		}
		if k == 0 {
			select {
			case <-d.hand.Wake():
				continue
			case <-d.quit:
				return
			}
		}
		n, err := d.conn.ReadBatch(d.batch[:k])
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			if retry == 0 {
				d.notes.Put(ReadFailed{err})
			}
			retry = min(max(2*retry, readRetryFirst), readRetryMax)
			select {
			case <-time.After(retry):
				continue
			case <-d.quit:
				return
			}
		}
		retry = 0
		at := d.wall.now()
		d.tap.Received(d.batch[:n])
		for i := range n {
			s, b := h.Peek(i), &d.batch[i]
			s.after, s.n, s.seg = d.hand.Pos(), b.N, b.Seg
			s.head = machine.Datagram{From: b.From, To: b.To, ECN: machine.ECN(b.TOS & 3), At: at}
			if b.Truncated {
				s.n = 0 // counted by netio
			}
		}
		h.Done(n)
	}
}

// arm points the batch at free slots and returns how many there are.
func (d *reader) arm(h *ring.Hand[rxSlot]) int {
	k := 0
	for k < rxBatch && h.Ahead(k) {
		d.batch[k].Buf = h.Peek(k).buf
		k++
	}
	return k
}
